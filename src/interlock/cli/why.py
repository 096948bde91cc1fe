"""`interlock why`: the latest denials in words. Inside a session it asks the session; outside it reads the last
session's record.
"""

from __future__ import annotations

import argparse
import json
import os
from typing import TYPE_CHECKING, Final

from interlock.vocabulary.errors import OperatorError
from interlock.vocabulary.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from interlock.vocabulary.denial import Denial, DenialsTold

#: Denials that a session keeps for those inside it (spec/supervisor.md, Limits).
_KEPT_MAX: Final = 256
SUMMARY = "explain the latest denials, inside a session or after it"
_EPILOG = """\
Inside `interlock run` this asks the session, so that a program (and the model that reads it) learns what was refused,
by which rule, and what a person could do about it. Outside it reads the record of the last session, or of the one
named. Where no rule spoke, the rule that would allow it is shown whole, with the command that adds it.

examples:
  interlock why                             the latest five
  interlock why last                        the latest one
  interlock why s-20261128T101500-3f9a1c    the latest five of that session, from outside
  interlock why s-20261128T101500-3f9a1c:17 one denial, by its record"""


def configure(parser: argparse.ArgumentParser) -> None:
    """How many, whose, and the form."""
    parser.add_argument(
        "id", metavar="ID", nargs="?", help="`last`, a session (its id, or the start of one), or SESSION:RECORD"
    )
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
    for denial, times in _equal_ones_once(told.denials):
        print(explain(denial, told, said, times=times))
    return 0


def _equal_ones_once(denials: Iterable[Denial]) -> list[tuple[Denial, int]]:
    """Each denial that differs from the others in more than its moment, where it was met first, and how often."""
    found: dict[str, tuple[Denial, int]] = {}
    for denial in denials:
        kind = json.dumps(denial._replace(time=None, record=None), sort_keys=True)
        first, times = found.get(kind, (denial, 0))
        found[kind] = (first, times + 1)
    return list(found.values())


def explain(denial: Denial, told: DenialsTold, said: set[tuple[str, ...]], *, times: int = 1) -> str:
    """One denial: what, how many `times`, which rule, why, and what can be done about it, unless that was `said` of
    another before."""
    from interlock.vocabulary import words

    act = words.act({"verb": denial.verb, "target": denial.target})
    rules = ", ".join(denial.rules) or "none"
    lines = [f"denied {act}" + (f" ({times} times)" if times > 1 else ""), f"  rule:    {printable(rules)}"]
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
    from interlock.app.history import last_denials, one_denial
    from interlock.host.inside import is_held

    named, count = arguments.id, 1 if arguments.id == "last" else arguments.last
    if named and named != "last" and arguments.session:
        raise OperatorError("a session is named twice", hint="leave out --session")
    if is_held() and not arguments.session:
        return _told_inside(named, count)
    if named and ":" in named:
        return one_denial(named)
    session = named if named and named != "last" else arguments.session
    return last_denials(session or "last", count=count)


def _told_inside(named: str | None, count: int) -> DenialsTold:
    """What this session says of itself: no other can be asked from inside."""
    from interlock.host.inside import why
    from interlock.vocabulary.denial import DenialsTold

    session, _, record = (named or "last").partition(":")
    told = why(_inside_socket(), last=_KEPT_MAX if record else count)
    if session != "last" and not told.session.startswith(session):
        raise OperatorError(
            f"`{printable(session)}` is another session, and from inside only one's own can be asked",
            hint="ask your human to run this outside",
        )
    denials = tuple(denial for denial in told.denials if not record or str(denial.record) == record)
    if record and not denials:
        raise OperatorError(f"record {printable(record)} is not among the denials that the session keeps")
    return DenialsTold(told.session, told.own_layers, denials)


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
