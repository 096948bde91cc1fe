"""One entry of a server's list, held to the form that the protocol gives it. Pure.

A client that reads strictly throws a whole list away over one entry in another form (the official TypeScript client
does). So an entry that some revision's client would not take is left out of every list, and is told to the operator.
The forms are those of `schema.ts` of the revisions 2025-03-26 to 2026-07-28; `x-mcp-header` is held to "Custom Headers
from Tool Parameters" of 2026-07-28, which asks clients to leave such tools out. Left out: whether policy lets an agent
see it, and whether its schema can be checked (the gateway).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

from interlock.vocabulary.json_text import JsonObject, encode, is_object, object_at, text_at
from interlock.vocabulary.unseen_text import unseen_in

#: The key that names an entry, by the kind of its list.
KEYS: Final = {"tools": "name", "prompts": "name", "resources": "uri", "resourceTemplates": "uriTemplate"}
HEADER: Final = "x-mcp-header"
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
_MIRRORED: Final = frozenset({"string", "integer", "boolean"})
#: Keywords of a schema that hold values and not schemas: what looks like an annotation there is none.
_VALUES: Final = frozenset({"const", "enum", "default", "examples"})
#: Keywords that hold schemas by names which the server chose.
_NAMED: Final = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})


class LeftOut(NamedTuple):
    """An entry that is not listed: what it is called, as far as it says so, and why."""

    name: str | None
    why: str


def usable(kind: str, entries: list[JsonObject]) -> tuple[list[JsonObject], list[LeftOut]]:
    """The entries of a list that every client takes, in their order, and those that are left out. Of two with one name
    neither is taken: one could pass for the other."""
    taken: list[JsonObject] = []
    left: list[LeftOut] = []
    doubled = _doubled(entries) if KEYS[kind] == "name" else frozenset()
    for entry in (_without_nulls(kind, each) for each in entries):
        name = text_at(entry, KEYS[kind])
        why = fault_of(kind, entry) or ("its name stands in the list twice" if name in doubled else None)
        if why is None:
            taken.append(entry)
        else:
            left.append(LeftOut(name, why))
    return taken, left


def _without_nulls(kind: str, entry: JsonObject) -> JsonObject:
    """Some servers write null for what they have not: the same entry as clients take it, without the field."""
    hints = entry.get("annotations")
    nulls = any(value is None for value in entry.values())
    if not nulls and not (is_object(hints) and None in hints.values()):
        return entry
    kept = {key: value for key, value in entry.items() if value is not None or key not in _FORMS[kind]}
    return {**kept, "annotations": {k: v for k, v in hints.items() if v is not None}} if is_object(hints) else kept


def _doubled(entries: list[JsonObject]) -> frozenset[str]:
    counts = Counter(name for entry in entries if (name := text_at(entry, "name")) is not None)
    return frozenset(name for name, count in counts.items() if count > 1)


def fault_of(kind: str, entry: JsonObject) -> str | None:
    """What is wrong with the form of one entry, in our words; none if nothing is."""
    for key, (is_well_formed, expected) in _FORMS[kind].items():
        if key not in entry:
            if key in _NEEDED[kind]:
                return f"it has no `{key}`"
        elif not is_well_formed(entry[key]):
            return f"its `{key}` is not {expected}"
    if unseen_in(text_at(entry, KEYS[kind]) or ""):
        return f"its `{KEYS[kind]}` holds characters that nobody sees"
    return header_fault(object_at(entry, "inputSchema")) if kind == "tools" else None


def header_fault(schema: JsonObject) -> str | None:
    """What is wrong with the headers that a schema of arguments asks to mirror."""
    if HEADER.encode() not in encode(schema):
        return None
    names: set[str] = set()
    for name, annotated, is_static in _annotations(schema):
        if not isinstance(name, str) or _TOKEN.fullmatch(name) is None:
            return f"its `{HEADER}` is not the name of a header"
        if name.lower() in names:
            return f"its `{HEADER}` names one header twice"
        if not is_static:
            return f"its `{HEADER}` stands where no argument can be found by its path"
        if annotated.get("type") not in _MIRRORED:
            return f"its `{HEADER}` is on an argument that is not a text, an integer or a boolean"
        names.add(name.lower())
    return None


def _annotations(schema: JsonObject) -> list[tuple[object, JsonObject, bool]]:
    """Every annotation of a schema, what it annotates, and whether it is reached by `properties` alone."""
    found: list[tuple[object, JsonObject, bool]] = []
    waiting: list[tuple[object, bool, bool]] = [(schema, True, True)]
    while waiting:
        each, is_static, is_root = waiting.pop()
        if isinstance(each, list):
            waiting.extend((part, False, False) for part in each)
        if not is_object(each):
            continue
        if HEADER in each:
            found.append((each[HEADER], each, is_static and not is_root))
        for key, part in each.items():
            if key in _NAMED and is_object(part):
                waiting.extend((named, is_static and key == "properties", False) for named in part.values())
            elif key not in _VALUES:
                waiting.append((part, False, False))
    return found


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_boolean(value: object) -> bool:
    return isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def is_schema_of_objects(value: object) -> bool:
    """A schema of objects. A property's own schema may be `true` or `false` by JSON Schema, and not by MCP."""
    if not is_object(value) or value.get("type") != "object":
        return False
    properties = value.get("properties", {})
    return (
        is_object(properties)
        and all(is_object(each) for each in properties.values())
        and _is_texts(value.get("required", []))
        and _is_text(value.get("$schema", ""))
    )


def _is_annotated(value: object) -> bool:
    if not is_object(value):
        return False
    hints = ("readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint")
    return _is_text(value.get("title", "")) and all(_is_boolean(value.get(each, False)) for each in hints)


def _are_icons(value: object) -> bool:
    return isinstance(value, list) and all(
        is_object(each)
        and _is_text(each.get("src"))
        and _is_text(each.get("mimeType", ""))
        and _is_texts(each.get("sizes", []))
        for each in value
    )


def _are_arguments(value: object) -> bool:
    return isinstance(value, list) and all(
        is_object(each)
        and _is_text(each.get("name"))
        and _is_text(each.get("description", ""))
        and _is_boolean(each.get("required", False))
        for each in value
    )


_Form = tuple[Callable[[object], bool], str]
_TEXT: Final[_Form] = (_is_text, "a text")
_OBJECT: Final[_Form] = (is_object, "an object")
_SHARED: Final[dict[str, _Form]] = {
    "name": _TEXT,
    "title": _TEXT,
    "description": _TEXT,
    "icons": (_are_icons, "a list of icons"),
    "_meta": _OBJECT,
}
_RESOURCE: Final[dict[str, _Form]] = {**_SHARED, "mimeType": _TEXT, "annotations": _OBJECT}
_FORMS: Final[dict[str, dict[str, _Form]]] = {
    "tools": {
        **_SHARED,
        "inputSchema": (is_schema_of_objects, "a schema of `type: object`, with objects as its `properties`"),
        "outputSchema": _OBJECT,
        "annotations": (_is_annotated, "an object of hints that are true or false"),
        "execution": _OBJECT,
    },
    "prompts": {**_SHARED, "arguments": (_are_arguments, "a list of named arguments")},
    "resources": {**_RESOURCE, "uri": _TEXT, "size": (_is_number, "a number")},
    "resourceTemplates": {**_RESOURCE, "uriTemplate": _TEXT},
}
_NEEDED: Final = {
    "tools": ("name", "inputSchema"),
    "prompts": ("name",),
    "resources": ("name", "uri"),
    "resourceTemplates": ("name", "uriTemplate"),
}
