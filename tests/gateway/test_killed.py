"""The gateway killed at random while calls go on: no effect without its record before, and every log still opens.

200 kills over four homes at a time (2,000 with INTERLOCK_LONG=1; INTERLOCK_KILLS sets it).
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from gateway_stage import modern, records_in

from interlock._native import recover_ledger
from interlock.identity.registry import Registry
from interlock.ledger.ledger_check import verify_ledger

KILLS = int(os.environ.get("INTERLOCK_KILLS") or (2000 if os.environ.get("INTERLOCK_LONG") else 200))
#: Homes at a time.
TOGETHER = 4


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def started(root: Path, port: int) -> subprocess.Popen[bytes]:
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    child = Path(__file__).parent / "child.py"
    process = subprocess.Popen([sys.executable, str(child), str(root), str(port)], env={**os.environ, "PYTHONPATH": paths})
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return process
        except OSError:
            time.sleep(0.02)
    raise AssertionError("the gateway did not start")


def keep_calling(stage: Any, token: str, name: str, stop: threading.Event) -> None:
    number = 0
    while not stop.is_set():
        number += 1
        try:
            params = {"name": "notes__echo", "arguments": {"text": f"{name}-{number}"}}
            modern(stage, token, "tools/call", params)
        except OSError:
            return
        except Exception:  # a connection cut midway shows in many forms
            return


def storm(root: Path, kills: int, seed: float) -> None:
    """Gateways of one home, started and killed one after the other."""
    root.mkdir(mode=0o700)
    port = free_port()
    stage = SimpleNamespace(url=f"http://127.0.0.1:{port}")
    registry = Registry(str(root / "registry.sqlite"))
    now = time.time_ns() // 1_000_000
    registry.add("coder", now)
    token = registry.issue_user("coder", audience=stage.url, uid=os.geteuid(), ttl_ms=7_200_000, now_ms=now)
    chance = random.Random(seed)
    for round_number in range(kills):
        process = started(root, port)
        stop = threading.Event()
        callers = [
            threading.Thread(target=keep_calling, args=(stage, token, f"{round_number}-{n}", stop)) for n in range(3)
        ]
        for caller in callers:
            caller.start()
        wait_for_work(root / "effects", chance.random() < 0.8)
        time.sleep(chance.random() ** 2 * 0.3)
        process.send_signal(signal.SIGKILL)
        process.wait()
        stop.set()
        for caller in callers:
            caller.join(40)


def wait_for_work(effects: Path, wanted: bool) -> None:
    """Until there is one effect more than before; sometimes not at all, to kill while the first call is on its way."""
    before = effects.stat().st_size if effects.exists() else 0
    deadline = time.monotonic() + 20
    while wanted and time.monotonic() < deadline and not (effects.exists() and effects.stat().st_size > before):
        time.sleep(0.01)


def judged(root: Path, kills: int) -> tuple[int, int]:
    """Nothing happened without its record, nothing twice, every log is whole. Returns (effects, decisions)."""
    recovered = recover_ledger(str(root / "ledger"), str(root / "keys"))
    assert all(fault is None for _, _, fault in recovered), recovered
    assert len(recovered) <= 1, "each start completes what the one before left"
    report = verify_ledger(root / "ledger", root / "keys", auditor=None)
    assert report.verified, report.findings
    assert len(report.logs) == kills + 1, "one log for each start, and the index"
    decided = {
        each["action"]["target"]["arguments"]["text"]
        for each in records_in(root / "ledger" / "gateway")
        if each["type"] == "action.decided" and each["decision"]["decision"] == "allow"
    }
    written = (root / "effects").read_text() if (root / "effects").exists() else ""
    effects = [json.loads(line)[1]["text"] for line in written.splitlines()]
    assert set(effects) <= decided
    assert len(effects) == len(set(effects))
    return len(effects), len(decided)


def left_over(root: Path) -> list[str]:
    """Living processes that name the storm's directory: gateways and the tool servers they started."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except OSError:
                continue
            if str(root).encode() in words:
                found.append(f"{entry.name} {words[:200]!r}")
    return found


def test_no_effect_without_its_record(tmp_path: Path) -> None:
    seed = int(os.environ.get("INTERLOCK_SEED", "0")) or random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    roots = [tmp_path / f"home-{number}" for number in range(TOGETHER)]
    each = max(KILLS // TOGETHER, 1)
    with ThreadPoolExecutor(TOGETHER) as pool:
        for ended in [pool.submit(storm, root, each, chance.random()) for root in roots]:
            ended.result()
    deadline = time.monotonic() + 1.0
    while (left := left_over(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left, left
    counts = [judged(root, each) for root in roots]
    print(f"{each * TOGETHER} kills, {sum(count[0] for count in counts)} effects, {sum(count[1] for count in counts)} decisions")
    assert sum(count[0] for count in counts) > each * TOGETHER // 2, "the gateways were killed before they did anything"
