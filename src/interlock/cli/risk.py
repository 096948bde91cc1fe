"""`interlock risk`: how the score of a recorded call came about."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from interlock.vocabulary.errors import EXIT_DAMAGED
from interlock.vocabulary.json_value import JsonObject, is_object, list_at, number_at, object_at, text_at
from interlock.vocabulary.printable import printable

if TYPE_CHECKING:
    from interlock.app.scored_record import ScoredRecord

SUMMARY = "explain the score of a recorded call"
_EPILOG = """\
RECORD is LOG:NUMBER, as `interlock ledger query` shows them. With --policy the call is scored again, by the record and
that policy alone; where the sums differ the exit status is 125.

examples:
  interlock risk explain gateway/s-20261128T101500-3f9a1c:17
  interlock risk explain gateway/s-20261128T101500-3f9a1c:17 --policy crm.yaml"""


def configure(parser: argparse.ArgumentParser) -> None:
    """explain."""
    parser.epilog = _EPILOG
    acts = parser.add_subparsers(dest="act", metavar="ACT", required=True)
    aid = "print the sum: each signal with its points and the reason"
    explain = acts.add_parser("explain", help=aid, description=f"{aid[:1].upper()}{aid[1:]}.")
    explain.add_argument("record", metavar="RECORD", help="LOG:NUMBER of an `action.decided`")
    explain.add_argument("--policy", metavar="NAME", action="append", default=[], help="score it again by these layers")
    explain.add_argument("--json", action="store_true", help="one JSON object, for machines")


def run(arguments: argparse.Namespace) -> int:
    """Do it."""
    from interlock.app.scored_record import rescored, scored_record

    found = scored_record(arguments.record)
    again = rescored(found, arguments.policy) if arguments.policy else None
    if arguments.json:
        print(json.dumps({"record": found.name, "risk": found.risk, **({} if again is None else {"again": again})}))
    else:
        print("\n".join(_lines(found, again)))
    return 0 if again is None or number_at(again, "score") == number_at(found.risk, "score") else EXIT_DAMAGED


def _lines(found: ScoredRecord, again: JsonObject | None) -> list[str]:
    from interlock.vocabulary import words

    signals = [each for each in list_at(found.risk, "signals") if is_object(each)]
    lines = [f"{found.name}: {words.act(found.action)}", *map(_line, signals)]
    total = sum(number_at(each, "points") or 0 for each in signals)
    score = number_at(found.risk, "score")
    lines.append(f"  {score:>4}  the score" + (f" ({total}, and 100 is the highest)" if total != score else ""))
    if found.risk.get("mode") == "shadow":
        would = object_at(found.risk, "would")
        what = f"; with it the call would be: {printable(str(would['decision']))}" if would else ""
        lines.append(f"  in shadow: rules were decided with 0{what}")
    lines.append(f"  decided: {printable(text_at(found.decision, 'decision') or '')}")
    if again is not None:
        same = number_at(again, "score") == score
        lines.append(f"  scored again: {number_at(again, 'score')}, " + ("the same" if same else "which is another"))
    return lines


def _line(signal: JsonObject) -> str:
    points, why = number_at(signal, "points") or 0, printable(text_at(signal, "because") or "", 300)
    what = f"{text_at(signal, 'signal')}.{text_at(signal, 'reading')}"
    return f"  {points:>4}  {printable(what, 60):<26} {why} ({printable(text_at(signal, 'layer') or '', 60)})"
