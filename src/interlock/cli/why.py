"""`interlock why`: the latest denials in words. Inside a session it asks the session; outside it reads the last
session's record.
"""

from __future__ import annotations

import argparse
import json
import os
from typing import TYPE_CHECKING

from interlock.vocabulary.errors import OperatorError
from interlock.vocabulary.printable import printable

if TYPE_CHECKING:
    from interlock.vocabulary.denial import Denial, DenialsTold

SUMMARY = "explain the latest denials, inside a session or after it"
_EPILOG = """\
Inside `interlock run` this asks the session, so that a program (and the model that reads it) learns what was refused,
by which rule, and what a person could do about it. Outside it reads the record of the last session, or of the one
named. Where no rule spoke, the rule that would allow it is shown whole, with the command that adds it."""


def configure(parser: argparse.ArgumentParser) -> None:
    """How many, whose, and the form."""
    parser.add_argument("--last", type=_positive, default=5, metavar="N", help="how many denials (default 5)")
    parser.add_argument("--session", metavar="ID", help="a session's record, from outside (default: the last one)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.epilog = _EPILOG


def run(arguments: argparse.Namespace) -> int:
    """Tell."""
    told = _told(arguments)
    if arguments.json:
        for denial in told.denials:
            print(json.dumps({**denial._asdict(), "session": told.session, "remedy": _remedy(denial, told)}))
        return 0
    if not told.denials:
        print("nothing was denied")
    said: set[tuple[str, ...]] = set()
    for denial in told.denials:
        print(explain(denial, told, said))
    return 0


def explain(denial: Denial, told: DenialsTold, said: set[tuple[str, ...]]) -> str:
    """One denial: what, which rule, why, and what can be done about it, unless that was `said` of another before."""
    from interlock.vocabulary import words

    act = words.act({"verb": denial.verb, "target": denial.target})
    rules = ", ".join(denial.rules) or "none"
    lines = [f"denied {act}", f"  rule:    {printable(rules)}"]
    if denial.because:
        lines.append(f"  because: {printable(denial.because, 1000)}")
    remedy = _remedy(denial, told)
    without_id = tuple(line.partition(": interlock allow ")[0] for line in remedy)
    first, *rest = ["as above"] if without_id in said else remedy
    said.add(without_id)
    return "\n".join([*lines, f"  to do:   {first}", *(f"    {line}" for line in rest)])


def _remedy(denial: Denial, told: DenialsTold) -> list[str]:
    from interlock.cli.remedy import remedy

    return remedy(denial, session=told.session, files=told.own_layers, others=told.denials)


def _told(arguments: argparse.Namespace) -> DenialsTold:
    from interlock.app.history import last_denials
    from interlock.host.inside import is_held, why

    if is_held() and not arguments.session:
        return why(_inside_socket(), last=arguments.last)
    return last_denials(arguments.session or "last", count=arguments.last)


def _inside_socket() -> str:
    """Where the session that holds this process says it can be asked."""
    inside = os.environ.get("INTERLOCK_INSIDE")
    if inside:
        return inside
    raise OperatorError(
        "this runs inside a session, and INTERLOCK_INSIDE does not say where to ask it",
        hint="keep that variable in the command's environment, or ask from outside: interlock why",
    )


def _positive(text: str) -> int:
    value = int(text)
    if not 0 < value <= 1000:
        raise argparse.ArgumentTypeError("a number from 1 to 1000")
    return value
