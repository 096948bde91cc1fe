"""A gateway of one process with the real engine, log and registry, two connectors (`up` over HTTP, `line` over stdio) and a policy that
allows calls: `python -m bench.programs.governed FOLDER PORT UPSTREAM_PORT`. With BENCH_PROFILE=1 a profile of it at its end.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import uvloop

from interlock._native import Log
from interlock.app.gateway import Parts, assembled, own_hosts, settle_memory, uvicorn_server
from interlock.app.gateway_definitions import Around, held_to
from interlock.app.gateway_ports import KnownFacts, LogRecorder, NativeEngine, SharedInbox, SystemClock
from interlock.app.gateway_servers import SupervisedLauncher
from interlock.approvals.inbox import Inbox
from interlock.connectors.configuration import Connector, Http, Stdio
from interlock.connectors.http import HttpChannel
from interlock.connectors.pool import Pool
from interlock.identity.authenticate import Attestations, Registry
from interlock.storage.home import Home
from interlock.storage.tasks import TaskStore

SESSION = "s-20260101T000000-000000"
LINE = (sys.executable, "-I", "-S", str(Path(__file__).with_name("mcp_stdio.py")))


def policy() -> dict[str, Any]:
    """Compiled: every tool may be called."""
    rule = {
        "id": "all", "decision": "allow", "verbs": ["tool.call"], "because": None, "match": {"tool": ["*"]}, "when": None,
        "timeout_ms": None, "steer": None, "obligations": {}, "best_effort": False,
        "source": {"file": "bench.yaml", "line": 1, "column": 1},
    }  # fmt: skip
    return {"interlock": 1, "layers": [{"name": "bench", "origin": "user", "closed": False, "rules": [rule]}]}


async def serve(root: Path, port: int, upstream: int) -> None:
    clock, home = SystemClock(), Home.from_environment({"INTERLOCK_HOME": str(root / "home")})
    log = Log.open(str(root / "ledger/gateway" / SESSION), f"gateway/{SESSION}", str(root / "ledger/index"), str(root / "keys"))
    workspace = root / "workspace"
    workspace.mkdir(exist_ok=True)
    connectors = {
        "up": Connector("up", Http(f"http://127.0.0.1:{upstream}/mcp")),
        "line": Connector("line", Stdio(LINE, workspace=str(workspace), code=(str(Path(__file__).parent),))),
    }
    pool = Pool(connectors, launcher=SupervisedLauncher(home), reach=HttpChannel, now_ms=clock.now_ms)
    recorder, inbox = LogRecorder(log), SharedInbox(Inbox(str(root / "inbox")))
    around = Around(pool=pool, recorder=recorder, inbox=inbox, clock=clock, session=SESSION)
    definitions = held_to(str(root / "definitions"), connectors, around)
    parts = Parts(
        upstreams=definitions.upstreams,
        engine=NativeEngine(policy()), facts=KnownFacts(clock), recorder=recorder, inbox=inbox,
        clock=clock, registry=Registry(str(root / "registry"), soon=asyncio.get_running_loop().call_soon), attestations=Attestations(), pool=pool, session=SESSION,
        tasks=TaskStore(str(root / "tasks")),
        url=f"http://127.0.0.1:{port}", hosts=own_hosts("127.0.0.1", port),
    )  # fmt: skip
    server = uvicorn_server(assembled(parts).application)
    settle_memory()
    server.config.host, server.config.port = "127.0.0.1", port
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, setattr, server, "should_exit", True)
    try:
        await (profiled(server.serve()) if os.environ.get("BENCH_PROFILE") else server.serve())
    finally:
        await definitions.close()
        await pool.close()


async def profiled(serving: Any) -> None:
    """Where the time goes: the functions with most time of their own, as shares of the whole."""
    import cProfile
    import pstats

    profile = cProfile.Profile(time.thread_time)  # the processor's time, not that of who waits for it
    profile.enable()
    try:
        await serving
    finally:
        profile.disable()
        pstats.Stats(profile, stream=sys.stderr).sort_stats("tottime").print_stats(40)
        if os.environ["BENCH_PROFILE"] != "1":
            profile.dump_stats(os.environ["BENCH_PROFILE"])


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
