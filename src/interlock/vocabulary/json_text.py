"""One JSON text from a peer, parsed so that no second parser could read it otherwise, and written again from the parse.

Refused: duplicate keys, integers that a double cannot hold, non-finite numbers, lone surrogates, invalid UTF-8,
depth and size beyond the limits (RFC 8259 §4 and §6 leave all of these to the implementation, which is how parsers
come to disagree). What is forwarded is always `encode` of what `parse` returned, never the bytes that came.

A server's answer decides nothing, and a number changed on the way would be a lie to the agent: `parse_answer` takes
numbers of any size, and `encode` writes each again in the very digits that came. Left out: what the text means.

What a record keeps of a value too large for it is its digest and its size (`measure`, `recordable`; spec/record.md).
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

import msgspec

from interlock.vocabulary.errors import PeerError
from interlock.vocabulary.json_value import JsonObject as JsonObject
from interlock.vocabulary.json_value import is_object as is_object
from interlock.vocabulary.json_value import object_at as object_at
from interlock.vocabulary.json_value import text_at as text_at

TEXT_BYTES_MAX: Final = 4 * 1024 * 1024
DEPTH_MAX: Final = 64
INTEGER_MAX: Final = 2**53 - 1
#: Values in one text: parsing and checking this many takes a fraction of a second, and the loop serves others
#: meanwhile.
ITEMS_MAX: Final = 100_000
#: Of the arguments that a record keeps whole: leaves room for the rest of the record beside them.
ARGUMENTS_BYTES_MAX: Final = 24 * 1024
BESIDE_BYTES_MAX: Final = 8 * 1024
_KEPT_BYTES: Final = {"arguments": ARGUMENTS_BYTES_MAX, "beside": BESIDE_BYTES_MAX}

#: One string, or what is left of the text when it never ends: each byte is looked at once, whatever a peer sends.
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)


class MalformedJson(PeerError):
    """The text cannot be taken: what is wrong with it is the message."""


class Written(float):
    """A number whose digits a double would not give back: it counts as that double, and is written as it came."""

    __slots__ = ("text",)
    text: str


def parse(text: bytes, *, bytes_max: int = TEXT_BYTES_MAX) -> object:
    """Parse one text. Raises `MalformedJson`; `bytes_max` bounds its size in bytes."""
    value = _parsed(text, bytes_max, _STRICT)
    _check_integers(value)
    return value


def parse_answer(text: bytes) -> object:
    """Parse one text of a server, every number kept as it is written. Raises `MalformedJson` for all else that `parse`
    refuses."""
    return _parsed(text, TEXT_BYTES_MAX, _KEEPING)


def _parsed(text: bytes, bytes_max: int, decoder: msgspec.json.Decoder[object]) -> object:
    if len(text) > bytes_max:
        raise MalformedJson(f"the text has {len(text)} bytes, more than {bytes_max}")
    _check_nesting(text)
    if text.count(b",") > ITEMS_MAX and _STRING.sub(b"", text).count(b",") > ITEMS_MAX:
        raise MalformedJson(f"the text holds more than {ITEMS_MAX} values")
    try:
        value = decoder.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError) as error:
        raise MalformedJson(f"not JSON: {error}") from error
    if _count_keys(value) != _STRING.sub(b"", text).count(b":"):
        raise MalformedJson("an object holds the same key twice")
    return value


def encode(value: object) -> bytes:
    """Write a value that came from `parse` or `parse_answer`, or was made of JSON types and frozen values.
    Deterministic for equal insertion orders."""
    return _ENCODER.encode(value)


def canonical(value: object) -> bytes:
    """As `encode`, with the keys of every object in one order."""
    return _SORTED.encode(value)


def plain(value: object) -> object:
    """The same value with each number as Python's own, for a library that knows no other."""
    if isinstance(value, Written):
        return float(value)
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list) else value


def recordable(action: JsonObject) -> JsonObject:
    """An Action as a record keeps it: all of it, but for arguments, or what is beside them, too large, for which digest
    and size stand."""
    target = action.get("target")
    if not is_object(target):
        return action
    large: JsonObject = {}
    for key, bytes_max in _KEPT_BYTES.items():
        measured = measure(target[key]) if key in target else {}
        size = measured.get("bytes", 0)
        if not isinstance(size, int) or size > bytes_max:
            large[key] = measured
    return {**action, "target": {**target, **large}} if large else action


def measure(value: object) -> JsonObject:
    """Digest and size, for a value that is not kept itself."""
    text = encode(value)
    return {"digest": f"sha256:{hashlib.sha256(text).hexdigest()}", "bytes": len(text)}


def _check_nesting(text: bytes) -> None:
    """Depth from the brackets outside strings, before any parser recurses over them."""
    if text.count(b"[") + text.count(b"{") <= DEPTH_MAX:
        return
    depth = 0
    for bracket in re.findall(rb"[\[\]{}]", _STRING.sub(b"", text)):
        depth += 1 if bracket in b"[{" else -1
        if depth > DEPTH_MAX:
            raise MalformedJson(f"nested deeper than {DEPTH_MAX}")


def _count_keys(root: object) -> int:
    """The keys of all objects."""
    keys = 0
    pending = [root]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            keys += len(value)
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
    return keys


def _check_integers(root: object) -> None:
    """No integer that a reader with doubles would take for another one."""
    pending = [root]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
        elif isinstance(value, int) and not -INTEGER_MAX <= value <= INTEGER_MAX:
            raise MalformedJson(f"the integer `{str(value)[:24]}` is beyond 2^53-1, where readers disagree")


def _keep(text: str) -> float:
    number = float(text)
    if repr(number) == text:
        return number
    kept = Written(number)
    kept.text = text
    return kept


def _as_written(value: object) -> msgspec.Raw:
    if isinstance(value, Written):
        return msgspec.Raw(value.text.encode("ascii"))
    raise TypeError(f"`{type(value).__name__}` is not a JSON type")


_STRICT: Final = msgspec.json.Decoder()
_KEEPING: Final = msgspec.json.Decoder(float_hook=_keep)
_ENCODER: Final = msgspec.json.Encoder(enc_hook=_as_written)
_SORTED: Final = msgspec.json.Encoder(enc_hook=_as_written, order="deterministic")
