"""`interlock gateway init`: the gateway's own policy, and an agent with a token. What is there is kept unless it is to
be replaced. Left out: connectors (`connector add`), and every file that belongs to a client.
"""

from __future__ import annotations

import os
import time
from typing import Final, NamedTuple

from interlock.identity.authenticate import Registry, check_ttl
from interlock.storage.home import Home

POLICY: Final = """\
# What agents may do with the tools behind the gateway. `interlock gateway` loads this file where it is given no other.
# Written by `interlock gateway init`: change it as you like, and start the gateway again (docs/policy.md).
interlock: 1
name: gateway
description: reading is free, changing asks, administration is refused
rules:
  - id: look
    allow: [tool.list, resource.read, prompt.get, log.level]

  # A tool reads if its connector says so: interlock connector add NAME --operation TOOL=read …
  - id: read
    allow: tool.call
    operation: read

  # Everything else asks you: interlock approvals list
  - id: change
    approve: tool.call
    operation: [write, delete, export, execute]
    because: this call changes or hands out something
    timeout: 5m

  - id: admin
    deny: tool.call
    operation: admin
    because: rights and settings are for people
"""


class SetUp(NamedTuple):
    """What was done: the policy's file and what became of it, the agent and what became of it, and its new token, if
    one was made."""

    policy: str
    policy_state: str
    agent: str
    agent_state: str
    token: str | None


def set_up(home: Home, agent: str, *, url: str, ttl_ms: int, force: bool) -> SetUp:
    """See the module. Raises `OperatorError` for an agent that cannot be, before anything is written."""
    home.ensure(home.config, home.policies, home.state)
    home.check_file(home.registry)
    registry = Registry(home.registry)
    check_ttl(ttl_ms)
    try:
        now_ms = time.time_ns() // 1_000_000
        is_new = agent not in {each.name for each in registry.list(now_ms)}
        if is_new:
            registry.add(agent, now_ms)
        token = None
        if is_new or force:
            token = registry.issue_user(agent, audience=url, uid=os.getuid(), ttl_ms=ttl_ms, now_ms=now_ms)
    finally:
        registry.close()
    policy_state = _written(home.gateway_policy, force=force)
    return SetUp(home.gateway_policy, policy_state, agent, "added" if is_new else "kept", token)


def _written(path: str, *, force: bool) -> str:
    is_there = os.path.lexists(path)
    if is_there and not force:
        return "kept"
    beside = f"{path}.{os.getpid()}.new"
    descriptor = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(POLICY)
    os.replace(beside, path)
    return "replaced" if is_there else "written"
