"""Strict reading of JSON values into frozen ones: every key is known, every type is right, or it is `Malformed`.

Who is at fault is not known here; the edge that read the JSON says so (`errors`). `parse_json` is here because
the standard parser takes a repeated key silently.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from typing import TypeAlias, TypeVar, cast

__all__ = ["Fields", "Json", "Malformed", "base64_or_text", "bytes_of", "parse_json"]

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

T = TypeVar("T")

_MISSING = object()


class Malformed(ValueError):
    """A JSON value that is not what it should be; the message names the key."""


class Fields:
    """The keys of one JSON object, taken one by one; `end` refuses what was not taken.

    Arguments:
        value: the parsed JSON.
        what: what it should be, for messages.
    """

    def __init__(self, value: Json, what: str) -> None:
        if not isinstance(value, dict):
            raise Malformed(f"{what} is not an object")
        self._left = dict(value)
        self._what = what

    def text(self, key: str) -> str:
        """A string."""
        return cast(str, self._typed(key, self._take(key), str, "a string"))

    def optional_text(self, key: str) -> str | None:
        """A string, or None when absent or null."""
        return self.optional(key, lambda value: cast(str, self._typed(key, value, str, "a string")))

    def integer(self, key: str) -> int:
        """An integer; true and false are none."""
        return self._integer(key, self._take(key))

    def optional_integer(self, key: str) -> int | None:
        """An integer, or None when absent or null."""
        return self.optional(key, lambda value: self._integer(key, value))

    def claim(self, key: str, *, default: bool) -> bool:
        """True or false."""
        value = self._left.pop(key, default)
        return cast(bool, self._typed(key, value, bool, "true or false"))

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings."""
        return self.each(key, lambda value: cast(str, self._typed(key, value, str, "a list of strings")))

    def each(self, key: str, read: Callable[[Json], T], *, required: bool = True) -> tuple[T, ...]:
        """A list, each of whose values `read` reads; if not required, absent is empty."""
        value = self._take(key) if required else self._left.pop(key, [])
        if not isinstance(value, list):
            raise Malformed(f"`{key}` of {self._what} is not a list")
        return tuple(read(item) for item in value)

    def one(self, key: str, read: Callable[[Json], T]) -> T:
        """A value that `read` reads."""
        return read(self._take(key))

    def optional(self, key: str, read: Callable[[Json], T]) -> T | None:
        """A value that `read` reads, or None when absent or null."""
        value = self._left.pop(key, None)
        return None if value is None else read(value)

    def value(self, key: str) -> Json:
        """Any JSON."""
        return self._take(key)

    def has(self, key: str) -> bool:
        """Whether the key is there and not yet taken."""
        return key in self._left

    def end(self) -> None:
        """Raises `Malformed` for a key that was not taken."""
        for key in self._left:
            raise Malformed(f"unknown key `{key}` in {self._what}")

    def _take(self, key: str) -> Json:
        value = self._left.pop(key, cast(Json, _MISSING))
        if value is _MISSING:
            raise Malformed(f"{self._what} lacks `{key}`")
        return value

    def _typed(self, key: str, value: Json, kind: type, wanted: str) -> Json:
        if not isinstance(value, kind):
            raise Malformed(f"`{key}` of {self._what} is not {wanted}")
        return value

    def _integer(self, key: str, value: Json) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise Malformed(f"`{key}` of {self._what} is not an integer")
        return value


def parse_json(text: str | bytes) -> Json:
    """Parses JSON, refusing a repeated key, NaN and infinities, and nesting past Python's own limit.

    Raises:
        Malformed: it is not JSON, or one of those.
    """
    try:
        return cast(Json, json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"not JSON: {error}") from None
    except RecursionError:
        raise Malformed("JSON nested too deeply") from None


def bytes_of(value: Json) -> bytes:
    """A path or argument of spec/action.md: a string, or `{"base64": …}` where the bytes are not UTF-8."""
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError:
            raise Malformed("a string with a lone surrogate") from None
    fields = Fields(value, "a byte string")
    text = fields.text("base64")
    fields.end()
    return _decoded(text)


def base64_or_text(data: bytes) -> Json:
    """The JSON of spec/action.md for bytes: a string where they are UTF-8, else `{"base64": …}`."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode("ascii")}


def _decoded(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed(f"`{text}` is not base64") from None
    try:
        data.decode()
    except UnicodeDecodeError:
        return data
    raise Malformed(f"`{text}` is UTF-8 underneath and must be written as a string")


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    result: dict[str, Json] = {}
    for key, value in pairs:
        if key in result:
            raise Malformed(f"duplicate key `{key}`")
        result[key] = value
    return result


def _no_constant(name: str) -> Json:
    raise Malformed(f"`{name}` is not JSON")
