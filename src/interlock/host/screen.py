"""Follows what a jailed program draws, just enough to know when a line of our own would not tear its output.

Not a terminal emulator: it knows whether the stream stands inside an escape sequence or a character, at the start of
a line, what was written on an unfinished line, and whether a full-screen program has the screen. A program that lies
about these spoils its own picture, nothing else.
"""

from __future__ import annotations

import re
from typing import Final

_ALTERNATE: Final = re.compile(rb"\x1b\[\?(?:1049|1047|47)([hl])")
_STRING_STARTS: Final = (b"]", b"P", b"X", b"^", b"_")
#: What stays on its line: text, tab, carriage return, backspace; colours, erasing in the line, steps back.
_ON_ONE_LINE: Final = re.compile(rb"(?:[^\x00-\x1f\x7f]|[\t\r\b]|\x1b\[[0-9;]*[mKD])*\Z")
_ESCAPE: Final = re.compile(rb"\x1b\[[0-9;]*[A-Za-z]")
#: A longer unfinished line is not kept.
_LINE_BYTES_MAX: Final = 4096
_TAB_COLUMNS: Final = 8
#: An unfinished sequence longer than this is taken for noise (and broken off with CAN before we write).
_SEQUENCE_BYTES_MAX: Final = 4096


class Screen:
    """The state of one output stream. `feed` what was written; read the properties before writing between."""

    def __init__(self) -> None:
        self.at_line_start = True
        self.full_screen = False
        self._tail = b""
        self._line: bytes | None = b""

    def feed(self, data: bytes) -> None:
        """Note output that went to the terminal."""
        if not data:
            return
        self.at_line_start = data.endswith(b"\n")
        self._follow_line(data)
        joined = self._tail + data
        for switch in _ALTERNATE.finditer(joined):
            self.full_screen = switch.group(1) == b"h"
        self._tail = _unfinished(joined[-_SEQUENCE_BYTES_MAX:])

    def unfinished_line(self, columns: int) -> bytes | None:
        """What was written since the last line feed, if to write it again on an empty line gives the same line; None
        when it cannot be told (it may be wider than `columns`, or it moved the cursor elsewhere).
        """
        if self._line is None or self._tail or not _ON_ONE_LINE.match(self._line):
            return None
        widths = map(_columns, _ESCAPE.sub(b"", self._line).split(b"\r"))
        return self._line if max(widths) < columns else None

    def _follow_line(self, data: bytes) -> None:
        _, feed, after = data.rpartition(b"\n")
        line = after if feed else None if self._line is None else self._line + data
        self._line = line if line is not None and len(line) <= _LINE_BYTES_MAX else None

    @property
    def is_between(self) -> bool:
        """True outside escape sequences and characters: text written now arrives as text."""
        return not self._tail


def _columns(text: bytes) -> int:
    """At most so many columns: a character past ASCII may take two."""
    shown = text.decode("utf-8", "replace")
    return sum(_TAB_COLUMNS if character == "\t" else 1 if character.isascii() else 2 for character in shown)


def _unfinished(data: bytes) -> bytes:
    escape = data.rfind(b"\x1b")
    if escape >= 0 and not _is_complete(data[escape:]):
        return data[_string_start(data, escape) :]
    start = _string_start(data, len(data))
    return data[start:] if start < len(data) else _unfinished_character(data)


def _string_start(data: bytes, before: int) -> int:
    """Where an unterminated string sequence (OSC, DCS, …) begins before `before`; `before` itself when there is
    none.
    """
    starts = [data.rfind(b"\x1b" + kind, 0, before + 2) for kind in _STRING_STARTS]
    start = max(starts)
    if start < 0 or any(end in data[start + 2 :] for end in (b"\x07", b"\x1b\\", b"\x18", b"\x1a")):
        return before
    return start


def _is_complete(sequence: bytes) -> bool:
    if len(sequence) < 2:
        return False
    kind = sequence[1:2]
    if kind == b"[":
        return any(0x40 <= byte <= 0x7E for byte in sequence[2:])
    if kind in _STRING_STARTS:
        return b"\x07" in sequence or b"\x18" in sequence or b"\x1a" in sequence
    if kind in b"()*+-./ #%":
        return len(sequence) > 2
    return True


def _unfinished_character(data: bytes) -> bytes:
    """The beginning of a UTF-8 character that is cut off at the end."""
    for back in range(1, min(4, len(data) + 1)):
        byte = data[-back]
        if byte & 0xC0 == 0x80:
            continue
        length = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
        return data[-back:] if length > back else b""
    return b""
