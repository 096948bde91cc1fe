"""One MCP server over stdio: newline-delimited JSON-RPC with a process that the host plane holds.

The server is not trusted. An answer that cannot be read fails its own call at once; lines that are no messages are
passed over and counted; ids never asked and second answers are strikes. Too many strikes, nothing but noise, a broken
pipe or silence end the process. A request that was given up ends it too when requests run one at a time, so that what
the process does later is never put down to the next call. Left out: restarting (`link.py`), what messages mean.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from interlock.connectors.configuration import Connector
from interlock.connectors.launch import LastWords, Running
from interlock.connectors.patience import Deadline, Noise, Pace, TooLong, Turns, read_line
from interlock.connectors.questions import outcome_of
from interlock.connectors.taken import Input
from interlock.mcp import server_message as messages
from interlock.mediate.line import Passage, contained
from interlock.mediate.upstream import Broken, Exchange, Reply
from interlock.vocabulary.effect import Effect
from interlock.vocabulary.json_text import JsonObject, object_at

STRIKES_MAX: Final = 20
WRITE_S_MAX: Final = 10.0
CONTEXT_S_MAX: Final = 5.0
GRACE_S: Final = 1.0
QUESTIONS_MAX: Final = 8
#: Never told to be cancelled: many servers break on that before they are initialized.
_GREETINGS: Final = frozenset({"initialize", "server/discover"})
#: What goes on after it was given up does nothing that could be put down to the next call.
_HARMLESS: Final = frozenset({"logging/setLevel"})


@dataclass(slots=True)
class _Pending:
    reply: asyncio.Future[Reply]
    exchange: Exchange
    deadline: Deadline


@dataclass(frozen=True, slots=True)
class _Begin:
    """For a server that may still be starting: its input, and how long it may take to read it."""

    input: Input
    limit_ms: int


class StdioChannel:
    """One started server. `ended` is done once it is of no more use, with the reason."""

    def __init__(self, running: Running, connector: Connector, told: Callable[[messages.Told], None]) -> None:
        self._running = running
        self._connector = connector
        self._told = told
        self._turn = Turns(connector.concurrency)
        self._write = asyncio.Lock()
        self._pending: dict[int, _Pending] = {}
        self._given_up: set[int] = set()
        self._next = 1
        self._strikes = 0
        self._pace = Pace()
        self._reading = True
        self._left = LastWords()
        self.noise = Noise()
        self._questions: set[asyncio.Task[None]] = set()
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._reader = asyncio.create_task(self._read())

    @property
    def session(self) -> str:
        """The session that holds the process."""
        return self._running.session

    def denied(self) -> tuple[str, ...]:
        """See `channel.Channel`."""
        return self._running.denied

    def left(self) -> str:
        """See `channel.Channel`."""
        return self._left.text

    async def probe(self, method: str, params: JsonObject, start_ms: int, answer_ms: int) -> Reply:
        """See `channel.Channel`: the time for an answer begins when the server has taken the question from its
        input."""
        async with self._turn:
            watched = Input(self._running.input)
            try:
                return await self._exchange(method, params, Exchange(), answer_ms, begin=_Begin(watched, start_ms))
            finally:
                watched.close()

    async def request(self, method: str, params: JsonObject, exchange: Exchange, timeout_ms: int) -> Reply:
        """Send one request when its turn comes; the timeout counts from then."""
        async with self._turn:
            if self.ended.done():
                return self._gone(exchange.passage)
            refusal = await self._announce(exchange)
            if refusal is not None:
                return refusal
            gone = exchange.revalidate()
            if gone is not None:
                self._conclude(exchange)
                return Broken(gone, exchange.passage.effect)
            try:
                return await self._exchange(method, params, exchange, timeout_ms)
            finally:
                self._conclude(exchange)

    async def notify(self, method: str, params: JsonObject) -> None:
        """Send a notification."""
        await self._send(messages.notification(method, params), Passage())

    async def listen(self, params: JsonObject) -> int:
        """See `channel.Channel`. Nobody waits for its answer, which is the end of it."""
        identity, self._next = self._next, self._next + 1
        self._given_up.add(identity)
        with contextlib.suppress(OSError):
            await self._send(messages.request(identity, "subscriptions/listen", params), Passage())
        return identity

    async def unlisten(self, identity: int) -> None:
        """See `channel.Channel`."""
        with contextlib.suppress(OSError):
            await self.notify("notifications/cancelled", {"requestId": identity, "reason": "another one stands for it"})

    async def close(self, why: str) -> None:
        """End the server and answer everything that waits."""
        if not self._reading:
            await asyncio.wait({self._reader})
            return
        if not self.ended.done():
            self._left = await contained(self._running.last_words(), lambda _: LastWords())
        self._end(why)
        self._reader.cancel()
        for task in tuple(self._questions):
            task.cancel()
        await contained(self._running.end(), lambda _: None)

    async def _announce(self, exchange: Exchange) -> Broken | None:
        """Before a decided request: its id to the supervisor, acknowledged, and meanwhile the server's session to the
        record."""
        if exchange.action is None:
            return None
        try:
            taken = self._running.context(exchange.action)
            if exchange.started is not None:
                await exchange.started(self._running.session, self._running.process)
            with Deadline(CONTEXT_S_MAX):
                await taken
        except (TimeoutError, OSError, EOFError) as error:
            await self.close("its supervisor does not answer")
            return Broken(f"the server's supervisor did not take the action's id ({error})", Effect.NOT_SENT)
        return None

    def _conclude(self, exchange: Exchange) -> None:
        if exchange.action is None or self.ended.done() or self._connector.concurrency != 1:
            return
        with contextlib.suppress(OSError, EOFError):
            self._running.context(None)  # heard before whatever is told next, so nobody waits for it

    async def _exchange(
        self, method: str, params: JsonObject, exchange: Exchange, timeout_ms: int, *, begin: _Begin | None = None
    ) -> Reply:
        identity, self._next = self._next, self._next + 1
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        deadline = Deadline(timeout_ms / 1000)
        self._pending[identity] = _Pending(reply, exchange, deadline)
        if exchange.progress is not None:
            params = {**params, "_meta": {**object_at(params, "_meta"), "progressToken": identity}}
        try:
            await self._send(messages.request(identity, method, params), exchange.passage)
            if begin is not None and not await begin.input.read_within(begin.limit_ms, reply):
                return self._unread(reply, begin.limit_ms)
            with deadline:
                return await asyncio.shield(reply)
        except TimeoutError:
            await self._give_up(identity, method, f"no answer within {timeout_ms / 1000:g} s")
            return Broken(f"the server did not answer within {timeout_ms / 1000:g} s", exchange.passage.effect)
        except asyncio.CancelledError:
            await self._give_up(identity, method, "its caller went away")
            raise
        except OSError as error:
            await asyncio.wait({self._reader}, timeout=GRACE_S)  # one that has ended says more
            if self.ended.done():
                return self._gone(exchange.passage)
            await self.close(f"it does not read its input ({error})")
            return Broken(f"the server does not read its input ({error})", exchange.passage.effect)
        finally:
            self._pending.pop(identity, None)
            if not reply.done():
                reply.cancel()

    def _unread(self, reply: asyncio.Future[Reply], limit_ms: int) -> Broken:
        """A server that never read the question was not troubled by it, whether it ended or goes on."""
        if self.ended.done() and reply.done():
            return self._gone(Passage())
        return Broken(f"the server did not read its input within {limit_ms / 1000:g} s", Effect.NOT_SENT)

    async def _give_up(self, identity: int, method: str, why: str) -> None:
        """Tell the server to stop; where requests run one at a time it gets a moment, then it ends."""
        self._given_up.add(identity)
        pending = self._pending.get(identity)
        if pending is None or pending.exchange.passage.effect is Effect.NOT_SENT:
            return
        with contextlib.suppress(OSError):
            if method not in _GREETINGS:
                await self.notify("notifications/cancelled", {"requestId": identity, "reason": why})
        if pending.exchange.action is not None and self._connector.concurrency == 1 and method not in _HARMLESS:
            done, _ = await asyncio.wait({pending.reply}, timeout=GRACE_S)
            if not done:
                await self.close(f"a request was given up, {why}")

    async def _send(self, line: bytes, passage: Passage) -> None:
        """Write one line. Raises `OSError` when the server does not take it."""
        try:
            async with asyncio.timeout(WRITE_S_MAX), self._write:
                if self._running.input.is_closing():
                    raise BrokenPipeError("it is closed")
                passage.leaves()
                self._running.input.write(line + b"\n")
                await self._running.input.drain()
        except TimeoutError as error:
            raise OSError(f"nothing taken within {WRITE_S_MAX:g} s") from error

    async def _read(self) -> None:
        """Listen until the end; whatever goes wrong here is the end of this server and of nothing else."""
        why = await contained(self._listen(), lambda fault: fault)
        self._reading = False
        self._left = await contained(self._running.last_words(), lambda _: LastWords())
        self._end(f"{why} {self._left.how}".rstrip())
        await contained(self._running.end(), lambda _: None)

    async def _listen(self) -> str:
        while line := await read_line(self._running.output):
            await self._take(line)
            await self._pace.step(line.size if isinstance(line, TooLong) else len(line))
            if self._strikes > STRIKES_MAX or self.noise.is_all:
                return "it writes what is not the protocol"
        return "it ended"

    async def _take(self, line: bytes | TooLong) -> None:
        if isinstance(line, TooLong):
            self._unreadable(messages.oversized(line.ends, line.size), line.ends)
            return
        if not line.strip():
            return
        message = messages.take(line.strip())
        if isinstance(message, messages.Unreadable):
            self._unreadable(message, line)
            return
        self.noise.message()
        if isinstance(message, messages.Response):
            self._settle(message)
        elif isinstance(message, messages.Told):
            self._pass_on(message)
        else:
            self._question(message)

    def _unreadable(self, text: messages.Unreadable, line: bytes) -> None:
        """An answer that cannot be taken fails its own call at once; everything else is noise."""
        pending = self._pending.get(_number(text.id))
        if pending is None or pending.reply.done():
            self.noise.heard(line)
            return
        pending.reply.set_result(Broken(f"its answer cannot be read: {text.why}", Effect.UNKNOWN))

    def _settle(self, response: messages.Response) -> None:
        identity = response.id
        if identity is None and len(self._pending) == 1:
            identity = next(iter(self._pending))  # JSON-RPC 2.0 §5: it could not read whom it answers
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
            if pending is None:
                return
            pending.deadline.begin_again()
            if pending.exchange.notify is not None and pending.exchange.progress is not None:
                params = {**told.params, "progressToken": pending.exchange.progress}
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
        answering = self._answer(asked, only)
        task = asyncio.create_task(contained(answering, lambda _: None))
        self._questions.add(task)
        task.add_done_callback(self._questions.discard)

    async def _answer(self, asked: messages.Asked, pending: _Pending | None) -> None:
        with pending.deadline.paused() if pending is not None else contextlib.nullcontext():
            outcome = await outcome_of(asked, pending.exchange if pending is not None else None, self._connector)
        await self._send(messages.answer(asked.id, outcome), Passage())

    def _end(self, why: str) -> None:
        if not self.ended.done():
            self.ended.set_result(why)
        for pending in self._pending.values():
            if not pending.reply.done():
                pending.reply.set_result(self._gone(pending.exchange.passage))

    def _gone(self, passage: Passage) -> Broken:
        return Broken(f"the server is gone ({self.ended.result()})", passage.effect, detail=self._left.text or None)


def _number(value: object) -> int:
    """An id as a key, or one that no request has."""
    return value if isinstance(value, int) and not isinstance(value, bool) else -1
