"""Signals to `interlock run`, turned into bytes on a pipe that its loop reads. Those ignored at start (nohup, `&`)
stay ignored.
"""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from types import FrameType

#: Passed on to the command as they come.
FORWARDED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_HANDLED: Final = (*FORWARDED, signal.SIGWINCH, signal.SIGTSTP, signal.SIGCONT)
_READ_BYTES: Final = 4096


class Signals:
    """Catches signals between `install` and `remove`; a storm of one signal is one entry of `taken`."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._before: dict[int, Any] = {}

    def fileno(self) -> int:
        """Readable when a signal came."""
        return self._reader

    def install(self) -> None:
        """Catch what was not ignored at start."""
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in _HANDLED:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, _nothing)

    def remove(self) -> None:
        """Give every signal back its disposition."""
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()
        os.close(self._reader)
        os.close(self._writer)

    def taken(self) -> list[int]:
        """The signals that came since the last call, each once, in order of number."""
        seen: set[int] = set()
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._reader, _READ_BYTES):
                seen.update(data)
        return sorted(seen)


def stop_self() -> None:
    """Stop this process as ^Z would have; returns when somebody continues it."""
    os.kill(os.getpid(), signal.SIGSTOP)


def _nothing(_number: int, _frame: FrameType | None) -> None:
    """The wake-up descriptor carries the signal; the handler only keeps the default action away."""
