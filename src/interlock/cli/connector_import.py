"""`connector add --from CLIENT`: the servers that a client has, as connectors. What is the user's own is taken; what
the project brings is shown, and taken only where its name is given: whoever wrote the project wrote it."""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Sequence
from typing import NamedTuple

from interlock.app import package_command
from interlock.app.client_servers import ClientServer, servers_of
from interlock.app.gateway_place import running
from interlock.cli.connector_document import ConnectorWanted, document_of, keep
from interlock.cli.connector_fetch import with_package
from interlock.connectors.configuration import NAME, parse
from interlock.connectors.kind import kind_of
from interlock.storage.home import Home, user_home
from interlock.surroundings.workspace import too_wide
from interlock.vocabulary.errors import InterlockError, OperatorError
from interlock.vocabulary.printable import printable


class Taken(NamedTuple):
    """What became of one server: the connector's `name`, `added` or `left out`, why, and what it is."""

    name: str
    server: str
    file: str
    state: str
    why: str | None
    shown: str | None
    environment: list[str]
    notes: list[str]


def add_from(arguments: argparse.Namespace, home: Home) -> int:
    """See the module."""
    servers = servers_of(arguments.source, os.environ, home=user_home(), directory=os.getcwd())
    names: Sequence[str] = arguments.name
    unknown = [name for name in names if name not in {each.name for each in servers}]
    if unknown:
        known = ", ".join(f"`{printable(each.name)}`" for each in servers) or "none"
        raise OperatorError(f"{arguments.source} has no server called `{unknown[0]}`", hint=f"it has: {known}")
    taken: list[Taken] = []
    for server in servers:
        if not names or server.name in names:
            taken.append(_taken(server, arguments, home, used={each.name for each in taken if each.state == "added"}))
    if arguments.json:
        print(json.dumps({"dry_run": arguments.dry_run, "servers": [each._asdict() for each in taken]}))
    else:
        _tell(taken, arguments)
    return 1 if names and any(each.state != "added" for each in taken) else 0


def _taken(server: ClientServer, arguments: argparse.Namespace, home: Home, *, used: set[str]) -> Taken:
    name = _name(server.name)
    left_out = Taken(name, server.name, server.file.path, "left out", None, None, [], list(server.notes))
    if server.fault is not None:
        return left_out._replace(why=server.fault)
    if _is_interlock(server, home):
        return left_out._replace(why="it is this gateway")
    try:
        wanted = _wanted(server)
        text = document_of(wanted)
        fetched = package_command.wanted_of(wanted.command) if wanted.command else None
        connector = parse(text, name=name, file=f"{home.connectors}/{name}.yaml")
    except OperatorError as error:
        return left_out._replace(why=str(error))
    kind = kind_of(connector)
    values = server.environment if server.url is None else server.headers
    named = [f"{key}={_shown(value)}" for key, value in values.items()]
    found = left_out._replace(shown=f"{kind.name} {kind.shown}", environment=named)
    if wanted.workspace is None and server.directory is not None:
        found.notes.append(f"the client starts it in `{server.directory}`, which is too wide to be given to a server")
    if server.file.is_project and server.name not in arguments.name:
        return found._replace(why="the project brings it: name it to add it")
    if name in used:
        return found._replace(why=f"another server is called `{name}`")
    if os.path.lexists(f"{home.connectors}/{name}.yaml") and not arguments.force:
        return found._replace(why=f"connector `{name}` exists already: --force replaces it")
    if fetched is not None:
        found.notes.append(f"it is the package `{fetched.asked}`, which is fetched once, when it is added")
    if not arguments.dry_run:
        try:
            with with_package(name, wanted, home, yes=arguments.fetch) as whole:
                keep(name, document_of(whole), home.connectors, replace=True)
        except InterlockError as error:
            return found._replace(why=str(error))
    return found._replace(state="added")


def _wanted(server: ClientServer) -> ConnectorWanted:
    directory = os.path.realpath(server.directory) if server.directory else None
    is_wide = directory is not None and (directory == "/" or too_wide(directory, os.environ) is not None)
    return ConnectorWanted(
        command=[_there(word, server) for word in server.command],
        url=server.url,
        headers=server.headers,
        environment=server.environment,
        workspace=None if is_wide else directory,
        options=server.options,
    )


def _there(word: str, server: ClientServer) -> str:
    """A file that is named from the directory where the client starts its server."""
    path = os.path.join(server.directory or os.getcwd(), word)
    return path if server.directory and "/" in word and os.path.isfile(path) else word


def _name(text: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:32].strip("-")
    return plain if NAME.fullmatch(plain) else f"s-{plain}"[:32].strip("-")


def _is_interlock(server: ClientServer, home: Home) -> bool:
    if server.url is None:
        return os.path.basename(server.command[0]) == "interlock"
    url = running(home)
    ours = any(value.startswith("Bearer ilk_") for value in server.headers.values())
    return ours or (url is not None and server.url.startswith(f"{url}/"))


def _shown(value: str) -> str:
    """A reference whole; of everything else nothing, since it may be a credential."""
    found = re.fullmatch(r"(?:Bearer )?\$\{env:[A-Za-z0-9_]+\}", value)
    return value if found else "…"


def _tell(taken: list[Taken], arguments: argparse.Namespace) -> None:
    if not taken:
        print(f"{arguments.source} has no servers here")
    for each in taken:
        did = "would add" if arguments.dry_run else "added"
        state = did if each.state == "added" else "left out"
        print(f"{state} `{printable(each.server)}`" + (f" as `{each.name}`" if each.name != each.server else ""))
        print(f"  from {printable(each.file)}")
        if each.shown is not None:
            print(f"  {printable(each.shown, 1_000)}")
        for pair in each.environment:
            print(f"  {printable(pair)}")
        if each.why is not None:
            print(f"  why: {printable(each.why)}")
        for note in each.notes:
            print(f"  note: {printable(note, 1_000)}")
    if not arguments.dry_run and any(each.state == "added" for each in taken):
        print("try one: interlock connector test NAME; a running gateway reads them when it is started again")
