"""`interlock gateway init`, for a person: what was made, and what to paste into each client that was found."""

from __future__ import annotations

import argparse
import json
import os
from typing import Final

from interlock.app.client_servers import servers_of
from interlock.app.gateway import DEFAULT_LISTEN
from interlock.app.gateway_place import running
from interlock.app.gateway_serve import load_connectors
from interlock.app.gateway_setup import SetUp, set_up
from interlock.app.mcp_clients import CLIENTS, Way, ways
from interlock.cli.agent import duration_ms
from interlock.storage.home import Home, user_home
from interlock.vocabulary.errors import InterlockError
from interlock.vocabulary.printable import printable

_TOKEN_ELSEWHERE: Final = "<token>"  # noqa: S105 - what stands where a token has to be put


def init(arguments: argparse.Namespace) -> int:
    """See the module."""
    home = Home.from_environment()
    home.ensure(home.config, home.connectors, home.state, home.runtime)
    url = running(home) or f"http://{DEFAULT_LISTEN}"
    made = set_up(home, arguments.agent, url=url, ttl_ms=duration_ms(arguments.ttl), force=arguments.force)
    told = ways(f"{url}/mcp", made.token or _TOKEN_ELSEWHERE, os.environ, home=user_home())
    connectors = list(load_connectors(home))
    if arguments.json:
        print(json.dumps(_value(made, told, url, connectors)))
    else:
        _tell(made, told, url, connectors, arguments.ttl)
    return 0


def _value(made: SetUp, told: list[Way], url: str, connectors: list[str]) -> dict[str, object]:
    return {
        "policy": {"file": made.policy, "state": made.policy_state},
        "agent": {"name": made.agent, "state": made.agent_state, "token": made.token},
        "url": f"{url}/mcp",
        "connectors": connectors,
        "clients": [each._asdict() for each in told],
    }


def _tell(made: SetUp, told: list[Way], url: str, connectors: list[str], ttl: str) -> None:
    print(f"policy: {made.policy_state} {made.policy}")
    token = f"its token, shown once, lives for {ttl}" if made.token else "its tokens are as they were"
    print(f"agent: {made.agent_state} `{made.agent}`; {token}")
    if made.token is None:
        print(f"  a new token: interlock agent token {made.agent} --ttl 30d")
    print(f"connectors: {', '.join(connectors) or 'none yet'}")
    for line in _offers(connectors):
        print(f"  {line}")
    print(f"\nstart it: interlock gateway   (serves {url}/mcp)\n")
    for way in told:
        if way.is_found:
            _tell_way(way)
    print("An agent in a session (interlock run --agent NAME -- CLIENT) has a token of its own in INTERLOCK_TOKEN.")


def _tell_way(way: Way) -> None:
    if way.command is not None:
        print(f"{way.title}, run:\n\n  {way.command}\n")
        return
    where = f"put into {printable(way.file)}" if way.file else "in its configuration"
    print(f"{way.title}, {where}:\n")
    print("\n".join(f"  {line}" for line in way.text.splitlines()) + "\n")


def _offers(connectors: list[str]) -> list[str]:
    """How servers come in: those that clients have already, or a first one."""
    found = []
    for client in CLIENTS:
        try:
            servers = servers_of(client, os.environ, home=user_home(), directory=os.getcwd())
        except InterlockError:
            continue  # said by `connector add --from`, which needs the file
        count = sum(1 for each in servers if each.fault is None)
        if count:
            found.append(f"{client} has {count}: interlock connector add --from {client} --dry-run")
    if not connectors and not found:
        found.append("add one: interlock connector add NAME --stdio -- COMMAND")
    return found
