"""`interlock gateway`: one MCP endpoint in front of all connectors."""

from __future__ import annotations

import argparse
from typing import Final

SUMMARY: Final = "serve the MCP gateway"

_EPILOG: Final = """\
agents connect to http://127.0.0.1:7391/mcp with a token (interlock agent add NAME), or from inside a session
(interlock run --agent NAME -- COMMAND), where a token of the session's own is in INTERLOCK_TOKEN.
http://127.0.0.1:7391/brief shows them three tools (search, describe, call) in the place of all.

examples:
  interlock gateway init
  interlock connector add notes --stdio -- python3 notes_server.py
  interlock gateway --policy tools.yaml
"""
_INIT_EPILOG: Final = """\
What is there already is kept; --force writes the policy anew. The agent's token is printed once and kept nowhere.
Nothing of a client is changed: what it needs is printed, for you to paste or run."""


def configure(parser: argparse.ArgumentParser) -> None:
    """See `commands.Command`."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "--listen", default="127.0.0.1:7391", metavar="ADDRESS:PORT", help="loopback only; default %(default)s"
    )
    parser.add_argument(
        "--policy", action="append", default=[], metavar="FILE", help="a layer; may be given several times"
    )
    preset = "default: your own layer (interlock gateway init), else gateway-baseline, where no --policy is given"
    parser.add_argument("--preset", metavar="NAME", help=preset)
    parser.add_argument(
        "--without-token",
        metavar="AGENT",
        help="for conformance tests: your local connections without a token act as AGENT",
    )
    words = "clients on this machine may log in by OAuth; you are asked about each, at the approval inbox"
    parser.add_argument("--oauth", action="store_true", help=words)
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    words = "write a configuration that works, and say how each client on this machine gets the gateway"
    init = actions.add_parser("init", help=words, description=words, epilog=_INIT_EPILOG)
    init.add_argument("--agent", default="coder", metavar="NAME", help="who the clients are; default %(default)s")
    init.add_argument("--ttl", default="30d", help="how long the agent's token lives; default %(default)s, the most")
    init.add_argument("--force", action="store_true", help="write the policy anew, and print a new token")
    init.add_argument("--json", action="store_true", help="one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """See `commands.Command`."""
    if arguments.action == "init":
        from interlock.cli.gateway_init import init

        return init(arguments)
    from interlock.app.gateway_serve import GatewayWanted, serve

    return serve(
        GatewayWanted(
            listen=arguments.listen,
            policies=arguments.policy,
            preset=arguments.preset,
            anonymous=arguments.without_token,
            oauth=arguments.oauth,
        )
    )
