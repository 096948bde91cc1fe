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
    from interlock.vocabulary.question import Answer, Question

SUMMARY = "list, show and answer the questions that wait for a human"
_EPILOG = """\
A yes is good for the one act shown, once, now: it is bound to the digest of the act. A no also settles identical acts
that wait. A question nobody answers in time is a no. Inside a session this command refuses to work."""
_NOTHING = "nothing waits for approval"


def configure(parser: argparse.ArgumentParser) -> None:
    """list, show, approve, deny."""
    parser.epilog = _EPILOG
    acts = parser.add_subparsers(dest="act", metavar="ACT", required=True)
    listing = acts.add_parser("list", help="questions that wait, oldest first")
    showing = acts.add_parser("show", help="one question in full, and what became of it")
    approving = acts.add_parser("approve", help="say yes, once")
    denying = acts.add_parser("deny", help="say no")
    for parser_of_one in (showing, approving, denying):
        parser_of_one.add_argument("id", metavar="ID", help="the question's id, or the start of it")
    for parser_of_any in (listing, showing, approving, denying):
        parser_of_any.add_argument("--json", action="store_true", help="one JSON object a line")
    for answering in (approving, denying):
        answering.add_argument("--reason", metavar="TEXT", help="kept with the answer")


def run(arguments: argparse.Namespace) -> int:
    """Do one act."""
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
    question = inbox.answer(arguments.id, yes=yes, approver=approver(), reason=arguments.reason)
    if arguments.json:
        print(json.dumps(as_value(*inbox.get(question.id))))
        return 0
    from interlock.vocabulary import words

    print(f"{'approved, once' if yes else 'denied'}: {words.act(question.action)}")
    return 0


def _print(question: Question, answer: Answer | None) -> None:
    from interlock.approvals.terminal import layout
    from interlock.vocabulary.words import rows

    found = [("question", question.id), *rows(question, now_ms=_now_ms(), limit=1_000_000), ("digest", question.digest)]
    if answer is not None:
        found = [row for row in found if row[0] != "waits"]
        by = f" by {printable(answer.approver)}" if answer.approver else ""
        reason = f" ({printable(answer.reason)})" if answer.reason else ""
        found.append(("answer", f"{answer.word}{by}{reason}"))
    print("\n".join(layout(found, columns=shutil.get_terminal_size().columns)))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
