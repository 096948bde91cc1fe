"""The human's terminal and the jail's: raw mode and its certain restoration, window sizes, the pseudo-terminal pair.

Leaves out what is written there (`loop`) and what is asked there (`interlock.approvals`).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import termios
from typing import Any, Final

Attributes = list[Any]
_BREAKS: Final = termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP
_INPUT_OFF: Final = _BREAKS | termios.INLCR | termios.IGNCR | termios.ICRNL | termios.IXON
_LOCAL_OFF: Final = termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN
_BLANK_SIZE: Final = b"\0" * 8


def is_terminal(descriptor: int) -> bool:
    """isatty(3), with a closed descriptor counted as none."""
    try:
        return os.isatty(descriptor)
    except OSError:
        return False


def reopened(descriptor: int, flags: int) -> int | None:
    """The same file under a description of its own, so that O_NONBLOCK is ours alone; None where the system refuses.

    After `su` or `sudo -u` the terminal is another user's and its name cannot be opened; `/dev/tty` can, and is the
    same one where it is our controlling terminal.
    """
    try:
        return os.open(f"/proc/self/fd/{descriptor}", flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return controlling_terminal() if _controls_us(descriptor) else None


def _controls_us(descriptor: int) -> bool:
    """Whether it is our controlling terminal: the kernel tells the foreground group of no other."""
    try:
        return os.tcgetpgrp(descriptor) >= 0
    except OSError:
        return False


def controlling_terminal() -> int | None:
    """`/dev/tty`, opened for prompts; None where there is none (cron, nohup in a service, setsid)."""
    try:
        return os.open("/dev/tty", os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None


class HumanTerminal:
    """The terminal that belongs to `interlock run`: its settings are remembered, and given back by `restore`."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._original: Attributes = termios.tcgetattr(descriptor)
        self._changed = False

    @property
    def original(self) -> Attributes:
        """The settings as found, for the jail's side of the pair."""
        return [list(part) if isinstance(part, list) else part for part in self._original]

    @property
    def is_ours(self) -> bool:
        """Whether this process is in the terminal's foreground; True where it is not our controlling terminal at
        all.
        """
        try:
            return os.tcgetpgrp(self.descriptor) == os.getpgrp()
        except OSError:
            return True

    def make_raw(self) -> bool:
        """Every key reaches the jail as it is. Does nothing in the background; returns whether it was done."""
        return self._set(raw(self.original), termios.TCSADRAIN)

    def make_cooked(self) -> bool:
        """Line by line with echo, and everything typed before this moment thrown away: for a prompt."""
        attributes = self.original
        attributes[0] |= termios.ICRNL
        attributes[3] |= termios.ICANON | termios.ECHO | termios.ISIG
        return self._set(attributes, termios.TCSAFLUSH)

    def columns(self) -> int:
        """How wide it is; 80 where it does not say."""
        try:
            return os.get_terminal_size(self.descriptor).columns or 80
        except OSError:
            return 80

    def discard_input(self) -> None:
        """Throw away what was typed and not yet read."""
        with contextlib.suppress(termios.error):
            termios.tcflush(self.descriptor, termios.TCIFLUSH)

    def restore(self) -> None:
        """Give the terminal back as it was found."""
        if self._changed and self.is_ours:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self.descriptor, termios.TCSADRAIN, self._original)
            self._changed = False

    def _set(self, attributes: Attributes, when: int) -> bool:
        if not self.is_ours:
            return False
        try:
            termios.tcsetattr(self.descriptor, when, attributes)
        except termios.error:
            return False
        self._changed = True
        return True


class Pair:
    """The jail's pseudo-terminal. We hold the master; the slave is handed on and then let go."""

    def __init__(self, *, like: HumanTerminal, echo: bool) -> None:
        self.master, self.slave = os.openpty()
        os.set_blocking(self.master, False)
        attributes = like.original
        if not echo:
            attributes[3] &= ~(termios.ECHO | termios.ECHONL)
        termios.tcsetattr(self.slave, termios.TCSANOW, attributes)
        self._like = like
        self.copy_size()

    def let_go_of_slave(self) -> None:
        """Close our slave: from here on the jail alone holds it."""
        if self.slave >= 0:
            os.close(self.slave)
            self.slave = -1

    def copy_size(self) -> None:
        """Give the jail the human's window size; the kernel signals SIGWINCH there when it differs."""
        with contextlib.suppress(OSError):
            size = fcntl.ioctl(self._like.descriptor, termios.TIOCGWINSZ, _BLANK_SIZE)
            if size != fcntl.ioctl(self.master, termios.TIOCGWINSZ, _BLANK_SIZE):
                fcntl.ioctl(self.master, termios.TIOCSWINSZ, size)

    def redraw(self) -> None:
        """Make a full-screen program paint again: the size changes by one row and back."""
        with contextlib.suppress(OSError):
            size = fcntl.ioctl(self.master, termios.TIOCGWINSZ, _BLANK_SIZE)
            rows = int.from_bytes(size[:2], "little")
            other = (rows + 1 if rows < 65535 else rows - 1).to_bytes(2, "little") + size[2:]
            fcntl.ioctl(self.master, termios.TIOCSWINSZ, other)
            fcntl.ioctl(self.master, termios.TIOCSWINSZ, size)

    def settings(self) -> tuple[int, int] | None:
        """Local flags and the foreground process group of the jail's side; None when nobody has it open."""
        try:
            return termios.tcgetattr(self.master)[3], os.tcgetpgrp(self.master)
        except (OSError, termios.error):
            return None


def raw(attributes: Attributes) -> Attributes:
    """cfmakeraw(3) on a copy, except that output is left as the human has it set: the jail's own side does that
    work.
    """
    attributes[0] &= ~_INPUT_OFF
    attributes[1] &= ~termios.OPOST
    attributes[2] = (attributes[2] & ~(termios.CSIZE | termios.PARENB)) | termios.CS8
    attributes[3] &= ~_LOCAL_OFF
    attributes[6][termios.VMIN] = 1
    attributes[6][termios.VTIME] = 0
    return attributes
