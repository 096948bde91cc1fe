"""What is wrong with a policy, and where: every fault of a file is collected, then raised together.

A fault never quotes input that could move a cursor or hide text: `printable` has the last word on what is shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from interlock.vocabulary.errors import EXIT_POLICY, OperatorError

if TYPE_CHECKING:
    from collections.abc import Iterable

#: What stands for a file where an option names no policy.
OPTIONS: Final = ("--policy", "--preset")
#: Faults shown of one load; the rest are counted.
FAULTS_MAX: Final = 100
#: Characters shown of one quoted input.
QUOTED_CHARACTERS_MAX: Final = 120


class Place(NamedTuple):
    """A point in a policy file. `line` and `column` are 1-based; a fault of the whole file stands at 1:1.

    An option has no lines.
    """

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return self.file if self.file in OPTIONS else f"{self.file}:{self.line}:{self.column}"


class Fault(NamedTuple):
    """One mistake: where, what (lowercase, no full stop, input in backticks), and what to do about it."""

    place: Place
    message: str
    hint: str | None = None

    def text(self) -> str:
        """Two lines for a person: `file:line:column: message` and the hint."""
        first = f"{self.place}: {self.message}"
        return first if self.hint is None else f"{first}\n  hint: {self.hint}"


class PolicyError(OperatorError):
    """A policy that cannot be loaded. `faults` holds every mistake found, in the order of the files.

    The message names the first one and counts the rest, so that it stays one line wherever it is reported.
    """

    default_exit_code = EXIT_POLICY

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = tuple(faults[:FAULTS_MAX])
        first = faults[0]
        more = len(faults) - 1
        message = (
            first.message if not more else f"{first.message} (and {more} more: `interlock policy check` lists them)"
        )
        place = first.place
        super().__init__(message, file=place.file, line=place.line, column=place.column, hint=first.hint)

    def text(self) -> str:
        """Every fault, for a person."""
        return "\n".join(fault.text() for fault in self.faults)


def quoted(text: str) -> str:
    """Input in backticks, made safe to show."""
    from interlock.vocabulary.printable import printable

    return f"`{printable(text, QUOTED_CHARACTERS_MAX)}`"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name a person most likely meant, or None."""
    import difflib

    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return near[0] if near else None


def meant(word: str, known: Iterable[str], otherwise: str) -> str:
    """A hint for an unknown name: the nearest known one, characters that only look right, or what is known."""
    odd = next((character for character in word if ord(character) > 0x7F), None)
    if odd is not None:
        import unicodedata

        name = unicodedata.name(odd, "a character without a name")
        return f"it holds {name} (U+{ord(odd):04X}), which is not the letter it looks like; names are plain ASCII"
    near = nearest(word, known)
    return f"did you mean `{near}`?" if near else otherwise
