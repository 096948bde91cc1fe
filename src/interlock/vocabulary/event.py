"""An Event: the record of an Action, a Decision, an Effect or anything else the ledger holds (spec/record.md).

Here is only its envelope, as everything reads it; each writer builds its own body.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from interlock.vocabulary.reading import Fields, Json, Malformed

__all__ = ["EVENT_TYPES", "Event", "event_from_json", "event_to_json"]

EVENT_TYPES = frozenset(
    {
        "log.opened",
        "session.opened",
        "wall.sealed",
        "action.decided",
        "action.enacted",
        "action.observed",
        "approval.asked",
        "approval.answered",
        "routine",
        "gap",
        "race.lost",
        "call.refused",
        "context.changed",
        "session.closed",
        "prompt.seen",
        "token.refused",
        "index.opened",
        "index.closed",
    }
)

VERSION = 1


@dataclass(frozen=True, slots=True)
class Event:
    """One record.

    Arguments:
        type: one of `EVENT_TYPES`.
        time: RFC 3339, UTC, microseconds.
        tick: monotonic nanoseconds of the writer's boot clock.
        record: its number in its log; None before the log's writer filled it in.
        session: whose log it is.
        body: the further keys of its type; not to be changed once here.
    """

    type: str
    time: str
    tick: int
    session: str
    body: Mapping[str, Json]
    record: int | None = None


def event_from_json(value: Json) -> Event:
    """Reads a record's envelope strictly; the body is whatever else it holds. Raises `reading.Malformed`."""
    fields = Fields(value, "a record")
    if fields.integer("v") != VERSION:
        raise Malformed(f"a record of another version than {VERSION}")
    event_type = fields.text("type")
    if event_type not in EVENT_TYPES:
        raise Malformed(f"`{event_type}` is no record type")
    body = {key: item for key, item in value.items() if key not in _ENVELOPE} if isinstance(value, dict) else {}
    return Event(
        event_type,
        fields.text("time"),
        fields.integer("tick"),
        fields.text("session"),
        body,
        fields.optional_integer("record"),
    )


def event_to_json(event: Event) -> dict[str, Json]:
    """The record as JSON."""
    value: dict[str, Json] = {"v": VERSION, "type": event.type, "time": event.time, "tick": event.tick}
    if event.record is not None:
        value["record"] = event.record
    return value | {"session": event.session} | dict(event.body)


_ENVELOPE = frozenset({"v", "type", "time", "tick", "record", "session"})
