"""`requestState` of a modern server, or of a call that is parked here (`parking.py`), sealed on its way to the client
and back (revision 2026-07-28, multi round-trip requests).

It is the client's to keep and an attacker's to change: HMAC-SHA-256 over its holder, connector, request and expiry;
used once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import Final

from interlock.gateway.conversation import Conversation
from interlock.vocabulary.json_text import JsonObject, MalformedJson, encode, is_object, measure, parse

TTL_MS: Final = 600_000
STATE_BYTES_MAX: Final = 64 * 1024
USED_KEPT_MAX: Final = 10_000


class StateSeal:
    """Seals and opens. The key lives as long as the process: a restart makes every state void, which a client
    survives."""

    def __init__(self, key: bytes, now_ms: Callable[[], int]) -> None:
        self._key = key
        self._now_ms = now_ms
        self._used: dict[bytes, int] = {}

    def seal(self, state: str, *, binding: JsonObject) -> str:
        """The text to hand to the client in place of the server's."""
        body = encode({"state": state, "until": self._now_ms() + TTL_MS, "binding": binding})
        return base64.urlsafe_b64encode(self._mac(body) + body).decode()

    def open(self, sealed: str, *, binding: JsonObject) -> str | None:
        """The server's own text, once; none for what we did not seal, for another request or principal, or too late."""
        if len(sealed) > 2 * STATE_BYTES_MAX:
            return None
        try:
            raw = base64.b64decode(sealed.encode(), altchars=b"-_", validate=True)
            if base64.urlsafe_b64encode(raw) != sealed.encode():  # another text of the same bytes is not what we sealed
                return None
            mac, body = raw[:32], raw[32:]
            content = parse(body) if hmac.compare_digest(mac, self._mac(body)) else None
        except (MalformedJson, ValueError):
            return None
        if not is_object(content) or content["binding"] != binding or not self._first_use(mac, content["until"]):
            return None
        state = content["state"]
        return state if isinstance(state, str) else None

    def _first_use(self, mac: bytes, until: object) -> bool:
        now = self._now_ms()
        if not isinstance(until, int) or now > until or mac in self._used:
            return False
        if len(self._used) >= USED_KEPT_MAX:
            self._used = {each: end for each, end in self._used.items() if end > now}
        if len(self._used) >= USED_KEPT_MAX:
            return False
        self._used[mac] = until
        return True

    def _mac(self, body: bytes) -> bytes:
        return hmac.new(self._key, body, hashlib.sha256).digest()


def binding_of(conversation: Conversation, params: JsonObject, *, ours: bool) -> JsonObject:
    """What a sealed state is good for: the same holder's same request, whatever its token, id and answers. `ours`:
    whether it is a state of the gateway's own, or a server's."""
    same = {key: params.get(key) for key in ("name", "uri", "arguments")}
    at = {"connector": conversation.connector, "brief": conversation.brief}
    holder = conversation.principal
    asked = {"at": at, "request": str(measure(same)["digest"]), "ours": ours}
    return {"agent": holder.agent, "place": holder.place, **asked}
