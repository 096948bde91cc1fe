"""`interlock approvals`: the inbox from another terminal. It shows what would happen; the grant is the inbox's."""

from __future__ import annotations

import argparse
import json
import shutil
import time
from typing import TYPE_CHECKING

from interlock.vocabulary.printable import printable

if TYPE_CHECKING:
    from interlock.approvals.inbox import Inbox
    from interlock.vocabulary.question import Answer, Meant, Question

SUMMARY = "list, show and answer the questions that wait for a human"
_EPILOG = """\
A yes is good for the one act shown, once, now: it is bound to the digest of the act. A no also settles identical acts
that wait. A question nobody answers in time is a no. Inside a session this command refuses to work.

With --session, a yes to a connection holds for that session: the same host, port and transport, wherever the name
leads in public. `held` lists such yeses, and `revoke` takes one back; what is connected stays so."""
_NOTHING = "nothing waits for approval"


def configure(parser: argparse.ArgumentParser) -> None:
    """list, show, approve, deny, held, revoke."""
    parser.epilog = _EPILOG
    acts = parser.add_subparsers(dest="act", metavar="ACT", required=True)
    listing = acts.add_parser("list", help="questions that wait, oldest first")
    showing = acts.add_parser("show", help="one question in full, and what became of it")
    approving = acts.add_parser("approve", help="say yes, once")
    denying = acts.add_parser("deny", help="say no")
    holding = acts.add_parser("held", help="yeses for the session that are in force")
    revoking = acts.add_parser("revoke", help="take back a yes for the session")
    for parser_of_one in (showing, approving, denying, revoking):
        parser_of_one.add_argument("id", metavar="ID", help="the question's id (or the yes's), or the start of it")
    approving.add_argument("--session", action="store_true", help="say yes to this host and port for the session")
    for parser_of_any in (listing, showing, approving, denying, holding, revoking):
        parser_of_any.add_argument("--json", action="store_true", help="one JSON object a line")
    for answering in (approving, denying):
        answering.add_argument("--reason", metavar="TEXT", help="kept with the answer")


def run(arguments: argparse.Namespace) -> int:
    """Do one act."""
    if arguments.act in ("held", "revoke"):
        return _held(arguments)
    from interlock.app.inbox import open_inbox

    inbox = open_inbox()
    try:
        if arguments.act == "list":
            return _list(inbox, arguments.json)
        if arguments.act == "show":
            return _show(inbox, arguments.id, arguments.json)
        return _answer(inbox, arguments)
    finally:
        inbox.close()


def _list(inbox: Inbox, as_json: bool) -> int:
    from interlock.app.inbox import as_value

    questions = inbox.pending()
    if as_json:
        for question in questions:
            print(json.dumps(as_value(question, None)))
        return 0
    if not questions:
        print(_NOTHING)
        return 0
    from interlock.vocabulary import words

    now = _now_ms()
    for question in questions:
        left = max(0, question.expires_ms - now) // 1000
        rules = printable(", ".join(question.rules))
        print(f"{question.id}  {left:>4} s  {words.act(question.action)}  ({rules})")
    return 0


def _show(inbox: Inbox, identity: str, as_json: bool) -> int:
    from interlock.app.inbox import as_value

    question, answer = inbox.get(identity)
    if as_json:
        print(json.dumps(as_value(question, answer)))
    else:
        _print(question, answer)
    return 0


def _answer(inbox: Inbox, arguments: argparse.Namespace) -> int:
    from interlock.app.inbox import approver, as_value

    yes = arguments.act == "approve"
    for_session = yes and arguments.session
    meant: Meant = "session" if for_session else "once" if yes else "no"
    question = inbox.answer(arguments.id, meant=meant, approver=approver(), reason=arguments.reason)
    if arguments.json:
        print(json.dumps(as_value(*inbox.get(question.id))))
        return 0
    from interlock.vocabulary import words

    said = "approved, for the session" if for_session else "approved, once" if yes else "denied"
    print(f"{said}: {words.act(question.action)}")
    return 0


def _held(arguments: argparse.Namespace) -> int:
    """Those that are in force, or the one that is taken back."""
    from interlock.app.held_yeses import held, take_back
    from interlock.storage.home import Home
    from interlock.vocabulary import words

    home = Home.from_environment()
    revoked = arguments.act == "revoke"
    found = [take_back(home, arguments.id)] if revoked else held(home)
    for each in found:
        if arguments.json:
            print(json.dumps(each._asdict()))
        else:
            until = time.strftime("%H:%M", time.localtime(each.expires_ms / 1000))
            said = "taken back" if revoked else f"until {until}, by {printable(each.approver)}"
            print(f"{printable(each.id)}  {printable(each.session)}  {words.place(each.reach)}  ({said})")
    if not found and not arguments.json:
        print("no yes for a session is in force")
    return 0


def _print(question: Question, answer: Answer | None) -> None:
    from interlock.approvals.terminal import layout
    from interlock.vocabulary.words import rows

    found = [("question", question.id), *rows(question, now_ms=_now_ms(), limit=1_000_000), ("digest", question.digest)]
    if answer is not None:
        found = [row for row in found if row[0] != "waits"]
        by = f" by {printable(answer.approver)}" if answer.approver else ""
        reason = f" ({printable(answer.reason)})" if answer.reason else ""
        lasting = " for the session" if answer.grant is not None and answer.grant.reach is not None else ""
        found.append(("answer", f"{answer.word}{lasting}{by}{reason}"))
    print("\n".join(layout(found, columns=shutil.get_terminal_size().columns)))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
