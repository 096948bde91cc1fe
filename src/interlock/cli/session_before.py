"""`interlock session diff | restore | discard | forget`: what a session changed of what was there before, shown and
brought back.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from typing import TYPE_CHECKING, Final

from interlock.vocabulary.printable import printable

if TYPE_CHECKING:
    import argparse

    from interlock.app.comparing import Compared, Item
    from interlock.app.restoring import Brought
    from interlock.storage.home import Home

#: Files larger than this are said to differ, and not shown.
DIFF_BYTES_MAX: Final = 4 << 20
#: Lines of names that are printed one by one; the rest is counted.
NAMES_MAX: Final = 40
_LETTERS: Final = {"deleted": "D", "changed": "M", "moved": "R", "altered": "m", "made": "A"}
EXIT_LEFT: Final = 1


def configure(acts: argparse._SubParsersAction[argparse.ArgumentParser]) -> list[argparse.ArgumentParser]:
    """The four acts."""
    showing = acts.add_parser("diff", help="what a session changed, as a unified diff")
    restoring = acts.add_parser("restore", help="bring back what was there before a session")
    discarding = acts.add_parser("discard", help="undo a whole session: restore, and take away what it made")
    forgetting = acts.add_parser("forget", help="give up what is kept of a session, and its room on the disk")
    for parser in (showing, restoring, discarding, forgetting):
        parser.add_argument("id", metavar="ID", nargs="?", default="last", help="id, the start of one, or `last`")
    for parser in (showing, restoring):
        parser.add_argument("paths", metavar="PATH", nargs="*", help="these alone, and what lies below them")
    showing.add_argument("--stat", action="store_true", help="a line for each, without contents")
    for parser in (restoring, discarding):
        parser.add_argument("--force", action="store_true", help="also what somebody changed after the session's end")
        parser.add_argument("--dry-run", action="store_true", help="say what would be done")
    return [showing, restoring, discarding, forgetting]


def run(home: Home, arguments: argparse.Namespace) -> int:
    """Do one of them."""
    from interlock.app.history import resolve

    paths = list(getattr(arguments, "paths", ()))
    if arguments.act in ("diff", "restore") and arguments.id != "last" and not arguments.id.startswith("s-"):
        paths, arguments.id = [arguments.id, *paths], "last"  # a path alone: of the last session
    session = resolve(home, arguments.id)
    if arguments.act == "forget":
        return _forget(home, session, as_json=arguments.json)
    from interlock.app.comparing import compared

    paths = [os.path.abspath(path) for path in paths]
    names = [os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path)) for path in paths]
    found = compared(home, session, names, opens=arguments.act != "diff" and not arguments.dry_run)
    if arguments.act == "diff":
        return _diff(found, arguments)
    return _restore(found, arguments)


def _forget(home: Home, session: str, *, as_json: bool) -> int:
    from interlock.host.control import running_sessions
    from interlock.storage.removal import remove_folder
    from interlock.vocabulary.errors import OperatorError

    if session in running_sessions(home.runtime):
        raise OperatorError(f"session `{session}` still runs", hint=f"interlock session end {session}")
    remove_folder(home.journal(session))
    print(json.dumps({"session": session, "forgotten": True}) if as_json else f"nothing is kept of {session} any more")
    return 0


def _diff(found: Compared, arguments: argparse.Namespace) -> int:
    if arguments.json:
        print(json.dumps(_as_object(found)))
        return 0
    if not found.items:
        print("nothing is other than before")
    for item in found.items:
        if arguments.stat:
            print(_line(item))
        else:
            sys.stdout.write("".join(_unified(found, item)))
    _say_unkept(found)
    return 0


def _as_object(found: Compared) -> dict[str, object]:
    items = [
        {"path": item.path, "did": item.did, "now": item.now, "changed_since": item.since, "folder": item.is_folder}
        for item in found.items
    ]
    unkept = [{"path": each.path, "why": os.strerror(each.errno)} for each in found.past.unkept]
    return {"session": found.session, "ended": found.journal.ended_ns is not None, "items": items, "unkept": unkept}


def _line(item: Item) -> str:
    moved = f" -> {printable(item.now)}" if item.did == "moved" and item.now is not None else ""
    since = "  (changed since)" if item.since else ""
    return f"{_LETTERS[item.did]}  {printable(item.path)}{'/' if item.is_folder else ''}{moved}{since}"


def _say_unkept(found: Compared) -> None:
    from interlock.cli.failure import say

    for each in found.past.unkept[:NAMES_MAX]:
        say(f"not kept: {printable(each.path)}: {os.strerror(each.errno)}")


def _unified(found: Compared, item: Item) -> list[str]:
    from difflib import unified_diff

    from interlock.app.comparing import content_of

    heading = f"# {_line(item)}\n"
    thing = item.thing
    kept = content_of(thing, found.journal) if thing is not None and thing.has_content else None
    if item.is_folder or item.did == "altered" or (item.did == "moved" and kept is None):
        return [heading]
    empty = thing is None or kept is None
    before = [] if empty or kept is None else _text(kept, None)
    after = [] if item.did == "deleted" else _text(None, item.now or item.path)
    if before is None or after is None:
        return [heading, "# the contents are not shown: no text, or too large\n"]
    names = (
        "/dev/null" if thing is None else f"a{item.path}",
        "/dev/null" if item.did == "deleted" else f"b{item.now or item.path}",
    )
    lines = unified_diff(before, after, printable(names[0]), printable(names[1]))
    return [heading, *(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)]


def _text(kept: str | None, there: str | None) -> list[str] | None:
    """The lines of a file; None where they are none. A link is the line that it says."""
    from interlock.app.comparing import link_kept
    from interlock.storage import below

    if kept is not None and os.path.islink(kept):
        return [_shown(link_kept(kept))]
    found = os.lstat(kept) if kept is not None else below.found(there or "")
    if found is None:
        return []
    if kept is None and there is not None and stat.S_ISLNK(found.st_mode):
        return [_shown(below.link_of(there))]
    if not stat.S_ISREG(found.st_mode) or found.st_size > DIFF_BYTES_MAX:
        return None
    try:
        with open(kept if kept is not None else below.opened(there or ""), "rb") as file:
            data = file.read(DIFF_BYTES_MAX)
    except OSError:
        return None
    if b"\0" in data:
        return None
    return [_shown(line) for line in data.decode("utf-8", "surrogateescape").splitlines(keepends=True)]


def _shown(line: str) -> str:
    """A line without what could move the cursor; a tab is one."""
    end = "\n" if line.endswith("\n") else ""
    return "\t".join(printable(part, 10_000) for part in line.removesuffix("\n").split("\t")) + end


def _restore(found: Compared, arguments: argparse.Namespace) -> int:
    from interlock.app.restoring import Brought, restore

    discard = arguments.act == "discard"
    if arguments.dry_run:
        items = [item for item in found.items if discard or item.did != "made"]
        left = [(item.path, "changed since") for item in items if item.since and not arguments.force]
        going = [item for item in items if arguments.force or not item.since]
        outcome = Brought(
            [item.path for item in going if item.did != "made"],
            [item.path for item in going if item.did == "made"],
            left,
        )
    else:
        outcome = restore(found, discard=discard, force=arguments.force)
    if arguments.json:
        not_done = [{"path": path, "why": why} for path, why in outcome.left]
        said = {"restored": outcome.restored, "removed": outcome.removed, "left": not_done}
        print(json.dumps({"session": found.session, "done": not arguments.dry_run} | said))
    else:
        _tell(found, outcome, would=arguments.dry_run)
    return EXIT_LEFT if outcome.left else 0


def _tell(found: Compared, outcome: Brought, *, would: bool) -> None:
    from interlock.cli.failure import say

    if found.journal.ended_ns is None:
        say(f"session {found.session} still runs: it may change again what is brought back")
    done = [f"  restored  {printable(path)}" for path in outcome.restored]
    done += [f"  removed   {printable(path)}" for path in outcome.removed]
    for line in done[:NAMES_MAX]:
        print(line)
    if len(done) > NAMES_MAX:
        print(f"  and {len(done) - NAMES_MAX} more")
    for path, why in outcome.left[:NAMES_MAX]:
        print(f"  LEFT      {printable(path)}: {why}")
    if len(outcome.left) > NAMES_MAX:
        print(f"  and {len(outcome.left) - NAMES_MAX} more")
    verb = "would be " if would else ""
    print(f"{verb}restored {len(outcome.restored)}, {verb}removed {len(outcome.removed)}, left {len(outcome.left)}")
    if any("session's end" in why or why == "changed since" for _, why in outcome.left):
        print("what was changed after the session's end stays as it is; --force takes the former state all the same")
    _say_unkept(found)
