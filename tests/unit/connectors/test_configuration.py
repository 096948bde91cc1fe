"""Connector files: what is wrong is said with its place, and a credential never shows."""

from __future__ import annotations

import time

import pytest

from interlock.connectors.configuration import Http, Stdio, parse
from interlock.connectors.link import Breaker
from interlock.mcp.event_stream import EventReader, EventTooLarge
from interlock.vocabulary.errors import OperatorError

GOOD = 'interlock: 1\nstdio:\n  command: ["a", "b"]\n  environment: {K: no}\nconcurrency: 2\noperations: {x: read}\n'


def test_a_good_file() -> None:
    found = parse(GOOD, name="notes", file="notes.yaml")
    assert found.server == Stdio(("a", "b"), {"K": "no"}) and found.concurrency == 2 and found.operations == {"x": "read"}
    web = parse("interlock: 1\nhttp: {url: 'https://x.example/mcp', headers: {Authorization: secret}}\n", name="w", file="f")
    assert isinstance(web.server, Http) and "secret" not in repr(web)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", "f", "empty"),
        ("[]", "f:1:1", "map"),
        ("interlock: 1\n", "f:1:1", "either"),
        ("interlock: 2\nstdio: {command: [a]}\n", "f:1:12", "`2`"),
        ("interlock: 1\nstdio: {command: []}\n", "f:2:18", "empty"),
        ("interlock: 1\nstdio: {command: [a]}\nstdio: {command: [b]}\n", "f:3:1", "twice"),
        ("interlock: 1\nstdio: {command: [a], shell: x}\n", "f:2:23", "`shell`"),
        ("interlock: 1\nhttp: {url: 'file:///etc'}\n", "f:2:13", "URL"),
        ("interlock: 1\nhttp: {url: 'http://u:p@x/'}\n", "f:2:13", "URL"),
        ("interlock: 1\nhttp: {url: 'http://x/', headers: {Host: x}}\n", "f:2:35", "itself"),
        ("interlock: 1\nhttp: {url: 'http://x/', headers: {A: \"b\\r\\nc\"}}\n", "f:2:35", "cannot be sent"),
        ("interlock: 1\nstdio: {command: [a]}\ntimeout: 5\n", "f:3:10", "duration"),
        ("interlock: 1\nstdio: {command: [a]}\noperations: {x: nuke}\n", "f:3:13", "`nuke`"),
        ("interlock: 1\nstdio: {command: [a\n", "f:3:1", "YAML"),
        ("interlock: 1\nstdio: &s {command: [a]}\n", "f:2:8", "anchors are refused"),
        ("interlock: 1\nstdio: {command: [*a]}\n", "f:2:19", "aliases are refused"),
        ("interlock: 1\nstdio: {command: !!python/tuple [a]}\n", "f:2:18", "tags are refused"),
        ("interlock: 1\nstdio:\n  <<: {command: [a]}\n", "f:3:3", "merge keys"),
        ("interlock: 1\nstdio: {command: [a]}\n---\ninterlock: 1\n", "f:3:1", "second document"),
        ("interlock: 1\nstdio: {command: [a], workspace: work}\n", "f:2:34", "absolute path"),
        ("interlock: 1\nstdio: {command: [a], code: [work]}\n", "f:2:30", "absolute path"),
        ("# nothing yet\n", "f", "empty"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, place: str, words: str) -> None:
    with pytest.raises(OperatorError) as raised:
        parse(text, name="x", file="f")
    assert str(raised.value).startswith(f"{place}: ") and words in str(raised.value)


@pytest.mark.parametrize("name", ["../x", "A", "a_b", "", "1a", "a" * 33, "a/b", "a\n"])
def test_a_name_is_a_name(name: str) -> None:
    with pytest.raises(OperatorError):
        parse(GOOD, name=name, file="f")


def test_a_circuit_opens_after_three_failures_and_closes_with_one_success() -> None:
    breaker = Breaker()
    for _ in range(2):
        breaker.failed("x", 0)
    assert breaker.refusal(0) is None
    breaker.failed("x", 0)
    assert breaker.refusal(0) is not None and breaker.refusal(500) is None
    breaker.failed("x", 500)
    assert breaker.refusal(1_400) is not None
    breaker.succeeded()
    assert breaker.refusal(1_400) is None


def test_events_however_they_are_cut() -> None:
    stream = b"\xef\xbb\xbf: hi\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\nid: 1\ndata:\n\nevent: x\rdata: 2\r\rdata: lost"
    for size in range(1, len(stream)):
        reader = EventReader()
        found = [event for at in range(0, len(stream), size) for event in reader.feed(stream[at : at + size])]
        assert found == [b'{"a":\n1}', b"2"], size
    with pytest.raises(EventTooLarge):
        EventReader().feed(b"data: " + b"x" * (5 << 20))


LONG = (4 << 20) - 64


def test_a_long_event_in_small_parts_costs_each_byte_once() -> None:
    """A server that sends one long line in crumbs keeps nobody else waiting."""
    stream, reader = b"data: " + b"x" * LONG + b"\n\n", EventReader()
    began_s = time.process_time()
    found = [event for at in range(0, len(stream), 64) for event in reader.feed(stream[at : at + 64])]
    assert found == [b"x" * LONG] and time.process_time() - began_s < 5
