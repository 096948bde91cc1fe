"""`interlock session`: which sessions run and ran, one of them as a tree, what it left that runs later, and the end of
one.
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from interlock.vocabulary.printable import printable, shell_words, text_of

if TYPE_CHECKING:
    from interlock.app.tree import Node
    from interlock.storage.home import Home
    from interlock.vocabulary.json_value import JsonObject

SUMMARY = "list sessions, draw one as a tree, end one; what one changed, and as it was before"
_EPILOG = """\
  interlock session list             running ones first, then the latest
  interlock session show last        who, what was called, what the tools did, what was denied, what was asked
  interlock session changes          what the last session changed that something outside would run later, and who
  interlock session diff --stat      what the last session changed of what was there before, in short
  interlock session restore last src bring back what was there before in `src`: contents, modes, times
  interlock session discard          undo the last session: restore, and take away what it made
  interlock session end s-2026…      end the whole process tree of a session that still runs"""


def configure(parser: argparse.ArgumentParser) -> None:
    """list, show, changes, end; diff, restore, discard, forget."""
    from interlock.cli import session_before

    parser.epilog = _EPILOG
    acts = parser.add_subparsers(dest="act", metavar="ACT", required=True)
    listing = acts.add_parser("list", help="sessions that run, and the latest that ran")
    listing.add_argument("--last", type=int, default=20, metavar="N", help="how many of those that ended (default 20)")
    showing = acts.add_parser("show", help="one session as a tree")
    showing.add_argument("id", metavar="ID", nargs="?", default="last", help="id, the start of one, or `last`")
    changing = acts.add_parser("changes", help="what a session changed that something outside would run later")
    changing.add_argument("id", metavar="ID", nargs="?", default="last", help="id, the start of one, or `last`")
    ending = acts.add_parser("end", help="end a running session's whole process tree")
    ending.add_argument("id", metavar="ID", help="id, the start of one, or `last`: the last started of those that run")
    for parser_of_any in (listing, showing, changing, ending, *session_before.configure(acts)):
        parser_of_any.add_argument("--json", action="store_true", help="JSON, for machines")


def run(arguments: argparse.Namespace) -> int:
    """Do one act."""
    from interlock.storage.home import Home

    home = Home.from_environment()
    if arguments.act == "list":
        return _list(home, arguments)
    if arguments.act == "show":
        return _show(home, arguments)
    if arguments.act == "changes":
        return _changes(home, arguments)
    if arguments.act == "end":
        return _end(home, arguments)
    from interlock.cli import session_before

    return session_before.run(home, arguments)


def _list(home: Home, arguments: argparse.Namespace) -> int:
    from interlock.app.history import is_closed, session_ids

    running = _running(home)
    ended = [session for session in session_ids(home) if session not in running]
    for session in [*running, *reversed(ended[-arguments.last :] if arguments.last > 0 else [])]:
        entry = running.get(session) or _opened(home, session)
        state = "runs" if session in running else "ended" if is_closed(home, session) else "lost"
        if arguments.json:
            print(
                json.dumps(
                    {"session": session, "state": state, "command": entry.get("command"), "agent": entry.get("agent")}
                )
            )
        else:
            said = entry.get("command")
            command = [text_of(word) for word in said] if isinstance(said, list) else []
            print(f"{session}  {state:<6}{shell_words(command, 80)}".rstrip())
    return 0


def _opened(home: Home, session: str) -> JsonObject:
    from interlock.app.history import opening

    found = opening(home, session)
    return found.document if found is not None else {}


def _show(home: Home, arguments: argparse.Namespace) -> int:
    from interlock.app.history import resolve, story
    from interlock.app.tree import Story, draw, session_node

    session = resolve(home, arguments.id)
    found = Story(*story(home, session))
    if arguments.json:
        print(
            json.dumps(
                {
                    "session": session,
                    "tree": _as_value(session_node(found, session, depth=0)),
                    "records": [event.document for event in found.sessions[session]],
                }
            )
        )
    else:
        print("\n".join(draw(found, session)))
    return 0


def _changes(home: Home, arguments: argparse.Namespace) -> int:
    from interlock.app.changes import changes
    from interlock.app.history import opening, resolve
    from interlock.cli.changes import in_full
    from interlock.policy.runs_later import runner_of
    from interlock.storage.home import user_home

    session = resolve(home, arguments.id)
    found = changes(home, session)
    if arguments.json:
        items = [item.as_object() | {"runner": runner_of(item.kind)} for item in found.items]
        said = {"session": session, "changes": items, "counts": found.counts, "unseen": found.unseen}
        print(json.dumps(said | {"ended": not found.is_from_changes}))
        return 0
    opened = opening(home, session)
    workspace = (opened.workspace if opened is not None else None) or ""
    if found.is_from_changes:
        print(f"{session} has no record of its end: this is what is left of its record of changes now")
    lines = in_full(found, [(workspace, ""), (user_home(), "~/")])
    print("\n".join(lines or ["nothing that it changed would run later"]))
    return 0


def _as_value(node: Node) -> JsonObject:
    return {"text": node.text, "children": [_as_value(child) for child in node.children]}


def _end(home: Home, arguments: argparse.Namespace) -> int:
    from interlock.app.history import last_of, session_ids
    from interlock.host.control import end, running_sessions
    from interlock.vocabulary.errors import OperatorError

    if arguments.id == "last":
        running = _running(home)
        last = last_of(home, [session for session in session_ids(home) if session in running])
        fitting = [] if last is None else [last]
    else:
        fitting = [session for session in running_sessions(home.runtime) if session.startswith(arguments.id)]
    if len(fitting) != 1:
        what = "matches more than one running session" if fitting else "matches no running session"
        raise OperatorError(f"`{arguments.id}` {what}", hint="see: interlock session list")
    answer = end(home.runtime, fitting[0])
    print(json.dumps({"session": fitting[0], **answer}) if arguments.json else f"ended {printable(fitting[0])}")
    return 0


def _running(home: Home) -> dict[str, JsonObject]:
    """Sessions that answer, with what they say; what those left that never will again is taken away."""
    from interlock.host.control import running_sessions, show
    from interlock.storage.runtime import clear
    from interlock.vocabulary.errors import PeerError

    found: dict[str, JsonObject] = {}
    for session in running_sessions(home.runtime):
        try:
            found[session] = show(home.runtime, session)
        except PeerError as error:
            if isinstance(error.__cause__, ConnectionRefusedError):
                clear(home, session)
    return found
