"""A listener is told of what its server took for it, and of nothing else; one whose questions break leaves nothing behind."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from interlock.gateway.changes import UPDATED, Changes
from interlock.mcp.message import RpcError, RpcRequest
from interlock.vocabulary.json_text import JsonObject

ASKED = RpcRequest(1, "subscriptions/listen", {"notifications": {"resourceSubscriptions": ["file:///a", "file:///b"]}})


class Voice:
    """Keeps what is said to a client."""

    def __init__(self) -> None:
        self.heard: list[JsonObject] = []

    def put(self, message: JsonObject) -> bool:
        self.heard.append(message)
        return True


def changes() -> Changes:
    return Changes(cast(Any, SimpleNamespace(of=lambda agent: [])))


def telling(subscribe: Any) -> Any:
    async def follow() -> dict[tuple[str, str], str]:
        return {}

    return SimpleNamespace(subscribe=subscribe, follow=follow)


def test_what_was_refused_to_a_listener_is_not_told_to_it() -> None:
    voice = Voice()

    async def subscribe(method: str, uri: str) -> None:
        if uri.endswith("b"):
            raise RpcError(-32003, "policy refuses it")

    async def listened() -> None:
        of = changes()
        await of.subscribe("agent", "up", ASKED, cast(Any, voice), telling(subscribe))
        for name in "ab":
            of.told("agent", "up", UPDATED, {"uri": f"file:///{name}"})

    asyncio.run(listened())
    assert [each["params"].get("uri") for each in voice.heard[1:]] == ["file:///a"]  # type: ignore[union-attr]


def test_a_listener_whose_questions_break_is_not_one() -> None:
    async def breaks(method: str, uri: str) -> None:
        raise ValueError("not an answer")

    async def listened() -> bool:
        of = changes()
        with pytest.raises(ValueError, match="not an answer"):
            await of.subscribe("agent", "up", ASKED, cast(Any, Voice()), telling(breaks))
        return of.held("agent", "up", "file:///a")

    assert asyncio.run(listened()) is False
