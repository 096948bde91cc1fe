"""How long a server may take over one request: so long without a word of it. What a human takes to answer a question of
the server's is not the server's time, and progress that it reports begins the time again. Both within a bound of their
own, so that no server holds a caller for ever."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from types import TracebackType
from typing import Final

#: One request in all, whatever a server reports or asks.
WHOLE_S_MAX: Final = 3_600.0


class Deadline:
    """A limit in seconds, to be entered once (`async with`). Raises `TimeoutError` there when it has passed."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._loop = asyncio.get_running_loop()
        self._last_s = self._loop.time() + max(WHOLE_S_MAX, limit_s)
        self._paused = 1  # until it begins
        self._timeout = asyncio.timeout(limit_s)

    async def __aenter__(self) -> Deadline:
        """The time begins."""
        await self._timeout.__aenter__()
        self._paused -= 1
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """It is over: nothing begins it again."""
        self._paused += 1
        await self._timeout.__aexit__(kind, error, at)

    def begin_again(self) -> None:
        """The server has given a sign."""
        if not self._paused and not self._timeout.expired():
            self._timeout.reschedule(min(self._loop.time() + self._limit_s, self._last_s))

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """While somebody else is waited for."""
        if not self._paused and not self._timeout.expired():
            self._timeout.reschedule(self._last_s)
        self._paused += 1
        try:
            yield
        finally:
            self._paused -= 1
            self.begin_again()
