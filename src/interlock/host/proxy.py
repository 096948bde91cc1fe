"""Carries bytes between the human's terminal and the jail's pseudo-terminal, and lets our own lines in between untorn.

Both directions are bounded: while one buffer is full its source is not read, so a flood holds the jail, never this
process.
"""

from __future__ import annotations

import os
import select
import termios
import time
from typing import TYPE_CHECKING, Final

from interlock.host.screen import Screen
from interlock.host.terminal import reopened

if TYPE_CHECKING:
    from interlock.host.terminal import HumanTerminal, Pair

READ_BYTES: Final = 65536
#: Our lines wait for the end of a line, or for this long a silence, in seconds: then an unfinished line is written
#: again below them.
QUIET_SECONDS: Final = 0.12
#: The same for a line that cannot be written again as it was (it is wider than the terminal, or moved the cursor).
LONG_QUIET_SECONDS: Final = 1.0
#: After the command ended, output still on its way is awaited this long at a time, in milliseconds.
DRAIN_MS: Final = 25
_DRAIN_BYTES_MAX: Final = 64 * 1024 * 1024
_SUSPEND: Final = b"\x1a"
#: To the first column, and the line emptied (ECMA-48, EL).
_ERASED_LINE: Final = b"\r\x1b[K"


class Proxy:
    """The pump.

    `interactive`: standard input and output both are the terminal, so keys go through one by one. Else the terminal
    stays line by
    line until the jail asks for single keys; lines are read for the jail only if `reads_lines` (its standard input
    is the terminal).
    """

    def __init__(
        self, *, human: HumanTerminal, pair: Pair, source: int | None, sink: int, interactive: bool, reads_lines: bool
    ) -> None:
        self.human = human
        self.pair = pair
        self._interactive = interactive
        self._reads_lines = reads_lines
        self._source = reopened(source, os.O_RDONLY) if source is not None else None
        self._sink = reopened(sink, os.O_WRONLY) or sink
        self._to_human = b""
        self._to_jail = b""
        self._screen = Screen()
        self._last_output = 0.0
        self._held = False
        self._raw = False
        self.hung_up = False
        self.suspend_wanted = False
        self.leader = -1  # process id of the command, once it is known

    def enter(self) -> None:
        """Take the keyboard in the mode that fits; called again after every stop, and when the jail changed its own
        mode.
        """
        self._raw = self._wants_raw() and self.human.make_raw()
        if not self._raw:
            self.human.restore()
        self.pair.copy_size()

    def leave(self) -> None:
        """Give the keyboard back."""
        self.human.restore()
        self._raw = False

    def hold(self) -> None:
        """Stop the jail's output (it blocks once the pseudo-terminal is full) and its keyboard: a prompt has the
        terminal.
        """
        self._flush(blocking=True)
        self._held = True

    def release(self) -> None:
        """End a hold. Whatever the human typed for the prompt stays with the prompt."""
        self._held = False
        self._to_jail = b""
        self.enter()
        self.pair.redraw()

    def interests(self) -> list[tuple[int, int]]:
        """Descriptors and poll events to wait for."""
        wanted: dict[int, int] = {}
        if self._to_human:
            wanted[self._sink] = select.POLLOUT
        if not self.hung_up and not self._held:
            master = (0 if self._to_human else select.POLLIN) | (select.POLLOUT if self._to_jail else 0)
            if master:
                wanted[self.pair.master] = master
        if self._source is not None and not self._held and not self._to_jail and self._may_read():
            wanted[self._source] = select.POLLIN
        return list(wanted.items())

    def handle(self, descriptor: int) -> None:
        """One of `interests` is ready."""
        if descriptor == self._source:
            self._read_keys()
        if descriptor == self.pair.master:
            self._read_jail()
            self._write_jail()
        self._flush(blocking=False)

    def follow_mode(self) -> None:
        """In a pipeline the terminal stays line by line until the jail asks for single keys (fzf, a pager of its
        own).
        """
        if not self._interactive and not self._held and self._wants_raw() != self._raw and self.human.is_ours:
            self.enter()

    def can_write_lines(self) -> bool:
        """Whether a line of ours would arrive untorn now."""
        needed = QUIET_SECONDS if self._unfinished() is not None else LONG_QUIET_SECONDS
        quiet = self._screen.at_line_start or time.monotonic() - self._last_output > needed
        return not self._to_human and not self._screen.full_screen and self._screen.is_between and quiet

    def write_lines(self, lines: list[str], *, force: bool = False) -> None:
        """Write lines of ours on the terminal, each on a line of its own: above the line that the jail has begun, which
        is then written again, so that it stays whole. `force` breaks off an unfinished sequence first (CAN).
        """
        begun = self._unfinished()
        text = "".join(f"{line}\r\n" for line in lines).encode("utf-8", "backslashreplace")
        if begun is not None:
            self._to_human += (_ERASED_LINE if begun else b"") + text + begun
        else:
            self._to_human += (b"\x18" if force and not self._screen.is_between else b"") + b"\r\n" + text
            self._screen.feed(b"\n")
        self._flush(blocking=force)

    def _unfinished(self) -> bytes | None:
        """The line that the jail has begun (empty at the start of one), if it can be written again."""
        if self._screen.at_line_start:
            return b""
        return self._screen.unfinished_line(self.human.columns()) if os.environ.get("TERM", "dumb") != "dumb" else None

    def drain(self) -> None:
        """Pass on what the jail wrote before it ended."""
        self._held = False
        passed = 0
        poll = select.poll()
        poll.register(self.pair.master, select.POLLIN)
        while not self.hung_up and passed < _DRAIN_BYTES_MAX and poll.poll(DRAIN_MS):
            passed += self._read_jail()
            self._flush(blocking=True)
        self._flush(blocking=True)

    def _wants_raw(self) -> bool:
        if self._interactive:
            return True
        settings = self.pair.settings()
        return settings is not None and not settings[0] & termios.ICANON

    def _may_read(self) -> bool:
        """A background process must not read the terminal; nor may we take keys from a pager that shares the
        pipeline.
        """
        if not self.human.is_ours:
            return False
        if self._raw or self._interactive:
            return True
        return self._reads_lines and bool(termios.tcgetattr(self.human.descriptor)[3] & termios.ICANON)

    def _read_keys(self) -> None:
        if self._source is None:
            return
        try:
            data = os.read(self._source, READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._end_of_keys()
        elif self._raw and _SUSPEND in data and self._jail_would_stop():
            before, _, after = data.partition(_SUSPEND)
            self._to_jail += before + after
            self.suspend_wanted = True
        else:
            self._to_jail += data

    def _end_of_keys(self) -> None:
        if self._raw:
            self._source = None  # the terminal is gone; SIGHUP says the rest
        else:
            self._to_jail += b"\x04"

    def _jail_would_stop(self) -> bool:
        """^Z is ours to act on when the command itself has the terminal: its orphaned group cannot be stopped by the
        kernel.
        """
        settings = self.pair.settings()
        return settings is not None and bool(settings[0] & termios.ISIG) and settings[1] == self.leader

    def _read_jail(self) -> int:
        if self._to_human or self._held:
            return 0
        try:
            data = os.read(self.pair.master, READ_BYTES)
        except BlockingIOError:
            return 0
        except OSError:
            data = b""  # EIO: the last slave is closed
        if not data:
            self.hung_up = True
            return 0
        self._to_human = data
        self._screen.feed(data)
        self._last_output = time.monotonic()
        return len(data)

    def _write_jail(self) -> None:
        if not self._to_jail:
            return
        try:
            self._to_jail = self._to_jail[os.write(self.pair.master, self._to_jail) :]
        except BlockingIOError:
            return
        except OSError:
            self._to_jail = b""

    def _flush(self, *, blocking: bool) -> None:
        while self._to_human:
            try:
                self._to_human = self._to_human[os.write(self._sink, self._to_human) :]
            except BlockingIOError:
                if not blocking or not _writable(self._sink):
                    return
            except OSError:
                self._to_human = b""  # the terminal is gone: output has nowhere to go


def _writable(descriptor: int, wait_ms: int = 2000) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(wait_ms))
