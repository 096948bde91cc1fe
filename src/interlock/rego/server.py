"""An OPA server asked over its REST API: `POST /v1/data/<rule>` with `{"input": …}` (openpolicyagent.org, REST API).

Its answer is `{"result": …}`; without `result` the rule is undefined. Not there, slow, another status, a body that is
too large or is no such object: each is a finding of error. Redirects are not followed, and no proxy is used.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import httptools

from interlock.rego.findings import error, findings_of
from interlock.vocabulary.errors import PeerError
from interlock.vocabulary.json_text import is_object, parse

if TYPE_CHECKING:
    from interlock.policy.rego import CompiledRego
    from interlock.vocabulary.facts import Finding

ANSWER_BYTES_MAX: Final = 1 << 20
_READ_BYTES: Final = 65_536


class Server:
    """One entry of `rego:` that names a server. Belongs to the running loop."""

    def __init__(self, compiled: CompiledRego) -> None:
        parts = urlsplit(compiled["server"])
        self._host, self._port = parts.hostname or "", parts.port or 0
        self._query, self._timeout_ms = compiled["query"], compiled["timeout_ms"]
        self._path = "/v1/" + compiled["query"].replace(".", "/")

    async def findings(self, document: bytes) -> tuple[Finding, ...]:
        """What it says about an input. Never raises for what it does."""
        try:
            async with asyncio.timeout(self._timeout_ms / 1000):
                answer = await self._asked(b'{"input":' + document + b"}")
        except TimeoutError:
            return (error(f"the OPA server did not answer within {self._timeout_ms} ms"),)
        except (OSError, PeerError, httptools.HttpParserError, httptools.HttpParserUpgrade) as failure:
            return (error(f"the OPA server cannot be asked: {str(failure) or type(failure).__name__}"),)
        if not is_object(answer):
            return (error("the OPA server's answer is not an object"),)
        if "result" not in answer:
            return (error(f"`{self._query}` is undefined at the OPA server"),)
        return findings_of(answer["result"], self._query)

    def close(self) -> None:
        """Nothing is kept open."""

    async def _asked(self, body: bytes) -> object:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            head = (
                f"POST {self._path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            )
            writer.write(head.encode() + body)
            response = _Response()
            while not response.is_whole:
                part = await reader.read(_READ_BYTES)
                if not part:
                    raise PeerError("it ended its answer early")
                response.take(part)
            if response.status != 200:
                raise PeerError(f"status {response.status}")
            return parse(bytes(response.body))
        finally:
            writer.transport.abort()


class _Response:
    """One response as it is parsed (httptools calls `on_…`)."""

    def __init__(self) -> None:
        self.status, self.body, self.is_whole = 0, bytearray(), False
        self._parser = httptools.HttpResponseParser(self)

    def take(self, part: bytes) -> None:
        """Go on with it. Raises `PeerError` where there is too much of it."""
        self._parser.feed_data(part)
        if len(self.body) > ANSWER_BYTES_MAX:
            raise PeerError("its answer is too large")

    def on_headers_complete(self) -> None:
        """See httptools."""
        self.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        """See httptools."""
        self.body += body

    def on_message_complete(self) -> None:
        """See httptools."""
        self.is_whole = True
