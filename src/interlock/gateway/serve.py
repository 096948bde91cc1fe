"""The ASGI application: from an HTTP request to a method and back. Every request is refused until each check has
passed.

Order: Host and Origin (DNS rebinding), path, token, then the message. Left out: what methods do (`methods.py`), TCP
(`connection.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from interlock.gateway import answer, message
from interlock.gateway.answer import Event, Receive, Send
from interlock.gateway.exchange_legacy import LegacyEra
from interlock.gateway.exchange_modern import ModernEra
from interlock.gateway.header import Headers, is_modern
from interlock.gateway.hook import Hook
from interlock.gateway.incoming import Incoming, Rejected, read_body
from interlock.gateway.ports import Connection, Identity
from interlock.gateway.refusals import Refusals
from interlock.mediate.json_text import MalformedJson, parse
from interlock.mediate.principal import Unknown

Scope = dict[str, object]
CONNECTION: Final = "interlock.connection"


class Gateway:
    """The application."""

    def __init__(
        self,
        *,
        identity: Identity,
        legacy: LegacyEra,
        modern: ModernEra,
        hook: Hook,
        refusals: Refusals,
        hosts: frozenset[str],
        connectors: Callable[[], list[str]],
    ) -> None:
        """`hosts`: the values of `Host` (and of an `Origin` without its scheme) that are this gateway's own."""
        self._identity = identity
        self._legacy = legacy
        self._modern = modern
        self._hook = hook
        self._refusals = refusals
        self._hosts = hosts
        self._connectors = connectors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3."""
        if scope["type"] != "http":
            return
        try:
            await self._serve(scope, receive, send)
        except Rejected as rejected:
            await answer.send_json(send, rejected.status, message.error(None, rejected.fault), rejected.headers)
        except message.RpcError as fault:
            await answer.send_json(send, max(fault.status, 400), message.error(None, fault))

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(_pairs(scope))
        self._check_origin(headers)
        path, method = str(scope["path"]), str(scope["method"])
        if path == "/healthz":
            await answer.send_json(send, 200, {"status": "ok"})
            return
        connector = self._endpoint(path)
        incoming = await self._known(scope, headers, connector)
        if path == "/hook":
            await self._on_hook(incoming, method, receive, send)
        elif method == "POST":
            await self._post(incoming, receive, send)
        elif method == "GET":
            await self._legacy.stream(incoming, receive, send)
        elif method == "DELETE":
            await self._legacy.delete(incoming, send)
        else:
            raise Rejected(405, "only POST, GET and DELETE are served here", [(b"allow", b"GET, POST, DELETE")])

    def _check_origin(self, headers: Headers) -> None:
        host = headers.one("host")
        if host is None or host.lower() not in self._hosts:
            raise Rejected(403, "the Host header names another host than this gateway")
        origin = headers.one("origin")
        if origin is not None and origin.lower().partition("://")[2] not in self._hosts:
            raise Rejected(403, "the Origin is not this gateway's")

    def _endpoint(self, path: str) -> str | None:
        """The connector of a path, or none for all of them. Raises `Rejected` (404) for any other path."""
        if path in ("/mcp", "/hook"):
            return None
        head, _, name = path.rpartition("/")
        if head != "/mcp" or name not in self._connectors():
            raise Rejected(404, "there is nothing here; agents connect to /mcp or /mcp/<connector>")
        return name

    async def _known(self, scope: Scope, headers: Headers, connector: str | None) -> Incoming:
        connection: Connection = scope[CONNECTION]  # type: ignore[assignment]
        authorization = headers.one("authorization")
        principal = self._identity.authenticate(authorization, connection)
        if isinstance(principal, Unknown):
            await self._refusals.record(principal, connection)
            challenge = b'Bearer realm="interlock", error="invalid_token"'
            raise Rejected(401, f"no valid token: {principal.reason}", [(b"www-authenticate", challenge)])

        def revalidate() -> str | None:
            return self._identity.still(principal, authorization)

        return Incoming(headers, principal, connector, revalidate)

    async def _on_hook(self, incoming: Incoming, method: str, receive: Receive, send: Send) -> None:
        if method != "POST":
            raise Rejected(405, "a hook is posted", [(b"allow", b"POST")])
        incoming.check_content_type()
        status, value = await self._hook.take(incoming.principal, await read_body(receive, incoming.headers))
        await answer.send_json(send, status, value)

    async def _post(self, incoming: Incoming, receive: Receive, send: Send) -> None:
        incoming.check_content_type()
        incoming.check_accept()
        body = await read_body(receive, incoming.headers)
        try:
            said = message.read(parse(body))
        except MalformedJson as error:
            raise Rejected(400, str(error), code=message.PARSE_ERROR) from error
        gone = asyncio.ensure_future(_gone(receive))
        try:
            era = self._modern if _is_modern(incoming, said) else self._legacy
            await era.take(incoming, said, send, gone)
        finally:
            gone.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await gone


def _is_modern(incoming: Incoming, said: message.Message) -> bool:
    if isinstance(said, message.Response):
        return False
    return is_modern(incoming.headers, said.params)


async def _gone(receive: Receive) -> None:
    """Done when the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        continue


def _pairs(scope: Scope) -> list[tuple[bytes, bytes]]:
    pairs = scope["headers"]
    return pairs if isinstance(pairs, list) else []


__all__ = ["CONNECTION", "Event", "Gateway"]
