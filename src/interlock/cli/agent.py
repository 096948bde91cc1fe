"""`interlock agent`: who may call tools through the gateway."""

from __future__ import annotations

import argparse
import json
import os
import re
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from interlock.identity.authenticate import Registry
    from interlock.storage.home import Home

SUMMARY: Final = "add, list and revoke agents and their tokens"
_CLIENT: Final = "make a client known that logs in by OAuth as an agent (interlock gateway --oauth)"
_CLIENT_EPILOG: Final = """\
With a secret or keys it gets tokens by `client_credentials`, without a person; with a redirect URI a person is asked.
docs/identity.md says more."""
_UNITS_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def configure(parser: argparse.ArgumentParser) -> None:
    """See `commands.Command`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, words in (("add", "make an agent known and print a token for it"), ("token", "print a new token")):
        action = actions.add_parser(name, help=words, description=words)
        action.add_argument("name", help="a-z, 0-9, `.`, `_`, `-`")
        action.add_argument("--ttl", default="1h", help="how long the token lives: 30m, 8h, 7d; default %(default)s")
        action.add_argument("--gateway", metavar="URL", help="the gateway it is for; default: the running one")
        action.add_argument("--json", action="store_true", help="one JSON object")
    client = actions.add_parser("client", help=_CLIENT, description=_CLIENT, epilog=_CLIENT_EPILOG)
    client.add_argument("name", help="the agent that it acts as")
    client.add_argument("--redirect", action="append", default=[], metavar="URI", help="where its logins are answered")
    proven = client.add_mutually_exclusive_group()
    proven.add_argument("--secret", action="store_true", help="it has a secret, which is printed once")
    proven.add_argument("--keys", metavar="FILE", help="it signs: its public keys, as a JSON Web Key Set")
    client.add_argument("--json", action="store_true", help="one JSON object")
    listing = actions.add_parser("list", help="agents and how many tokens of each live", description="list agents")
    listing.add_argument("--json", action="store_true", help="one JSON object a line")
    revoke = actions.add_parser("revoke", help="end an agent and all its tokens", description="end an agent for good")
    revoke.add_argument("name")


def run(arguments: argparse.Namespace) -> int:
    """See `commands.Command`."""
    from interlock.identity.authenticate import Registry
    from interlock.storage.home import Home

    home = Home.from_environment()
    if arguments.action == "client":
        return _client(arguments, home)
    home.ensure(home.state)
    home.check_file(home.registry)
    registry = Registry(home.registry)
    now_ms = time.time_ns() // 1_000_000
    if arguments.action in ("add", "token"):
        return _token(arguments, registry, now_ms, arguments.gateway or _running(home))
    if arguments.action == "list":
        return _list(registry, now_ms, as_json=arguments.json)
    ended = registry.revoke(arguments.name, now_ms)
    print(f"revoked `{arguments.name}`; live tokens that ended with it: {ended}")
    return 0


def _token(arguments: argparse.Namespace, registry: Registry, now_ms: int, url: str) -> int:
    ttl_ms = duration_ms(arguments.ttl)
    if arguments.action == "add":
        registry.add(arguments.name, now_ms)
    token = registry.issue_user(arguments.name, audience=url, uid=os.getuid(), ttl_ms=ttl_ms, now_ms=now_ms)
    if arguments.json:
        shown = {"agent": arguments.name, "token": token, "url": f"{url}/mcp", "expires_ms": now_ms + ttl_ms}
        print(json.dumps(shown))
        return 0
    print(token)
    print(
        f"# for {url}/mcp as `Authorization: Bearer …`, from your own local processes, for {arguments.ttl}; shown once"
    )
    return 0


def _client(arguments: argparse.Namespace, home: Home) -> int:
    from interlock.app.known_clients import Proven, make_known

    method = "private_key_jwt" if arguments.keys else "client_secret_basic" if arguments.secret else "none"
    made = make_known(home, arguments.name, arguments.redirect, Proven(method, arguments.keys))
    if arguments.json:
        print(json.dumps({"agent": arguments.name, "client_id": made.row.id, "client_secret": made.secret}))
        return 0
    print(f"client id: {made.row.id}")
    if made.secret is not None:
        print(f"client secret: {made.secret}\n# shown once; only its digest is kept")
    return 0


def _list(registry: Registry, now_ms: int, *, as_json: bool) -> int:
    for agent in registry.list(now_ms):
        state = "revoked" if agent.revoked_ms is not None else "active"
        if as_json:
            print(json.dumps({"name": agent.name, "state": state, "live_tokens": agent.live_tokens}))
        else:
            print(f"{agent.name:<32} {state:<8} live tokens: {agent.live_tokens}")
    return 0


def duration_ms(text: str) -> int:
    """A length of time as `30m`, `8h`, `7d`. Raises `OperatorError`."""
    from interlock.vocabulary.errors import OperatorError

    matched = re.fullmatch(r"([0-9]{1,6})([smhd])", text)
    if matched is None:
        raise OperatorError(f"`{text}` is not a duration", hint="for example 30m, 8h, 7d")
    return int(matched[1]) * _UNITS_MS[matched[2]]


def _running(home: Home) -> str:
    """The URL of the gateway that runs, else the default one."""
    from interlock.app.gateway import DEFAULT_LISTEN
    from interlock.app.gateway_place import running

    return running(home) or f"http://{DEFAULT_LISTEN}"
