"""`interlock gateway` killed at random while calls go on: no tool effect without its record, nothing acknowledged is lost, nothing is left.

60 kills over a few homes at a time (2,000 with INTERLOCK_LONG=1; INTERLOCK_KILLS sets it).
"""

from __future__ import annotations

import json
import os
import random
import secrets
import shutil
import signal
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from killed_gateway import GONE_SECONDS, Home, calls, left_over

from interlock.ledger.reader import entries, logs

KILLS = int(os.environ.get("INTERLOCK_KILLS") or (2000 if os.environ.get("INTERLOCK_LONG") else 60))
SEED = int(os.environ.get("INTERLOCK_SEED", "0")) or secrets.randbits(32)
#: Homes at a time.
TOGETHER = 4


@pytest.fixture
def root():
    path = Path(tempfile.mkdtemp(prefix="ilg-"))  # short: the names of sockets lie below it
    yield path
    shutil.rmtree(path, ignore_errors=True)


def storm(home: Home, kills: int, seed: float) -> None:
    chance = random.Random(seed)
    for number in range(kills):
        home.kill_one(number, chance)


def judged(home: Home, kills: int) -> int:
    """Nothing happened without its record, nothing twice, nothing a caller was told is missing, every log is whole. How many effects."""
    report = json.loads(home.run("ledger", "verify", "--json"))
    assert not report["findings"] and all(log["verified"] for log in report["logs"]), report
    held = [entry for log in logs(str(home.state)) for entry in entries(log.path)]
    opened = sum(entry.event.type == "session.opened" and bool(entry.event.document.get("gateway")) for entry in held)
    assert opened >= kills // 2, "most were killed before they listened"
    (allowed, ended), effects = calls(held), home.effects()
    assert set(effects) <= allowed, f"effects without a record: {set(effects) - allowed}"
    assert len(effects) == len(set(effects)), "an effect came about twice"
    assert home.acknowledged <= ended, f"acknowledged and not recorded: {home.acknowledged - ended}"
    assert home.acknowledged <= set(effects)
    assert home.late == [], f"outlived the gateway by {GONE_SECONDS} s"
    return len(effects)


def leftovers(home: Home) -> list[str]:
    """What of dead sessions is there after one more gateway, ended in order: sockets' directories, servers' folders."""
    gateway = home.start()
    home.wait_until_it_serves(gateway)
    gateway.terminate()
    assert gateway.wait(60) == 128 + signal.SIGTERM
    named = [*(home.root / "i" / "runtime").iterdir(), *home.root.iterdir()]
    return [path.name for path in named if path.name.startswith(("s-", ".new-", "interlock-server-"))]


@pytest.mark.timeout(max(600, KILLS * 2))
def test_no_effect_without_its_record(installed, root: Path) -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    each = max(KILLS // TOGETHER, 1)
    homes = [Home(str(installed.interlock), root / str(number)) for number in range(TOGETHER)]
    with ThreadPoolExecutor(TOGETHER) as pool:
        for ended in [pool.submit(storm, home, each, chance.random()) for home in homes]:
            ended.result()
    deadline = time.monotonic() + 15  # supervisors still close their logs
    while (left := left_over(root)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left, left
    effects = sum(judged(home, each) for home in homes)
    assert [leftovers(home) for home in homes] == [[]] * TOGETHER, "the next start clears what the killed ones left"
    print(f"{each * TOGETHER} kills, {effects} effects, {sum(len(home.acknowledged) for home in homes)} acknowledged")
    assert effects > each * TOGETHER // 2, "the gateways were killed before they did anything"
