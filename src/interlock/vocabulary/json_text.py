"""One JSON text from a peer, parsed so that no second parser could read it otherwise, and written again from the parse.

Refused: duplicate keys, numbers from 2^53 on (of which no double holds each), non-finite numbers, lone surrogates,
invalid UTF-8, depth and size beyond the limits (RFC 8259 §4 and §6 leave all of these to the implementation, which is
how parsers come to disagree). What is forwarded is always `encode` of what `parse` returned, never the bytes that came.

A server's answer decides nothing, and a number changed on the way would be a lie to the agent: `parse_answer` takes
numbers of any size, and `encode` writes each again in the very digits that came. Left out: what the text means.

What a record keeps of a value too large for it is its digest and its size (`measure`, `recordable`; spec/record.md).
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from interlock._native import peer_text_fault
from interlock.vocabulary.errors import PeerError
from interlock.vocabulary.json_value import JsonObject as JsonObject
from interlock.vocabulary.json_value import is_object as is_object
from interlock.vocabulary.json_value import object_at as object_at
from interlock.vocabulary.json_value import text_at as text_at

TEXT_BYTES_MAX: Final = 4 * 1024 * 1024
DEPTH_MAX: Final = 64
#: Values in one text: parsing and checking this many takes a fraction of a second, and the loop serves others
#: meanwhile.
ITEMS_MAX: Final = 100_000
#: Of the arguments that a record keeps whole: leaves room for the rest of the record beside them.
ARGUMENTS_BYTES_MAX: Final = 24 * 1024
BESIDE_BYTES_MAX: Final = 8 * 1024
_KEPT_BYTES: Final = {"arguments": ARGUMENTS_BYTES_MAX, "beside": BESIDE_BYTES_MAX}


#: From here on there are integers that no double holds.
NUMBER_MAX: Final = 2**53
_SHOWN_CHARACTERS_MAX: Final = 40


class MalformedJson(PeerError):
    """The text cannot be taken: what is wrong with it is the message."""


class Written(float):
    """A number whose digits a double would not give back: it counts as that double, and is written as it came."""

    __slots__ = ("text",)
    text: str


def parse(text: bytes, *, bytes_max: int = TEXT_BYTES_MAX) -> object:
    """Parse one text. Raises `MalformedJson`; `bytes_max` bounds its size in bytes."""
    return _parsed(text, bytes_max, _STRICT, exact=True)


def parse_answer(text: bytes) -> object:
    """Parse one text of a server, every number kept as it is written. Raises `MalformedJson` for all else that `parse`
    refuses."""
    return _parsed(text, TEXT_BYTES_MAX, _KEEPING, exact=False)


def _parsed(text: bytes, bytes_max: int, decoder: msgspec.json.Decoder[object], *, exact: bool) -> object:
    if len(text) > bytes_max:
        raise MalformedJson(f"the text has {len(text)} bytes, more than {bytes_max}")
    # before any parser recurses over it
    fault = peer_text_fault(text, depth_max=DEPTH_MAX, items_max=ITEMS_MAX, exact=exact)
    if fault is not None:
        raise MalformedJson(fault)
    try:
        return decoder.decode(text)
    except msgspec.ValidationError as error:  # nothing but a number can be invalid here
        raise MalformedJson(str(error).partition(" - at ")[0]) from error
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError) as error:
        raise MalformedJson(f"not JSON: {error}") from error


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
    parts = ((key, target[key]) for key in _KEPT_BYTES if key in target)
    large: JsonObject = {key: measure(part) for key, part in parts if len(encode(part)) > _KEPT_BYTES[key]}
    return {**action, "target": {**target, **large}} if large else action


def measure(value: object) -> JsonObject:
    """Digest and size, for a value that is not kept itself."""
    text = encode(value)
    return {"digest": f"sha256:{hashlib.sha256(text).hexdigest()}", "bytes": len(text)}


def _within(text: str) -> float:
    number = float(text)
    if abs(number) >= NUMBER_MAX:
        shown = text if len(text) <= _SHOWN_CHARACTERS_MAX else f"{text[:_SHOWN_CHARACTERS_MAX]}…"
        raise ValueError(f"the number `{shown}` is beyond 2^53-1, where readers disagree")
    return number


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


_STRICT: Final = msgspec.json.Decoder(float_hook=_within)
_KEEPING: Final = msgspec.json.Decoder(float_hook=_keep)
_ENCODER: Final = msgspec.json.Encoder(enc_hook=_as_written)
_SORTED: Final = msgspec.json.Encoder(enc_hook=_as_written, order="deterministic")
