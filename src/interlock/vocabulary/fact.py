"""Facts: all that is impure, gathered before deciding.

None is "not known": a rule that needs it errs, and an erring rule denies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

from interlock.vocabulary.grant import Grant, grant_from_json, grant_to_json
from interlock.vocabulary.reading import Fields, Json, Malformed

__all__ = ["Facts", "Origin", "facts_from_json", "facts_to_json"]

Origin: TypeAlias = Literal["before", "session"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known when deciding.

    Arguments:
        now_ms: milliseconds since 1970.
        grants: the yeses in force.
        risk: 0 to 100.
        labels: place to labels in force there.
        origin: whether the object was there before this session or made by it.
    """

    now_ms: int = 0
    grants: tuple[Grant, ...] = ()
    risk: int | None = None
    labels: Mapping[str, frozenset[str]] | None = None
    origin: Origin | None = None


def facts_from_json(value: Json) -> Facts:
    """Reads Facts strictly. Raises `reading.Malformed`."""
    fields = Fields(value, "facts")
    facts = Facts(
        now_ms=fields.optional_integer("now_ms") or 0,
        grants=fields.each("grants", grant_from_json, required=False),
        risk=fields.optional_integer("risk"),
        labels=fields.optional("labels", _labels),
        origin=fields.optional("origin", _origin),
    )
    fields.end()
    return facts


def facts_to_json(facts: Facts) -> dict[str, Json]:
    """The Facts as the JSON of spec/action.md."""
    labels = facts.labels
    return {
        "now_ms": facts.now_ms,
        "grants": [grant_to_json(grant) for grant in facts.grants],
        "risk": facts.risk,
        "labels": None if labels is None else {place: list[Json](sorted(labels[place])) for place in sorted(labels)},
        "origin": facts.origin,
    }


def _labels(value: Json) -> Mapping[str, frozenset[str]]:
    if not isinstance(value, dict):
        raise Malformed("`labels` is not an object")
    fields = Fields(value, "labels")
    return {place: frozenset(fields.texts(place)) for place in value}


def _origin(value: Json) -> Origin:
    if value not in ("before", "session"):
        raise Malformed(f"`{value}` is no origin")
    return cast(Origin, value)
