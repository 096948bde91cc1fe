"""A number that is decided on is the number that is sent, to its last bit: both sides read the same double out of its digits."""

from __future__ import annotations

import json
import random
import struct

from interlock._native import canonical
from interlock.vocabulary.json_text import encode, parse

SEED = 20261129


def doubles(count: int) -> list[float]:
    chance = random.Random(SEED)
    found = (struct.unpack("<d", chance.randbytes(8))[0] for _ in range(count))
    return [each for each in found if each == each and abs(each) < 2.0**53]


def test_engine_and_wire_read_the_same_double() -> None:
    for number in doubles(40_000):
        text = repr(number)
        assert float(canonical(text)) == number, (SEED, text)
        sent = encode({"n": parse(text.encode())})
        assert float(canonical(json.dumps(json.loads(sent)["n"]))) == number, (SEED, text)
