"""One HTTP request after its caller is known: the checks on its form, its body within bounds, and what a refusal of
it looks like."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from interlock.gateway.answer import HeaderList, Receive
from interlock.gateway.header import Headers
from interlock.gateway.limits import BODY_BYTES_MAX, BODY_S_MAX
from interlock.gateway.message import INVALID_REQUEST, RpcError
from interlock.mediate.principal import Principal


class Rejected(Exception):
    """The request is refused with an HTTP status before any method saw it."""

    def __init__(
        self, status: int, words: str, headers: HeaderList | None = None, *, code: int = INVALID_REQUEST
    ) -> None:
        super().__init__(words)
        self.status = status
        self.fault = RpcError(code, words)
        self.headers: HeaderList = headers or []


@dataclass(frozen=True, slots=True)
class Incoming:
    """Headers, caller, endpoint; `revalidate` says why the caller may not go on, after a wait."""

    headers: Headers
    principal: Principal
    connector: str | None
    revalidate: Callable[[], str | None]

    def check_content_type(self) -> None:
        """Only JSON in UTF-8. Raises `Rejected` (415)."""
        kind, _, rest = (self.headers.one("content-type") or "").partition(";")
        charset = rest.strip().lower().removeprefix("charset=").strip('"')
        if kind.strip().lower() != "application/json" or charset not in ("", "utf-8"):
            raise Rejected(415, "the body is to be application/json in UTF-8")
        if self.headers.one("content-encoding") not in (None, "identity"):
            raise Rejected(415, "the body is to come without content encoding")

    def check_accept(self) -> None:
        """A client that takes neither form of answer gets none. Raises `Rejected` (406)."""
        if not (self.accepts("application/json") or self.accepts("text/event-stream")):
            raise Rejected(406, "accept application/json and text/event-stream")

    def accepts(self, kind: str) -> bool:
        """Whether the client takes answers of this kind. No header takes anything."""
        header = self.headers.one("accept")
        if header is None:
            return kind == "application/json"
        taken = {each.partition(";")[0].strip().lower() for each in header.split(",")}
        return bool(taken & {kind, "*/*", kind.partition("/")[0] + "/*"})


async def read_body(receive: Receive, headers: Headers) -> bytes:
    """The whole body. Raises `Rejected` when it is too large (413), too slow (408) or broken off (400)."""
    announced = headers.one("content-length")
    if announced is not None and (not announced.isdigit() or int(announced) > BODY_BYTES_MAX):
        raise Rejected(413, f"the body may have {BODY_BYTES_MAX} bytes", [(b"connection", b"close")])
    try:
        async with asyncio.timeout(BODY_S_MAX):
            return await _collect(receive)
    except TimeoutError as error:
        raise Rejected(408, "the body came too slowly", [(b"connection", b"close")]) from error


async def _collect(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise Rejected(400, "the body ended early")
        part = event.get("body", b"")
        if isinstance(part, bytes):
            parts.append(part)
            size += len(part)
        if size > BODY_BYTES_MAX:
            raise Rejected(413, f"the body may have {BODY_BYTES_MAX} bytes", [(b"connection", b"close")])
        if not event.get("more_body"):
            return b"".join(parts)
