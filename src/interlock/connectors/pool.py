"""Links by connector and agent: no two agents share a server's process, its session or what it remembers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping

from interlock.connectors.apart import ApartLink
from interlock.connectors.channel import Channel, Open, Sink
from interlock.connectors.configuration import Connector
from interlock.connectors.kind import Reach, Ways, kind_of
from interlock.connectors.launch import Launcher
from interlock.connectors.link import Link
from interlock.connectors.standing import Standing
from interlock.vocabulary.json_text import JsonObject

Listener = Callable[[str, str, str, JsonObject], None]


class Pool:
    """Makes a link at first use and ends them all at once. `listener` hears agent, connector, method and parameters."""

    def __init__(
        self,
        connectors: Mapping[str, Connector],
        *,
        launcher: Launcher,
        reach: Reach,
        now_ms: Callable[[], int],
    ) -> None:
        self._connectors = dict(connectors)
        self._ways = Ways(launcher, reach)
        self._now_ms = now_ms
        self._links: dict[tuple[str, str], Link] = {}
        self._leaving: set[Link] = set()
        self._endings: set[asyncio.Task[None]] = set()
        self.listener: Listener | None = None
        #: Whether a client of an agent listens to a resource of a connector.
        self.held: Callable[[str, str, str], bool] = lambda *_: True

    def names(self) -> list[str]:
        """The connectors, sorted."""
        return sorted(self._connectors)

    def of(self, connector: str, agent: str) -> Link | None:
        """The link of one connector for one agent, or none of that name."""
        known = self._connectors.get(connector)
        if known is None:
            return None
        link = self._links.get((connector, agent))
        if link is None:
            kind = Link if known.per == "agent" else ApartLink
            link = kind(known, self._opener(known, agent), now_ms=self._now_ms)
            link.listener = lambda method, params: self._hear(agent, connector, method, params)
            link.listening.held = lambda uri: self.held(agent, connector, uri)
            self._links[(connector, agent)] = link
        return link

    def standings(self) -> list[tuple[str, Standing]]:
        """How it stands with each server that an agent has asked for: the agent, and the server's standing."""
        return [(agent, link.standing()) for (_, agent), link in sorted(self._links.items())]

    def session_ended(self, session: str) -> None:
        """A client's session is over, and so are the servers that ran for it alone."""
        for link in self._links.values():
            if isinstance(link, ApartLink):
                link.session_ended(session)

    def leave(self, agents: Collection[str]) -> None:
        """These may do nothing any more: what runs for them ends. To be said again and again, since a request that was
        under way may have started one meanwhile."""
        for (_, agent), link in self._links.items():
            if agent in agents and link not in self._leaving and link.runs():
                self._leaving.add(link)
                task = asyncio.create_task(link.close())
                self._endings.add(task)
                task.add_done_callback(self._endings.discard)
                task.add_done_callback(lambda _, link=link: self._leaving.discard(link))  # type: ignore[misc]

    async def close(self) -> None:
        """End every server."""
        links, self._links = list(self._links.values()), {}
        await asyncio.gather(*(link.close() for link in links), *self._endings, return_exceptions=True)

    def _opener(self, connector: Connector, agent: str) -> Open:
        async def open_channel(told: Sink) -> Channel:
            return await kind_of(connector).open(self._ways, agent, told)

        return open_channel

    def _hear(self, agent: str, connector: str, method: str, params: JsonObject) -> None:
        if self.listener is not None:
            self.listener(agent, connector, method, params)
