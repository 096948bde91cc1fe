"""The wall clock set back and forth beneath a running gateway: no token and no question lives longer, who is known stays known, and the ledger is whole.

The ledger reads its clocks from the kernel by itself; its own is turned back in `crates/interlock-ledger/tests/faults.rs`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_stage import call, modern
from killed_gateway import POLICY as ECHOING
from killed_gateway import Home

from interlock.ledger.reader import entries, logs

HERE = Path(__file__).parent
HOUR_S = 3_600
TTL_S = 20
WAIT_S = 3
PATIENCE_S = 60
POLICY = f"""{ECHOING}
  - id: asking
    approve: tool.call
    tool: ask_first
    timeout: {WAIT_S}s
"""


@pytest.fixture
def home(installed: Any) -> Iterator[Home]:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler: `cc` is needed, on any machine")
    root = Path(tempfile.mkdtemp(prefix="ilg-"))  # short: the names of sockets lie below it
    found = Home(str(installed.interlock), root)
    (root / "tools.yaml").write_text(POLICY)
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", root / "clock.so", HERE / "stepped_clock.c"], check=True)
    (root / "step").write_text("0")
    yield found
    shutil.rmtree(root, ignore_errors=True)


def set_wall_clock(home: Home, seconds: int) -> None:
    """Of the gateway alone."""
    (home.root / "new").write_text(str(seconds))
    (home.root / "new").rename(home.root / "step")


def status(home: Home, token: str) -> int:
    found: int = modern(home.stage, token, "tools/list")[0]
    return found


def test_no_step_of_the_wall_clock_lengthens_what_is_good_for_a_time(home: Home) -> None:
    plain = home.environment
    home.environment = {**plain, "LD_PRELOAD": str(home.root / "clock.so"), "CLOCK_STEP": str(home.root / "step")}
    gateway = home.start()
    home.environment = plain
    try:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                assert status(home, home.token) == 200
                break
            except OSError:
                assert time.monotonic() < deadline and gateway.poll() is None
                time.sleep(0.2)
        words = ("agent", "add", "brief", "--ttl", f"{TTL_S}s", "--gateway", home.stage.url, "--json")
        brief = json.loads(home.run(*words))["token"]
        ends = time.monotonic() + TTL_S
        assert status(home, brief) == 200
        set_wall_clock(home, -HOUR_S)
        assert status(home, home.token) == 200
        began = time.monotonic()
        denied = call(home.stage, home.token, "notes__ask_first", text="x")
        assert denied["isError"] and "nobody answered" in denied["content"][0]["text"], denied
        assert time.monotonic() - began < WAIT_S + PATIENCE_S
        call(home.stage, home.token, "notes__echo", text="back")
        time.sleep(max(0.0, ends + 1 - time.monotonic()))
        assert status(home, brief) == 401, "a token lives longer where the clock is set back"
        lasting = json.loads(home.run("agent", "add", "hour", "--ttl", "1h", "--gateway", home.stage.url, "--json"))["token"]
        assert status(home, lasting) == 200
        set_wall_clock(home, 2 * HOUR_S)
        assert (status(home, lasting), status(home, home.token)) == (401, 200)
        call(home.stage, home.token, "notes__echo", text="forth")
        set_wall_clock(home, 0)
        assert (status(home, lasting), status(home, home.token)) == (401, 200), "a token that had ended is good again"
        call(home.stage, home.token, "notes__echo", text="again")
    finally:
        gateway.terminate()
        gateway.wait(PATIENCE_S)
    assert home.effects() == ["back", "forth", "again"]
    report = json.loads(home.run("ledger", "verify", "--json"))
    assert not report["findings"] and all(log["verified"] for log in report["logs"]), report
    [held] = [found for log in logs(str(home.state)) if (found := list(entries(log.path))) and _is_the_gateways(found)]
    ticks = [entry.event.document["tick"] for entry in held]
    assert ticks == sorted(ticks)
    assert [each["answer"] for each in _documents(held, "approval.answered")] == ["timeout"]


def _is_the_gateways(held: list[Any]) -> bool:
    return any(each.get("gateway") for each in _documents(held, "session.opened"))


def _documents(held: list[Any], kind: str) -> list[dict[str, Any]]:
    return [entry.event.document for entry in held if entry.event.type == kind]
