"""A server as its agent may use it: what it lists, held against what was taken of its connector (`definitions.py`).

Between the gateway and every server, so that nothing in the gateway sees a definition that was not taken: lists, calls,
the brief view, steers, what a client is greeted with.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from interlock.gateway.definitions import INSTRUCTIONS, PINNED, Book, Reviewed
from interlock.gateway.ports import Upstreams
from interlock.mediate.line import contained
from interlock.mediate.upstream import Broken, Exchange, Held, Reply, Upstream
from interlock.vocabulary.effect import Effect
from interlock.vocabulary.errors import InterlockError
from interlock.vocabulary.json_text import JsonObject

Listener = Callable[[str, str, str, JsonObject], None]
_CHANGED: Final = {
    "tools": "notifications/tools/list_changed",
    "prompts": "notifications/prompts/list_changed",
}
_NONE_HELD: Final[Mapping[str, Held]] = {}


class Pinned:
    """See the module; see `Upstream`."""

    def __init__(self, inner: Upstream, book: Book) -> None:
        self._inner, self._book = inner, book
        self._reviewed: dict[str, Reviewed] = {}
        self._instructions: tuple[str, str | None] = ("", None)
        self.connector = inner.connector
        self.observe: Callable[[str, JsonObject], Awaitable[JsonObject | Broken]] = inner.observe
        self.request: Callable[[str, JsonObject, Exchange], Awaitable[Reply]] = inner.request

    @property
    def trust_annotations(self) -> bool:
        """See `Upstream`."""
        return self._inner.trust_annotations

    @property
    def operations(self) -> Mapping[str, str]:
        """See `Upstream`."""
        return self._inner.operations

    @property
    def client_requests(self) -> tuple[str, ...]:
        """See `Upstream`."""
        return self._inner.client_requests

    @property
    def modern(self) -> bool:
        """See `Upstream`."""
        return self._inner.modern

    @property
    def instructions(self) -> str | None:
        """See `Upstream`: those that were taken, and no others."""
        said, taken = self._instructions
        return taken if (self._inner.instructions or "") == said else None

    @property
    def observes(self) -> bool:
        """See `Upstream`."""
        return self._inner.observes

    def capabilities(self) -> JsonObject:
        """See `Upstream`."""
        return self._inner.capabilities()

    def held(self, kind: str) -> Mapping[str, Held]:
        """See `Upstream`."""
        known = self._reviewed.get(kind)
        return known.held if known is not None else _NONE_HELD

    async def connect(self) -> Broken | None:
        """See `Upstream`."""
        unready = await self._inner.connect()
        if unready is None and not self._is_current(INSTRUCTIONS):
            return await contained(self._instructed(), lambda why: _unheld(INSTRUCTIONS, why))
        return unready

    async def definitions(self, kind: str) -> list[JsonObject] | Broken:
        """See `Upstream`: those that were taken."""
        found = await self._inner.definitions(kind)
        if kind not in PINNED or isinstance(found, Broken):
            return found
        known = self._reviewed.get(kind)
        try:
            if known is not None and known.made_of is found and known.version == self._book.version:
                return known.served
        except InterlockError as error:
            return _unheld(kind, str(error))
        return await contained(self._held_against(kind, found), lambda why: _unheld(kind, why))

    async def follow(self, task: str) -> bool:
        """See `Upstream`."""
        return await self._inner.follow(task)

    async def leave(self, task: str) -> None:
        """See `Upstream`."""
        await self._inner.leave(task)

    def freed(self, waiting: frozenset[str]) -> list[str]:
        """The kinds of lists of which something that was held waits no more."""
        return [kind for kind, known in self._reviewed.items() if known.ids - waiting]

    async def _held_against(self, kind: str, found: list[JsonObject]) -> list[JsonObject] | Broken:
        self._reviewed.pop(kind, None)  # what cannot be reviewed is not served as it was
        reviewed = self._reviewed[kind] = await self._book.review(self.connector, kind, found)
        return reviewed.served

    def _is_current(self, kind: str) -> bool:
        known = self._reviewed.get(kind)
        if known is None or self._instructions[0] != (self._inner.instructions or ""):
            return False
        try:
            return known.version == self._book.version
        except InterlockError:
            return False

    async def _instructed(self) -> None:
        said = self._inner.instructions or ""
        self._instructions = (said, None)
        entry: JsonObject = {"name": INSTRUCTIONS, "text": said}
        reviewed = self._reviewed[INSTRUCTIONS] = await self._book.review(self.connector, INSTRUCTIONS, [entry])
        self._instructions = (said, said if reviewed.served and said else None)


class PinnedUpstreams:
    """Every server of the gateway, as its agents may use it."""

    def __init__(self, inner: Upstreams, book: Book) -> None:
        self._inner, self._book = inner, book
        self._of: dict[tuple[str, str], Pinned] = {}
        self._seen: tuple[int, int] | None = None
        self.listener: Listener | None = None

    def names(self) -> list[str]:
        """See `Upstreams`."""
        return self._inner.names()

    def of(self, connector: str, agent: str) -> Upstream | None:
        """See `Upstreams`."""
        found = self._of.get((connector, agent))
        if found is None:
            inner = self._inner.of(connector, agent)
            if inner is None:
                return None
            found = self._of[connector, agent] = Pinned(inner, self._book)
        return found

    def look(self) -> None:
        """Tell agents' clients of lists in which something may be used by now that waited. Raises `HostError`."""
        if self._book.version == self._seen:
            return
        self._seen, waiting = self._book.version, self._book.waiting()
        self._book.settled(waiting)
        for (connector, agent), each in self._of.items():
            for kind in each.freed(waiting):
                if self.listener is not None and kind in _CHANGED:
                    self.listener(agent, connector, _CHANGED[kind], {})


def _unheld(kind: str, why: str) -> Broken:
    return Broken(f"its {kind} cannot be held against what was taken of them: {why}", Effect.NOT_SENT)
