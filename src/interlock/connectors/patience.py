"""How much a server may say, and how long it may take over it.

Its output is read in lines, each bounded. Of a line that is too long only its ends and size are kept. What a server
writes where only messages belong (banners, log lines) is passed over, counted, and told the operator. It is listened to
no faster than `Pace` allows: what it says beyond that waits in its own pipe or socket, and nobody else waits. (A stream
that always has more to read never lets the loop turn by itself, so the reader of each server takes a step there for
each message.)

For one request it has so long without a word of it (`Deadline`). What a human takes to answer a question of the
server's is not the server's time, and progress that it reports begins the time again. Both within a bound of their own,
so that no server holds a caller for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Final

#: A line that goes on beyond this is no line.
PASSED_OVER_BYTES_MAX: Final = 64 * 1024 * 1024
_KEPT_BYTES: Final = 4 * 1024
#: So many in a row without one message is no protocol.
IN_A_ROW_MAX: Final = 1_000
SAMPLE_BYTES: Final = 200
MESSAGES_PER_S_MAX: Final = 2_000
BYTES_PER_S_MAX: Final = 32 * 1024 * 1024
#: After so many messages, or a large one, others have a turn.
_MESSAGES_A_TURN: Final = 16
_BYTES_A_TURN: Final = 64 * 1024
#: One request in all, whatever a server reports or asks.
WHOLE_S_MAX: Final = 3_600.0


class EndlessLine(ValueError):
    """A line that does not end."""


@dataclass(frozen=True, slots=True)
class TooLong:
    """A line longer than the stream's limit: its beginning and its end, joined, and its size in bytes."""

    ends: bytes
    size: int


async def read_line(stream: asyncio.StreamReader) -> bytes | TooLong:
    """The next line; an empty one at the end. Raises `EndlessLine`, and `OSError` as the stream does."""
    try:
        return await stream.readuntil(b"\n")
    except asyncio.IncompleteReadError as rest:
        return rest.partial
    except asyncio.LimitOverrunError as overrun:
        return await _pass_over(stream, overrun.consumed)


async def _pass_over(stream: asyncio.StreamReader, known: int) -> TooLong:
    part = await stream.readexactly(known)
    head, tail, size = part[:_KEPT_BYTES], part[-_KEPT_BYTES:], known
    while size <= PASSED_OVER_BYTES_MAX:
        try:
            part = await stream.readuntil(b"\n")
        except asyncio.IncompleteReadError as rest:
            part = rest.partial
        except asyncio.LimitOverrunError as overrun:
            part = await stream.readexactly(overrun.consumed)
            tail, size = (tail + part)[-_KEPT_BYTES:], size + len(part)
            await asyncio.sleep(0)
            continue
        return TooLong(head + (tail + part)[-_KEPT_BYTES:], size + len(part))
    raise EndlessLine("it sent a line that does not end")


class Noise:
    """The noise of one server."""

    def __init__(self) -> None:
        self.lines = 0
        self.sample = ""
        self._in_a_row = 0

    @property
    def is_all(self) -> bool:
        """Whether it says nothing else."""
        return self._in_a_row > IN_A_ROW_MAX

    def heard(self, line: bytes) -> None:
        """One line that is no message, or answers nothing."""
        self.lines += 1
        self._in_a_row += 1
        if not self.sample:
            self.sample = line[:SAMPLE_BYTES].decode("utf-8", "replace").strip()

    def message(self) -> None:
        """One message came."""
        self._in_a_row = 0


class Pace:
    """The pace of one stream."""

    def __init__(self) -> None:
        self._since_s = 0.0
        self._messages = 0
        self._bytes = 0

    async def step(self, size: int) -> None:
        """One message of `size` bytes was read: wait until the next may be."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._since_s >= 1:
            self._since_s, self._messages, self._bytes = now_s, 0, 0
        self._messages += 1
        self._bytes += size
        if self._messages > MESSAGES_PER_S_MAX or self._bytes > BYTES_PER_S_MAX:
            await asyncio.sleep(self._since_s + 1 - now_s)
        elif self._messages % _MESSAGES_A_TURN == 0 or size > _BYTES_A_TURN:
            await asyncio.sleep(0)


class Turns:
    """So many at once (`async with`); who comes later waits, and the first of them is next."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: deque[asyncio.Future[None]] = deque()

    def taken(self) -> bool:
        """Whether it is one's turn at once; then it is to be handed on."""
        if self._free <= 0:
            return False
        self._free -= 1
        return True

    async def __aenter__(self) -> None:
        """It is one's turn. Who is cancelled just as it comes hands it on."""
        if not self.taken():
            await self.wait()

    async def wait(self) -> None:
        """Until it is one's turn."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.hand_on()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.hand_on()

    def hand_on(self) -> None:
        """It is the next one's turn."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


class Alarms:
    """Calls that are due the same time after each was set: one timer of the loop for all of them."""

    def __init__(self, after_s: float) -> None:
        self.after_s = after_s
        self._loop = asyncio.get_running_loop()
        self._set: dict[object, tuple[float, Callable[[], None]]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def set(self, key: object, call: Callable[[], None]) -> None:
        """Have it called then, unless it is cleared before."""
        due_s = self._loop.time() + self.after_s
        self._set[key] = (due_s, call)
        if self._timer is None:
            self._timer = self._loop.call_at(due_s, self._ring)

    def clear(self, key: object) -> None:
        """It is not called."""
        self._set.pop(key, None)

    def _ring(self) -> None:
        self._timer = None
        now_s = self._loop.time()
        for key, (due_s, call) in tuple(self._set.items()):
            if due_s > now_s:
                self._timer = self._loop.call_at(due_s, self._ring)
                return
            del self._set[key]
            call()


class Deadline:
    """A limit in seconds, to be entered once (`with`). Raises `TimeoutError` there when it has passed. `alarms` are
    those of this limit, where many have the same."""

    __slots__ = (
        "_alarms", "_cancelled", "_due_s", "_last_s", "_limit_s", "_loop", "_passed", "_paused", "_task", "_timer"
    )  # fmt: skip

    def __init__(self, limit_s: float, alarms: Alarms | None = None) -> None:
        self._limit_s = limit_s
        self._alarms = alarms
        self._loop = asyncio.get_running_loop()
        self._due_s = self._loop.time()
        self._last_s = self._due_s + max(WHOLE_S_MAX, limit_s)
        self._paused = 1  # until it begins
        self._passed = False
        self._cancelled = 0  # by others, before it began
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[object] | None = None

    def __enter__(self) -> Deadline:
        """The time begins."""
        self._task = asyncio.current_task()
        self._cancelled = self._task.cancelling() if self._task is not None else 0
        self._due_s = self._loop.time() + self._limit_s
        if self._alarms is not None and self._alarms.after_s == self._limit_s:
            self._alarms.set(self, self._look)
        else:
            self._timer = self._loop.call_at(self._due_s, self._look)
        self._paused -= 1
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """It is over: nothing begins it again."""
        self._paused += 1
        task, self._task = self._task, None
        if self._alarms is not None:
            self._alarms.clear(self)
        if self._timer is not None:
            self._timer.cancel()
        if not self._passed or task is None:
            return
        if task.uncancel() <= self._cancelled and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def begin_again(self) -> None:
        """The server has given a sign."""
        if not self._paused:
            self._until(min(self._loop.time() + self._limit_s, self._last_s))

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """While somebody else is waited for."""
        if not self._paused:
            self._until(self._last_s)
        self._paused += 1
        try:
            yield
        finally:
            self._paused -= 1
            self.begin_again()

    def _until(self, due_s: float) -> None:
        """It passes then. A timer that comes too early looks again; one that would come too late is set anew."""
        later, self._due_s = due_s >= self._due_s, due_s
        if self._task is not None and not later and not self._passed:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(due_s, self._look)

    def _look(self) -> None:
        if self._task is None or self._passed:
            return
        if self._loop.time() < self._due_s:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(self._due_s, self._look)
            return
        self._passed = True
        self._task.cancel()
