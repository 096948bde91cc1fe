"""The JSON schema of a policy file, for editors: made from the parser's own tables, so that the two cannot disagree."""

from __future__ import annotations

from typing import Final

from interlock.policy.fields import DECISIONS, NAME, RULE, TOP, Field
from interlock.policy.flows import CARRIES
from interlock.policy.language import (
    CHANGES,
    COMMAND_KEYS,
    CONDITION_TESTS,
    FACTS,
    FORMATS,
    GROUPS,
    MASKS,
    OPERATIONS,
    PROTOCOLS,
    RECORDS,
    SIDES,
    SQL_KEYS,
    VERBS,
)
from interlock.policy.limits import RULES_MAX
from interlock.policy.risk import MODES, POINTS, POINTS_MAX, SENSITIVITIES, VOLUME
from interlock.policy.sets import MEANINGS
from interlock.policy.steers import ALONE, SAYING
from interlock.vocabulary.json_value import JsonObject
from interlock.vocabulary.label_places import LABEL_PLACES

_SCALAR: Final[JsonObject] = {"type": ["string", "number", "boolean", "null"]}
_TEXT: Final[JsonObject] = {"type": ["string", "number", "boolean"]}


def schema() -> JsonObject:
    """The schema (JSON Schema 2020-12)."""
    properties = {name: _property(field) for name, field in TOP.items() if not field.later}
    properties["rules"] = {
        "type": "array",
        "maxItems": RULES_MAX,
        "items": _rule(),
        "description": TOP["rules"].meaning,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Interlock policy",
        "description": f"Built-in sets: {', '.join(f'@{name} ({meaning})' for name, meaning in MEANINGS.items())}",
        "type": "object",
        "required": ["interlock", "name", "rules"],
        "additionalProperties": False,
        "properties": properties,
    }


def _rule() -> JsonObject:
    verbs: JsonObject = {"enum": [*GROUPS, *VERBS]}
    decisions = {word: {**_one_or_many(verbs), "description": f"{word} these verbs"} for word in DECISIONS}
    properties = {name: _property(field) for name, field in RULE.items() if not field.later}
    properties["to"] = {"anyOf": [_KINDS["side"], *_STEERS], "description": RULE["to"].meaning}
    return {
        "type": "object",
        "required": ["id"],
        "oneOf": [{"required": [word]} for word in decisions],
        "additionalProperties": False,
        "properties": {**decisions, **properties},
    }


def _property(field: Field) -> JsonObject:
    return {**_KINDS.get(field.kind, {}), "description": field.meaning}


def _one_or_many(item: JsonObject) -> JsonObject:
    return {"anyOf": [item, {"type": "array", "minItems": 1, "items": item}]}


def _words_of(fact: str, words: tuple[str, ...]) -> JsonObject:
    """What a `when` may want of a Fact: one word; of a history, several."""
    return _one_or_many({"enum": list(words)}) if fact == "history" else {"enum": list(words)}


def _object(properties: JsonObject, *, required: list[str] | None = None) -> JsonObject:
    made: JsonObject = {"type": "object", "additionalProperties": False, "properties": properties}
    return {**made, "required": required} if required else made


def _number(low: int, high: int | None) -> JsonObject:
    return {"type": "integer", "minimum": low, **({"maximum": high} if high is not None else {})}


_WHOSE: Final[JsonObject] = {name: _one_or_many({"type": "string"}) for name in ("connector", "tool")}
_TARGET: Final[JsonObject] = _object(
    {
        **_WHOSE,
        "sensitivity": {"enum": list(SENSITIVITIES)},
        "reversible": {"type": "boolean"},
        "outward": {"type": "boolean"},
        "destination": _one_or_many({"type": "string"}),
        "volume": _one_or_many({"type": "string"}),
    },
    required=["connector"],
)
_CHANGE: Final[JsonObject] = {
    "type": "object",
    "required": ["at"],
    "minProperties": 2,
    "maxProperties": 2,
    "additionalProperties": False,
    "properties": {"at": {"type": "string"}, **dict.fromkeys(CHANGES, _SCALAR)},
}
_STEERS: Final[list[JsonObject]] = [
    {"enum": list(ALONE)},
    *(
        {
            "type": "object",
            "required": [kind],
            "additionalProperties": False,
            "properties": {kind: {"type": "array", "minItems": 1, "items": _CHANGE} if kind == "arguments" else _TEXT},
        }
        for kind in SAYING
    ),
]
_PORT: Final[JsonObject] = {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 65_535}, {"type": "string"}]}
_CONDITIONS: Final[JsonObject] = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "required": ["at"],
        "minProperties": 2,
        "maxProperties": 2,
        "additionalProperties": False,
        "properties": {
            "at": {"type": "string"},
            **{test: {"type": "array"} if test == "in" else _SCALAR for test in CONDITION_TESTS},
        },
    },
}
_CALLS: Final[JsonObject] = {
    **_WHOSE,
    "operation": _one_or_many({"enum": list(OPERATIONS)}),
    "arguments": _CONDITIONS,
}
_KINDS: Final[dict[str, JsonObject]] = {
    "version": {"enum": [1, "1"]},
    "name": {"type": "string", "pattern": f"^{NAME}$"},
    "text": _TEXT,
    "folder": {"type": "string", "pattern": "^/"},
    "flag": {"type": "boolean"},
    "variables": {"type": "object", "additionalProperties": _TEXT},
    "sets": {"type": "object", "additionalProperties": _one_or_many({"type": "string"})},
    "patterns": _one_or_many({"type": "string"}),
    "addresses": _one_or_many({"type": "string"}),
    "hosts": _one_or_many({"type": "string"}),
    "ports": _one_or_many(_PORT),
    "protocols": _one_or_many({"enum": list(PROTOCOLS)}),
    "side": {"enum": list(SIDES)},
    "signals": _one_or_many({"type": ["string", "integer"]}),
    "command": {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": False,
        "properties": {key: _one_or_many(_TEXT) for key in COMMAND_KEYS},
    },
    "globs": _one_or_many({"type": "string"}),
    "operations": _one_or_many({"enum": list(OPERATIONS)}),
    "conditions": _CONDITIONS,
    "sql": _object({key: {"type": "boolean"} if key == "where" else _one_or_many(_TEXT) for key in SQL_KEYS}),
    "keys": {
        "type": "object",
        "required": ["format"],
        "minProperties": 2,
        "maxProperties": 2,
        "additionalProperties": False,
        "properties": {
            "format": {"enum": list(FORMATS)},
            "named": _one_or_many({"type": "string"}),
            "except": _one_or_many({"type": "string"}),
        },
    },
    "duration": {"type": "string", "pattern": "^[0-9]{1,6}(ms|s|m|h)$"},
    "record": {"enum": list(RECORDS)},
    "mask": {"enum": list(MASKS)},
    "when": {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": False,
        "properties": {
            **{fact: _words_of(fact, words) for fact, (words, _) in FACTS.items()},
            "risk": _object({"at_least": _number(1, POINTS_MAX)}, required=["at_least"]),
            "labels": _object({place: _one_or_many({"enum": list(each)}) for place, each in LABEL_PLACES.items()}),
        },
    },
    "risk": _object(
        {
            "mode": {"enum": list(MODES)},
            "weights": _object(
                {signal: _object(dict.fromkeys(each, _number(0, POINTS_MAX))) for signal, each in POINTS.items()}
            ),
            "targets": {"type": "array", "minItems": 1, "items": _TARGET},
            "internal": _one_or_many({"type": "string"}),
            "known": _one_or_many({"type": "string"}),
            "volume": _object(dict.fromkeys(VOLUME, _number(1, None))),
            "hours": {"type": "string"},
            "zone": {"type": "string"},
        }
    ),
    "rego": {
        "type": "array",
        "minItems": 1,
        "items": _object(
            {
                "module": _one_or_many({"type": "string"}),
                "server": {"type": "string", "pattern": "^http://"},
                "query": {"type": "string", "pattern": "^data\\."},
                "timeout": {"type": "string", "pattern": "^[0-9]{1,6}(ms|s|m|h)$"},
                "v0": {"type": "boolean"},
            }
        ),
    },
    "flows": {
        "type": "array",
        "minItems": 1,
        "items": _object(
            {
                "id": {"type": "string", "pattern": f"^{NAME}$"},
                "from": _object({**_CALLS, "labels": _one_or_many({"enum": list(LABEL_PLACES["context"])})}),
                "to": _object({**_CALLS, "argument": _one_or_many({"type": "string", "pattern": "^/"})}),
                "carries": {"enum": list(CARRIES)},
                "declassify": _object({**_CALLS, "prompt": {"type": "boolean"}, "person": {"type": "boolean"}}),
                "because": _TEXT,
                "timeout": {"type": "string", "pattern": "^[0-9]{1,6}(ms|s|m|h)$"},
            },
            required=["id", "from", "to"],
        ),
    },
    "labels": {
        "type": "array",
        "minItems": 1,
        "items": _object(
            {
                **_WHOSE,
                "integrity": {"enum": ["trusted", "untrusted"]},
                "confidentiality": {"enum": ["public", "private", "secret"]},
            },
            required=["connector"],
        ),
    },
}
