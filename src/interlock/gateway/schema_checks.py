"""Values held to foreign schemas, compiled so that nothing is fetched, within a budget and away from the loop.

A schema of plain keywords without references is a finite tree: each of its parts looks at each part of a value at most
once. What is cheap by that form is done at once. References, patterns, `unevaluated…` and their like can cost without
bound, and go to a process of their own (`schema_child.py`), which is ended when it takes too long; then that schema is
of no use, and nobody else has waited for it but a few calls. One connector has one such process at a time, so that its
schemas delay its own calls alone.

What is said of a fault names the place, the keyword and a property's name; never a text of the schema, which would be a
server that speaks in our voice.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from functools import cached_property
from itertools import islice
from typing import Final, NoReturn, cast

import jsonschema_rs

from interlock.mediate.bounded import Bounded
from interlock.vocabulary.errors import PeerError
from interlock.vocabulary.json_text import JsonObject, canonical, encode, is_object, parse_answer, plain
from interlock.vocabulary.printable import printable

CHILDREN_MAX: Final = 4
#: The processor time of one check is the child's own bound; this one is for a machine that gives it none.
CHECK_S_MAX: Final = 20.0
#: So long a schema that took too much is not tried again, in milliseconds.
SPENT_MS: Final = 600_000
SPENT_KEPT_MAX: Final = 4_096
TOO_MUCH: Final = "holding anything to its schema takes too long"
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
ERRORS_SHOWN_MAX: Final = 5
PATTERN_BYTES_MAX: Final = 1 << 20
#: Steps back that a pattern with a look around may take.
BACKTRACKS_MAX: Final = 50_000
NAME_CHARACTERS_MAX: Final = 64


class Foreign:
    """One schema of a server. What is made of it is made at first use."""

    def __init__(self, schema: object) -> None:
        self.own = schema if is_object(schema) else {}
        self.unusable = None if is_object(schema) else "it has none"
        if outward(self.own):
            self.unusable = "it refers to something outside itself, which is never fetched"

    @cached_property
    def digest(self) -> str:
        """By what it is known to the other process."""
        return hashlib.sha256(canonical(self.own)).hexdigest()

    @cached_property
    def validator(self) -> Validator:
        """It compiled. Raises `UnusableSchema`."""
        return Validator(self.own)

    @property
    def made(self) -> Validator | None:
        """It compiled, if it has been compiled."""
        found = self.__dict__.get("validator")
        return found if isinstance(found, Validator) and self.unusable is None else None

    @cached_property
    def _parts(self) -> int:
        return parts_of(self.own)

    def is_cheap(self, value_bytes: int) -> bool:
        """Whether a value of that size can be held to it at once."""
        return is_cheap(self._parts, value_bytes)


class SchemaChecks:
    """See the module. One for each gateway."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._idle: list[_Child] = []
        self._children = asyncio.Semaphore(CHILDREN_MAX)
        self._turns: dict[str, asyncio.Lock] = {}
        self._spent: OrderedDict[str, int] = OrderedDict()

    def fits_at_once(self, schema: Foreign, value: object) -> bool:
        """Whether a value fits a schema that has been made already, where that is cheap to tell; false where it is
        not."""
        made = schema.made
        return made is not None and schema.is_cheap(len(encode(value))) and made.fits(value)

    async def faults(self, connector: str, schema: Foreign, value: object) -> list[str]:
        """What is wrong with a value, in a few lines; nothing if it fits. Raises `UnusableSchema`."""
        if schema.unusable is not None:
            raise UnusableSchema(schema.unusable)
        if schema.is_cheap(len(encode(value))):
            return schema.validator.faults(value)
        return await self._elsewhere(connector, schema, value)

    async def _elsewhere(self, connector: str, schema: Foreign, value: object) -> list[str]:
        digest = schema.digest
        async with self._turns.setdefault(connector, asyncio.Lock()), self._children:
            if self._now_ms() < self._spent.get(digest, 0):
                raise UnusableSchema(TOO_MUCH)
            child = self._idle.pop() if self._idle else await asyncio.to_thread(_Child)
            try:
                answer = await asyncio.wait_for(child.held(digest, schema.own, value), CHECK_S_MAX)
            except BaseException as error:  # whatever it is, this process may still be at it
                await asyncio.shield(asyncio.to_thread(child.end))
                if not isinstance(error, (OSError, EOFError, PeerError)):
                    raise
                self._note_spent(digest)
                raise UnusableSchema(TOO_MUCH) from error
            self._idle.append(child)
        unusable, faults = answer.get("unusable"), answer.get("faults")
        if isinstance(unusable, str):
            raise UnusableSchema(unusable)
        return [str(each) for each in faults] if isinstance(faults, list) else ["it cannot be checked"]

    def _note_spent(self, digest: str) -> None:
        self._spent[digest] = self._now_ms() + SPENT_MS
        self._spent.move_to_end(digest)
        while len(self._spent) > SPENT_KEPT_MAX:
            self._spent.popitem(last=False)


class _Child(Bounded):
    """One process with the schemas that it was given."""

    def __init__(self) -> None:
        super().__init__("interlock.gateway.schema_child")

    async def held(self, digest: str, schema: JsonObject, value: object) -> JsonObject:
        """What it says of a value and a schema, which is sent when it is new. Raises as `ask` does."""
        answer = await self._asked({"digest": digest, "value": value})
        if "wanted" in answer:
            answer = await self._asked({"digest": digest, "value": value, "schema": schema})
        return answer

    async def _asked(self, request: JsonObject) -> JsonObject:
        answer = parse_answer(await self.ask(encode(request)))
        return answer if is_object(answer) else {}


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


class UnusableSchema(Exception):
    """The schema cannot be held to; the message says why, in our words."""


class Validator:
    """One compiled schema."""

    def __init__(self, schema: JsonObject) -> None:
        """Compile. Patterns are matched in linear time, or where they look around with a bound on their steps. Raises
        `UnusableSchema`."""
        own = cast(JsonObject, plain(schema))
        try:
            self._compiled = _compiled(own, jsonschema_rs.RegexOptions(size_limit=PATTERN_BYTES_MAX))
        except Exception:  # the edge of a native library: another engine may know the pattern
            options = jsonschema_rs.FancyRegexOptions(backtrack_limit=BACKTRACKS_MAX, size_limit=PATTERN_BYTES_MAX)
            try:
                self._compiled = _compiled(own, options)
            except Exception as error:  # as above: whatever it says, the schema is of no use
                raise UnusableSchema(f"it is not a schema that can be used here ({_kind(error)})") from error

    def fits(self, value: object) -> bool:
        """Whether a value fits, as far as the library can tell it as it stands; `faults` tells of any."""
        try:
            return self._compiled.is_valid(value)
        except Exception:  # the edge of a native library: a number that it does not know
            return False

    def faults(self, value: object) -> list[str]:
        """What is wrong with a value, in a few readable lines; nothing if it fits."""
        value = plain(value)
        try:
            if self._compiled.is_valid(value):
                return []
            return [_line(error) for error in islice(self._compiled.iter_errors(value), ERRORS_SHOWN_MAX)]
        except Exception as error:  # as above: what could not be checked does not fit
            return [f"it cannot be checked ({_kind(error)})"]


def _compiled(
    schema: JsonObject, patterns: jsonschema_rs.RegexOptions | jsonschema_rs.FancyRegexOptions
) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(schema, retriever=_refuse, pattern_options=patterns)


def _line(error: jsonschema_rs.ValidationError) -> str:
    place = "/".join(str(step) for step in error.instance_path)
    return f"{_shown(f'/{place}')} {_said(error)}"


def _said(error: jsonschema_rs.ValidationError) -> str:
    kind = error.kind
    match kind:
        case jsonschema_rs.ValidationErrorKind.Required():
            return f"lacks {_shown(str(kind.property).strip(chr(34)))}"
        case jsonschema_rs.ValidationErrorKind.AdditionalProperties():
            named = ", ".join(_shown(str(each)) for each in kind.unexpected[:ERRORS_SHOWN_MAX])
            return f"holds {named}, which the schema does not know"
        case _:
            return f"is not what the schema's {_shown(kind.name)} asks for"


def _shown(name: str) -> str:
    return f"`{printable(name, NAME_CHARACTERS_MAX).replace('`', '’')}`"


def _kind(error: Exception) -> str:
    kind = getattr(getattr(error, "kind", None), "name", None)
    return str(kind) if isinstance(kind, str) else type(error).__name__


def _refuse(uri: str) -> NoReturn:
    raise ValueError(f"`{uri}` is not fetched: a schema refers to itself only")
