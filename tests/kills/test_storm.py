"""Supervisor, guardian, sentinel and `interlock run` killed at random while work goes on: what must never happen does not.

Each role is killed 40 times as root and 20 times as an ordinary user; 2,000 and 1,000 times with INTERLOCK_LONG=1. INTERLOCK_KILLS sets how often as root.
The gateway's storm is tests/gateway/test_killed.py.
"""

from __future__ import annotations

import collections
import json
import os
import random
import secrets
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from interlock.ledger.reader import Entry, entries, logs
from tests.kills.storm import Outcome, Storm

KILLS = int(os.environ.get("INTERLOCK_KILLS") or (2000 if os.environ.get("INTERLOCK_LONG") else 40))
SEED = int(os.environ.get("INTERLOCK_SEED", "0")) or secrets.randbits(32)
ROLES = ("supervisor", "guardian", "run", "sentinel")
#: Sessions at a time: they share one home, its index and its keys.
TOGETHER = 4


@pytest.fixture
def storm(installed, user):
    root = Path(tempfile.mkdtemp(prefix="ilk-"))
    root.chmod(0o755)
    for name in ("w", "h"):
        (root / name).mkdir()
        if user is not None:
            shutil.chown(root / name, user)
    if user is not None:
        shutil.chown(root, user)
    yield Storm(str(installed.interlock), root, user)
    shutil.rmtree(root, ignore_errors=True)


def verify(storm: Storm) -> dict:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(storm.root / "h"), "INTERLOCK_HOME": str(storm.root / "i")}
    options = {} if storm.user is None else {"user": storm.user, "extra_groups": []}
    ran = subprocess.run(
        [storm.interlock, "ledger", "verify", "--json"], env=environment, cwd=storm.root, capture_output=True, text=True, **options
    )
    report = json.loads(ran.stdout)
    wrong = [report["findings"], *(log["findings"] for log in report["logs"] if not log["verified"])]
    assert ran.returncode == 0, (wrong, ran.stderr)
    return report


def decisions(held: list[Entry], decision: str) -> collections.Counter[str]:
    """How often each path was so decided, either end of a rename."""
    found: collections.Counter[str] = collections.Counter()
    for entry in held:
        if entry.event.says == decision:
            target = {"path": None, **entry.event.action["target"]}
            other = target.get("to")
            ends = (target["path"], other["path"] if isinstance(other, dict) else other)
            found.update(str(path) for path in ends if path)
    return found


def effects(outcomes: list[Outcome]) -> list[Path]:
    """Every file and folder that the workloads brought about."""
    found = [path for outcome in outcomes for path in outcome.workspace.rglob("*")]
    return [path for path in found if path.name not in (".claude", "commands")]


@pytest.mark.timeout(max(600, KILLS * len(ROLES)))
def test_killed_at_random_nothing_escapes_nothing_is_lost(storm: Storm) -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    kills = KILLS if storm.user is None else max(KILLS // 2, 1)
    rounds = [(role, number, random.Random(chance.random())) for number in range(kills) for role in ROLES]
    with ThreadPoolExecutor(TOGETHER) as pool:
        outcomes = list(pool.map(lambda one: storm.once(*one), rounds))
    report = verify(storm)
    storm.run("true")
    dead = [name for name in os.listdir(storm.root / "i" / "runtime") if name.startswith("s-")]
    assert not dead, f"the next start clears what killed sessions left: {dead[:5]}"
    held = [entry for log in logs(str(storm.root / "i" / "state")) for entry in entries(log.path)]
    allowed, denied, made = decisions(held, "allow"), decisions(held, "deny"), effects(outcomes)
    killed = collections.Counter(outcome.role for outcome in outcomes if outcome.victim)
    slowest = max(outcome.gone_s for outcome in outcomes)
    print(f"killed {dict(killed)} as {storm.user or 'root'}; {len(made)} effects, {len(held)} records, {sum(denied.values())} denials")
    print(f"{len(report['logs'])} logs verified; the slowest end {slowest:.2f} s")

    assert min(killed.values()) >= kills * 0.9, killed
    assert not [path for path in made if path.suffix == ".md"]
    assert not (storm.root / "h" / ".bashrc").exists()
    unrecorded = [path for path in made if str(path) not in allowed]
    assert not unrecorded, f"seed {SEED}: {len(unrecorded)} effects without a record: {unrecorded[:5]}"
    unsaid = [path for path in made if path.name == "denied" and not denied[str(path.parents[1] / ".claude/commands" / f"{path.parent.name}.md")]]
    assert not unsaid, f"seed {SEED}: {len(unsaid)} denials were acknowledged and are not in the log: {unsaid[:5]}"
    left = [(outcome.role, outcome.left) for outcome in outcomes if outcome.left]
    assert not left, f"seed {SEED}: outlived their guard by a second: {left[:5]}"
    assert all(outcome.over for outcome in outcomes), f"seed {SEED}: Interlock's own processes did not end"
    codes = collections.Counter((outcome.role, outcome.status) for outcome in outcomes if outcome.victim)
    assert all(status == (-9 if role == "run" else 123) for role, status in codes), codes
    silent = [outcome for outcome in outcomes if outcome.role != "run" and outcome.victim and not outcome.said.strip()]
    assert not silent, "nobody was told"
    assert len(made) > kills, "the sessions were killed before they did anything"
