"""The records of one turn of the loop go to the log together, in their order; what is wrong with one is its own."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from interlock._native import Log
from interlock.app.gateway_ports import LogRecorder
from interlock.mediate.ports import RecordFailed


def decided(number: int) -> dict[str, Any]:
    return {"type": "action.decided", "phase": "decided", "action": {"id": f"s/{number}"}, "decision": {"decision": "deny"}}


def opened(root: Path) -> Log:
    return Log.open(root / "log", "gateway/test", root / "index", root / "keys")


def test_a_turns_records_keep_their_order_and_their_faults(tmp_path: Path) -> None:
    async def work() -> list[Any]:
        recorder = LogRecorder(opened(tmp_path))
        first = await recorder.durable(decided(0))
        written = [recorder.durable(decided(1)), recorder.ordered({"no": "type"}), recorder.ordered(decided(2)), recorder.durable(decided(3))]
        ended = await asyncio.gather(*written, return_exceptions=True)
        recorder.close("the test is over")
        assert isinstance(ended.pop(1), RecordFailed)
        return [each - first for each in ended if isinstance(each, int)]

    assert asyncio.run(asyncio.wait_for(work(), 20)) == [1, 2, 3]


def test_what_comes_after_the_end_of_the_log_fails(tmp_path: Path) -> None:
    async def work() -> None:
        recorder = LogRecorder(opened(tmp_path))
        recorder.close("the test is over")
        with pytest.raises(RecordFailed):
            await recorder.durable(decided(1))

    asyncio.run(asyncio.wait_for(work(), 20))


def test_who_goes_away_holds_up_nobody_elses_record(tmp_path: Path) -> None:
    async def work() -> None:
        recorder = LogRecorder(opened(tmp_path))
        gone, stays = recorder.durable(decided(1)), recorder.durable(decided(2))
        gone.cancel()
        assert await stays > 0
        recorder.close("the test is over")

    asyncio.run(asyncio.wait_for(work(), 20))
