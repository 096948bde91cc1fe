"""A caller looked at again while it is served: what runs for one that may no longer act ends, streams too.

Left out: the look before an effect (the line's and the channels', who ask `revalidate` when a request's turn has come).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Final

#: A revoked token's calls and streams end within this.
LOOK_EVERY_S: Final = 0.5


class Watch:
    """Cancels the task that entered it once `revalidate` says why the caller may not go on; `why` holds that."""

    def __init__(self, revalidate: Callable[[], str | None]) -> None:
        self._revalidate = revalidate
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.why: str | None = None

    def __enter__(self) -> Watch:
        """The running task is watched from now on."""
        self._task = asyncio.current_task()
        self._again()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> bool:
        """No more; and the cancelling that was ours ends here."""
        if self._timer is not None:
            self._timer.cancel()
        if self.why is None or self._task is None:
            return False
        left = self._task.uncancel()
        return kind is asyncio.CancelledError and left == 0

    def _again(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._look)

    def _look(self) -> None:
        self.why = self._revalidate()
        if self.why is None:
            self._again()
        elif self._task is not None:
            self._task.cancel()
