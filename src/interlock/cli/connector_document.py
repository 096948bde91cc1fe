"""The file of a connector, from what `connector add` was given. Left out: whether it fits
(`connectors/configuration.py`)."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from interlock.app.gateway_servers import SERVER_PATH
from interlock.app.server_code import code_of
from interlock.cli.connector_command import whole
from interlock.storage.home import user_home
from interlock.vocabulary.errors import OperatorError


def document_of(arguments: argparse.Namespace) -> str:
    """The text of the file. Raises `OperatorError` for options that do not fit together."""
    _check(arguments)
    lines = ["interlock: 1", *(_stdio(arguments) if arguments.stdio else _http(arguments))]
    lines += _pairs("operations", arguments.operation, "")
    for key in ("revision", "timeout", "start_timeout", "concurrency"):
        if (value := getattr(arguments, key)) is not None:
            lines.append(f"{key}: {_text(value)}")
    if arguments.client_requests:
        lines.append(f"client_requests: {_list(arguments.client_requests.split(','))}")
    return "\n".join([*lines, ""])


def _check(arguments: argparse.Namespace) -> None:
    if arguments.stdio and not arguments.command:
        raise OperatorError("--stdio needs a command", hint="interlock connector add NAME --stdio -- COMMAND ARGUMENTS")
    if not arguments.stdio and (arguments.command or arguments.env or arguments.policy or arguments.workspace):
        raise OperatorError("a command, --env, --policy and --workspace belong to --stdio")
    if arguments.stdio and arguments.header:
        raise OperatorError("--header belongs to --http")


def _stdio(arguments: argparse.Namespace) -> list[str]:
    command = whole(arguments.command, server_path=SERVER_PATH)
    lines = ["stdio:", f"  command: {_list(command)}"]
    if code := code_of(command, home=user_home()):
        lines.append(f"  code: {_list(code)}")
    if arguments.policy:
        lines.append(f"  policies: {_list([str(Path(each).resolve()) for each in arguments.policy])}")
    if arguments.workspace:
        lines.append(f"  workspace: {_text(str(Path(arguments.workspace).resolve()))}")
    return lines + _pairs("environment", [_from_here(each) for each in arguments.env], "  ")


def _http(arguments: argparse.Namespace) -> list[str]:
    return ["http:", f"  url: {_text(arguments.http)}", *_pairs("headers", arguments.header, "  ")]


def _from_here(given: str) -> str:
    """`NAME=VALUE`, or a bare name with the value it has in this environment."""
    if "=" in given:
        return given
    if given not in os.environ:
        raise OperatorError(f"`{given}` is not set here", hint=f"set it, or write --env {given}=VALUE")
    return f"{given}={os.environ[given]}"


def _pairs(key: str, given: list[str], indent: str) -> list[str]:
    lines = [f"{indent}{key}:"] if given else []
    for each in given:
        name, separator, value = each.partition("=")
        if not separator or not name:
            raise OperatorError(f"`{each.partition('=')[0]}` is not NAME=VALUE")
        lines.append(f"{indent}  {_text(name)}: {_text(value)}")
    return lines


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
