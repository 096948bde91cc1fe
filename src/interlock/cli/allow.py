"""`interlock allow`: shows the rule that would allow a recorded denial as a change of a file, asks, and writes it.

Outside only: what loosens a policy is not for what the policy holds. Prints and asks; the work is `app.allowing`.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from interlock.vocabulary.errors import EXIT_REFUSED, OperatorError
from interlock.vocabulary.printable import printable

if TYPE_CHECKING:
    from interlock.app.allowing import Proposal
    from interlock.storage.home import Home

SUMMARY = "allow what was denied from now on: one rule, shown before it is written"
_EPILOG = """\
examples:
  interlock allow last                      the last session's last denial, in this workspace from now on
  interlock allow last --always             in every workspace
  interlock allow last --folder             all that lies in its folder
  interlock allow --remotes                 remotes that were added to this repository since its first session

Only what no rule spoke of can be allowed so: what a layer denies no other loosens, and `interlock why` says what can
be done about it. The change is checked by the engine, then shown; nothing is written without a yes."""
_LINE_CHARACTERS_MAX = 2000


def configure(parser: argparse.ArgumentParser) -> None:
    """Which denial, into which layer, whether to ask."""
    parser.add_argument(
        "id", metavar="ID", nargs="?", help="a denial as `interlock why` names it (SESSION:RECORD), or `last`"
    )
    parser.add_argument(
        "--remotes", action="store_true", help="the remotes that this repository has now, for the set @git-remotes"
    )
    parser.add_argument("--workspace", metavar="DIR", help="with --remotes: which one (default: the repository here)")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--project", action="store_true", help="for runs in the same workspace (default): config/projects/…"
    )
    where.add_argument("--always", action="store_true", help="for every run: config/policies/always.yaml")
    parser.add_argument(
        "--folder", action="store_true", help="all that lies in the same folder, not the one name alone"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask (needed without a terminal)")
    parser.epilog = _EPILOG


def run(arguments: argparse.Namespace) -> int:
    """Show, ask, write. 124 inside a session; 1 when the answer was no."""
    from interlock.app.allowing import adopt, propose
    from interlock.storage.home import Home

    _refuse_inside()
    home = Home.from_environment()
    if arguments.remotes:
        return _remotes(arguments, home)
    if arguments.id is None:
        raise OperatorError("which denial?", hint="SESSION:RECORD as `interlock why` prints it, or `last`")
    proposal = propose(arguments.id, always=arguments.always, folder=arguments.folder, home=home)
    print(shown(proposal), flush=True)
    if not arguments.yes and not _agreed():
        print("nothing was written")
        return 1
    adopt(proposal, home)
    print(f"written; undo it in {printable(proposal.layer.path, _LINE_CHARACTERS_MAX)}")
    return 0


def _remotes(arguments: argparse.Namespace, home: Home) -> int:
    """Show the remotes that nobody said yes to, ask, and take them up."""
    from interlock.app.known_remotes import adopt, remotes
    from interlock.app.policy_here import workspace_here

    if arguments.id is not None:
        raise OperatorError("a denial and `--remotes` are two things", hint="name one of them")
    workspace = workspace_here(arguments.workspace)
    known, new = remotes(home, workspace)
    for word, hosts in (("known", known), ("new", new)):
        for host in hosts:
            print(f"{word:<6}{printable(host)}")
    if not new:
        print(f"there is no new remote in {printable(workspace)}")
        return 0
    if not arguments.yes and not _agreed():
        print("nothing was written")
        return 1
    adopt(home, workspace, new)
    print(f"@git-remotes has {len(new)} more from the next session on, in {printable(workspace)}")
    return 0


def shown(proposal: Proposal) -> str:
    """The act, and the change of the file as a unified diff, safe to show."""
    import difflib

    from interlock.vocabulary import words

    before = (proposal.before or b"").decode("utf-8", "surrogateescape").splitlines()
    after = proposal.after.decode("utf-8", "surrogateescape").splitlines()
    path = proposal.layer.path
    old = path if proposal.before is not None else "/dev/null"
    lines = difflib.unified_diff(before, after, old, path, lineterm="")
    act = words.act({"verb": proposal.denial.verb, "target": proposal.denial.target})
    where = "every workspace" if proposal.layer.workspace is None else printable(proposal.layer.workspace)
    return "\n".join(
        [
            f"was denied: {act}",
            f"would be allowed in {where} by:",
            *(printable(line, _LINE_CHARACTERS_MAX) for line in lines),
        ]
    )


def _refuse_inside() -> None:
    from interlock.host.inside import is_held

    if is_held():
        raise OperatorError(
            "a session does not loosen its own policy",
            hint="ask your human to run this outside",
            exit_code=EXIT_REFUSED,
        )


def _agreed() -> bool:
    if not sys.stdin.isatty() or not sys.stdout.isatty():
        raise OperatorError(
            "nobody can be asked: this is not a terminal", hint="with --yes it is written without asking"
        )
    sys.stdout.write("write this? [y/N] ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
