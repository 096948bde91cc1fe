"""The prompt on the human's terminal: how its words are laid out and how an answer is read. Opening and reading the
terminal is the host's part, the words themselves are `vocabulary/words.py`'s.
"""

from __future__ import annotations

import shutil
import unicodedata
from typing import TYPE_CHECKING, Final

from interlock.vocabulary.question import reach_of
from interlock.vocabulary.words import is_whole, place, rows

if TYPE_CHECKING:
    from interlock.vocabulary.question import Meant, Question

_ASK = "approve this, once? [y/N] "
_ASK_FOR_SESSION: Final = "approve this? y once, s for the session [y/s/N] "
_LABEL_COLUMNS: Final = 11
_WIDTH_MIN, _WIDTH_MAX = 40, 110
_ASK_TOO_LONG = "too long to be shown whole: deny it here with n, or answer elsewhere: "


class TerminalPrompt:
    """One question, ready to show. `id` is the supervisor's name for it."""

    def __init__(self, identity: str, question: Question, *, phrase: str, alike: int, now_ms: int) -> None:
        self.id = identity
        self._question = question
        self._phrase = phrase
        self._alike = alike
        self._now_ms = now_ms
        self._whole = is_whole(question)
        self._reach = reach_of(question.action)

    def text(self) -> str:
        """The block and the question; every value in it is printable, every line ours."""
        columns = shutil.get_terminal_size().columns
        found = rows(self._question, now_ms=self._now_ms)
        if self._alike:
            said = f"{self._alike} identical acts wait; a yes once covers this one only, a no covers all"
            found.append(("besides", said))
        if self._reach is not None:
            found.append(("session", f"covers {place(self._reach)}"))
        found.append(("elsewhere", f"interlock approvals approve {self._question.id}"))
        head = f"---- interlock asks ({self._phrase}) ".ljust(min(columns, 100) - 1, "-")
        ask = (_ASK if self._reach is None else _ASK_FOR_SESSION) if self._whole else _ASK_TOO_LONG
        return "\n".join([head, *layout(found, columns=columns), ask])

    def read(self, line: str) -> Meant | None:
        """`y` or `yes` alone is a yes, `s` or `session` one for the session where there is such; `n`, `no` or nothing
        is a no; anything else was not meant for us.
        """
        word = line.strip(" \t\r").lower()
        if word in ("", "n", "no"):
            return "no"
        if word in ("y", "yes") and self._whole:
            return "once"
        return "session" if word in ("s", "session") and self._whole and self._reach is not None else None


def layout(found: list[tuple[str, str]], *, columns: int) -> list[str]:
    """Lines no wider than the terminal; what continues is marked, so that a long value cannot pose as the next row."""
    width = max(_WIDTH_MIN, min(columns, _WIDTH_MAX)) - _LABEL_COLUMNS - 3
    lines: list[str] = []
    for label, value in found:
        for number, piece in enumerate(_wrapped(value, width)):
            head = label if number == 0 else ""
            lines.append(f"  {head:<{_LABEL_COLUMNS - 2}}{'  ' if number == 0 else '| '}{piece}")
    return lines


def _wrapped(text: str, width: int) -> list[str]:
    pieces, piece, used = [], "", 0
    for character in text:
        columns = 2 if unicodedata.east_asian_width(character) in "WF" else 0 if unicodedata.combining(character) else 1
        if used + columns > width:
            pieces.append(piece)
            piece, used = "", 0
        piece += character
        used += columns
    return [*pieces, piece]
