"""What the line needs from outside, as Protocols. `app/` wires the real ones; tests give small honest ones."""

from __future__ import annotations

from typing import Protocol

from interlock.mediate.json_text import JsonObject
from interlock.mediate.values import Answer, Decision, Question


class Engine(Protocol):
    """The one decide (interlock-core), with a policy loaded."""

    @property
    def policy(self) -> str:
        """The digest of the compiled policy."""

    def decide(self, action: JsonObject, facts: JsonObject) -> Decision:
        """Decide. Pure. Raises `ValueError` when the answer is not a Decision."""

    def possible(self, action: JsonObject) -> Decision:
        """What the policy could say at best if arguments and facts were as its rules wish: for listings, never for
        acts."""

    def digest(self, action: JsonObject) -> str:
        """SHA-256, hex, over the RFC 8785 form of the Action without `id`."""


class Recorder(Protocol):
    """The writer of this plane's log. What cannot be written raises `RecordFailed`, and then nothing is enacted."""

    async def durable(self, record: JsonObject) -> int:
        """Write and sync; returns the record's number."""

    async def ordered(self, record: JsonObject) -> int:
        """Write to the log file, synced shortly after; returns the record's number."""


class Inbox(Protocol):
    """Where questions wait for a human."""

    async def ask(self, question: Question) -> Answer:
        """Ask, and wait at most the question's timeout. Cancelling withdraws the question."""


class Clock(Protocol):
    """Time and chance, as arguments."""

    def now_ms(self) -> int:
        """Milliseconds since 1970, UTC."""

    def monotonic_ns(self) -> int:
        """Nanoseconds of a clock that never goes back."""

    def nonce(self) -> str:
        """An unguessable text, new at each call."""


class RecordFailed(Exception):
    """The log refused or could not be reached. The message says why, in words for a person."""


class RecordFull(RecordFailed):
    """The disk is full: what permits nothing is still recorded."""
