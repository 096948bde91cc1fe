"""References in a connector's file: `${env:NAME}` and `${env:NAME:-otherwise}` stand for a variable of whoever starts
the server, in the values of its environment and headers and in the arguments of its command.

So a credential stays where its owner keeps it, and the file holds its name. A variable that is not set, or whose value
no header can carry, is a server that is not started. Left out: references in a program's name, in a URL, in a path.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Final, assert_never

from interlock.connectors.channel import Channel, Sink
from interlock.connectors.configuration import HEADER_VALUE, Connector, Http, Sql, Stdio
from interlock.connectors.http import HttpChannel
from interlock.connectors.launch import LaunchFailed

_REFERENCE: Final = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}", re.ASCII)


def resolved(connectors: Mapping[str, Connector], environment: Mapping[str, str]) -> dict[str, Connector]:
    """The connectors with the values that their references have now. What is not set is left as it is written."""
    return {name: _resolved(each, environment) for name, each in connectors.items()}


def reached(connector: Connector, server: Http, agent: str, told: Sink) -> Channel:
    """The channel to a server that runs elsewhere. Raises `LaunchFailed` where a reference has no value to send."""
    fault = fault_of(server)
    if fault is not None:
        raise LaunchFailed(fault)
    return HttpChannel(connector, server, agent, told)


def fault_of(server: Stdio | Http) -> str | None:
    """Why a resolved server cannot be had, if it cannot: references that are left, values that no header can carry."""
    missing = unset(server)
    if missing:
        names = " and ".join(f"`{name}`" for name in missing)
        return f"the environment of the gateway lacks {names}, which the connector's file refers to"
    if isinstance(server, Http):
        bad = [name for name, value in server.headers.items() if HEADER_VALUE.fullmatch(value) is None]
        if bad:
            return f"the value that the header `{bad[0]}` refers to cannot be sent in a header"
    return None


def unset(server: Stdio | Http) -> list[str]:
    """The variables that references name and that have no value, in order."""
    found = (match[1] for text in _texts(server) for match in _REFERENCE.finditer(text) if match[2] is None)
    return list(dict.fromkeys(found))


def _resolved(connector: Connector, environment: Mapping[str, str]) -> Connector:
    match connector.server:
        case Stdio() as server:
            words = [_value(word, environment) for word in server.command[1:]]
            started = dataclasses.replace(
                server,
                command=(server.command[0], *words),
                environment=_values(server.environment, environment),
                hidden=tuple(word for word in words if word not in server.command),
            )
            return dataclasses.replace(connector, server=started)
        case Http() as server:
            headers = _values(server.headers, environment)
            return dataclasses.replace(connector, server=dataclasses.replace(server, headers=headers))
        case Sql():
            return connector
        case never:
            assert_never(never)


def _values(given: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    return {name: _value(text, environment) for name, text in given.items()}


def _value(text: str, environment: Mapping[str, str]) -> str:
    """As a shell has it: what is empty counts as not set where something else is given for that."""

    def stands_for(match: re.Match[str]) -> str:
        value = environment.get(match[1])
        return (value or match[2]) if match[2] is not None else (match[0] if value is None else value)

    return _REFERENCE.sub(stands_for, text)


def _texts(server: Stdio | Http) -> Iterator[str]:
    match server:
        case Stdio():
            yield from server.command[1:]
            yield from server.environment.values()
        case Http():
            yield from server.headers.values()
        case never:
            assert_never(never)

