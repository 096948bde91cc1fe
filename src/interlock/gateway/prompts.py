"""The prompt that stands above a tool call, as far as somebody tells us: an agent's hook, or `_meta` of the call.

A reference is asserted by the agent's side, never proof; only digest and size are kept of a prompt. Kept for each
principal: the last one seen is the one that later calls refer to.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, TypeVar

from interlock.gateway.limits import PROMPTS_KEPT_MAX
from interlock.mediate.json_text import JsonObject, object_at, text_at
from interlock.mediate.ports import Recorder
from interlock.mediate.principal import Principal

META_KEY: Final = "interlock/prompt"
REFERENCE_CHARACTERS_MAX: Final = 256
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)

K = TypeVar("K")

Key = tuple[str, str, str | None]


class Prompts:
    """What was seen last, by principal."""

    def __init__(self, recorder: Recorder, new_id: Callable[[], str]) -> None:
        self._recorder = recorder
        self._new_id = new_id
        self._current: OrderedDict[Key, str] = OrderedDict()
        self._by_reference: OrderedDict[tuple[Key, str], str] = OrderedDict()

    async def seen(self, principal: Principal, prompt: bytes) -> str:
        """A hook saw a prompt: record it, and refer to it from now on. Raises `RecordFailed`."""
        digest = f"sha256:{hashlib.sha256(prompt).hexdigest()}"
        identity = await self._record(principal, source="hook", digest=digest, size=len(prompt))
        _keep(self._current, _key(principal), identity)
        return identity

    async def reference(self, principal: Principal, params: JsonObject) -> str | None:
        """The prompt that a call refers to: its own `_meta` first, else the last one seen. Raises `RecordFailed`."""
        text = text_at(object_at(params, "_meta"), META_KEY)
        if text is None or len(text) > REFERENCE_CHARACTERS_MAX:
            return self._current.get(_key(principal))
        known = self._by_reference.get((_key(principal), text))
        if known is not None:
            return known
        digest = text if _DIGEST.fullmatch(text) else f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
        identity = await self._record(principal, source="meta", digest=digest, size=len(text.encode()))
        _keep(self._by_reference, (_key(principal), text), identity)
        return identity

    async def _record(self, principal: Principal, *, source: str, digest: str, size: int) -> str:
        identity = self._new_id()
        await self._recorder.ordered(
            {
                "type": "prompt.seen",
                "id": identity,
                "source": source,
                "digest": digest,
                "bytes": size,
                "agent": {"name": principal.agent, "assurance": principal.assurance},
                "seen_in": principal.session,
            }
        )
        return identity


def trace_of(params: JsonObject) -> JsonObject | None:
    """The trace context of a call (W3C Trace Context), if it is well formed."""
    text = text_at(object_at(params, "_meta"), "traceparent")
    return {"traceparent": text} if text is not None and _TRACEPARENT.fullmatch(text) else None


def _key(principal: Principal) -> Key:
    return principal.agent, principal.token, principal.session


def _keep(kept: OrderedDict[K, str], key: K, identity: str) -> None:
    kept[key] = identity
    kept.move_to_end(key)
    while len(kept) > PROMPTS_KEPT_MAX:
        kept.popitem(last=False)
