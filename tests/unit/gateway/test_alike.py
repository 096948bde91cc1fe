"""A request that begins as the one before it is not parsed again. The oracle is the parser: it must read such a request as
it read the one before, but for the body."""

from __future__ import annotations

import random
from typing import Any

import httptools
import pytest

from interlock.gateway.serve import Alike

HEAD = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-A: 1\r\nContent-Length: %d\r\nMcp-Name: a\r\n\r\n"


class Read:
    """What the parser makes of a piece: each request as its line, its headers but the length, and its body."""

    def __init__(self, piece: bytes) -> None:
        self.requests: list[tuple[Any, ...]] = []
        self._parser = httptools.HttpRequestParser(self)
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._parser.feed_data(piece)

    def on_message_begin(self) -> None:
        self._url, self._headers, self._body = b"", list[tuple[bytes, bytes]](), b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() != b"content-length":
            self._headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        method, lasts = self._parser.get_method(), self._parser.should_keep_alive()
        self.requests.append((method, self._url, self._headers, lasts, self._body))


def spoilt(piece: bytes, chance: random.Random) -> bytes:
    """The piece with a few bytes changed, put in, taken away, or said twice."""
    for _ in range(chance.randint(0, 3)):
        at = chance.randrange(len(piece) + 1)
        more = chance.choice([b"", b"\r\n", b"\n", b" ", b"0", b"9", b"Content-Length: 3\r\n", b"a: b\r\n", piece[:at]])
        piece = piece[:at] + more + piece[at + chance.randint(0, 2) :]
    return piece


@pytest.mark.parametrize("seed", range(40))
def test_what_is_taken_for_alike_is_what_the_parser_reads(seed: int) -> None:
    chance, taken = random.Random(seed), 0
    for _ in range(500):
        body = bytes(chance.randrange(256) for _ in range(chance.choice([0, 1, 9, 10, 99])))
        first = spoilt(HEAD % len(body) + body, chance) if chance.random() < 0.5 else HEAD % len(body) + body
        try:
            before = Read(first).requests
        except httptools.HttpParserError:
            continue
        alike = Alike.of(first, before[0][-1]) if len(before) == 1 else None
        if alike is None:
            continue
        other = bytes(chance.randrange(256) for _ in range(chance.choice([0, 3, 10, 120])))
        piece = alike.before + b"%d" % len(other) + alike.after + other
        piece = spoilt(piece, chance) if chance.random() < 0.5 else piece
        found = alike.body_of(piece)
        if found is None:
            continue
        taken += 1
        assert Read(piece).requests == [(*before[0][:-1], found)], (seed, first, piece)
    assert taken > 50


@pytest.mark.parametrize(
    "piece",
    [
        HEAD % 3 + b"ab",
        HEAD % 3 + b"abcd",
        HEAD % 0 + HEAD % 0,
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nUpgrade: websocket\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\ncontent-length: 3\r\n\r\nabc",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_nothing_is_alike_to_what_ends_otherwise_than_by_one_length(piece: bytes) -> None:
    assert Alike.of(piece, b"abc") is None
