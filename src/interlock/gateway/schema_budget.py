"""What holding a value to a schema can cost at most, as far as it can be told without doing it. Pure.

A schema of plain keywords without references is a finite tree: each of its parts looks at each part of a value at most
once. References, patterns, `unevaluated…` and their like can cost without bound, and are for a process that can be
ended. """

from __future__ import annotations

from typing import Final

from interlock.mediate.json_text import JsonObject, is_object

#: Parts of a schema times bytes of a value: some milliseconds.
COST_MAX: Final = 1_000_000
PARTS_MAX: Final = 500
#: Keywords that look at one value and hold no schema.
_FLAT: Final = frozenset(
    {
        "$comment", "$schema", "const", "default", "deprecated", "description", "enum", "examples", "exclusiveMaximum",
        "exclusiveMinimum", "format", "maxItems", "maxLength", "maxProperties", "maximum", "minItems", "minLength",
        "minProperties", "minimum", "multipleOf", "readOnly", "required", "title", "type", "writeOnly",
    }
)  # fmt: skip
_OF_ONE: Final = frozenset({"additionalProperties", "items", "not"})
_OF_SEVERAL: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_OF_NAMED: Final = frozenset({"properties"})
_MANY: Final = PARTS_MAX + 1


def is_cheap(parts: int, value_bytes: int) -> bool:
    """Whether a value of that size can be held at once to a schema of so many parts."""
    return parts <= PARTS_MAX and parts * value_bytes <= COST_MAX


def parts_of(schema: JsonObject) -> int:
    """The parts of a schema of plain keywords; more than `PARTS_MAX` for any other."""
    parts = 0
    pending: list[object] = [schema]
    while pending and parts <= PARTS_MAX:
        each = pending.pop()
        parts += 1
        if not is_object(each):
            parts += 0 if isinstance(each, bool) else _MANY
            continue
        for key, value in each.items():
            parts += _taken(key, value, pending)
    return parts


def _taken(key: str, value: object, pending: list[object]) -> int:
    """Put the schemas below a keyword into `pending`; what else it costs."""
    if key in _OF_ONE:
        pending.append(value)
    elif key in _OF_SEVERAL and isinstance(value, list):
        pending.extend(value)
    elif key in _OF_NAMED and is_object(value):
        pending.extend(value.values())
    elif key in ("enum", "required"):
        return len(value) if isinstance(value, list) else _MANY
    elif key not in _FLAT and not key.startswith("x-"):
        return _MANY
    return 0


def outward(schema: JsonObject) -> bool:
    """Whether it refers to anything but itself, which is never fetched."""
    pending: list[object] = [schema]
    while pending:
        each = pending.pop()
        if is_object(each):
            for key in ("$ref", "$dynamicRef", "$recursiveRef"):
                target = each.get(key)
                if isinstance(target, str) and not target.startswith("#"):
                    return True
            pending.extend(each.values())
        elif isinstance(each, list):
            pending.extend(each)
    return False
