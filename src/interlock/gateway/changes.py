"""What servers say has changed, to those who listen: GET streams of sessions and `subscriptions/listen` streams.

Only what a stream asked for, only of the agent's own servers, each message on one stream of each client.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from interlock.gateway.catalogue import public_uri
from interlock.gateway.exchange_legacy import Session, Sessions
from interlock.gateway.outlet import Backlog, Backlogs
from interlock.mcp.revision import META
from interlock.vocabulary.json_text import JsonObject, object_at, text_at

SUBSCRIPTIONS_PER_AGENT_MAX: Final = 32
URIS_MAX: Final = 256
_LISTS: Final = {
    "notifications/tools/list_changed": "toolsListChanged",
    "notifications/prompts/list_changed": "promptsListChanged",
    "notifications/resources/list_changed": "resourcesListChanged",
}
UPDATED: Final = "notifications/resources/updated"
VISITED: Final = "notifications/elicitation/complete"


@dataclass(frozen=True, slots=True)
class _Subscription:
    agent: str
    connector: str | None
    wanted: frozenset[str]
    uris: frozenset[str]
    id: int | str
    queue: Backlog


class Changes:
    """See the module."""

    def __init__(self, sessions: Sessions, backlogs: Backlogs) -> None:
        self._sessions = sessions
        self._backlogs = backlogs
        self._subscriptions: dict[int, _Subscription] = {}

    def subscribe(self, agent: str, connector: str | None, wanted: JsonObject, identity: int | str) -> Backlog | None:
        """Open a stream, its acknowledgement first; none when the agent has too many open."""
        if sum(each.agent == agent for each in self._subscriptions.values()) >= SUBSCRIPTIONS_PER_AGENT_MAX:
            return None
        lists = [key for key in _LISTS.values() if wanted.get(key) is True]
        asked = wanted.get("resourceSubscriptions")
        uris = [uri for uri in asked if isinstance(uri, str)][:URIS_MAX] if isinstance(asked, list) else []
        queue = self._backlogs.of(agent)
        granted: JsonObject = dict.fromkeys(lists, True)
        if uris:
            granted["resourceSubscriptions"] = uris
        meta: JsonObject = {f"{META}subscriptionId": identity}
        params: JsonObject = {"_meta": meta, "notifications": granted}
        queue.put({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": params})
        subscription = _Subscription(agent, connector, frozenset(lists), frozenset(uris), identity, queue)
        self._subscriptions[id(queue)] = subscription
        return queue

    def unsubscribe(self, queue: Backlog) -> None:
        """The stream is closed."""
        self._subscriptions.pop(id(queue), None)
        queue.close()

    def told(self, agent: str, connector: str, method: str, params: JsonObject) -> None:
        """A server of this agent said something outside any request."""
        if method not in _LISTS and method not in (UPDATED, VISITED, "notifications/message"):
            return
        for session in self._sessions.of(agent):
            if session.endpoint.connector in (None, connector):
                _tell_session(session, connector, method, params)
        for each in tuple(self._subscriptions.values()):
            if each.agent == agent and each.connector in (None, connector):
                _tell_subscription(each, connector, method, params)


def _tell_session(session: Session, connector: str, method: str, params: JsonObject) -> None:
    shown = _public(session.endpoint.connector, connector, method, params)
    if method == UPDATED and text_at(shown, "uri") not in session.subscriptions:
        return
    if method == VISITED and not session.pages.done(connector, text_at(params, "elicitationId")):
        return
    session.tell({"jsonrpc": "2.0", "method": method, "params": shown})


def _tell_subscription(subscription: _Subscription, connector: str, method: str, params: JsonObject) -> None:
    shown = _public(subscription.connector, connector, method, params)
    if method == UPDATED and text_at(shown, "uri") not in subscription.uris:
        return
    if method != UPDATED and _LISTS.get(method) not in subscription.wanted:
        return
    meta = {**object_at(shown, "_meta"), f"{META}subscriptionId": subscription.id}
    subscription.queue.put({"jsonrpc": "2.0", "method": method, "params": {**shown, "_meta": meta}})


def _public(endpoint: str | None, connector: str, method: str, params: JsonObject) -> JsonObject:
    uri = text_at(params, "uri")
    if endpoint is None and method == UPDATED and uri is not None:
        return {**params, "uri": public_uri(connector, uri)}
    return params
