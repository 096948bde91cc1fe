"""What the loop of `interlock run` needs from others, as Protocols: a face for notices, an asker for questions.
Wired in `app`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from interlock.vocabulary.enforcement import Enforcement
    from interlock.vocabulary.question import Meant
    from interlock.vocabulary.supervision import (
        Answered,
        Asked,
        Denied,
        Started,
        Steered,
        Suppressed,
        Unkept,
        Withdrawn,
    )


class Face(Protocol):
    """Turns what the supervisor tells into words for a person."""

    def warn(self, text: str) -> None:
        """Tell the person something about the policy, before anything runs."""

    def begins(self, layers: Sequence[str], workspace: str, directory: str, short: Mapping[str, Enforcement]) -> None:
        """The policy is loaded: its layers, the folder that it is about, and the rules not enforced fully."""

    def started(self, started: Started) -> str | None:
        """The one line for the start, or None when it is not to be shown."""

    def denied(self, denied: Denied) -> str | None:
        """The one line for a denial, or None when it is not to be shown (rate limit)."""

    def steered(self, steered: Steered) -> str | None:
        """The one line for something that was done instead, or None when it was said before."""

    def unkept(self, unkept: Unkept) -> str | None:
        """The one line that says what cannot be restored, or None where it is not to be shown."""

    def suppressed(self, suppressed: Suppressed) -> None:
        """Take the denials that the supervisor did not send one by one, as groups and a count."""

    def ending(self) -> str | None:
        """The line for an end that takes long, or None when it was said before."""

    def question_waits(self, asked: Asked) -> str:
        """The line that says where to answer, for when the terminal cannot ask."""


class Prompt(Protocol):
    """One question as the terminal shows it."""

    @property
    def id(self) -> str:
        """The question's id in the supervisor's words."""

    def text(self) -> str:
        """What to show, made safe already, without a final newline: the cursor stays behind the question mark."""

    def read(self, line: str) -> Meant | None:
        """What a typed line means; None where that is unclear."""


class Asker(Protocol):
    """Puts questions to humans and collects their answers; the inbox behind it serves other channels at the same
    time.
    """

    def ask(self, asked: Asked) -> None:
        """Take a `question` of the supervisor."""

    def withdrawn(self, withdrawn: Withdrawn) -> None:
        """The supervisor no longer needs this answer."""

    def answers(self) -> list[Answered]:
        """Those that are ready to go down; asked every POLL_MS while `waiting`."""

    @property
    def waiting(self) -> bool:
        """Whether any question is open."""

    def is_open(self, identity: str) -> bool:
        """Whether this question still waits (it may have been answered elsewhere)."""

    def next_prompt(self) -> Prompt | None:
        """The oldest open question, for the terminal."""

    def decide(self, identity: str, *, meant: Meant, reason: str | None) -> None:
        """The human answered on the terminal; the answer comes back through `answers` like every other."""

    def close(self) -> None:
        """Withdraw what is open."""
