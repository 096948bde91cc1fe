"""A tool's schemas, compiled once: local references only, linear-time patterns. A schema that needs more makes the
tool unusable.

The validator would fetch `http:` and `file:` references by itself if it were let.
"""

from __future__ import annotations

from itertools import islice
from typing import Final, NoReturn, cast

import jsonschema_rs

from interlock.mediate.json_text import JsonObject, plain

ERRORS_SHOWN_MAX: Final = 5
PATTERN_BYTES_MAX: Final = 1 << 20


class UnusableSchema(Exception):
    """The schema cannot be held to; the message says why."""


class Validator:
    """One compiled schema."""

    def __init__(self, schema: JsonObject) -> None:
        """Compile. Raises `UnusableSchema`."""
        try:
            self._compiled = jsonschema_rs.validator_for(
                cast(JsonObject, plain(schema)),
                retriever=_refuse,
                pattern_options=jsonschema_rs.RegexOptions(size_limit=PATTERN_BYTES_MAX),
            )
        except Exception as error:  # the edge of a native library: whatever it says, the schema is of no use
            raise UnusableSchema(str(error)[:300]) from error

    def faults(self, value: object) -> list[str]:
        """What is wrong with a value, in a few readable lines; nothing if it fits."""
        value = plain(value)
        try:
            if self._compiled.is_valid(value):
                return []
            return [_line(error) for error in islice(self._compiled.iter_errors(value), ERRORS_SHOWN_MAX)]
        except Exception as error:  # as above: what could not be checked does not fit
            return [f"it cannot be checked: {error}"[:300]]


def _line(error: jsonschema_rs.ValidationError) -> str:
    place = "/".join(str(step) for step in error.instance_path)
    return f"`/{place}`: {error.message}"[:300]


def _refuse(uri: str) -> NoReturn:
    raise ValueError(f"`{uri}` is not fetched: a schema refers to itself only")
