"""How much of a rule or a mechanism this machine enforces: *fully*, *partially* or *not*. One typed value, which
`doctor`, `policy explain`, the start line of `run` and a session's opening record all show (`spec/policy.md`).
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, assert_never

FULLY: Final = "fully"
PARTIALLY: Final = "partially"
NOT_ENFORCED: Final = "not enforced"


class Fully(NamedTuple):
    """All of it. `how`, where it is not by the usual way."""

    how: str = ""


class Partially(NamedTuple):
    """A part of it: the `reason`, and what is left, the way `around` it."""

    reason: str
    around: str


class NotEnforced(NamedTuple):
    """Nothing of it, for a `reason`."""

    reason: str


Enforcement = Fully | Partially | NotEnforced


def written(enforcement: Enforcement) -> dict[str, str]:
    """As records and answers carry it."""
    match enforcement:
        case Fully(how=""):
            return {"state": FULLY}
        case Fully(how):
            return {"state": FULLY, "how": how}
        case Partially(reason, around):
            return {"state": PARTIALLY, "reason": reason, "around": around}
        case NotEnforced(reason):
            return {"state": NOT_ENFORCED, "reason": reason}
    assert_never(enforcement)


def read(value: Any) -> Enforcement:
    """What `written` wrote. Raises `ValueError` for anything else: nothing is taken for more than it says."""
    if isinstance(value, dict) and all(isinstance(text, str) for text in value.values()):
        match value:
            case {"state": "fully", **rest} if set(rest) <= {"how"}:
                return Fully(rest.get("how", ""))
            case {"state": "partially", "reason": reason, "around": around, **rest} if not rest:
                return Partially(reason, around)
            case {"state": "not enforced", "reason": reason, **rest} if not rest:
                return NotEnforced(reason)
    raise ValueError("not a state of enforcement")


def in_words(enforcement: Enforcement) -> str:
    """`fully`, or what is missing and why."""
    match enforcement:
        case Fully(how):
            return how or FULLY
        case Partially(reason, around):
            return f"{reason}: {around}"
        case NotEnforced(reason):
            return f"{NOT_ENFORCED}: {reason}"
    assert_never(enforcement)
