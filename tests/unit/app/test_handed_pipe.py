"""A pipe handed to an event loop is closed once: what another thread opens as its number is free stays open."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

import pytest
import uvloop

from interlock.app.handed_pipe import HandedPipe

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


class Watched(HandedPipe):
    """Opens a file in the moment before the file is closed, as a thread would that was waiting for a number."""

    opened: int | None = None

    def close(self) -> None:
        if self.opened is None:
            self.opened = os.open(os.devnull, os.O_RDONLY)
        super().close()


async def handed(end: int, writing: bool) -> Watched:
    loop = asyncio.get_running_loop()
    pipe = Watched(end, loop)
    if writing:
        transport, _ = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, pipe)
    else:
        transport, _ = await loop.connect_read_pipe(asyncio.Protocol, pipe)
    transport.close()
    await asyncio.sleep(0.05)
    return pipe


@pytest.mark.parametrize("writing", [False, True], ids=["reading", "writing"])
@pytest.mark.parametrize("loop", LOOPS, ids=["asyncio", "uvloop"])
def test_a_handed_pipe_is_closed_once(loop: Callable[[], asyncio.AbstractEventLoop], writing: bool) -> None:
    ends = os.pipe()
    kept, given = ends if writing else ends[::-1]
    identity = os.fstat(given).st_ino
    with asyncio.Runner(loop_factory=loop) as runner:
        pipe = runner.run(handed(given, writing))
    assert pipe.opened is not None
    os.fstat(pipe.opened)  # still the test's own
    os.close(pipe.opened)
    assert identity not in [
        os.stat(f"/proc/self/fd/{each}").st_ino
        for each in os.listdir("/proc/self/fd")
        if each != str(kept) and os.path.exists(f"/proc/self/fd/{each}")
    ]
    with pytest.raises(ValueError, match="closed"):
        pipe.fileno()
    os.close(kept)
