"""JSON as it crosses a boundary before anybody has read it: no more is known of it than that. Reading one part of it
never errs: what is not there and what is something else are both nothing.

What is acted on is read into a value of its own at the edge; what is only kept and handed on (the Action that the
engine reads and the ledger keeps) stays such an object.
"""

from __future__ import annotations

from typing import TypeGuard

JsonObject = dict[str, object]


def is_object(value: object) -> TypeGuard[JsonObject]:
    """Whether a parsed value is a JSON object (its keys are text by construction)."""
    return isinstance(value, dict)


def object_at(value: JsonObject, key: str) -> JsonObject:
    """The object under `key`, or an empty one where there is none or something else."""
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def text_at(value: JsonObject, key: str) -> str | None:
    """The text under `key`, or none where there is none or something else."""
    found = value.get(key)
    return found if isinstance(found, str) else None


def list_at(value: JsonObject, key: str) -> list[object]:
    """The list under `key`, or an empty one where there is none or something else."""
    found = value.get(key)
    return found if isinstance(found, list) else []


def number_at(value: JsonObject, key: str) -> int | None:
    """The integer under `key`, or none where there is none or something else."""
    found = value.get(key)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def value_at(value: object, steps: tuple[str, ...]) -> object:
    """What stands at the end of these steps down objects and lists; none where nothing does."""
    for step in steps:
        if is_object(value):
            value = value.get(step)
        elif isinstance(value, list) and step.isdigit() and len(step) < 6 and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def steps_of(pointer: str) -> tuple[str, ...]:
    """The names on the way of a JSON pointer (RFC 6901)."""
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])
