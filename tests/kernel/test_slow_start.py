"""A start that does not come in time says which step it waited for, and the time can be raised."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.kernel.drive import Drive, Message

#: Starts are quick: it takes some tries to catch one on its way.
TRIES = 50
STOPPED_S = 2.5


def caught(drive: Drive) -> int | None:
    """Stops the supervisor's first child as soon as it is there; None when the command was quicker."""
    children = Path(f"/proc/{drive.process.pid}/task/{drive.process.pid}/children")
    until = time.monotonic() + 5
    while time.monotonic() < until:
        try:
            [child, *_] = children.read_text().split() or [""]
        except FileNotFoundError:
            return None
        if child:
            os.kill(int(child), signal.SIGSTOP)
            return int(child)
    return None


def stopped(seconds: str, wanted: str) -> Message:
    """What is said of a start whose guardian stands still for a while, from the moment at which it was born."""
    for _ in range(TRIES):
        with Drive(["/bin/true"], supervisor_environment={"INTERLOCK_START_SECONDS": seconds}) as drive:
            guardian = caught(drive)
            if guardian is None:
                continue
            time.sleep(STOPPED_S)
            with suppress(ProcessLookupError):
                os.kill(guardian, signal.SIGCONT)
            said = drive.until("failed", "started")
            if said["type"] == wanted:
                return said
    pytest.fail("no start was caught on its way")


def test_the_step_that_was_waited_for_is_named() -> None:
    failed = stopped("1", "failed")
    assert failed["code"] == 123
    assert "the guardian did not start the command's process within 1 s" in failed["message"]
    assert "INTERLOCK_START_SECONDS" in failed["hint"]


def test_what_was_forked_for_a_start_that_failed_is_ended() -> None:
    """A guardian that stands still neither sees its supervisor go nor ends what it has started."""
    for _ in range(TRIES):
        with Drive(["/bin/sleep", "60"], supervisor_environment={"INTERLOCK_START_SECONDS": "1"}) as drive:
            guardian = caught(drive)
            if guardian is not None and drive.until("failed", "started")["type"] == "failed":
                assert drive.process.wait(10) == 123
                with pytest.raises(ProcessLookupError):
                    os.kill(guardian, signal.SIGCONT)
                return
            if guardian is not None:
                os.kill(guardian, signal.SIGCONT)
    pytest.fail("no start was caught on its way")


def test_the_time_can_be_raised() -> None:
    assert stopped("60", "started")["process"] > 0
