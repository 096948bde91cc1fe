"""Who is at fault when nothing could be decided: the three roots of every error a person may see.

A denial is a value (`decision.py`), never an exception. An exception means that no decision could be made; at the
edge it ends in a denial. Exit codes follow `spec/home.md`. Our own fault is an assertion, not one of these.
"""

from __future__ import annotations

__all__ = [
    "EXIT_DAMAGED",
    "EXIT_FAILED",
    "EXIT_HOST",
    "EXIT_NOT_EXECUTABLE",
    "EXIT_NOT_FOUND",
    "EXIT_POLICY",
    "EXIT_REFUSED",
    "EXIT_USAGE",
    "HostError",
    "InterlockError",
    "OperatorError",
    "PeerError",
]

EXIT_USAGE = 120
EXIT_POLICY = 121
EXIT_HOST = 122
EXIT_FAILED = 123
EXIT_REFUSED = 124
EXIT_DAMAGED = 125
EXIT_NOT_EXECUTABLE = 126
EXIT_NOT_FOUND = 127


class InterlockError(Exception):
    """What could not be decided or done, in words for a person.

    Arguments:
        message: lowercase, no full stop, the input in backticks.
        hint: what to do about it, apart from the message.
        exit_code: the status the command line ends with (`spec/home.md`).
    """

    default_exit_code = EXIT_FAILED

    def __init__(self, message: str, *, hint: str | None = None, exit_code: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_code = self.default_exit_code if exit_code is None else exit_code

    def __str__(self) -> str:
        return self.message

    def lines(self) -> tuple[str, ...]:
        """The message and, if there is one, the hint, as a person should see them."""
        return (str(self),) if self.hint is None else (str(self), f"hint: {self.hint}")


class OperatorError(InterlockError):
    """The person's input is wrong: a flag, a policy, a file they wrote. They can mend it where it points.

    Arguments:
        message: see `InterlockError`.
        file: the file at fault, if one is.
        line: 1-based line in it.
        column: 1-based column in it.
        hint: see `InterlockError`.
        exit_code: 120 (usage) unless given; a policy's error is 121.
    """

    default_exit_code = EXIT_USAGE

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        line: int | None = None,
        column: int | None = None,
        hint: str | None = None,
        exit_code: int | None = None,
    ) -> None:
        super().__init__(message, hint=hint, exit_code=exit_code)
        self.file = file
        self.line = line
        self.column = column

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        return f"{place}: {self.message}" if place else self.message


class PeerError(InterlockError):
    """The other side of a connection broke its protocol: supervisor, tool server, agent, approver."""


class HostError(InterlockError):
    """This machine lacks, refuses or lost something that is needed: a kernel feature, a disk, a permission."""

    default_exit_code = EXIT_HOST
