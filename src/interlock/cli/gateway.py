"""`interlock gateway`: one MCP endpoint in front of all connectors."""

from __future__ import annotations

import argparse
from typing import Final

SUMMARY: Final = "serve the MCP gateway"

_EPILOG: Final = """\
agents connect to http://127.0.0.1:7391/mcp with a token (interlock agent add NAME), or from inside a session
(interlock run --agent NAME -- COMMAND), where a token of the session's own is in INTERLOCK_TOKEN.

examples:
  interlock connector add notes --stdio -- python3 notes_server.py
  interlock gateway --policy tools.yaml
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """See `commands.Command`."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "--listen", default="127.0.0.1:7391", metavar="ADDRESS:PORT", help="loopback only; default %(default)s"
    )
    parser.add_argument(
        "--policy", action="append", default=[], metavar="FILE", help="a layer; may be given several times"
    )
    parser.add_argument("--preset", metavar="NAME", help="default gateway-baseline where no --policy is given")
    parser.add_argument(
        "--without-token",
        metavar="AGENT",
        help="for conformance tests: your local connections without a token act as AGENT",
    )


def run(arguments: argparse.Namespace) -> int:
    """See `commands.Command`."""
    from interlock.app.gateway_serve import GatewayWanted, serve

    return serve(
        GatewayWanted(
            listen=arguments.listen,
            policies=arguments.policy,
            preset=arguments.preset,
            anonymous=arguments.without_token,
        )
    )
