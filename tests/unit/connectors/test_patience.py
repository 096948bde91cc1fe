"""Turns: so many at once, in order, and none is lost by who is cancelled. Deadlines that share one timer pass by
themselves, each at its own time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from interlock.connectors.patience import Alarms, Deadline, Turns


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


def test_deadlines_with_one_timer_pass_each_at_its_own_time() -> None:
    async def work() -> list[str]:
        alarms, ended = Alarms(0.2), []

        async def waits(name: str, wait_s: float, sign_at_s: float | None = None) -> None:
            loop = asyncio.get_running_loop()
            try:
                with Deadline(0.2, alarms) as deadline:
                    if sign_at_s is not None:
                        loop.call_later(sign_at_s, deadline.begin_again)
                    await asyncio.sleep(wait_s)
                ended.append(f"{name} done")
            except TimeoutError:
                ended.append(f"{name} late")

        first = [asyncio.create_task(each) for each in (waits("quick", 0.01), waits("slow", 9), waits("alive", 0.3, 0.15))]
        await asyncio.sleep(0.1)
        await asyncio.gather(*first, waits("later", 9))
        return ended

    assert asyncio.run(asyncio.wait_for(work(), 10)) == ["quick done", "slow late", "alive done", "later late"]


def test_who_is_cancelled_by_another_is_not_late() -> None:
    async def work() -> None:
        alarms = Alarms(0.05)
        with pytest.raises(asyncio.CancelledError), Deadline(0.05, alarms):
            raise asyncio.CancelledError
        await asyncio.sleep(0.1)  # nothing rings for it any more

    asyncio.run(asyncio.wait_for(work(), 10))
