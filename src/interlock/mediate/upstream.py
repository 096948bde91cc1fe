"""What a tool server is to the gateway: the port it is reached through, and what can come back. Frozen values.

The two sides that meet here (`gateway`, `connectors`) never import each other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from msgspec import Struct, field

from interlock.mediate.line import Passage
from interlock.vocabulary.effect import Effect
from interlock.vocabulary.json_text import JsonObject

#: The method by which a server that observes is asked what a call would do, and the key in `_meta` of the call under
#: which it is told what was decided about.
STATEMENT: Final = "interlock/statement"


class Result(Struct, frozen=True):
    """The server answered the request. What it says stands in no message of ours."""

    value: JsonObject

    def __repr__(self) -> str:
        return "Result()"


@dataclass(frozen=True, slots=True)
class Fault:
    """The server answered with a protocol error: its own word, after it had the request."""

    code: int
    message: str
    data: object = None


@dataclass(frozen=True, slots=True)
class Broken:
    """No answer that can be used; `effect` says whether the request may have taken effect there.

    `reason` is in our words. `detail` is for the operator and the record only. `said` is the server's own, for an
    agent to be shown as a quotation and never as ours. `starting`: the server is still being started.
    """

    reason: str
    effect: Effect
    detail: str | None = None
    said: str | None = None
    starting: bool = False


Reply = Result | Fault | Broken


@dataclass(frozen=True, slots=True)
class Held:
    """An entry of a server's lists that waits for a person: its definition, and why it may not be used, in words that
    say what to do about it."""

    definition: JsonObject
    why: str


def _nothing_against() -> str | None:
    return None


class Exchange(Struct, frozen=True):
    """The caller's side of one request, for what a server says while it works on it.

    `action` is the id under which the request was decided (none for the gateway's own), `started` is told the
    server's session and process before the request is sent, `notify` takes a notification for the caller, `ask` a
    question to it (none: it takes none), `revalidate` says why the caller may not go on (asked again when the request's
    turn has come), `progress` is the caller's own token for progress, `session` the caller's session where it has
    one, `claims` what its client takes of a server's questions (none: as the request's `_meta` says), `passage` is told
    when the request leaves.
    """

    action: str | None = None
    started: Callable[[str, int], Awaitable[None]] | None = None
    notify: Callable[[JsonObject], None] | None = None
    ask: Callable[[JsonObject], Awaitable[JsonObject]] | None = None
    revalidate: Callable[[], str | None] = _nothing_against
    progress: object = None
    session: str | None = None
    claims: JsonObject | None = None
    passage: Passage = field(default_factory=Passage)


class Upstream(Protocol):
    """One server as one agent reaches it."""

    @property
    def connector(self) -> str:
        """The connector's name."""

    @property
    def trust_annotations(self) -> bool:
        """Whether the operator takes the server's word on what its tools do."""

    @property
    def operations(self) -> Mapping[str, str]:
        """The operator's own word, by tool."""

    @property
    def client_requests(self) -> tuple[str, ...]:
        """What the operator lets the server ask of an agent's client: `elicitation`, `sampling`, `roots`."""

    @property
    def modern(self) -> bool:
        """Whether it speaks 2026-07-28, as far as it has been asked."""

    @property
    def instructions(self) -> str | None:
        """What the server says of its use, as far as it has been asked: its own words."""

    @property
    def observes(self) -> bool:
        """Whether it says of a call what that would do, so that this can be decided about."""

    def observe(self, name: str, arguments: JsonObject) -> Awaitable[JsonObject | Broken]:
        """What the call of a tool of its own would do (`does`), or why it is not made whatever a policy says
        (`refused`). Never raises but on cancelling."""

    def capabilities(self) -> JsonObject:
        """What the server said it can, as far as it has been asked."""

    async def connect(self) -> Broken | None:
        """Have it ready to be asked; why not, if not. Never raises but on cancelling."""

    async def definitions(self, kind: str) -> list[JsonObject] | Broken:
        """Its `tools`, `resources`, `resourceTemplates` or `prompts`, all pages. Empty when it has none of the kind.
        Never raises but on cancelling."""

    def held(self, kind: str) -> Mapping[str, Held]:
        """What of its last list of this kind waits for a person, and so is not among its definitions, by name."""

    def request(self, method: str, params: JsonObject, exchange: Exchange) -> Awaitable[Reply]:
        """Send one request and wait for what comes of it, at most the connector's timeout. Never raises but on
        cancelling."""

    async def follow(self, task: str) -> bool:
        """Have the server tell how a task of its own stands (`notifications/tasks`, by its own id); whether it does.
        Never raises but on cancelling."""

    async def leave(self, task: str) -> None:
        """It need not tell of a task any more. Never raises but on cancelling."""
