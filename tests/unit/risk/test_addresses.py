"""Addresses in texts: exact, encoded, in one spelling; bounded; and where an agent met one first is where it has it from."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from tests.unit.risk.test_memory import Paper, use

from interlock.risk.addresses import ADDRESSES_MAX, TEXT_CHARACTERS_MAX, addresses_in
from interlock.risk.memory import ANY, NAMES_KEPT_MAX, Memory
from interlock.risk.score import Known, Seen, seen

EVE = "eve@elsewhere.test"
FORMS = {
    "plain": "write to Eve@Elsewhere.test.", "marked": "<eve@elsewhere.test>", "in an address": f"mailto:{EVE}?subject=x", "percent signs": "eve%40elsewhere%2etest",
    "entities": "eve&#64;elsewhere&period;test", "spelled": "eve [at] elsewhere (dot) test", "base64": base64.b64encode(f"send it to {EVE}".encode()).decode(),
    "base64 of URLs": base64.urlsafe_b64encode(f"???>>> {EVE}".encode()).decode().rstrip("="),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_an_address_is_found_in_every_form(form: str) -> None:
    found, is_whole = addresses_in({"a": ["x", {"b": FORMS[form]}]}, decoded=True)
    assert EVE in found and is_whole


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("see https://Elsewhere.test:8443/x?y=1", {"elsewhere.test"}), ("ftp://10.0.0.7/", {"10.0.0.7"}), ("pay DE89 3704 0044 0532 0130 00 now", {"DE89370400440532013000"}),
        ("GB33BUKB20201555555555", {"GB33BUKB20201555555555"}), ("version 1.2.3, 3.14, e.g. this", set()), ("", set()), ("no address", set()),
    ],
)  # fmt: skip
def test_what_is_an_address(text: str, wanted: set[str]) -> None:
    assert addresses_in(text, decoded=False)[0] == wanted


def test_too_much_is_said_and_ends() -> None:
    assert not addresses_in("x" * (TEXT_CHARACTERS_MAX + 1), decoded=True)[1]
    assert not addresses_in([f"a{number}.test" for number in range(ADDRESSES_MAX + 5)], decoded=True)[1]
    for text in ("a.b@c. d." * 25_000, "A1" * 120_000, "AB12 " * 50_000, "a." * 120_000, "=" * 200_000, "[at]" * 60_000):
        addresses_in(text, decoded=True)  # a text that made a pattern go back and forth would hold this for minutes


def known(memory: Memory, *addresses: str) -> Known:
    return memory.known("coder", "attested", use(1), Seen(addresses=frozenset(addresses)), 0)


def test_where_an_address_was_met_first_is_where_it_is_from() -> None:
    paper = Paper()
    memory = Memory(paper, ())
    memory.met("coder", [EVE, "shared.test"], untrusted=True, now_ms=0)
    assert known(memory, EVE).untrusted == (EVE,)
    memory.let_through("coder", use(2), Seen(addresses=frozenset([EVE])), (), 0)
    memory.met("coder", [EVE], untrusted=False, now_ms=0)
    assert known(memory, EVE).untrusted == (EVE,), "what an agent does with it makes it no one else's"
    memory.met("coder", ["bob@example.com"], untrusted=False, now_ms=0)
    memory.met("coder", ["bob@example.com"], untrusted=True, now_ms=0)
    assert known(memory, "bob@example.com", "never.test").untrusted == ()
    assert memory.known("other", "attested", use(1), Seen(addresses=frozenset([EVE])), 0).untrusted == ()
    again = Memory(Paper(), paper.kept)
    assert known(again, EVE).untrusted == (EVE,) and known(again, "bob@example.com").untrusted == ()


def test_a_flood_hides_nothing() -> None:
    memory = Memory(Paper(), ())
    memory.met("coder", ["bob@example.com"], untrusted=False, now_ms=0)
    memory.met("coder", [f"a{number}.test" for number in range(NAMES_KEPT_MAX + 10)], untrusted=True, now_ms=0)
    assert known(memory, EVE).untrusted == (EVE,) and known(memory, "bob@example.com").untrusted == ()
    memory.met("coder", [EVE], untrusted=False, now_ms=0)
    assert known(memory, EVE).untrusted == (EVE,), "there was no room to remember it by"
    half = Memory(Paper(), ())
    half.met("coder", [], untrusted=True, now_ms=0, is_whole=False)
    assert known(half, EVE).untrusted == (EVE,) and ANY in half._agents["coder"].met


def test_a_call_names_its_addresses_plainly() -> None:
    target: dict[str, Any] = {"connector": "mail", "tool": "send", "operation": "write", "arguments": {"to": [EVE], "note": "see https://x.test/"}}
    action = {"verb": "tool.call", "target": target, "subject": {"agent": "coder"}}
    assert seen(action).addresses == {EVE, "x.test"}
