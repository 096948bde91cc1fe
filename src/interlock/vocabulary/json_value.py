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
