"""The paths where clients log in, before those of MCP: the same checks of Host and Origin, a smaller bound on bodies,
and then it is `Login`'s to answer. Everything else goes on to the gateway as if this were not here."""

from __future__ import annotations

from dataclasses import dataclass

from interlock.gateway.body import read_body
from interlock.gateway.head import check_origin
from interlock.gateway.outlet import Receive, SendPart, send_json
from interlock.gateway.ports import Connection, Login
from interlock.gateway.refusals import Rejected
from interlock.gateway.serve import ANSWER, BODY, CONNECTION, ClientStalled, Gateway, Scope, Sending
from interlock.mcp.message import RpcError, error
from interlock.mcp.request_headers import Headers


@dataclass(frozen=True, slots=True)
class WithLogin:
    """The application with a login before it."""

    gateway: Gateway
    login: Login

    async def __call__(self, scope: Scope, receive: Receive, send: SendPart) -> None:
        """ASGI 3, of `GatewayProtocol`."""
        if not self.login.serves(str(scope["path"])):
            await self.gateway(scope, receive, send)
            return
        connection: Connection = scope[CONNECTION]  # type: ignore[assignment]
        sending = Sending(send, scope[ANSWER], connection.is_full)  # type: ignore[arg-type]
        try:
            try:
                await sending.whole(*await self._answered(scope, connection, receive))
            except Rejected as rejected:
                await send_json(sending, rejected.status, error(None, rejected.fault), rejected.headers)
            except RpcError as fault:
                await send_json(sending, max(fault.status, 400), error(None, fault))
        except ClientStalled:
            connection.abort()

    async def _answered(
        self, scope: Scope, connection: Connection, receive: Receive
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        headers = Headers(scope["headers"])  # type: ignore[arg-type]
        check_origin(headers, self.gateway.hosts)
        body = await self._body(scope, headers, receive)
        query: bytes = scope["query_string"]  # type: ignore[assignment]
        return await self.login.answer(str(scope["method"]), str(scope["path"]), query, headers, body, connection)

    async def _body(self, scope: Scope, headers: Headers, receive: Receive) -> bytes:
        whole: bytes | None = scope.get(BODY)  # type: ignore[assignment]
        if whole is not None and len(whole) <= self.login.body_bytes_max:
            return whole
        announced = headers.one("content-length")
        return await read_body(receive, announced, bytes_max=self.login.body_bytes_max)
