"""A server's JSON Schema, and what a value has wrong by it: compiled so that nothing is fetched, told in our words.
Pure.

What is said of a fault names the place, the keyword and a property's name; never a text of the schema, which would be a
server that speaks in our voice. Left out: what checking may cost (`schema_budget.py`), and where it is done
(`schema_checks.py`).
"""

from __future__ import annotations

from itertools import islice
from typing import Final, NoReturn, cast

import jsonschema_rs

from interlock.mediate.json_text import JsonObject, plain
from interlock.vocabulary.printable import printable

ERRORS_SHOWN_MAX: Final = 5
PATTERN_BYTES_MAX: Final = 1 << 20
#: Steps back that a pattern with a look around may take.
BACKTRACKS_MAX: Final = 50_000
NAME_CHARACTERS_MAX: Final = 64


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
