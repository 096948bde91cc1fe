"""Where the gateway keeps tasks: the database on a thread of its own, so that a disk which takes its time holds up the
request that waits for it, and nobody else. Implements `gateway.ports.Tasks`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from interlock.mediate.task import KeptTask
from interlock.storage.tasks import TaskStore
from interlock.vocabulary.errors import EXIT_FAILED, HostError

#: A disk that hangs must not hold a request for ever; the same as for a record.
WAIT_S_MAX: Final = 30.0

T = TypeVar("T")


class TasksApart:
    """See the module."""

    def __init__(self, path: str) -> None:
        """Open the database. Raises `HostError`."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tasks")
        try:
            self._store = self._thread.submit(TaskStore, path).result()
        except BaseException:
            self._thread.shutdown(wait=False)
            raise

    async def keep(self, handle: str, task: KeptTask, now_ms: int) -> None:
        """See `Tasks`."""
        await self._done(lambda: self._store.keep(handle, task, now_ms))

    async def find(self, handle: str, agent: str, now_ms: int) -> KeptTask | None:
        """See `Tasks`."""
        return await self._done(lambda: self._store.find(handle, agent, now_ms))

    def close(self) -> None:
        """Let go of the file, once what was begun is done."""
        self._thread.submit(self._store.close)
        self._thread.shutdown()

    async def _done(self, work: Callable[[], T]) -> T:
        try:
            async with asyncio.timeout(WAIT_S_MAX):
                return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except TimeoutError as error:
            words = f"the database of tasks did not answer within {WAIT_S_MAX:g} s"
            hint = "`interlock doctor` checks the state directory"
            raise HostError(words, hint=hint, exit_code=EXIT_FAILED) from error
