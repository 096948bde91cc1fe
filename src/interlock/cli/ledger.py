"""`interlock ledger`: read, verify, prove and export the record. What people see is made printable."""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from interlock.vocabulary import words
from interlock.vocabulary.errors import EXIT_DAMAGED, HostError, OperatorError
from interlock.vocabulary.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from interlock.ledger.ledger_check import LedgerReport
    from interlock.ledger.reader import Entry, Log
    from interlock.ledger.verifier import Report
    from interlock.storage.home import Home
    from interlock.vocabulary.json_value import JsonObject

SUMMARY = "read, verify and export the record"
#: How often `tail --follow` looks for new records, seconds.
_LOOK_EVERY_S: Final = 0.2
#: What one line of a listing shows of one value, characters.
_SHOWN_CHARACTERS: Final = 200
_EPILOG = """\
  interlock ledger query --session last --decision deny     what was denied, by which rule
  interlock ledger query --since 1h --verb 'net.*' --json   one JSON object a line
  interlock ledger show last 17                             one record, whole
  interlock ledger verify                                   every log and the index; 125 if anything is wrong
  interlock ledger export last --output s.tar.gz            a bundle that a stranger verifies offline
  interlock ledger prove last 17 > proof.json               one record, proven without the rest
  interlock ledger keys --move-auditor /media/usb           take the auditor's key off this machine"""


def configure(parser: argparse.ArgumentParser) -> None:
    """tail, query, show, verify, prove, export, keys."""
    parser.epilog = _EPILOG
    acts = parser.add_subparsers(dest="act", metavar="ACT", required=True)
    for name, aid, needs in (
        ("tail", "the latest records of a session, and those to come", _configure_tail),
        ("query", "records that fit, over one session or all", _configure_query),
        ("show", "one record with everything in it", _configure_show),
        ("verify", "check every byte of every log, or of a bundle", _configure_verify),
        ("prove", "prove one record to somebody who has nothing else; or check such a proof", _configure_prove),
        ("export", "a bundle with its own verifier, or JSON lines", _configure_export),
        ("keys", "where the keys are; take the auditor's away", _configure_keys),
    ):
        needs(acts.add_parser(name, help=aid, description=f"{aid[:1].upper()}{aid[1:]}."))


def _session(parser: argparse.ArgumentParser, *, default: str | None) -> None:
    aid = "`last`, an id, the start of one, or gateway/…"
    parser.add_argument(
        "--session",
        metavar="ID",
        default=default,
        help=aid + (f" (default: {default})" if default else " (default: all)"),
    )


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object a line, for machines")


def _configure_tail(parser: argparse.ArgumentParser) -> None:
    _session(parser, default="last")
    parser.add_argument("-n", "--lines", type=int, default=20, metavar="N", help="how many of the latest (default 20)")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with records as they come")
    _json(parser)


def _configure_query(parser: argparse.ArgumentParser) -> None:
    _session(parser, default=None)
    parser.add_argument("--decision", choices=("allow", "steer", "approve", "deny"), help="only what was decided so")
    parser.add_argument("--verb", metavar="VERB", help="a verb or a pattern such as 'file.*'")
    parser.add_argument("--rule", metavar="RULE", help="layer/id, or the id alone")
    parser.add_argument("--since", metavar="TIME", help="15m, 2h, 3d, or an RFC 3339 time")
    parser.add_argument(
        "--type", metavar="TYPE", help="records of another type than action.decided, or a pattern ('*': all)"
    )
    _json(parser)


def _configure_show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("session", metavar="ID", help="session, `last`, or gateway/…")
    parser.add_argument("record", type=int, metavar="NUMBER", help="the record's number in that log")
    _json(parser)


def _configure_verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", nargs="?", type=Path, help="an exported bundle; without it, this user's whole ledger")
    _session(parser, default=None)
    parser.add_argument("--key", type=Path, metavar="PEM", help="public signing key that you trust, for a bundle")
    parser.add_argument(
        "--auditor",
        type=Path,
        metavar="PEM",
        help="the auditor's private key, to check MACs (default: the one beside the keys)",
    )
    parser.add_argument(
        "--integrity", action="store_true", help="bytes, tree and signatures only, not what the records say: quicker"
    )
    parser.add_argument("--as-it-is", action="store_true", help="do not first complete logs whose writer was killed")
    _json(parser)


def _configure_prove(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("session", metavar="ID", nargs="?", help="session, `last`, or gateway/…")
    parser.add_argument("record", type=int, metavar="NUMBER", nargs="?", help="the record's number in that log")
    parser.add_argument("--check", type=Path, metavar="PROOF", help="check a proof instead of making one")
    parser.add_argument("--key", type=Path, metavar="PEM", help="public signing key (default: this user's)")


def _configure_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("session", metavar="ID", help="session, `last`, or gateway/…")
    parser.add_argument(
        "--output", type=Path, metavar="PATH", help="a directory to make, or a name ending in .tar.gz (not for jsonl)"
    )
    parser.add_argument(
        "--format", choices=("bundle", "jsonl"), default="bundle", help="jsonl: the bare records on standard output"
    )


def _configure_keys(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--move-auditor", type=Path, metavar="DIRECTORY", help="move the auditor's private key there")
    _json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Do one act."""
    from interlock.storage.home import Home

    acts: dict[str, Callable[[Home, argparse.Namespace], int]] = {
        "tail": _tail,
        "query": _query,
        "show": _show,
        "verify": _verify,
        "prove": _prove,
        "export": _export,
        "keys": _keys,
    }
    try:
        return acts[arguments.act](Home.from_environment(), arguments)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise HostError(f"cannot read `{error.filename}`: {error.strerror}", exit_code=EXIT_DAMAGED) from error


def _log(home: Home, name: str) -> Log:
    from interlock.ledger.reader import find

    log = find(home.state, name)
    if log is None:
        what = "nothing has been recorded yet" if name == "last" else f"`{name}` is not one recorded session"
        raise OperatorError(what, hint="see: interlock session list")
    return log


def _tail(home: Home, arguments: argparse.Namespace) -> int:
    from collections import deque

    from interlock.ledger.reader import Position, follow

    log, position = _log(home, arguments.session), Position()
    latest: deque[Entry] = deque(maxlen=max(arguments.lines, 0))
    for entry, behind in follow(log.path, position):
        latest.append(entry)
        position = behind
    for entry in latest:
        _print(entry, arguments.json)
    try:
        while arguments.follow:
            sys.stdout.flush()
            time.sleep(_LOOK_EVERY_S)
            for entry, behind in follow(log.path, position):
                _print(entry, arguments.json)
                position = behind
    except KeyboardInterrupt:
        return 0
    return 0


def _query(home: Home, arguments: argparse.Namespace) -> int:
    from interlock.ledger.query import Filter, since
    from interlock.ledger.reader import entries, logs

    try:
        start = since(arguments.since, datetime.datetime.now(datetime.UTC)) if arguments.since else None
    except ValueError:
        raise OperatorError(f"`{arguments.since}` is not a time", hint="15m, 2h, 3d, or 2026-01-31T12:00:00Z") from None
    wanted = Filter(arguments.decision, arguments.verb, arguments.rule, start, arguments.type)
    for log in [_log(home, arguments.session)] if arguments.session else logs(home.state):
        for entry in entries(log.path):
            if wanted.takes(entry.event):
                _print(entry, arguments.json)
    return 0


def _print(entry: Entry, as_json: bool) -> None:
    from interlock.ledger.query import row

    flat, event = row(entry), entry.event
    if as_json:
        print(json.dumps(flat, ensure_ascii=True))
        return
    where = f"{event.time}  {event.session} #{entry.number}"
    if not event.is_decision:
        rest = {key: item for key, item in flat.items() if key not in ("time", "type", "session", "record", "log")}
        print(f"{where}  {printable(event.type)}  {_short(rest)}")
        return
    said = printable(str(event.says))
    print(f"{where}  {said:<7} {words.act(event.action)}  [{words.reason(event.rules, None)}]")


def _short(value: object) -> str:
    return printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), _SHOWN_CHARACTERS)


def _show(home: Home, arguments: argparse.Namespace) -> int:
    from interlock.ledger.reader import entries

    log = _log(home, arguments.session)
    for entry in entries(log.path):
        if entry.number == arguments.record:
            if arguments.json:
                print(json.dumps(entry.event.document, ensure_ascii=True))
            else:
                print(f"{log.name} #{entry.number}")
                _print_tree(entry.event.document, 1)
            return 0
    raise OperatorError(
        f"`{log.name}` has no record {arguments.record}", hint="the last one is in: interlock ledger tail -n 1"
    )


def _print_tree(value: JsonObject | list[object], depth: int) -> None:
    """A record as indented lines; every key and text is made printable."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        name = printable(str(key)) if isinstance(value, dict) else "-"
        if isinstance(item, dict | list) and item:
            print(f"{'  ' * depth}{name}")
            _print_tree(item, depth + 1)
        else:
            text = item if isinstance(item, str) else json.dumps(item)
            print(f"{'  ' * depth}{name}  {printable(text, 4000)}")


def _verify(home: Home, arguments: argparse.Namespace) -> int:
    from interlock.ledger import verifier

    if arguments.path is not None:
        words = [str(arguments.path)]
        words += ["--key", str(arguments.key)] if arguments.key else []
        words += ["--auditor", str(arguments.auditor)] if arguments.auditor else []
        return verifier.main(words)
    ledger, keys = Path(home.state) / "ledger", Path(home.keys)
    if not ledger.exists():
        print("nothing has been recorded yet")
        return 0
    if not arguments.as_it_is:
        _complete(ledger, keys)
    return _verify_all(ledger, keys, arguments, _log(home, arguments.session).name if arguments.session else None)


def _complete(ledger: Path, keys: Path) -> None:
    """Complete what a killed writer left, and say so."""
    from interlock._native import LedgerError, recover_ledger

    try:
        for name, orphans, error in recover_ledger(str(ledger), str(keys)):
            what = f"cannot be completed: {error}" if error else f"completed; {orphans} actions have an unknown end"
            print(f"{name} had no closing record: its writer was killed: {printable(what, 500)}", file=sys.stderr)
    except LedgerError as error:
        print(f"logs of killed writers cannot be completed: {printable(str(error), 500)}", file=sys.stderr)


def _verify_all(ledger: Path, keys: Path, arguments: argparse.Namespace, only: str | None) -> int:
    from interlock.ledger import verifier
    from interlock.ledger.ledger_check import verify_ledger

    private = arguments.auditor or keys / "auditor.x25519"
    try:
        auditor = verifier.load_auditor(private) if arguments.auditor or private.exists() else None
        report = verify_ledger(ledger, keys, auditor=auditor, only=only, integrity=arguments.integrity)
    except (OSError, ValueError) as error:
        raise HostError(f"cannot verify without the keys: {error}", exit_code=EXIT_DAMAGED) from error
    wrong = [str(finding) for finding in report.findings]
    if arguments.json:
        logs = [_as_json(log) for log in report.logs]
        print(json.dumps({"verified": report.verified, "findings": wrong, "notes": report.notes, "logs": logs}))
        return 0 if report.verified else EXIT_DAMAGED
    for log in report.logs:
        print("\n".join(printable(line, 1000) for line in log.lines()))
    for line in [f"WRONG {finding}" for finding in wrong] + [f"note: {note}" for note in report.notes]:
        print(printable(line, 1000))
    verdict = "verified" if report.verified else f"NOT VERIFIED: {_because(report)}"
    print(f"{len(report.logs)} logs, {report.records} records: {verdict}")
    return 0 if report.verified else EXIT_DAMAGED


def _because(report: LedgerReport) -> str:
    if report.lacks_auditor_only:
        return "MACs need the auditor's key that they are sealed to; all else is whole"
    return "what is said above is missing, changed or added since it was written"


def _as_json(log: Report) -> JsonObject:
    return {
        "origin": log.origin,
        "verified": log.verified,
        "status": "LOCAL",
        "records": log.records,
        "unsigned": log.records - log.signed_records,
        "mac": log.mac,
        "findings": [str(finding) for finding in log.findings],
        "notes": log.notes,
    }


def _prove(home: Home, arguments: argparse.Namespace) -> int:
    from interlock.ledger import proof, verifier

    key_path = arguments.key or Path(home.keys) / "ledger.ed25519.pub"
    try:
        key = verifier.load_public(key_path)
        if arguments.check:
            held = proof.Proof.read(json.loads(arguments.check.read_text()))
            size = proof.check(held, key)
            print(f"record {held.record} is in {printable(held.origin)} as signed at {size} records:")
            print(printable(held.entry, 4000))
            return 0
        if arguments.session is None or arguments.record is None:
            raise OperatorError("a proof needs a session and a record's number", hint="interlock ledger prove last 17")
        made = proof.prove(_log(home, arguments.session).path, arguments.record, key)
        print(json.dumps(made.as_object()))
    except ValueError as error:
        raise HostError(f"nothing is proven: {error}", exit_code=EXIT_DAMAGED) from error
    return 0


def _export(home: Home, arguments: argparse.Namespace) -> int:
    from interlock.ledger.bundle import export
    from interlock.ledger.reader import entries

    log = _log(home, arguments.session)
    if arguments.format == "jsonl":
        for entry in entries(log.path):
            print(json.dumps(entry.event.document, ensure_ascii=True))
        return 0
    target = arguments.output or Path(f"{log.session}.tar.gz")
    try:
        size = export(log.path, Path(home.keys) / "ledger.ed25519.pub", target)
    except FileExistsError:
        raise OperatorError(f"`{target}` exists", hint="give another name with --output") from None
    except ValueError as error:
        raise HostError(f"cannot export: {error}", exit_code=EXIT_DAMAGED) from error
    print(f"{target}: {size} signed records; check it with: interlock ledger verify {target}")
    return 0


def _keys(home: Home, arguments: argparse.Namespace) -> int:
    from interlock._native import LedgerError, ensure_keys
    from interlock.ledger.auditor import move

    try:
        found = ensure_keys(home.keys, home.index)
    except LedgerError as error:
        raise HostError(str(error), exit_code=EXIT_DAMAGED) from error
    keys = Path(home.keys)
    if arguments.move_auditor:
        place = move(keys / "auditor.x25519", arguments.move_auditor)
        print(f"the auditor's private key is now {place}; MACs are checked with it only")
    here = (keys / "auditor.x25519").exists()
    if arguments.json:
        print(json.dumps({**found, "directory": str(keys), "auditor_private_here": here}))
        return 0
    print(f"signing key  {keys / 'ledger.ed25519'}  id {found['key']}")
    print(f"public half  {keys / 'ledger.ed25519.pub'}  {found['verifier_key']}")
    print(f"auditor      {keys / 'auditor.x25519.pub'}  id {found['auditor']}")
    if here:
        print("the auditor's private key is still here: who takes over this machine can forge MACs; see --move-auditor")
    return 0
