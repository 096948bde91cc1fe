"""Where the gateway keeps logins: the database on a thread of its own, so that a disk which takes its time holds up the
login that waits for it, and nobody else. Implements `identity.oauth.server.Kept`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from interlock.identity.oauth.limits import STORED_S_MAX
from interlock.storage.logins import Logins
from interlock.vocabulary.errors import EXIT_FAILED, HostError

T = TypeVar("T")


class LoginsApart:
    """See the module."""

    def __init__(self, path: str) -> None:
        """Open the database. What an earlier gateway of this home asked about was withdrawn with its end. Raises
        `HostError`."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="logins")
        try:
            self._logins = self._thread.submit(Logins, path).result()
            self._thread.submit(self._logins.abandon).result()
        except BaseException:
            self._thread.shutdown(wait=False)
            raise

    async def __call__(self, work: Callable[[Logins], T]) -> T:
        """See `Kept`."""
        try:
            async with asyncio.timeout(STORED_S_MAX):
                return await asyncio.get_running_loop().run_in_executor(self._thread, work, self._logins)
        except TimeoutError as error:
            words = f"the database of logins did not answer within {STORED_S_MAX:g} s"
            hint = "`interlock doctor` checks the state directory"
            raise HostError(words, hint=hint, exit_code=EXIT_FAILED) from error

    def close(self) -> None:
        """Let go of the file, once what was begun is done."""
        self._thread.submit(self._logins.close)
        self._thread.shutdown()
