"""What the head of a request says, held to what it must be: Host and Origin (DNS rebinding), the path, and later the
form of its body and of its answer. Most requests of a connection begin alike, so what was found out of one head serves
for all that are the same. Left out: who the request is from, which is asked for each (`serve.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from interlock.gateway.body import is_json, kinds_taken
from interlock.gateway.conversation import Endpoint
from interlock.gateway.refusals import Rejected
from interlock.mcp.message import RpcError
from interlock.mcp.request_headers import Headers

BRIEF: Final = "/brief"
HOOK: Final = "/hook"
HEALTH: Final = "/healthz"
#: Where agents connect. `/brief` serves as `/mcp` does, another view (`brief.py`); the last two are those of the oldest
#: transport.
PLACES: Final = ("/mcp", BRIEF, "/sse", "/messages", HOOK)
Pairs = list[tuple[bytes, bytes]]
_WHOLE: Final = Endpoint(None)
_BRIEFLY: Final = Endpoint(None, brief=True)


class Said(Struct, frozen=True):
    """A head as it came: method, path, headers."""

    method: str
    path: str
    pairs: Pairs


class Head:
    """One head that was read. `place` is what its path is for; `streams` says whether its client takes a stream of
    events for an answer, `fits` that the form of a message that comes with it was found to be right."""

    __slots__ = ("authorization", "endpoint", "fits", "headers", "place", "said", "streams")

    def __init__(self, said: Said, hosts: frozenset[str], connectors: Callable[[], list[str]]) -> None:
        """`hosts`: the values of `Host` (and of an `Origin` without its scheme) that are this gateway's own. Raises
        `Rejected`, and `RpcError` for a header that matters and stands there twice."""
        self.said = said
        self.headers = Headers(said.pairs)
        check_origin(self.headers, hosts)
        self.place, self.endpoint = (HEALTH, _WHOLE) if said.path == HEALTH else _endpoint(said.path, connectors)
        self.authorization = self.headers.one("authorization")
        self.streams = _takes_streams(self.headers)
        self.fits = False

    def check_form(self) -> None:
        """A message is JSON, and so is what its client takes, or a stream of events. Raises `Rejected` (415, 406)."""
        self.check_content_type()
        taken = kinds_taken(self.headers.one("accept"))
        if not taken & {"application/json", "text/event-stream"}:
            raise Rejected(406, "`Accept` must name application/json and text/event-stream")
        self.fits = True

    def check_content_type(self) -> None:
        """Only JSON in UTF-8. Raises `Rejected` (415)."""
        if not is_json(self.headers.one("content-type")):
            raise Rejected(415, "the body must be application/json in UTF-8")
        if self.headers.one("content-encoding") not in (None, "identity"):
            raise Rejected(415, "the body must come without a content encoding")


def check_origin(headers: Headers, hosts: frozenset[str]) -> None:
    """Host and Origin are this gateway's own. Raises `Rejected` (403)."""
    host = headers.one("host")
    if host is None or host.lower() not in hosts:
        raise Rejected(403, "the Host header names another host than this gateway")
    origin = headers.one("origin")
    if origin is not None and origin.lower().partition("://")[2] not in hosts:
        raise Rejected(403, "the Origin is not this gateway's")


def _endpoint(path: str, connectors: Callable[[], list[str]]) -> tuple[str, Endpoint]:
    """What a path is for, and what is at it. Raises `Rejected` (404)."""
    if path in PLACES:
        return path, _BRIEFLY if path == BRIEF else _WHOLE
    head, _, name = path.rpartition("/")
    if head not in PLACES or head == HOOK or name not in connectors():
        raise Rejected(404, "there is nothing here; agents connect to /mcp or /mcp/<connector>")
    return head, Endpoint(name, head == BRIEF)


def _takes_streams(headers: Headers) -> bool:
    try:
        return "text/event-stream" in kinds_taken(headers.one("accept"))
    except RpcError:  # it stands there twice: nothing is taken for granted
        return False
