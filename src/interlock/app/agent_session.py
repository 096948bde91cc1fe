"""`run --agent NAME`: a token that lives and dies with the session, and where the gateway is. Joins identity, home
and run.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from interlock.vocabulary.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from interlock.host.launch import GatewayAt
    from interlock.storage.home import Home

DEFAULT_GATEWAY_URL: Final = "http://127.0.0.1:7391"
#: A session's token ends with it; this bounds a session that is never closed, in milliseconds.
TOKEN_LIFE_MS: Final = 24 * 3_600_000


class AgentSession(NamedTuple):
    """What an agent's session adds: environment, the launch's `gateway`, and how to end it."""

    environment: Mapping[str, str]
    gateway: GatewayAt
    end: Callable[[], None]


def open_agent_session(agent: str, *, home: Home, session: str) -> AgentSession:
    """Issue the session's token. Raises `OperatorError` for an unknown or revoked agent, or a gateway that is not
    there.
    """
    from interlock.identity.authenticate import Registry

    url = gateway_url(home)
    address, port = _endpoint(url)
    home.ensure(home.state)
    registry = Registry(home.registry)
    token = registry.issue_session(agent, audience=url, session=session, ttl_ms=TOKEN_LIFE_MS, now_ms=_now_ms())

    def end() -> None:
        registry.end_session(session, _now_ms())
        registry.close()

    return AgentSession(
        environment={"INTERLOCK_AGENT": agent, "INTERLOCK_TOKEN": token, "INTERLOCK_GATEWAY_URL": url},
        gateway={"address": address, "port": port, "socket": home.gateway_socket},
        end=end,
    )


def gateway_url(home: Home) -> str:
    """The gateway that sessions of this user call: `INTERLOCK_GATEWAY_URL`, else the one that runs for this home,
    wherever it listens. Raises `OperatorError` when none runs.
    """
    from interlock.app.gateway_place import running

    url = os.environ.get("INTERLOCK_GATEWAY_URL") or running(home)
    if url is None or not os.path.exists(home.gateway_socket):
        raise OperatorError(
            "no gateway runs, so an agent's session could call no tool", hint="start it: interlock gateway"
        )
    return url


def gateway_layer(home: Home) -> bytes:
    """A layer that lets the session's processes connect to the gateway, and says nothing else. Raises `OperatorError`
    when no gateway runs, or for a malformed `INTERLOCK_GATEWAY_URL`.
    """
    address, port = _endpoint(gateway_url(home))
    return (
        "interlock: 1\nname: agent-gateway\nrules:\n  - id: gateway\n    allow: net.connect\n"
        f"    address: '{address}'\n    port: {port}\n    protocol: tcp\n"
    ).encode()


def _endpoint(url: str) -> tuple[str, int]:
    scheme, _, rest = url.partition("://")
    host, _, port = rest.partition("/")[0].rpartition(":")
    if scheme != "http" or not host or not port.isdigit():
        raise OperatorError(f"INTERLOCK_GATEWAY_URL is `{url}`", hint=f"for example {DEFAULT_GATEWAY_URL}")
    return host.strip("[]"), int(port)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
