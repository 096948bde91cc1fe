"""What a server sends, read alike however it is cut, and nothing of it taken for an answer to what was not asked."""

from __future__ import annotations

import itertools

import pytest

from interlock.mcp import server_message
from interlock.mcp.event_stream import EventReader

MARK = b"\xef\xbb\xbf"


@pytest.mark.parametrize("text", [MARK + b"data: a\n\n", b"\xef\n" + MARK + b"data: a\n\ndata: b\n\n", MARK + MARK + b"data: a\n\n", b"\n" + MARK + b"\n\n"])
def test_a_byte_order_mark_stands_in_front_of_a_stream_alone_however_it_is_cut(text: bytes) -> None:
    whole = EventReader().feed(text)
    for first, second in itertools.combinations(range(len(text) + 1), 2):
        reader = EventReader()
        assert [each for part in (text[:first], text[first:second], text[second:]) for each in reader.feed(part)] == whole, (first, second)


@pytest.mark.parametrize("name", ["1.0", "130.2", "true", "[1]", "{}"])
def test_an_answer_has_an_id_that_a_request_can_have(name: str) -> None:
    """In Python 1.0 and true are equal to 1, which may be a request that is open."""
    for said in ('"result": {}', '"error": {"code": 1, "message": "no"}', '"error": {"code2": -32}'):
        taken = server_message.take(f'{{"jsonrpc": "2.0", "id": {name}, {said}}}'.encode())
        assert not isinstance(taken, server_message.Response), (name, said, taken)
    taken = server_message.take(b'{"jsonrpc": "2.0", "id": 1, "result": {}}')
    assert isinstance(taken, server_message.Response) and taken.id == 1
