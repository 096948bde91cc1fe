"""A number that is decided on is the number that is sent and recorded, to the last bit: a parser that rounds otherwise would let a server read another one than the policy did."""

from __future__ import annotations

import json
import math
import random
import struct
from typing import Any

import pytest
from gateway_stage import META, call, connector, post, rule

from interlock._native import canonical
from interlock.vocabulary.json_text import encode, parse, parse_answer

#: Each is read one unit in the last place off by a parser that does not read numbers exactly.
HARD = (1.0715660391465826e-75, -1.81996730402717e-179)
SEED = 20261129


def doubles(count: int) -> list[float]:
    chance = random.Random(SEED)
    found = [struct.unpack("<d", chance.randbytes(8))[0] for _ in range(count)]
    return [each for each in found if abs(each) < 2**53]  # larger ones are refused: no double holds each of their digits


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


#: Written as they may come: whole or not, as an integer, with an exponent. None of them has a double of its own.
TOO_LARGE = ("9007199254740992", "-9007199254740993", "9007199254740992.0", "90071992547409929.5", "1e16", "-1.5E300", "1e400", "123456789012345678901234567890")


@pytest.mark.parametrize("text", TOO_LARGE)
def test_a_number_that_readers_read_apart_is_refused_in_words_to_its_own_request_and_reaches_no_server(start: Any, tmp_path: Any, text: str) -> None:
    stage = start(connector("notes", root=tmp_path), rules=(rule("all", "allow", "tool.call"),))
    token = stage.token()
    message = {"jsonrpc": "2.0", "id": "mine", "method": "tools/call", "params": {"name": "notes__echo", "arguments": {"text": "x", "n": 0}, "_meta": META}}
    body = json.dumps(message).replace('"n": 0', f'"n": {text}').encode()
    headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "notes__echo"}
    status, _, answer = post(stage, token, body, **headers)
    assert (status, answer["id"], answer["error"]["code"]) == (400, "mine", -32700)
    assert "beyond 2^53-1" in answer["error"]["message"] and text[:20] in answer["error"]["message"]
    assert stage.seen("tools/call") == [] and stage.decided("tool.call") == []


def test_numbers_of_a_servers_answer_pass_in_the_digits_that_it_wrote() -> None:
    for text in TOO_LARGE:
        assert encode(parse_answer(f"[{text}]".encode())).decode() == f"[{text}]"
