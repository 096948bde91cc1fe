"""The gateway killed at random while calls go on: no effect without its record before, and every log still opens.

8 kills in CI, 200 with INTERLOCK_LONG=1.
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
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from gateway_stage import modern, records_in

from interlock._native import recover_ledger
from interlock.identity.registry import Registry

KILLS = 200 if os.environ.get("INTERLOCK_LONG") else 8


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


def test_no_effect_without_its_record(tmp_path: Path) -> None:
    port = free_port()
    stage = SimpleNamespace(url=f"http://127.0.0.1:{port}")
    registry = Registry(str(tmp_path / "registry.sqlite"))
    now = time.time_ns() // 1_000_000
    registry.add("coder", now)
    token = registry.issue_user("coder", audience=stage.url, uid=os.geteuid(), ttl_ms=7_200_000, now_ms=now)
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for round_number in range(KILLS):
        process = started(tmp_path, port)
        stop = threading.Event()
        callers = [
            threading.Thread(target=keep_calling, args=(stage, token, f"{round_number}-{n}", stop)) for n in range(3)
        ]
        for caller in callers:
            caller.start()
        time.sleep(chance.uniform(0.3, 0.9))
        process.send_signal(signal.SIGKILL)
        process.wait()
        stop.set()
        for caller in callers:
            caller.join(40)
    time.sleep(0.5)
    recovered = recover_ledger(str(tmp_path / "ledger"), str(tmp_path / "keys"))
    assert len(recovered) == KILLS and all(fault is None for _, _, fault in recovered)
    decided = {
        each["action"]["target"]["arguments"]["text"]
        for each in records_in(tmp_path / "ledger" / "gateway")
        if each["type"] == "action.decided" and each["decision"]["decision"] == "allow"
    }
    effects = [json.loads(line)[1]["text"] for line in (tmp_path / "effects").read_text().splitlines()]
    print(f"{KILLS} kills, {len(effects)} effects, {len(decided)} decisions")
    assert len(effects) > KILLS
    assert set(effects) <= decided
    assert len(effects) == len(set(effects))
