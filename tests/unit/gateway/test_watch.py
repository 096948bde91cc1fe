"""Who cannot be looked at while it is served does not go on, and nobody keeps others from being looked at."""

from __future__ import annotations

import asyncio

import pytest

from interlock.gateway import serve
from interlock.gateway.serve import Watch, Watches
from interlock.vocabulary.errors import HostError


@pytest.mark.parametrize("fault", [HostError("the registry failed: disk I/O error"), ValueError("no such row")])
def test_a_look_that_fails_ends_what_runs(monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
    monkeypatch.setattr(serve, "LOOK_EVERY_S", 0.01)

    def unreadable() -> str | None:
        raise fault

    told: list[str] = []

    async def streamed() -> Watch:
        with Watch(Watches(), unreadable, told.append, lambda: None) as watch:
            await asyncio.sleep(20)
            raise AssertionError("it went on")
        return watch

    watch = asyncio.run(asyncio.wait_for(streamed(), 10))
    assert watch.why is not None and "cannot be told" in watch.why
    assert told == [watch.why]


def test_one_that_breaks_its_look_leaves_the_others_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(serve, "LOOKS_BEFORE_LONG", 1)
    looks: list[str] = []

    def breaks() -> None:
        looks.append("broken")
        raise RuntimeError("nothing takes this stream")

    async def served() -> None:
        among = Watches()
        asyncio.get_running_loop().set_exception_handler(lambda _, context: None)
        others = [Watch(among, lambda: None, looks.append, breaks) for _ in range(8)]
        for each in others:
            each.__enter__()
        revoked = Watch(among, lambda: "it was revoked" if len(looks) >= len(others) else None, looks.append, lambda: None)
        with revoked:
            await asyncio.sleep(20)
            raise AssertionError("it went on")
        for each in others:
            each.__exit__(None, None, None)

    asyncio.run(asyncio.wait_for(served(), 10))
    assert looks[-1] == "it was revoked"
