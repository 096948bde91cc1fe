"""`interlock run`: options, the nested case, the report at the end, the exit status. The work is
`interlock.app.run`.
"""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any, Final

from interlock.vocabulary.errors import EXIT_FAILED, EXIT_USAGE

if TYPE_CHECKING:
    from interlock.app.run import Ran, SessionWanted
    from interlock.cli.notice import NoticeFace
    from interlock.vocabulary.changes import Changes
    from interlock.vocabulary.json_value import JsonObject
    from interlock.vocabulary.supervision import Exited, Started

SUMMARY = "run a command and everything it starts under a policy"
#: A session whose keepers are all gone, and which nobody could end in their place.
_LEFT: Final = (
    "processes of the session may still run; they stay behind the wall, and each call that the supervisor would decide "
    "fails"
)
_EPILOG = """\
examples:
  interlock run -- claude                             the coding-agent preset, this repository as workspace
  interlock run --preset ci -- make test              headless: a question is a denial, nothing outlives the command
  interlock run --policy team.yaml -- npm test        your own layers; what one denies no other allows
  interlock run --agent coder -- codex                with an identity of its own at the gateway

The command's exit status is passed on (128+n for signal n). Interlock's own: 121 policy, 122 machine,
123 Interlock failed, 124 refused before start, 126 not executable, 127 not found."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Options first, then `--`, then the command."""
    add_session_options(parser)
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="-- COMMAND …", help="the command and its arguments")
    parser.usage = f"{parser.prog} [options] -- COMMAND [ARGUMENT …]"
    parser.epilog = _EPILOG


def add_session_options(parser: argparse.ArgumentParser) -> None:
    """What `run` and `shell` share."""
    parser.add_argument(
        "--policy",
        action="append",
        default=[],
        metavar="FILE",
        help="a policy layer; may be given again (a name means one of your policies)",
    )
    parser.add_argument(
        "--preset",
        metavar="NAME",
        help="a ready layer: coding-agent (default without --policy), ci, strict, observe, mcp-server",
    )
    parser.add_argument(
        "--workspace",
        metavar="DIR",
        help="what ${workspace} means in policies (default: the git repository around the current directory, or the "
        "directory itself, unless it is or contains a home)",
    )
    parser.add_argument(
        "--agent",
        metavar="NAME",
        help="run as this agent: gives it a token for the gateway that works in this session only",
    )
    parser.add_argument(
        "--share",
        action="append",
        default=[],
        metavar="PATH",
        help="a file or folder in /tmp, /var/tmp or /dev/shm that the session may change; may be given again",
    )
    parser.add_argument(
        "--end",
        choices=("keep", "kill"),
        help="processes that outlive the command: keep them held (default), or end them (ci)",
    )
    parser.add_argument(
        "--no-ask", dest="ask", action="store_false", help="nobody is there: what needs an approval is denied"
    )
    parser.add_argument(
        "--journal",
        metavar="SIZE",
        help="how much is kept of what the session changes or deletes, for `session restore`: such as `5GiB`, or `off` "
        "(default: 2GiB, and off under ci, mcp-server and observe)",
    )
    parser.add_argument(
        "--quiet", action="store_true", help="no line at the start, no notices; `interlock why` still tells"
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object about the session as the last line of output"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run it, and return the command's status or Interlock's code."""
    words = list(arguments.words)
    if words[:1] == ["--"]:
        words = words[1:]
    elif words:
        return _usage(f"put `--` before the command: interlock run … -- {words[0]} …")
    if not words:
        return _usage("no command given")
    return run_words(words, arguments)


def run_words(words: list[str], arguments: argparse.Namespace) -> int:
    """Run a command line with the session options of `arguments`."""
    from interlock.app.journal_place import journal_bytes
    from interlock.app.run import SessionWanted, outer_session, run_nested, run_session
    from interlock.cli.notice import NoticeFace

    wanted = SessionWanted(
        command=words, policies=arguments.policy, preset=arguments.preset, workspace=arguments.workspace,
        agent=arguments.agent, end=arguments.end, ask=arguments.ask, share=arguments.share,
        journal_bytes=journal_bytes(arguments.journal, preset=arguments.preset),
    )  # fmt: skip
    outer = outer_session()
    if outer is not None:
        return _nested(wanted, outer, run_nested)
    face = NoticeFace(quiet=arguments.quiet, opening=os.isatty(2) or wanted.is_headless)
    ran = run_session(wanted, face)
    code = _report(ran, face)
    if arguments.json:
        _print_json(ran, face, code)
    return code


def _nested(wanted: SessionWanted, session: str, run_nested: Any) -> int:
    from interlock.cli.failure import say

    if not wanted.says_policy:
        say(f"already inside session {session}; the command runs under it")
    run_nested(wanted, session)
    raise AssertionError("execv returns only by raising")


def _usage(message: str) -> int:
    from interlock.cli.failure import say

    say(message)
    say("  try: interlock run --help", prefix="")
    return EXIT_USAGE


def _report(ran: Ran, face: NoticeFace) -> int:
    from interlock.cli.failure import say

    course = ran.course
    if course.failed is not None:
        say(course.failed.message)
        if course.failed.hint:
            say(f"  hint: {course.failed.hint}", prefix="")
        return _failure_code(course.failed.code)
    if course.trouble is not None:
        say(f"{course.trouble}; {_LEFT if course.left else 'the processes of the session were ended'}")
        say(f"  hint: what was recorded: interlock session show {ran.session}", prefix="")
        _tell_changes(_changes_of(ran), ran, face)
        _tell_before(ran, face)
        return EXIT_FAILED
    _summary(ran, face)
    return _status(course.exited)


def _summary(ran: Ran, face: NoticeFace) -> None:
    """Silent unless something was denied, runs later, or still runs."""
    from interlock.cli.failure import say

    course = ran.course
    running = course.exited.running if course.exited is not None else ()
    if running and course.ended is None:
        what = "1 process of the session still runs" if len(running) == 1 else f"{len(running)} processes still run"
        say(f"{what}, held to the policy; to end it: interlock session end {ran.session}")
        say(f"what it has changed so far that would run later: interlock session changes {ran.session}")
    _tell_changes(_changes_of(ran), ran, face)
    _tell_before(ran, face)
    _tell_unruled(face)
    for line in face.checkouts():
        say(line)
    if face.not_shown:
        say(f"{face.denied_count} denials in all; see: interlock session show {ran.session}")


def _changes_of(ran: Ran) -> Changes | None:
    """From the supervisor's last word; where it had none, from the record. A session that still runs has no end yet."""
    from interlock.app.changes import changes
    from interlock.storage.home import Home
    from interlock.vocabulary.errors import InterlockError

    if ran.course.ended is not None:
        return ran.course.ended.runs_later
    if ran.course.trouble is None:
        return None
    try:
        return changes(Home.from_environment(), ran.session)
    except InterlockError:
        return None  # Nothing was recorded, or the machine is in trouble too: it can be asked for later.


def _tell_changes(found: Changes | None, ran: Ran, face: NoticeFace) -> None:
    from interlock.cli.failure import say

    if found is None or not (found.counts or found.unseen):
        return
    from interlock.cli.changes import as_expected, in_a_word, in_short, unknown
    from interlock.storage.home import user_home

    if not found.counts:
        return say(unknown(found, ran.session))
    places = [(ran.workspace, ""), (user_home(), "~/")]
    expected = as_expected(found, ran.session, places)
    if expected is not None:
        return say(expected) if expected and not face.is_quiet else None
    if face.is_quiet:
        return say(in_a_word(found, ran.session))
    say("changed, and would run later outside this session, by")
    for line in in_short(found, ran.session, places):
        say(f"  {line}", prefix="")


def _tell_before(ran: Ran, face: NoticeFace) -> None:
    """One line, where a person's files are not as they were before."""
    if face.is_quiet or not ran.keeps_before:
        return
    from interlock.app.files_of_before import files_of_before
    from interlock.cli.failure import say
    from interlock.storage.home import Home
    from interlock.vocabulary.errors import HostError

    try:
        found = files_of_before(Home.from_environment(), ran.session, ran.workspace)
    except HostError as error:
        return say(str(error))
    counts = ((found.changed, "changed"), (found.removed, "removed"), (found.either, "changed or removed"))
    parts = [f"{count} {did}" for count, did in counts if count]
    if parts:
        say(f"files of before: {', '.join(parts)}; interlock session diff {ran.session}")


def _tell_unruled(face: NoticeFace) -> None:
    from interlock.cli.failure import say

    first, *more = face.unruled() or [""]
    if not first:
        return
    if not more:
        return say(f"denied by no rule: {first}; interlock why")
    say("denied by no rule; interlock why")
    for line in [first, *more]:
        say(f"  {line}", prefix="")


def _status(exited: Exited | None) -> int:
    if exited is None:
        return EXIT_FAILED
    if exited.signal is not None and exited.signal > 0:
        return 128 + exited.signal
    return exited.code if exited.code is not None else EXIT_FAILED


def _failure_code(code: int | None) -> int:
    return code if code is not None and EXIT_USAGE <= code <= 127 else EXIT_FAILED


def _print_json(ran: Ran, face: NoticeFace, code: int) -> None:
    import json

    course = ran.course
    ended, exited, failed = course.ended, course.exited, course.failed
    report = {
        "session": ran.session,
        "code": code,
        "signal": exited.signal if exited is not None else None,
        "counts": ended.counts if ended is not None else None,
        "denied": face.denied_count,
        "denials": _denials(ran, face),
        "runs_later": [change.as_object() for change in ended.runs_later.items] if ended is not None else [],
        "runs_later_counts": ended.runs_later.counts if ended is not None else {},
        "running": exited.running if exited is not None else [],
        "enforced": None if course.started is None else _states(course.started),
        "checkpoint": ended.checkpoint if ended is not None else None,
        "trouble": course.trouble or (failed.message if failed is not None else None),
    }
    data = (json.dumps(report, separators=(",", ":")) + "\n").encode()
    try:
        while data:
            data = data[os.write(1, data) :]
    except OSError as error:  # the command's status is still the command's
        from interlock.cli.failure import say

        say(f"the report could not be written: {error.strerror}")


def _states(started: Started) -> dict[str, dict[str, str]]:
    from interlock.vocabulary.enforcement import written

    return {name: written(state) for name, state in started.enforced.items()}


def _denials(ran: Ran, face: NoticeFace) -> list[JsonObject]:
    """Every denial, from the session's record: what was not announced is there as well."""
    from interlock.app.history import last_denials
    from interlock.vocabulary.errors import InterlockError

    if not face.denied_count:
        return []
    try:
        return [denial._asdict() for denial in last_denials(ran.session, count=None).denials]
    except InterlockError:
        return []  # Nothing was recorded: the supervisor had not come so far.
