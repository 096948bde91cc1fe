"""Turns: so many at once, in order, and none is lost by who is cancelled."""

from __future__ import annotations

import asyncio
from typing import Any

from interlock.connectors.patience import Turns


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_turns_go_round_in_order_and_survive_every_cancelling() -> None:
    async def work() -> None:
        turns, order = Turns(2), []
        goes: dict[int, asyncio.Event] = {number: asyncio.Event() for number in range(6)}

        async def one(number: int) -> None:
            async with turns:
                order.append(number)
                await goes[number].wait()

        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(one(number)) for number in range(6)]
        await settle()
        assert order == [0, 1]
        tasks[2].cancel()  # while it waits
        await settle()
        goes[0].set()
        await settle()
        assert order == [0, 1, 3]
        goes[1].set()
        await asyncio.sleep(0)  # the turn was handed to the next, which has not run yet
        tasks[4].cancel()
        await settle()
        assert order[-1] == 5
        for number in (3, 5):
            goes[number].set()
        await asyncio.gather(*tasks, return_exceptions=True)
        for number in (0, 1):
            order.clear()
            async with turns:
                order.append(number)
        async with turns, turns:
            order.append(9)
        assert order == [1, 9]

    asyncio.run(asyncio.wait_for(work(), 10))
