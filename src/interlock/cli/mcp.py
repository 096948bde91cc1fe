"""`interlock mcp -- COMMAND`: one stdio server, governed, for a client that speaks only stdio."""

from __future__ import annotations

import argparse
import re
from typing import Final

SUMMARY: Final = "wrap one MCP server for a client that starts it over stdio"

_EPILOG: Final = """\
Write it into the client's configuration in place of the server's own command. The server is held by the host plane
(no network, an empty home), its calls by the policy, and both are recorded. Nothing listens; no token is needed.

examples:
  interlock mcp -- python3 notes_server.py
  interlock mcp --policy tools.yaml --workspace ~/papers -- ~/mcp/node_modules/.bin/mcp-server-filesystem ~/papers
"""
_OTHER: Final = re.compile(r"[^a-z0-9]+", re.ASCII)
_SCRIPTS: Final = (".py", ".js", ".mjs", ".cjs", ".ts")
_NAME_CHARACTERS_MAX: Final = 32


def configure(parser: argparse.ArgumentParser) -> None:
    """See `commands.Command`."""
    parser.epilog = _EPILOG
    parser.usage = "%(prog)s [options] -- COMMAND …"
    name = "what rules call the server as `connector`; default: the name of its program"
    parser.add_argument("--name", metavar="NAME", help=name)
    parser.add_argument("--agent", default="client", metavar="NAME", help="who the client is; default %(default)s")
    layer = "a layer for its calls; may be given several times"
    parser.add_argument("--policy", dest="call_policy", action="append", default=[], metavar="FILE", help=layer)
    preset = "default: your own layer (interlock gateway init), else gateway-baseline, where no --policy is given"
    parser.add_argument("--preset", metavar="NAME", help=preset)
    held = "a layer for the server itself; may be given several times"
    parser.add_argument("--server-policy", dest="policy", action="append", default=[], metavar="FILE", help=held)
    parser.add_argument("--workspace", metavar="DIR", help="the directory that it works in; default: an empty one")
    env = "set for the server; a bare NAME takes the value it has here now"
    parser.add_argument("--env", action="append", default=[], metavar="NAME[=VALUE]", help=env)
    operation = "what a tool does: read, …"
    parser.add_argument("--operation", action="append", default=[], metavar="TOOL=CLASS", help=operation)
    requests = "let the server ask: elicitation,sampling,roots"
    parser.add_argument("--client-requests", default="", metavar="LIST", help=requests)
    parser.add_argument("--revision", choices=("auto", "legacy", "modern"), help="which MCP to speak with it")
    parser.add_argument("--timeout", metavar="TIME", help="the longest a call may take, as `90s`; default 60s")
    parser.add_argument("--start-timeout", metavar="TIME", help="the longest a start may take; default 30s")
    parser.add_argument("--concurrency", metavar="N", help="calls at a time; default 1")
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="-- COMMAND …", help="the server and its arguments")
    parser.set_defaults(stdio=True, http=None, header=[], per=None, limit=[], definitions=None)
    parser.set_defaults(sql=None, writes=False, rows=None)


def run(arguments: argparse.Namespace) -> int:
    """See `commands.Command`."""
    from interlock.app.mcp_stdio import WrappingWanted, wrap
    from interlock.cli.connector_document import document_of, wanted_of
    from interlock.connectors.configuration import parse
    from interlock.vocabulary.errors import OperatorError

    arguments.command = arguments.words[1:] if arguments.words[:1] == ["--"] else arguments.words
    if not arguments.command:
        raise OperatorError("there is no server to wrap", hint="interlock mcp -- COMMAND ARGUMENTS")
    name = arguments.name or _name_of(arguments.command)
    connector = parse(document_of(wanted_of(arguments)), name=name, file="interlock mcp")
    return wrap(WrappingWanted(connector, arguments.agent, arguments.call_policy, arguments.preset))


def _name_of(command: list[str]) -> str:
    """A name that a connector can have, from the last part of what is started; a script's rather than its
    interpreter's."""
    words = [word for word in command if not word.startswith("-")]
    scripts = [word for word in words[1:2] if word.endswith(_SCRIPTS)]
    program = [*scripts, *words, "server"][0]
    name = _OTHER.sub("-", program.rpartition("/")[2].partition(".")[0].lower()).strip("-")
    return name[:_NAME_CHARACTERS_MAX].rstrip("-") if name[:1].isalpha() else "server"
