"""A question on the human's terminal: opened, read, closed. The words come from `interlock.approvals`; this is the
terminal's part.

While a prompt is open the jail's output is held by the caller. What was typed before the prompt, and in its first
moments, is thrown
away: a `y` meant for the agent must not become a yes.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from interlock.host.ports import Prompt
    from interlock.host.terminal import HumanTerminal
    from interlock.vocabulary.question import Meant

#: Keys in the first moments after a prompt appears were not meant for it, in seconds.
GRACE_SECONDS: Final = 0.4
_LINE_BYTES_MAX: Final = 4096
#: Break off an unfinished sequence (CAN), end a string (ST), plain attributes, ASCII in both sets, visible cursor,
#: wrap on, the whole screen scrolls, no mouse reports, no bracketed paste; then the last row (ECMA-48, DEC modes).
_RESET: Final = (
    "\x18\x1b\\\x1b[0m\x1b(B\x1b)B\x0f\x1b[?25h\x1b[?7h\x1b[r"
    "\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?2004l\x1b[9999;1H\r\n"
)


class PromptChannel:
    """The terminal as a place to ask. One prompt at a time."""

    def __init__(self, terminal: HumanTerminal) -> None:
        self._terminal = terminal
        self._opened = 0.0
        self._partial = b""
        self.current: Prompt | None = None

    def fileno(self) -> int:
        """Readable when a line was typed."""
        return self._terminal.descriptor

    @property
    def is_ours(self) -> bool:
        """Whether a prompt could be answered: not in the background."""
        return self._terminal.is_ours

    def open(self, prompt: Prompt) -> bool:
        """Show it. False when the terminal cannot be had now (another process is in its foreground)."""
        if not self._terminal.make_cooked():
            return False
        self.current = prompt
        self._write(_RESET + prompt.text())
        self._terminal.discard_input()
        self._opened = time.monotonic()
        self._partial = b""
        return True

    def read(self) -> Meant | None:
        """What was typed; None not yet (unclear answers are asked again)."""
        try:
            data = os.read(self._terminal.descriptor, _LINE_BYTES_MAX)
        except BlockingIOError:
            return None
        except OSError:
            return "no"  # the terminal is gone, and so is the one who could say yes
        if time.monotonic() - self._opened < GRACE_SECONDS:
            self._terminal.discard_input()
            self._write("\n(typed before the question: thrown away) answer again: ")
            return None
        if not data:
            return "no"  # end of file (^D)
        self._partial += data
        if b"\n" not in self._partial:
            return None
        line, _, _ = self._partial.partition(b"\n")
        self._partial = b""
        return self._understood(line.decode("utf-8", "replace"))

    def close(self, outcome: str) -> None:
        """Say what came of it and stop asking. The caller restores its own mode."""
        if self.current is not None:
            self._write(f"{outcome}\n")
            self._terminal.discard_input()
            self.current = None
            self._terminal.restore()

    def _understood(self, line: str) -> Meant | None:
        meant = self.current.read(line) if self.current is not None else "no"
        if meant is None:
            self._terminal.discard_input()
            self._write("not understood; answer again: ")
        return meant

    def _write(self, text: str) -> None:
        data = text.encode("utf-8", "backslashreplace")
        deadline = time.monotonic() + 1.0
        while data and time.monotonic() < deadline:
            try:
                data = data[os.write(self._terminal.descriptor, data) :]
            except BlockingIOError:
                time.sleep(0.01)
            except OSError:
                return
