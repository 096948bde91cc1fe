"""`interlock connector`: the tools behind the gateway, one configuration file each."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from interlock.app.mcp_clients import CLIENTS
from interlock.cli import connector_changes

if TYPE_CHECKING:
    from interlock.cli.connector_document import ConnectorWanted
    from interlock.connectors.configuration import Connector
    from interlock.storage.home import Home
    from interlock.vocabulary.json_value import JsonObject

SUMMARY: Final = "add, list, remove and test the tools behind the gateway"

_EPILOG: Final = """\
examples:
  interlock connector add notes --stdio -- python3 notes_server.py
  interlock connector add crm --http https://crm.example/mcp --header 'Authorization=Bearer …'
  interlock connector add files --stdio --workspace ~/papers -- npx -y @modelcontextprotocol/server-filesystem ~/papers
  interlock connector add shop --sql ~/shop/orders.db
  interlock connector add --from claude-code --dry-run
  interlock connector test notes
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """See `commands.Command`."""
    parser.epilog = _EPILOG
    actions = parser.add_subparsers(
        dest="action", required=True, metavar="ACTION", parser_class=_taking_a_command(type(parser))
    )
    add = actions.add_parser("add", help="add an MCP server", description="add an MCP server", epilog=_EPILOG)
    name = "a-z, 0-9, `-`, from a letter; its tools are called NAME__tool. With --from: of its servers; default: yours"
    add.add_argument("name", nargs="*", help=name)
    kind = add.add_mutually_exclusive_group(required=True)
    kind.add_argument("--from", dest="source", choices=CLIENTS, help="the servers that this client has")
    kind.add_argument("--stdio", action="store_true", help="a command to start, after `--`")
    kind.add_argument("--http", metavar="URL", help="a server to reach")
    kind.add_argument("--sql", metavar="FILE", help="a SQLite database, whose statements are judged one by one")
    add.add_argument("--writes", action="store_true", help="statements may change an --sql database, as policy decides")
    add.add_argument("--rows", metavar="N", help="the most rows that an answer of an --sql database has; default 1000")
    add.add_argument("--header", action="append", default=[], metavar="NAME=VALUE", help="sent to an --http server")
    add.add_argument(
        "--env",
        action="append",
        default=[],
        metavar="NAME[=VALUE]",
        help="set for a --stdio server; a bare NAME takes the value it has here now",
    )
    add.add_argument("--policy", action="append", default=[], metavar="FILE", help="a layer for a --stdio server")
    add.add_argument(
        "--workspace", metavar="DIR", help="the directory a --stdio server works in; default: an empty one"
    )
    add.add_argument("--operation", action="append", default=[], metavar="TOOL=CLASS", help="what a tool does: read, …")
    add.add_argument(
        "--client-requests", default="", metavar="LIST", help="let the server ask: elicitation,sampling,roots"
    )
    add.add_argument("--revision", choices=("auto", "legacy", "modern"), help="which MCP to speak; default auto")
    add.add_argument("--timeout", metavar="TIME", help="the longest a call may take, as `90s`; default 60s")
    add.add_argument("--start-timeout", metavar="TIME", help="the longest a start may take; default 30s")
    limit = "of a --stdio server: memory (4GiB), disk in its home (1GiB), processes (256)"
    add.add_argument("--limit", action="append", default=[], metavar="NAME=VALUE", help=limit)
    per = "what one process of a --stdio server serves: an agent (default), a session of its client, or one call"
    add.add_argument("--per", choices=("agent", "session", "call"), help=per)
    kept = "definitions of its tools are taken at first use (default), or once you `approve` them"
    add.add_argument("--definitions", choices=("first-use", "approve"), help=kept)
    add.add_argument("--concurrency", metavar="N", help="calls of one agent at a time; default 1")
    add.add_argument("--force", action="store_true", help="replace one of the same name")
    add.add_argument("--fetch", action="store_true", help="yes to fetching the package of an npx, uvx, … command, once")
    add.add_argument("--dry-run", action="store_true", help="with --from: show what would be added")
    add.add_argument("--json", action="store_true", help="with --from: one JSON object")
    ways = ("NAME --stdio [options] -- COMMAND …", "NAME --http URL [options]", "NAME --sql FILE [options]")
    add.usage = f"%(prog)s ({' | '.join(ways)} | --from CLIENT [NAME …])"
    listing = actions.add_parser("list", help="the connectors", description="the connectors")
    listing.add_argument("--json", action="store_true", help="one JSON object a line")
    connector_changes.configure(actions)
    update = actions.add_parser("update", help="fetch its package anew", description="fetch its package anew")
    update.add_argument("name")
    update.add_argument("--fetch", action="store_true", help="yes, without being asked")
    for name, words in (("remove", "forget a connector"), ("test", "start or reach it, and say what was found")):
        action = actions.add_parser(name, help=words, description=words)
        action.add_argument("name")
        if name == "test":
            action.add_argument("--json", action="store_true", help="one JSON object")


def _taking_a_command(base: type[argparse.ArgumentParser]) -> type[argparse.ArgumentParser]:
    """argparse gives positionals out once, before later options: what stands after `--` is taken off first, as it
    is."""

    class TakingACommand(base):  # type: ignore[misc, valid-type]
        def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
            words = list(args or [])
            at = words.index("--") if "--" in words else len(words)
            known, rest = super().parse_known_args(words[:at], namespace)
            known.command = words[at + 1 :]
            return known, rest

    return TakingACommand


def run(arguments: argparse.Namespace) -> int:
    """See `commands.Command`."""
    from interlock.storage.home import Home

    home = Home.from_environment()
    home.ensure(home.config, home.connectors)
    if arguments.action == "add":
        return _add(arguments, home)
    if arguments.action == "remove":
        return _remove(arguments.name, home)
    if arguments.action == "changes":
        return connector_changes.show(arguments.name, home, as_json=arguments.json)
    if arguments.action == "approve":
        return connector_changes.approve(arguments, home)
    from interlock.app.gateway_serve import load_connectors

    connectors = load_connectors(home)
    if arguments.action == "list":
        return _list(connectors, home, as_json=arguments.json)
    if arguments.action == "update":
        from interlock.cli.connector_fetch import update

        return update(_known(connectors, arguments.name), home, yes=arguments.fetch)
    return _test(_known(connectors, arguments.name), as_json=arguments.json)


def _add(arguments: argparse.Namespace, home: Home) -> int:
    _check_names(arguments)
    if arguments.source is not None:
        from interlock.cli.connector_import import add_from

        return add_from(arguments, home)
    from interlock.cli.connector_document import check_free, document_of, keep, wanted_of
    from interlock.cli.connector_fetch import told, with_package
    from interlock.connectors.configuration import load
    from interlock.connectors.kind import kind_of
    from interlock.vocabulary.printable import printable

    [name] = arguments.name
    check_free(name, home.connectors, replace=arguments.force)
    with with_package(name, wanted_of(arguments), home, yes=arguments.fetch) as wanted:
        path = keep(name, document_of(wanted), home.connectors, replace=arguments.force)
    print(f"added `{name}`: {path}")
    if wanted.package is not None:
        print(f"  fetched {told(wanted.package)} into {printable(wanted.package.folder)}")
    for directory in kind_of(load(path)).code:
        print(f"  reads its code in {printable(directory)}")
    for note in _notes(wanted):
        print(f"  note: {printable(note, 1_000)}")
    print(f"  try it: interlock connector test {name}")
    return 0


def _check_names(arguments: argparse.Namespace) -> None:
    from interlock.vocabulary.errors import OperatorError

    if arguments.source is None and len(arguments.name) != 1:
        raise OperatorError("`connector add` needs one name", hint="interlock connector add NAME --stdio -- COMMAND")
    if arguments.source is None and (arguments.dry_run or arguments.json):
        raise OperatorError("--dry-run and --json belong to --from")
    own = ["command", "header", "env", "policy", "workspace", "operation", "client_requests", "revision", "timeout"]
    own += ["start_timeout", "concurrency", "per", "limit", "definitions", "writes", "rows"]
    if arguments.source is not None and any(getattr(arguments, each) for each in own):
        raise OperatorError("with --from, only names, --dry-run, --json and --force are taken")


def _notes(wanted: ConnectorWanted) -> list[str]:
    from interlock.app.gateway_servers import SERVER_PATH
    from interlock.cli.connector_command import notes, whole

    if not wanted.command:
        return []
    command = whole(list(wanted.command), server_path=SERVER_PATH)
    has_policy = bool(wanted.policies)
    return notes(command, server_path=SERVER_PATH, has_policy=has_policy, workspace=wanted.workspace)


def _remove(name: str, home: Home) -> int:
    from interlock.app.gateway_definitions import forget
    from interlock.connectors.configuration import NAME
    from interlock.vocabulary.errors import OperatorError

    path = Path(home.connectors) / f"{name}.yaml"
    if NAME.fullmatch(name) is None or not path.exists():
        raise OperatorError(f"no connector is called `{name}`", hint="see: interlock connector list")
    path.unlink()
    forget(home, name)
    print(f"removed `{name}`; a running gateway keeps it until it is started again")
    return 0


def _list(connectors: dict[str, Connector], home: Home, *, as_json: bool) -> int:
    """Each connector, and how the running gateway stands with it. Values of environment and headers are not shown."""
    from interlock.app.gateway_place import standings
    from interlock.connectors.kind import kind_of
    from interlock.vocabulary.printable import printable

    if not connectors and not as_json:
        print("no connectors yet\n  add one: interlock connector add NAME --stdio -- COMMAND")
    told = standings(home)
    for name, connector in connectors.items():
        own = [each for each in told if each.connector == name]
        if as_json:
            print(json.dumps({"name": name, **_described(connector), "servers": [each._asdict() for each in own]}))
            continue
        kind = kind_of(connector)
        print(f"{name:<20} {kind.name:<6} {kind.shown}")
        for each in own:
            print(f"  {printable(each.agent)}: {each.state}")
            wrote = [f"it wrote: {line}" for line in (each.detail or "").splitlines()[-3:]]
            denied = [f"it was denied: {words}" for words in each.denied]
            for line in [*each.faults, *wrote, *denied, *each.left_out]:
                print(f"    {printable(line)}")
    return 0


def _described(connector: Connector) -> JsonObject:
    from interlock.connectors.kind import kind_of

    kind = kind_of(connector)
    return {
        "kind": kind.name,
        **kind.told,
        "revision": connector.revision,
        "timeout_ms": connector.timeout_ms,
        "start_timeout_ms": connector.start_timeout_ms,
        "concurrency": connector.concurrency,
    }


def _known(connectors: dict[str, Connector], name: str) -> Connector:
    from interlock.vocabulary.errors import OperatorError

    if name not in connectors:
        raise OperatorError(f"no connector is called `{name}`", hint="see: interlock connector list")
    return connectors[name]


def _test(connector: Connector, *, as_json: bool) -> int:
    from interlock.app.connector_test import examine
    from interlock.vocabulary.printable import printable

    found = examine(connector)
    if as_json:
        print(json.dumps({**found._asdict(), "tools": [tool._asdict() for tool in found.tools]}))
        return 0 if found.fault is None else 1
    if found.fault is not None:
        print(f"{connector.name}: {printable(found.fault, 2_000)}")
        for line in (found.detail or "").splitlines():
            print(f"  it wrote: {printable(line)}")
        for words in found.denied:
            print(f"  it was denied: {printable(words)}")
        return 1
    print(f"{connector.name}: speaks {found.revision}, {len(found.tools)} tools")
    for tool in found.tools:
        usable = f"  (not usable: {printable(tool.fault)})" if tool.fault else ""
        print(f"  {printable(tool.name):<40} {tool.operation:<8}{usable}")
    for words in found.left_out:
        print(f"  {printable(words, 300)}")
    for words in found.denied:
        print(f"  it was denied: {printable(words)}")
    return 0
