"""The MCP clients that Interlock knows: whether one is on this machine, where it keeps its servers, and what a person
pastes to give it the gateway. Left out: reading those files (`client_servers.py`). No client is started.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from interlock.vocabulary.printable import shell_words

#: The name that clients get for the gateway: their tools are called after it.
ENTRY: Final = "interlock"
CLIENTS: Final = ("claude-code", "codex", "cursor", "vscode")
_TITLES: Final = {"claude-code": "Claude Code", "codex": "Codex", "cursor": "Cursor", "vscode": "VS Code"}
_PROGRAMS: Final = {"claude-code": "claude", "codex": "codex", "cursor": "cursor", "vscode": "code"}
_VSCODE_FOLDERS: Final = ("Code", "Code - Insiders", "VSCodium")


class ClientFile(NamedTuple):
    """One file in which a client keeps servers. `is_project`: it lies in the folder where a person works, so whoever
    wrote that folder wrote it."""

    path: str
    is_project: bool


class Way(NamedTuple):
    """How a client gets the gateway: a `command` to run, or a `file` to put the `text` into."""

    client: str
    title: str
    is_found: bool
    command: str | None
    file: str | None
    text: str


def files_of(client: str, environment: Mapping[str, str], *, home: str, directory: str) -> list[ClientFile]:
    """The files of a client, the user's first, whether they are there or not."""
    config = environment.get("XDG_CONFIG_HOME") or f"{home}/.config"
    claude = environment.get("CLAUDE_CONFIG_DIR") or home
    codex = environment.get("CODEX_HOME") or f"{home}/.codex"
    user = {
        "claude-code": [f"{claude}/.claude.json"],
        "codex": [f"{codex}/config.toml"],
        "cursor": [f"{home}/.cursor/mcp.json"],
        "vscode": [*(f"{config}/{each}/User/mcp.json" for each in _VSCODE_FOLDERS)],
    }
    project = {
        "claude-code": ".mcp.json",
        "codex": ".codex/config.toml",
        "cursor": ".cursor/mcp.json",
        "vscode": ".vscode/mcp.json",
    }
    own = [ClientFile(path, is_project=False) for path in user[client]]
    theirs = f"{directory}/{project[client]}"
    return own if theirs in user[client] else [*own, ClientFile(theirs, is_project=True)]


def ways(url: str, token: str, environment: Mapping[str, str], *, home: str) -> list[Way]:
    """How each client gets the gateway at `url` with this token; what any other client needs is the last one."""
    return list(_ways(url, token, environment, home))


def _ways(url: str, token: str, environment: Mapping[str, str], home: str) -> Iterator[Way]:
    headers = {"Authorization": f"Bearer {token}"}
    entry = {"type": "http", "url": url, "headers": headers}
    shown = {"mcpServers": {ENTRY: {"url": url, "headers": headers}}}
    claude = ["claude", "mcp", "add", "--transport", "http", "--scope", "user", ENTRY, url]
    claude += ["--header", f"Authorization: Bearer {token}"]
    code = ["code", "--add-mcp", json.dumps({"name": ENTRY, **entry})]
    codex = files_of("codex", environment, home=home, directory=home)[0].path
    table = f'[mcp_servers.{ENTRY}]\nurl = "{url}"\nhttp_headers = {{ "Authorization" = "Bearer {token}" }}'
    cursor = files_of("cursor", environment, home=home, directory=home)[0].path
    texts: Mapping[str, tuple[str | None, str]] = {
        "claude-code": (None, shell_words(claude, 2_000)),
        "codex": (codex, table),
        "cursor": (cursor, json.dumps(shown, indent=2)),
        "vscode": (None, shell_words(code, 2_000)),
    }
    for client, (file, text) in texts.items():
        is_found = _is_found(client, environment, home)
        yield Way(client, _TITLES[client], is_found, None if file else text, file, text)
    yield Way("generic", "any other client", True, None, None, json.dumps({"mcpServers": {ENTRY: entry}}, indent=2))


def _is_found(client: str, environment: Mapping[str, str], home: str) -> bool:
    files = files_of(client, environment, home=home, directory=home)
    there = any(os.path.isdir(os.path.dirname(each.path)) for each in files if os.path.dirname(each.path) != home)
    there = there or any(os.path.isfile(each.path) for each in files)
    return there or shutil.which(_PROGRAMS[client], path=environment.get("PATH")) is not None
