"""Requests that are refused before any method saw them, and callers who are nobody, recorded: at most so many a second,
the rest counted and the count recorded with the next."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from interlock.gateway.limits import REFUSALS_RECORDED_PER_S_MAX
from interlock.gateway.outlet import HeaderList, Send, send_json
from interlock.gateway.ports import Connection, Login
from interlock.mcp.message import RpcError, error
from interlock.mcp.revision import INVALID_REQUEST
from interlock.mediate.ports import Recorder, RecordFailed
from interlock.mediate.principal import Unknown
from interlock.vocabulary.json_text import JsonObject

if TYPE_CHECKING:
    from interlock.gateway.head import Head

#: Where no login by OAuth is offered, a client that looks for one finds these words.
HOW_TO_BE_KNOWN: Final = "The operator makes a new token with: interlock agent token NAME"


class Rejected(Exception):
    """The request is refused with an HTTP status before any method saw it. `identity` is its id, where that is
    known."""

    def __init__(
        self,
        status: int,
        words: str,
        headers: HeaderList | None = None,
        *,
        code: int = INVALID_REQUEST,
        identity: int | str | None = None,
    ) -> None:
        super().__init__(words)
        self.identity = identity
        self.status = status
        self.fault = RpcError(code, words)
        self.headers: HeaderList = headers or []


def unknown(reason: str, challenge: str | None = None) -> Rejected:
    """For who is nobody; `challenge` says how to become somebody, where it is another way than this one."""
    challenge = challenge or f'Bearer realm="interlock", error="invalid_token", error_description="{HOW_TO_BE_KNOWN}"'
    headers = [(b"www-authenticate", challenge.encode("ascii"))]
    return Rejected(401, f"no valid token: {reason}. {HOW_TO_BE_KNOWN}", headers)


async def told_off(send: Send, why: str, *, began: bool) -> None:
    """The last word to who may no longer act: an error, or the end of what was begun."""
    with contextlib.suppress(RuntimeError):  # its answer was whole already
        if began:
            await send({"type": "http.response.body", "body": b""})
        else:
            refused = unknown(why)
            await send_json(send, refused.status, error(None, refused.fault), refused.headers)


class Refusals:
    """Records of `token.refused`. A flood of bad tokens must not become a flood of the log."""

    def __init__(self, recorder: Recorder, now_ms: Callable[[], int], login: Login | None = None) -> None:
        """`login`: where a client can log in, which its challenge then says."""
        self._login = login
        self._recorder = recorder
        self._now_ms = now_ms
        self._second = 0
        self._written = 0
        self._uncounted = 0

    async def refused(self, caller: Unknown, connection: Connection, head: Head) -> Rejected:
        """What a caller who is nobody is told, once that is on record."""
        await self._record(caller, connection)
        if self._login is None:
            return unknown(caller.reason)
        shown = "the token is not good here" if head.authorization is not None else None
        host = head.headers.one("host") or ""
        return unknown(caller.reason, self._login.challenge(host, head.said.path, reason=shown))

    async def _record(self, unknown: Unknown, connection: Connection) -> None:
        """Record one. When the log refuses, the caller is refused all the same: there is no effect to hold back."""
        second = self._now_ms() // 1000
        if second != self._second:
            self._second, self._written = second, 0
        if self._written >= REFUSALS_RECORDED_PER_S_MAX:
            self._uncounted += 1
            return
        self._written += 1
        record: JsonObject = {
            "type": "token.refused",
            "reason": unknown.reason,
            "agent": unknown.agent,
            "client": f"{connection.client[0]}:{connection.client[1]}",
            "unrecorded": self._uncounted,
        }
        try:
            await self._recorder.ordered(record)
            self._uncounted = 0
        except RecordFailed:
            self._uncounted += 1
