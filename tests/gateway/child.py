"""A gateway in a process of its own, to be killed: `child.py DIRECTORY PORT`. Ports are the real ones but for the host plane."""

import asyncio
import os
import secrets
import sys
from pathlib import Path

from gateway_stage import RULES, SESSION, DirectLauncher, connector, policy

from interlock._native import Log
from interlock.app.gateway import Parts, SystemClock, assemble, own_hosts, uvicorn_server
from interlock.app.gateway_engine import NativeEngine
from interlock.app.gateway_inbox import GatewayInbox
from interlock.app.gateway_recorder import LogRecorder
from interlock.approvals.inbox import Inbox
from interlock.connectors.http import HttpChannel
from interlock.connectors.pool import Pool
from interlock.identity.attestation import Attestations
from interlock.identity.registry import Registry


async def main(root: Path, port: int) -> None:
    clock = SystemClock()
    name = f"gateway/s-20261121T120000-{secrets.token_hex(3)}"
    log = Log.open(str(root / "ledger" / name), name, str(root / "ledger" / "index"), str(root / "keys"))
    each = connector("notes", root=root)
    pool = Pool({"notes": each}, launcher=DirectLauncher(), reach=HttpChannel, now_ms=clock.now_ms)
    inbox = GatewayInbox(Inbox(str(root / "inbox.sqlite")), SESSION)
    parts = Parts(
        engine=NativeEngine(policy(*RULES)), recorder=LogRecorder(log), inbox=inbox, clock=clock,
        registry=Registry(str(root / "registry.sqlite")), attestations=Attestations(), pool=pool, session=name[8:],
        url=f"http://127.0.0.1:{port}", hosts=own_hosts("127.0.0.1", port),
    )  # fmt: skip
    server = uvicorn_server(assemble(parts))
    server.config.host, server.config.port = "127.0.0.1", port
    await server.serve()


if __name__ == "__main__":
    os.umask(0o077)
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
