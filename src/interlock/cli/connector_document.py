"""The file of a connector, from what a person said of it. Left out: whether it fits (`connectors/configuration.py`)."""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from interlock.app.gateway_servers import SERVER_PATH
from interlock.app.server_code import code_of
from interlock.cli.connector_command import whole
from interlock.connectors.configuration import NAME, parse
from interlock.connectors.package import Package
from interlock.storage.home import user_home
from interlock.vocabulary.errors import OperatorError

_OPTIONS = ("revision", "timeout", "start_timeout", "concurrency", "per", "definitions")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorWanted:
    """What was said of one connector: the `command` of a server to start, the URL of one to reach, or the keys of a
    `database`, and options as its file spells them."""

    command: Sequence[str] = ()
    url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    policies: Sequence[str] = ()
    workspace: str | None = None
    operations: Mapping[str, str] = field(default_factory=dict)
    client_requests: Sequence[str] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    package: Package | None = None
    limits: Mapping[str, str] = field(default_factory=dict)
    database: Mapping[str, str] = field(default_factory=dict)


def wanted_of(arguments: argparse.Namespace) -> ConnectorWanted:
    """What `connector add` was given. Raises `OperatorError` for options that do not fit together."""
    _check(arguments)
    options = {key: getattr(arguments, key) for key in _OPTIONS}
    return ConnectorWanted(
        command=arguments.command,
        url=arguments.http,
        headers=_pairs(arguments.header),
        environment=_pairs(_from_here(each) for each in arguments.env),
        policies=[str(Path(each).resolve()) for each in arguments.policy],
        workspace=str(Path(arguments.workspace).resolve()) if arguments.workspace else None,
        operations=_pairs(arguments.operation),
        client_requests=arguments.client_requests.split(",") if arguments.client_requests else (),
        limits=_pairs(arguments.limit),
        database=_database(arguments),
        options={key: value for key, value in options.items() if value is not None},
    )


def document_of(wanted: ConnectorWanted) -> str:
    """The text of the file."""
    lines = ["interlock: 1", *_server(wanted)]
    lines += _map("operations", wanted.operations, "")
    lines += [f"{key}: {_text(value)}" for key, value in wanted.options.items()]
    if wanted.client_requests:
        lines.append(f"client_requests: {_list(wanted.client_requests)}")
    return "\n".join([*lines, ""])


def check_free(name: str, directory: str, *, replace: bool) -> None:
    """Raises `OperatorError` for a name that is taken and not to be replaced, or that no connector can have."""
    if NAME.fullmatch(name) is None:
        raise OperatorError(f"`{name}` cannot name a connector", hint="a-z, 0-9, `-`; from a letter, at most 32")
    if Path(directory, f"{name}.yaml").exists() and not replace:
        raise OperatorError(f"connector `{name}` exists already", hint="--force replaces it")


def keep(name: str, text: str, directory: str, *, replace: bool) -> Path:
    """Write the file of a connector (0600), whole or not at all, and say where. Raises `OperatorError` for a text that
    is no connector's, or where one of that name is there and is not to be replaced."""
    path = Path(directory) / f"{name}.yaml"
    parse(text, name=name, file=str(path))
    check_free(name, directory, replace=replace)
    beside = path.with_suffix(f".{os.getpid()}.new")
    descriptor = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    beside.replace(path)
    return path


def _check(arguments: argparse.Namespace) -> None:
    if arguments.stdio and not arguments.command:
        raise OperatorError("--stdio needs a command", hint="interlock connector add NAME --stdio -- COMMAND ARGUMENTS")
    if not arguments.stdio and any(
        (arguments.command, arguments.env, arguments.policy, arguments.workspace, arguments.limit)
    ):
        raise OperatorError("a command, --env, --policy, --workspace and --limit belong to --stdio")
    if arguments.sql is None and (arguments.writes or arguments.rows):
        raise OperatorError("--writes and --rows belong to --sql")
    if arguments.sql is not None and (arguments.operation or arguments.header or arguments.client_requests):
        raise OperatorError(
            "--operation, --header and --client-requests are not for --sql",
            hint="what a statement does is read off the statement",
        )
    if arguments.stdio and arguments.header:
        raise OperatorError("--header belongs to --http")


def _stdio(wanted: ConnectorWanted) -> list[str]:
    command = whole(list(wanted.command), server_path=SERVER_PATH)
    lines = ["stdio:", f"  command: {_list(command)}"]
    if code := code_of(command, home=user_home()):
        lines.append(f"  code: {_list(code)}")
    if wanted.policies:
        lines.append(f"  policies: {_list(wanted.policies)}")
    if wanted.workspace is not None:
        lines.append(f"  workspace: {_text(wanted.workspace)}")
    lines += _map("environment", wanted.environment, "  ") + _map("limits", wanted.limits, "  ")
    return lines + (_map("package", dataclasses.asdict(wanted.package), "  ") if wanted.package is not None else [])


def _server(wanted: ConnectorWanted) -> list[str]:
    if wanted.database:
        return _map("sql", wanted.database, "")
    return _http(wanted) if wanted.url is not None else _stdio(wanted)


def _database(arguments: argparse.Namespace) -> dict[str, str]:
    """The keys of a database. Its server opens no link in the place of the file, so the file's own name is kept."""
    if arguments.sql is None:
        return {}
    path = Path(arguments.sql).resolve()
    if not path.is_file():
        raise OperatorError(f"`{path}` is no file", hint="a database is made by the program that it belongs to")
    more = {"writes": "true" if arguments.writes else "", "rows": arguments.rows or ""}
    return {"engine": "sqlite", "path": str(path), **{key: value for key, value in more.items() if value}}


def _http(wanted: ConnectorWanted) -> list[str]:
    return ["http:", f"  url: {_text(wanted.url or '')}", *_map("headers", wanted.headers, "  ")]


def _from_here(given: str) -> str:
    """`NAME=VALUE`, or a bare name with the value it has in this environment."""
    if "=" in given:
        return given
    if given not in os.environ:
        raise OperatorError(f"`{given}` is not set here", hint=f"set it, or write --env {given}=VALUE")
    return f"{given}={os.environ[given]}"


def _pairs(given: Iterable[str]) -> dict[str, str]:
    found = {}
    for each in given:
        name, separator, value = each.partition("=")
        if not separator or not name:
            raise OperatorError(f"`{name}` is not NAME=VALUE")
        if name in found:
            raise OperatorError(f"`{name}` is given twice", hint="give it once")
        found[name] = value
    return found


def _map(key: str, pairs: Mapping[str, str], indent: str) -> list[str]:
    lines = [f"{indent}{key}:"] if pairs else []
    return lines + [f"{indent}  {_text(name)}: {_text(value)}" for name, value in pairs.items()]


def _list(texts: Sequence[str]) -> str:
    return f"[{', '.join(_text(each) for each in texts)}]"


def _text(text: str) -> str:
    """A text in YAML's double quotes; what is not plain ASCII as an escape, which every reader takes alike."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        words = "a word of the command, or a value, is not UTF-8"  # which is not shown: it may be a credential
        raise OperatorError(words, hint="a connector's file is text") from error
    plain = (each if " " <= each <= "~" and each not in '"\\' else f"\\U{ord(each):08x}" for each in text)
    return f'"{"".join(plain)}"'
