"""A number that is decided on is the number that is sent and recorded, to the last bit: a parser that rounds otherwise would let a server read another one than the policy did."""

from __future__ import annotations

import json
import math
import random
import struct
from typing import Any

import pytest
from gateway_stage import call, connector, rule

from interlock._native import canonical
from interlock.vocabulary.json_text import encode, parse

#: Each is read one unit in the last place off by a parser that does not read numbers exactly.
HARD = (1.0715660391465826e-75, -1.81996730402717e-179)
SEED = 20261129


def doubles(count: int) -> list[float]:
    chance = random.Random(SEED)
    found = [struct.unpack("<d", chance.randbytes(8))[0] for _ in range(count)]
    return [each for each in found if abs(each) < 2**53]  # the engine refuses larger ones: no double holds each of their digits


def test_every_number_is_to_the_engine_what_it_is_to_the_server() -> None:
    values = [*HARD, *doubles(20_000)]
    texts = [encode(each).decode() for each in values]
    assert [json.loads(canonical(f"[{text}]"))[0] for text in texts] == values, f"seed {SEED}"
    assert [parse(text.encode()) for text in texts] == values


@pytest.mark.parametrize("value", HARD)
def test_a_condition_is_about_the_number_that_is_sent(start: Any, tmp_path: Any, value: float) -> None:
    denied = rule("one", "deny", "tool.call", arguments=[{"at": "/n", "test": "equals", "value": value}])
    stage = start(connector("notes", root=tmp_path), rules=(rule("all", "allow", "tool.call"), denied))
    token = stage.token()
    assert call(stage, token, "notes__echo", text="x", n=value)["isError"] and stage.effects == []
    beside = [math.nextafter(value, math.inf), math.nextafter(value, -math.inf)]
    for each in beside:
        assert not call(stage, token, "notes__echo", text="x", n=each).get("isError")
    assert [arguments["n"] for _, arguments in stage.effects] == beside
    recorded = [each["action"]["target"]["arguments"]["n"] for each in stage.decided("tool.call")]
    assert recorded == [value, *beside]
