"""What the body of a request is, what its client takes for an answer, and a body that comes in parts: one that came
with its headers is there already (`serve.py`)."""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import Final

from interlock.gateway.limits import BODY_BYTES_MAX, BODY_S_MAX
from interlock.gateway.outlet import Receive
from interlock.gateway.refusals import Rejected

#: Of the same header's values, read once.
HEADERS_KEPT_MAX: Final = 64


async def read_body(receive: Receive, announced: str | None, *, bytes_max: int = BODY_BYTES_MAX) -> bytes:
    """The whole body, of `announced` bytes. Raises `Rejected` when it is too large (413), too slow (408) or broken off
    (400)."""
    if announced is not None and (not announced.isdigit() or int(announced) > bytes_max):
        raise Rejected(413, f"the body has more than {bytes_max} bytes", [(b"connection", b"close")])
    try:
        async with asyncio.timeout(BODY_S_MAX):
            return await _collect(receive, bytes_max)
    except TimeoutError as error:
        raise Rejected(408, "the body came too slowly", [(b"connection", b"close")]) from error


async def _collect(receive: Receive, bytes_max: int) -> bytes:
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
        if size > bytes_max:
            raise Rejected(413, f"the body has more than {bytes_max} bytes", [(b"connection", b"close")])
        if not event.get("more_body"):
            return b"".join(parts)


@lru_cache(HEADERS_KEPT_MAX)
def is_json(content_type: str | None) -> bool:
    """Whether a body is JSON in UTF-8."""
    kind, _, rest = (content_type or "").partition(";")
    charset = rest.strip().lower().removeprefix("charset=").strip('"')
    return kind.strip().lower() == "application/json" and charset in ("", "utf-8")


@lru_cache(HEADERS_KEPT_MAX)
def kinds_taken(accept: str | None) -> frozenset[str]:
    """Which of the two kinds of answer a client takes. No header takes JSON."""
    if accept is None:
        return frozenset({"application/json"})
    named = {each.partition(";")[0].strip().lower() for each in accept.split(",")}
    kinds = ("application/json", "text/event-stream")
    return frozenset(each for each in kinds if named & {each, "*/*", each.partition("/")[0] + "/*"})
