"""The MCP servers that a client has in its own configuration, read as that client reads them: Claude Code, Codex,
Cursor, VS Code. Nothing is started.

What stands for the environment (`${TOKEN}`, `${env:TOKEN}`, an input that a person is asked for) stays a reference, in
the form that a connector's file has (`connector_references.py`). A file in the project was written by whoever wrote the
project. Left out, each told as the fault of its server: what only the client itself can do (a file of variables, a
helper that makes headers).
"""

from __future__ import annotations

import json
import os
import re
import stat
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeGuard

from interlock.app.mcp_clients import ClientFile, files_of
from interlock.vocabulary.errors import OperatorError
from interlock.vocabulary.json_value import JsonObject, is_object, list_at, object_at, text_at

FILE_BYTES_MAX: Final = 32 * 1024 * 1024
_STRING: Final = r'"(?:[^"\\\n]|\\.)*"'
_COMMENT: Final = re.compile(rf"({_STRING})|//[^\n]*|/\*.*?\*/", re.DOTALL)
_TRAILING: Final = re.compile(rf"({_STRING})|,(?=\s*[}}\]])")
#: `${NAME}` and `${NAME:-otherwise}` (Claude Code); `${env:NAME}`, `${input:ID}`, `${userHome}`, … (Cursor, VS Code).
_PLAIN: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(:-[^}]*)?\}")
_KINDED: Final = re.compile(r"\$\{([^}]*)\}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: What another client would have to do for its server.
_BEYOND: Final = {
    "envFile": "its variables are in a file (`envFile`): name them with --env",
    "headersHelper": "a program of the client makes its headers (`headersHelper`)",
}


class _Unfit(Exception):
    """This server cannot be had from the gateway: why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientServer:
    """One server of a client. Values may hold references. `fault` says why it cannot be taken, if it cannot; `notes`
    what a person should know."""

    name: str
    file: ClientFile
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    directory: str | None = None
    url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    options: Mapping[str, str] = field(default_factory=dict)
    fault: str | None = None
    notes: tuple[str, ...] = ()


def servers_of(client: str, environment: Mapping[str, str], *, home: str, directory: str) -> list[ClientServer]:
    """Every server of a client, the user's before the project's. Raises `OperatorError` for a file that is there and
    cannot be read."""
    found: list[ClientServer] = []
    for file in files_of(client, environment, home=home, directory=directory):
        text = _text(file.path)
        if text is not None:
            found += _servers(client, file, text, _Place(home, directory))
    return found


@dataclass(frozen=True, slots=True)
class _Place:
    home: str
    directory: str


def _servers(client: str, file: ClientFile, text: str, place: _Place) -> Iterator[ClientServer]:
    try:
        whole = tomllib.loads(text) if client == "codex" else json.loads(_without_comments(text))
    except (ValueError, RecursionError) as error:
        raise OperatorError(f"`{file.path}` cannot be read: {error}") from error
    for name, entry in _entries(client, whole, place):
        try:
            if not is_object(entry):
                raise _Unfit("it is not described by an object")
            yield _codex(name, file, entry) if client == "codex" else _json(client, name, file, entry, place)
        except _Unfit as why:
            yield ClientServer(name=name, file=file, fault=str(why))


def _entries(client: str, whole: object, place: _Place) -> Iterator[tuple[str, object]]:
    if not is_object(whole):
        return
    key = {"codex": "mcp_servers", "vscode": "servers"}.get(client, "mcpServers")
    yield from object_at(whole, key).items()
    if client == "claude-code":  # the user's own file has servers of single folders, too
        yield from object_at(object_at(object_at(whole, "projects"), place.directory), key).items()


def _json(client: str, name: str, file: ClientFile, entry: JsonObject, place: _Place) -> ClientServer:
    if entry.get("disabled") is True:
        raise _Unfit("it is switched off there")
    for key, why in _BEYOND.items():
        if key in entry:
            raise _Unfit(why)
    notes: list[str] = []
    if client == "claude-code":
        refer: Callable[[str], str] = _plain
    else:
        refer = lambda text: _kinded(text, file, place, notes)  # noqa: E731 - one of two ways to read the same thing
    url = text_at(entry, "url") or text_at(entry, "serverUrl")
    if url is not None:
        return _http(name, file, entry, url, refer, notes)
    return _stdio(name, file, entry, refer, notes)


def _http(
    name: str, file: ClientFile, entry: JsonObject, url: str, refer: Callable[[str], str], notes: list[str]
) -> ClientServer:
    address = refer(url)
    if "${" in address:
        raise _Unfit("its URL holds a reference, and a connector's URL is written out")
    headers = _texts(object_at(entry, "headers"), refer)
    if "oauth" in entry or not headers:
        notes.append("the client may sign in there by itself; the gateway sends the headers of its file and no more")
    return ClientServer(name=name, file=file, url=address, headers=headers, notes=tuple(notes))


def _stdio(
    name: str, file: ClientFile, entry: JsonObject, refer: Callable[[str], str], notes: list[str]
) -> ClientServer:
    command = _command(entry, refer)
    directory = text_at(entry, "cwd")
    return ClientServer(
        name=name,
        file=file,
        command=command,
        environment=_texts(object_at(entry, "env"), refer),
        directory=refer(directory) if directory else None,
        notes=tuple(notes),
    )


def _codex(name: str, file: ClientFile, entry: JsonObject) -> ClientServer:
    """Codex expands nothing: it names variables where it wants them."""
    if entry.get("enabled") is False:
        raise _Unfit("it is switched off there")
    times = {"timeout": "tool_timeout_sec", "start_timeout": "startup_timeout_sec"}
    options = {key: f"{int(value * 1000)}ms" for key, name in times.items() if _is_time(value := entry.get(name))}
    url = text_at(entry, "url")
    if url is None:
        forwarded = [each if isinstance(each, str) else text_at(each, "name") if is_object(each) else None
                     for each in list_at(entry, "env_vars")]  # fmt: skip
        variables = {variable: reference(variable) for variable in forwarded if variable is not None}
        return ClientServer(
            name=name,
            file=file,
            command=_command(entry, str),
            environment={**variables, **_texts(object_at(entry, "env"), str)},
            directory=text_at(entry, "cwd"),
            options=options,
        )
    headers = _texts(object_at(entry, "http_headers"), str)
    variable_of = _texts(object_at(entry, "env_http_headers"), str)
    headers |= {header: reference(variable) for header, variable in variable_of.items()}
    bearer = text_at(entry, "bearer_token_env_var")
    if bearer is not None:
        headers["Authorization"] = f"Bearer {reference(bearer)}"
    return ClientServer(name=name, file=file, url=url, headers=headers, options=options)


def reference(variable: str) -> str:
    """A variable of the gateway's environment, as a connector's file names it. Raises `_Unfit` for what is no name."""
    if _VARIABLE.fullmatch(variable) is None:
        raise _Unfit("it names a variable that no environment can have")
    return f"${{env:{variable}}}"


def _plain(text: str) -> str:
    return _PLAIN.sub(lambda found: f"${{env:{found[1]}{found[2] or ''}}}", text)


def _kinded(text: str, file: ClientFile, place: _Place, notes: list[str]) -> str:
    def stands_for(found: re.Match[str]) -> str:
        kind, _, name = found[1].partition(":")
        if kind == "env" and name:
            return reference(name)
        if kind == "input" and name:
            variable = re.sub(r"[^A-Z0-9_]", "_", name.upper())
            note = f"the client asks for `{name}`: set the variable {variable} where the gateway runs"
            if note not in notes:
                notes.append(note)
            return reference(variable)
        known = {"userHome": place.home, "/": "/", "pathSeparator": "/"}
        if file.is_project:
            known |= {"workspaceFolder": place.directory, "workspaceFolderBasename": os.path.basename(place.directory)}
        if found[1] not in known:
            raise _Unfit(f"`{found[0]}` means something in the client only")
        return known[found[1]]

    return _KINDED.sub(stands_for, text)


def _command(entry: JsonObject, refer: Callable[[str], str]) -> tuple[str, ...]:
    program = text_at(entry, "command")
    if not program:
        raise _Unfit("it has neither a command nor a URL")
    words = list_at(entry, "args")
    if not all(isinstance(word, str) for word in words):
        raise _Unfit("its arguments are not texts")
    command = (refer(program), *(refer(str(word)) for word in words))
    if "${" in command[0]:
        raise _Unfit("its program is named by a reference")
    return command


def _texts(given: JsonObject, refer: Callable[[str], str]) -> dict[str, str]:
    return {name: refer(str(value)) for name, value in given.items() if isinstance(value, str | int | float)}


def _is_time(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0.001 <= value < 1_000


def _without_comments(text: str) -> str:
    """JSON as editors write it: comments, and a comma behind the last member."""
    plain = _COMMENT.sub(lambda found: found[1] or " ", text)
    return _TRAILING.sub(lambda found: found[1] or "", plain)


def _text(path: str) -> str | None:
    """A plain file's text; none where there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise OperatorError(f"cannot read `{path}`: {error.strerror}") from error
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OperatorError(f"`{path}` is not a plain file")
        data = file.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        raise OperatorError(f"`{path}` is larger than {FILE_BYTES_MAX} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise OperatorError(f"`{path}` is not UTF-8") from error
