"""Joins the human's descriptors to a session: which become the pseudo-terminal, which pass through, where prompts
go.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING, Final

from interlock.host.terminal import HumanTerminal, Pair, controlling_terminal, is_terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from interlock.host.launch import Stdio
    from interlock.host.prompt import PromptChannel
    from interlock.host.proxy import Proxy

#: Duplicates for the supervisor start here, clear of 0 to 2.
_FIRST_SPARE: Final = 10


class SessionTerminal:
    """The descriptors of one session. `close_handed_on` once the supervisor has its copies."""

    def __init__(self, *, prompts: bool, closed: frozenset[int]) -> None:
        """`prompts`: whether questions may be asked on the human's terminal; `closed`: those of 0, 1 and 2 that the
        command is to find closed.
        """
        terminals = [descriptor for descriptor in (0, 1, 2) if is_terminal(descriptor)]
        self._tty = controlling_terminal() if terminals or prompts else None
        self.proxy = _proxy(terminals, self._tty) if terminals else None
        slave = self.proxy.pair.slave if self.proxy is not None else -1
        self._handed_on = {
            descriptor: fcntl.fcntl(
                slave if descriptor in terminals else descriptor, fcntl.F_DUPFD_CLOEXEC, _FIRST_SPARE
            )
            for descriptor in (0, 1, 2)
            if descriptor not in closed
        }
        self.prompts = _prompts(self._tty, terminals) if prompts else None

    @property
    def stdio(self) -> Stdio:
        """The three descriptors of the launch."""
        return self._handed_on.get(0), self._handed_on.get(1), self._handed_on.get(2)

    @property
    def inherited(self) -> Sequence[int]:
        """What the supervisor is to inherit."""
        return list(self._handed_on.values())

    @property
    def is_terminal(self) -> bool:
        """Whether one of `stdio` is the pseudo-terminal."""
        return self.proxy is not None

    def close_handed_on(self) -> None:
        """Let go of what only the jail is to hold."""
        for descriptor in self._handed_on.values():
            with contextlib.suppress(OSError):
                os.close(descriptor)
        if self.proxy is not None:
            self.proxy.pair.let_go_of_slave()


def _proxy(terminals: list[int], tty: int | None) -> Proxy:
    from interlock.host.proxy import Proxy

    interactive = 0 in terminals and 1 in terminals
    human = HumanTerminal(terminals[0])
    pair = Pair(like=human, echo=interactive)
    return Proxy(
        human=human,
        pair=pair,
        source=0 if 0 in terminals else tty,
        sink=next(descriptor for descriptor in (1, 2, 0) if descriptor in terminals),
        interactive=interactive,
        reads_lines=0 in terminals,
    )


def _prompts(tty: int | None, terminals: list[int]) -> PromptChannel | None:
    from interlock.host.prompt import PromptChannel

    if tty is not None:
        return PromptChannel(HumanTerminal(tty))
    for descriptor in terminals:
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDWR:
            return PromptChannel(HumanTerminal(descriptor))
    return None
