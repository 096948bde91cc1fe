"""Several messages in one body, which 2025-03-26 alone has: each is served as if it came by itself, and the answers
come together. Left out: what a message is served by (`exchange_legacy.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from interlock.gateway.exchange_legacy import LegacyEra, Sessions, Work
from interlock.gateway.failures import effect_data
from interlock.gateway.limits import BATCH_BYTES_MAX, BATCH_MAX, STREAM_IN_SESSION_AFTER_S
from interlock.gateway.outlet import Send, Stream, send_array, send_empty
from interlock.gateway.refusals import Rejected
from interlock.gateway.serve import Incoming
from interlock.mcp.message import RpcError, RpcNotification, RpcRequest, RpcResponse, error, read
from interlock.mcp.revision import INTERNAL, INVALID_REQUEST
from interlock.vocabulary.effect import Effect
from interlock.vocabulary.json_text import JsonObject, encode

BATCHES_IN: Final = "2025-03-26"

#: Begins the work on a request. Raises `RpcError` and `Rejected` where it is not taken.
Begin = Callable[[RpcRequest], Work]
Hear = Callable[[RpcNotification | RpcResponse], None]


class Batches:
    """Batches over HTTP."""

    def __init__(self, era: LegacyEra, sessions: Sessions) -> None:
        self._era = era
        self._sessions = sessions

    async def take(self, incoming: Incoming, values: list[object], send: Send) -> None:
        """Serve the messages of one body."""
        gone = incoming.connection.gone
        session = self._era.session(incoming)
        check(values, session.version)
        stream = session.streams.open() if incoming.head.streams else None
        answers = begun(
            values,
            begin=lambda said: self._era.begin(incoming, session, said, stream),
            hear=lambda said: self._era.hear(session, said),
        )
        if not answers:
            session.streams.never_began(stream)
            await send_empty(send, 202)
            return
        all_of_them = asyncio.create_task(together(answers))
        if stream is None or await self._era.quiet(stream, all_of_them, gone, patience_s=STREAM_IN_SESSION_AFTER_S):
            if stream is not None:
                session.streams.forget(stream)
            either: set[asyncio.Future[list[JsonObject]] | asyncio.Future[None]] = {all_of_them, gone}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if all_of_them.done():
                await send_array(send, 200, all_of_them.result())
            return
        begins = session.streams.begins(stream)
        all_of_them.add_done_callback(lambda _: self._said_all(stream, all_of_them))
        await stream.follow(send, 0, gone, begins_with=begins)

    def _said_all(self, stream: Stream, all_of_them: asyncio.Task[list[JsonObject]]) -> None:
        if stream.ended_ms is not None:
            return
        for answer in all_of_them.result() if not all_of_them.cancelled() else ():
            if not stream.put(answer):
                stream.put(_too_much(answer))
        stream.end(self._sessions.now_ms())


def check(values: list[object], version: str) -> None:
    """Raises `RpcError` where no batch is taken, or not this one."""
    if version != BATCHES_IN:
        raise RpcError(INVALID_REQUEST, "batches are not taken: send each message by itself", status=400)
    if not 0 < len(values) <= BATCH_MAX:
        raise RpcError(INVALID_REQUEST, f"a batch has 1 to {BATCH_MAX} messages", status=400)


def begun(values: list[object], *, begin: Begin, hear: Hear) -> list[Work | JsonObject]:
    """Begin what the messages of a batch ask for: for each that is answered the work on its answer, or the answer where
    there is nothing to do."""
    parts = [_begun(each, begin, hear) for each in values]
    return [each for each in parts if each is not None]


def _begun(value: object, begin: Begin, hear: Hear) -> Work | JsonObject | None:
    try:
        said = read(value)
    except RpcError as fault:
        return error(None, fault)
    if not isinstance(said, RpcRequest):
        hear(said)
        return None
    if said.method == "initialize":
        return error(said.id, RpcError(INVALID_REQUEST, "`initialize` comes by itself"))
    try:
        return begin(said)
    except RpcError as fault:
        return error(said.id, fault)
    except Rejected as rejected:
        return error(said.id, rejected.fault)


async def together(answers: list[Work | JsonObject]) -> list[JsonObject]:
    """Every answer of a batch, in the order of its messages; what was cancelled has none."""
    works = [each for each in answers if isinstance(each, asyncio.Task)]
    if works:
        await asyncio.wait(works)
    said = [each.result()[1] if isinstance(each, asyncio.Task) else each for each in answers if not _is_cancelled(each)]
    kept, size = [], 0
    for answer in said:
        size += len(encode(answer))
        kept.append(answer if size <= BATCH_BYTES_MAX else _too_much(answer))
    return kept


def _is_cancelled(answer: Work | JsonObject) -> bool:
    return isinstance(answer, asyncio.Task) and answer.cancelled()


def _too_much(answer: JsonObject) -> JsonObject:
    identity = answer.get("id")
    text = "the answer is there, and the batch is too large for it"
    fault = RpcError(INTERNAL, text, data=effect_data(Effect.UNKNOWN))
    return error(identity if isinstance(identity, int | str) else None, fault)
