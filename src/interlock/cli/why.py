"""`interlock why`: the latest denials in words. Inside a session it asks the session; outside it reads the last
session's record.
"""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

from interlock.vocabulary.errors import OperatorError
from interlock.vocabulary.printable import printable

SUMMARY = "explain the latest denials, inside a session or after it"
_EPILOG = """\
Inside `interlock run` this tells the program (and the model that reads it) what was refused, by which rule, and
what would allow it. Outside it reads the record of the last session, or of the one named."""


def configure(parser: argparse.ArgumentParser) -> None:
    """How many, whose, and the form."""
    parser.add_argument("--last", type=_positive, default=5, metavar="N", help="how many denials (default 5)")
    parser.add_argument("--session", metavar="ID", help="a session's record, from outside (default: the last one)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.epilog = _EPILOG


def run(arguments: argparse.Namespace) -> int:
    """Tell."""
    denials = _denials(arguments)
    if arguments.json:
        for denial in denials:
            print(json.dumps(denial))
        return 0
    if not denials:
        print("nothing was denied")
    for denial in denials:
        print(explain(denial))
    return 0


def explain(denial: dict[str, Any]) -> str:
    """One denial, in up to four lines."""
    from interlock.cli.notice import act_text

    act = act_text({"verb": denial.get("verb"), "target": denial.get("target")})
    rules = ", ".join(map(str, denial.get("rules") or [])) or "no rule allows it (default deny)"
    lines = [f"denied {act}", f"  rule:    {printable(rules)}"]
    if denial.get("because"):
        lines.append(f"  because: {printable(str(denial['because']), 1000)}")
    allowed = allowed_by(denial.get("allowed_by"))
    if allowed:
        lines.append(f"  allowed by: {printable(allowed, 1000)}")
    return "\n".join(lines)


def allowed_by(value: object) -> str:
    """What would allow it, as the session words it: a text, a rule, or a list of them."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "; ".join(filter(None, map(allowed_by, value)))
    return json.dumps(value) if isinstance(value, dict) else ""


def _denials(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    from interlock.host.inside import is_held, why

    if is_held() and not arguments.session:
        return why(_inside_socket(), last=arguments.last)
    from interlock.app.history import last_denials

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
