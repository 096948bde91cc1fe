"""What the line needs from outside, as Protocols. `app/` wires the real ones; tests give small honest ones."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol, TypeVar

from interlock.mediate.permit import Enacted, Honours, Permit
from interlock.vocabulary.decision import Decision, Steer
from interlock.vocabulary.effect import Effect
from interlock.vocabulary.facts import Facts, Needs
from interlock.vocabulary.json_value import JsonObject
from interlock.vocabulary.question import Answer, Question

T = TypeVar("T")


class Engine(Protocol):
    """The one decide (interlock-core), with a policy loaded."""

    @property
    def policy(self) -> str:
        """The digest of the compiled policy."""

    def answer(self, action: JsonObject) -> Decision | None:
        """What the policy says of this Action whatever the Facts are; none where a Fact could change it. Pure. Raises
        `ValueError` when the answer is not a Decision."""

    def needs(self, action: JsonObject) -> Needs:
        """Which Facts the policy asks for about this Action. Pure."""

    def decide(self, action: JsonObject, facts: Facts) -> Decision:
        """Decide. Pure. Raises `ValueError` when the answer is not a Decision."""

    def possible(self, action: JsonObject) -> Decision:
        """What the policy could say at best if arguments and facts were as its rules wish: for listings, never for
        acts."""

    def digest(self, action: JsonObject) -> str:
        """SHA-256, hex, over the RFC 8785 form of the Action without `id`."""


class Gathering(Protocol):
    """Where Facts come from."""

    async def gather(self, needs: Needs, action: JsonObject) -> Facts:
        """Those that are needed about this Action, and no others. What cannot be known stays "not known"; the grants
        are the line's to add."""


class Enactor(Protocol[T]):
    """Does one operation, as a plane does it."""

    @property
    def honours(self) -> Honours:
        """What it can do beside the act as it stands."""

    @property
    def effect(self) -> Effect:
        """How far it has come, should nothing more be heard of it."""

    async def led_to(self, action: JsonObject, steer: Steer) -> JsonObject:
        """The Action that a steer of a kind it honours leads to, found in time or not at all. Asked once for an act:
        what it answers is decided, and is what the permit says. Raises `ValueError` when there is none such."""

    async def enact(self, permit: Permit) -> Enacted[T]:
        """Do what is permitted, as the verdict and the obligations have it."""


class Recorder(Protocol):
    """The writer of this plane's log. What cannot be written raises `RecordFailed`, and then nothing is enacted."""

    def durable(self, record: JsonObject) -> Awaitable[int]:
        """Write and sync; gives the record's number."""

    def ordered(self, record: JsonObject) -> Awaitable[int]:
        """Write to the log file, synced shortly after; gives the record's number."""


class Inbox(Protocol):
    """Where questions wait for a human."""

    async def ask(self, question: Question) -> Answer:
        """Ask, and wait at most until the question expires. Cancelling withdraws the question."""


class Clock(Protocol):
    """Time and chance, as arguments."""

    def now_ms(self) -> int:
        """Milliseconds since 1970, UTC."""

    def monotonic_ns(self) -> int:
        """Nanoseconds of a clock that never goes back."""

    def steady_ms(self) -> int:
        """Milliseconds since 1970, for how long something is good: whatever is done to the clock, it never goes back,
        and no time that passes is left out."""

    def nonce(self) -> str:
        """An unguessable text, new at each call."""


class RecordFailed(Exception):
    """The log refused or could not be reached. The message says why, in words for a person."""


class RecordFull(RecordFailed):
    """The disk is full: what permits nothing is still recorded."""
