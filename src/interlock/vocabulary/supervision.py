"""What a supervisor tells, and what answers its questions (spec/supervisor.md): each message as a value.

Named tuples: `interlock run` pays for every import at every start. Left out: reading them off the wire
(`host/channel.py`) and the launch (`host/launch.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from interlock.vocabulary.changes import Changes
    from interlock.vocabulary.enforcement import Enforcement
    from interlock.vocabulary.json_value import JsonObject


class Started(NamedTuple):
    """The self-test passed, and the command runs. `enforced` says how far, by mechanism."""

    process: int
    enforced: Mapping[str, Enforcement]


class Failed(NamedTuple):
    """Nothing ran."""

    code: int | None
    message: str
    hint: str | None


class Denied(NamedTuple):
    """One denial, for a notice."""

    action: JsonObject
    decision: JsonObject


class Steered(NamedTuple):
    """Something else was done than was asked for: the act that was asked for, and the decision that steered it."""

    action: JsonObject
    decision: JsonObject


class Unkept(NamedTuple):
    """Something of before is not kept, so it cannot be restored: why, and the first of it."""

    because: str
    path: object


class DenialGroup(NamedTuple):
    """Denials of one verb at one place for one cause; `first` is the target of the first."""

    verb: str
    cause: str
    place: JsonObject | None
    number: int
    first: JsonObject | None


class Suppressed(NamedTuple):
    """Denials that were not sent one by one; what has no group is in `number` only."""

    number: int
    groups: tuple[DenialGroup, ...]


class Asked(NamedTuple):
    """A question: the Action with its nonce, and the digest that a grant binds to."""

    id: str
    action: JsonObject
    digest: str
    decision: JsonObject
    timeout_ms: int


class Withdrawn(NamedTuple):
    """A question that nobody is to be asked any more."""

    id: str
    reason: str


class ContextTaken(NamedTuple):
    """What the session works on was noted."""


class Exited(NamedTuple):
    """The command is over; `running` are the processes that are still there."""

    code: int | None
    signal: int | None
    running: tuple[int, ...]


class Ending(NamedTuple):
    """The tree is gone or going, and what it left is still looked through: said every two seconds."""


class Ended(NamedTuple):
    """The session is over, and its log closed: the checkpoint, or none where it could not be."""

    code: int | None
    reason: str
    counts: JsonObject | None
    runs_later: Changes
    checkpoint: str | None


Told = (
    Started
    | Failed
    | Denied
    | Steered
    | Unkept
    | Suppressed
    | Asked
    | Withdrawn
    | ContextTaken
    | Exited
    | Ending
    | Ended
)


class Answered(NamedTuple):
    """The answer to a question, on its way down. No grant is a no."""

    id: str
    reason: str | None
    grant: JsonObject | None = None

    def message(self) -> JsonObject:
        """As it crosses the wire."""
        return {"type": "answer", "id": self.id, "grant": self.grant, "reason": self.reason}
