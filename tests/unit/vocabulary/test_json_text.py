"""JSON from a peer: one reading or none, and in bounded time whatever it holds."""

from __future__ import annotations

import time

import pytest

from interlock.vocabulary.json_text import MalformedJson, encode, parse


@pytest.mark.parametrize(
    "text",
    [b'{"a":1,"a":2}', b'{"a":1,"\\u0061":2}', b"[9007199254740993]", b"[1e999]", b"NaN", b'"\\ud800"', b'"\xff"', b"[" * 65 + b"]" * 65, b"{}x"],
)
def test_what_readers_could_read_differently_is_refused(text: bytes) -> None:
    with pytest.raises(MalformedJson):
        parse(text)


@pytest.mark.parametrize("text", [b'{"a:":{"b":[1,":",{"c":"\\":"}]}}', b'"\\ud83d\\ude00"', b"[" * 64 + b"]" * 64, b"[0.30000000000000004]"])
def test_what_is_well_formed_comes_through_unchanged(text: bytes) -> None:
    assert parse(encode(parse(text))) == parse(text)


@pytest.mark.parametrize("text", [b'"' + b'\\"' * 1_900_000, b"[" * 4_000_000, b'"["' * 900_000, b'{"a":' * 300_000, b"[" + b"1," * 1_900_000 + b"1]"])
def test_no_text_takes_long(text: bytes) -> None:
    began = time.perf_counter()
    with pytest.raises(MalformedJson):
        parse(text)
    assert time.perf_counter() - began < 5
