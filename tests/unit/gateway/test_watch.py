"""Who cannot be looked at while it is served does not go on."""

from __future__ import annotations

import asyncio

import pytest

from interlock.gateway import serve
from interlock.gateway.serve import Watch, Watches
from interlock.vocabulary.errors import HostError


def test_a_look_that_fails_ends_what_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "LOOK_EVERY_S", 0.01)

    def unreadable() -> str | None:
        raise HostError("the registry failed: disk I/O error")

    told: list[str] = []

    async def streamed() -> Watch:
        with Watch(Watches(), unreadable, told.append, lambda: None) as watch:
            await asyncio.sleep(20)
            raise AssertionError("it went on")
        return watch

    watch = asyncio.run(asyncio.wait_for(streamed(), 10))
    assert watch.why is not None and "cannot be told" in watch.why
    assert told == [watch.why]
