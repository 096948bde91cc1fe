"""What servers say has changed, to those who listen: GET streams of sessions and `subscriptions/listen` streams.

Only what a stream asked for, only of the agent's own servers, each message on one stream of each client. A server tells
of a resource or a task once it was asked to, for all clients of an agent together (`telling.py`): so it is asked as
long as one of them listens, and what is acknowledged is what it took.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from typing import Final

from interlock.gateway.catalogue import own_uri, public_uri
from interlock.gateway.exchange_legacy import Session, Sessions, Voice
from interlock.gateway.limits import SUBSCRIBED_S_MAX
from interlock.gateway.telling import Followed, Key, Telling
from interlock.mcp.message import RpcError, RpcRequest
from interlock.mcp.revision import META
from interlock.vocabulary.json_text import JsonObject, object_at, text_at

SUBSCRIPTIONS_PER_AGENT_MAX: Final = 32
URIS_MAX: Final = 64
_LISTS: Final = {
    "notifications/tools/list_changed": "toolsListChanged",
    "notifications/prompts/list_changed": "promptsListChanged",
    "notifications/resources/list_changed": "resourcesListChanged",
}
UPDATED: Final = "notifications/resources/updated"
VISITED: Final = "notifications/elicitation/complete"
TASK_TOLD: Final = "notifications/tasks"


@dataclass(frozen=True, slots=True, eq=False)
class Subscription:
    """One `subscriptions/listen`: whose it is, what it asked for and was granted, and the way to its client."""

    agent: str
    connector: str | None
    wanted: frozenset[str]
    uris: frozenset[str]
    id: int | str
    voice: Voice
    telling: Telling
    tasks: Followed


class Changes:
    """See the module."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._subscriptions: set[Subscription] = set()
        self._leaving: set[asyncio.Task[None]] = set()
        sessions.held = self.held

    async def subscribe(
        self, agent: str, connector: str | None, said: RpcRequest, voice: Voice, telling: Telling
    ) -> Subscription | None:
        """Open a stream, its acknowledgement first; none when the agent has too many open."""
        if sum(each.agent == agent for each in self._subscriptions) >= SUBSCRIPTIONS_PER_AGENT_MAX:
            return None
        wanted = object_at(said.params, "notifications")
        lists = [key for key in _LISTS.values() if wanted.get(key) is True]
        asked = wanted.get("resourceSubscriptions")
        uris = [uri for uri in asked if isinstance(uri, str)][:URIS_MAX] if isinstance(asked, list) else []

        def say(task: JsonObject) -> None:
            params: JsonObject = {**task, "_meta": {**object_at(task, "_meta"), f"{META}subscriptionId": said.id}}
            voice.put({"jsonrpc": "2.0", "method": TASK_TOLD, "params": params})

        nothing = Followed(telling, {}, say)
        subscription = Subscription(
            agent, connector, frozenset(lists), frozenset(uris), said.id, voice, telling, nothing
        )
        self._subscriptions.add(subscription)
        try:
            taken = await asyncio.gather(*(_took(telling.subscribe("resources/subscribe", uri)) for uri in uris))
            tasks = Followed(telling, await telling.follow(), say)
        except BaseException:
            self.unsubscribe(subscription)
            raise
        uris = [uri for uri, took in zip(uris, taken, strict=True) if took]
        self._subscriptions.discard(subscription)  # what was refused to this client is not told to it either
        subscription = replace(subscription, uris=frozenset(uris), tasks=tasks)
        self._subscriptions.add(subscription)
        granted: JsonObject = {**dict.fromkeys(lists, True), **({"resourceSubscriptions": uris} if uris else {})}
        if tasks.handles:
            granted["taskIds"] = list(tasks.handles.values())
        params: JsonObject = {"_meta": {f"{META}subscriptionId": said.id}, "notifications": granted}
        voice.put({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": params})
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """The stream is closed. A server need not tell of what nobody else listens to."""
        self._subscriptions.discard(subscription)
        subscription.tasks.end()
        alone = [uri for uri in subscription.uris if not self.held(subscription.agent, subscription.connector, uri)]
        others = {key for each in self._of(subscription.agent) for key in each.tasks.handles}
        unheard = {key: handle for key, handle in subscription.tasks.handles.items() if key not in others}
        if alone or unheard:
            leaving = asyncio.create_task(_left(subscription.telling, alone, unheard))
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)

    def held(self, agent: str, connector: str | None, uri: str) -> bool:
        """Whether a client of this agent listens to a resource, by its URI at an endpoint."""
        wanted = _named(connector, uri)
        listening = any(wanted in {_named(each.connector, one) for one in each.uris} for each in self._of(agent))
        return listening or any(
            wanted in {_named(each.endpoint.connector, one) for one in each.subscriptions}
            for each in self._sessions.of(agent)
        )

    def _of(self, agent: str) -> list[Subscription]:
        return [each for each in self._subscriptions if each.agent == agent]

    def told(self, agent: str, connector: str, method: str, params: JsonObject) -> None:
        """A server of this agent said something outside any request."""
        task = text_at(params, "taskId")
        if method == TASK_TOLD and task is not None:
            for each in self._of(agent):
                each.tasks.told((connector, task))
            return
        if method not in _LISTS and method not in (UPDATED, VISITED, "notifications/message"):
            return
        for session in self._sessions.of(agent):
            if session.endpoint.connector in (None, connector):
                _tell_session(session, connector, method, params)
        for each in self._of(agent):
            if each.connector in (None, connector):
                _tell_subscription(each, connector, method, params)


def _tell_session(session: Session, connector: str, method: str, params: JsonObject) -> None:
    shown = _public(session.endpoint.connector, connector, method, params)
    if method == UPDATED and text_at(shown, "uri") not in session.subscriptions:
        return
    if method == VISITED and not session.pages.done(connector, text_at(params, "elicitationId")):
        return
    session.tell({"jsonrpc": "2.0", "method": method, "params": shown})


def _tell_subscription(subscription: Subscription, connector: str, method: str, params: JsonObject) -> None:
    shown = _public(subscription.connector, connector, method, params)
    if method == UPDATED and text_at(shown, "uri") not in subscription.uris:
        return
    if method != UPDATED and _LISTS.get(method) not in subscription.wanted:
        return
    meta = {**object_at(shown, "_meta"), f"{META}subscriptionId": subscription.id}
    subscription.voice.put({"jsonrpc": "2.0", "method": method, "params": {**shown, "_meta": meta}})


def _public(endpoint: str | None, connector: str, method: str, params: JsonObject) -> JsonObject:
    uri = text_at(params, "uri")
    if endpoint is None and method == UPDATED and uri is not None:
        return {**params, "uri": public_uri(connector, uri)}
    return params


def _named(endpoint: str | None, uri: str) -> tuple[str, str] | None:
    """The connector and own URI of a resource; none where it is no one's."""
    return (endpoint, uri) if endpoint is not None else own_uri(uri)


async def _took(asked: Awaitable[None]) -> bool:
    """Whether a server tells of something from now on."""
    try:
        async with asyncio.timeout(SUBSCRIBED_S_MAX):
            await asked
    except (RpcError, TimeoutError):
        return False
    return True


async def _left(telling: Telling, uris: list[str], tasks: dict[Key, str]) -> None:
    """What cannot be said to a server in time, it tells of and nobody hears."""
    for uri in uris:
        await _took(telling.subscribe("resources/unsubscribe", uri))
    for key, handle in tasks.items():
        await _took(telling.leave(key, handle))
