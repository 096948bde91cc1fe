"""One MCP server over stdio: newline-delimited JSON-RPC with a process that the host plane holds.

The server is not trusted: lines that are no messages, ids never asked, second answers and oversized lines are
strikes, and too many strikes, a broken pipe or silence end the process. A request that was given up ends it too when
requests run one at a time, so that what the process does later is never put down to the next call. Left out:
restarting (`link.py`), what messages mean.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from interlock.connectors import messages
from interlock.connectors.configuration import Connector
from interlock.connectors.launch import Running
from interlock.connectors.questions import outcome_of
from interlock.mediate.json_text import JsonObject, MalformedJson, object_at, parse
from interlock.mediate.upstream import Broken, Exchange, Reply

STRIKES_MAX: Final = 20
WRITE_S_MAX: Final = 10.0
CONTEXT_S_MAX: Final = 5.0
GRACE_S: Final = 1.0
QUESTIONS_MAX: Final = 8
LAST_WORDS_CHARACTERS: Final = 1_000


@dataclass(slots=True)
class _Pending:
    reply: asyncio.Future[Reply]
    exchange: Exchange
    progress: object


class StdioChannel:
    """One started server. `ended` is done once it is of no more use, with the reason."""

    def __init__(self, running: Running, connector: Connector, told: Callable[[messages.Told], None]) -> None:
        self._running = running
        self._connector = connector
        self._told = told
        self._turn = asyncio.Semaphore(connector.concurrency)
        self._write = asyncio.Lock()
        self._pending: dict[int, _Pending] = {}
        self._given_up: set[int] = set()
        self._next = 1
        self._strikes = 0
        self._questions: set[asyncio.Task[None]] = set()
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._reader = asyncio.create_task(self._read())

    @property
    def session(self) -> str:
        """The session that holds the process."""
        return self._running.session

    async def request(self, method: str, params: JsonObject, exchange: Exchange, timeout_ms: int) -> Reply:
        """Send one request when its turn comes; the timeout counts from then."""
        async with self._turn:
            if self.ended.done():
                return Broken(self.ended.result(), reached=False)
            refusal = await self._announce(exchange)
            if refusal is not None:
                return refusal
            try:
                return await self._exchange(method, params, exchange, timeout_ms)
            finally:
                await self._conclude(exchange)

    async def notify(self, method: str, params: JsonObject) -> None:
        """Send a notification."""
        await self._send(messages.notification(method, params))

    async def close(self, why: str) -> None:
        """End the server and answer everything that waits."""
        self._end(why)
        self._reader.cancel()
        for task in tuple(self._questions):
            task.cancel()
        await self._running.end()

    async def _announce(self, exchange: Exchange) -> Broken | None:
        """Before a decided request: its id to the supervisor, acknowledged, and the server's session to the record."""
        if exchange.action is None:
            return None
        try:
            async with asyncio.timeout(CONTEXT_S_MAX):
                await self._running.context(exchange.action)
        except (TimeoutError, OSError, EOFError) as error:
            await self.close("its supervisor does not answer")
            return Broken(f"the server's supervisor did not take the action's id ({error})", reached=False)
        if exchange.started is not None:
            await exchange.started(self._running.session, self._running.process)
        return None

    async def _conclude(self, exchange: Exchange) -> None:
        if exchange.action is None or self.ended.done() or self._connector.concurrency != 1:
            return
        with contextlib.suppress(TimeoutError, OSError, EOFError):
            async with asyncio.timeout(CONTEXT_S_MAX):
                await self._running.context(None)

    async def _exchange(self, method: str, params: JsonObject, exchange: Exchange, timeout_ms: int) -> Reply:
        identity, self._next = self._next, self._next + 1
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        meta = object_at(params, "_meta")
        self._pending[identity] = _Pending(reply, exchange, meta.get("progressToken"))
        if "progressToken" in meta:
            params = {**params, "_meta": {**meta, "progressToken": identity}}
        try:
            await self._send(messages.request(identity, method, params))
            async with asyncio.timeout(timeout_ms / 1000):
                return await asyncio.shield(reply)
        except TimeoutError:
            await self._give_up(identity, method, f"no answer within {timeout_ms / 1000:g} s")
            return Broken(f"the server did not answer within {timeout_ms / 1000:g} s", reached=True)
        except asyncio.CancelledError:
            await self._give_up(identity, method, "its caller went away")
            raise
        except OSError as error:
            await self.close(f"cannot write to it: {error}")
            return Broken("the server closed its input", reached=True)
        finally:
            self._pending.pop(identity, None)
            if not reply.done():
                reply.cancel()

    async def _give_up(self, identity: int, method: str, why: str) -> None:
        """Tell the server to stop; where requests run one at a time it gets a moment, then it ends."""
        self._given_up.add(identity)
        pending = self._pending.get(identity)
        with contextlib.suppress(OSError, TimeoutError):
            if method != "initialize":
                await self.notify("notifications/cancelled", {"requestId": identity, "reason": why})
        if pending is not None and pending.exchange.action is not None and self._connector.concurrency == 1:
            done, _ = await asyncio.wait({pending.reply}, timeout=GRACE_S)
            if not done:
                await self.close(f"a request was given up: {why}")

    async def _send(self, line: bytes) -> None:
        async with self._write, asyncio.timeout(WRITE_S_MAX):
            self._running.input.write(line + b"\n")
            await self._running.input.drain()

    async def _read(self) -> None:
        try:
            while line := await self._running.output.readline():
                await self._take(line)
                if self._strikes > STRIKES_MAX:
                    break
            why = "it sends what is no protocol" if self._strikes > STRIKES_MAX else "it ended"
        except ValueError:
            why = "it sent a line longer than any message may be"
        except OSError as error:
            why = f"cannot read from it: {error}"
        self._end(why)
        await self._running.end()

    async def _take(self, line: bytes) -> None:
        if not line.strip():
            return
        try:
            message = messages.read(parse(line.strip()))
        except MalformedJson:
            message = None
        if isinstance(message, messages.Response):
            self._settle(message)
        elif isinstance(message, messages.Told):
            self._pass_on(message)
        elif isinstance(message, messages.Asked):
            self._question(message)
        else:
            self._strikes += 1

    def _settle(self, response: messages.Response) -> None:
        identity = response.id
        pending = self._pending.get(identity) if isinstance(identity, int) and not isinstance(identity, bool) else None
        if pending is not None and not pending.reply.done():
            pending.reply.set_result(response.reply)
        elif identity not in self._given_up:
            self._strikes += 1

    def _pass_on(self, told: messages.Told) -> None:
        """A notification: progress goes to its request, log messages to the one that runs, the rest to whoever
        listens."""
        if told.method == "notifications/progress":
            pending = self._pending.get(_number(told.params.get("progressToken")))
            if pending is not None and pending.exchange.notify is not None and pending.progress is not None:
                params = {**told.params, "progressToken": pending.progress}
                pending.exchange.notify({"jsonrpc": "2.0", "method": told.method, "params": params})
            return
        only = next(iter(self._pending.values())) if len(self._pending) == 1 else None
        if told.method == "notifications/message" and only is not None and only.exchange.notify is not None:
            only.exchange.notify({"jsonrpc": "2.0", "method": told.method, "params": told.params})
            return
        self._told(told)

    def _question(self, asked: messages.Asked) -> None:
        only = next(iter(self._pending.values())) if len(self._pending) == 1 else None
        if len(self._questions) >= QUESTIONS_MAX:
            self._strikes += 1
            return
        task = asyncio.create_task(self._answer(asked, only.exchange if only is not None else None))
        self._questions.add(task)
        task.add_done_callback(self._questions.discard)

    async def _answer(self, asked: messages.Asked, exchange: Exchange | None) -> None:
        outcome = await outcome_of(asked, exchange, self._connector)
        with contextlib.suppress(OSError, TimeoutError):
            await self._send(messages.answer(asked.id, outcome))

    def _end(self, why: str) -> None:
        if not self.ended.done():
            self.ended.set_result(why)
        words = self._running.last_words()[-LAST_WORDS_CHARACTERS:] or None
        for pending in self._pending.values():
            if not pending.reply.done():
                pending.reply.set_result(Broken(f"the server is gone: {why}", reached=True, detail=words))


def _number(value: object) -> int:
    """An id as a key, or one that no request has."""
    return value if isinstance(value, int) and not isinstance(value, bool) else -1
