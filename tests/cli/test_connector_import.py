"""`connector add --from`: the servers of Claude Code, Codex, Cursor and VS Code as connectors, references kept, nothing started."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from interlock.connectors.configuration import Http, Stdio, load

CODEX = """
model = "o"
[mcp_servers.docs]
command = "python3"
args = ["-m", "docs_server"]
env = { "MODE" = "fast" }
env_vars = ["DOCS_TOKEN"]
startup_timeout_sec = 12
tool_timeout_sec = 90.5
[mcp_servers.Tickets]
url = "https://tickets.example/mcp"
bearer_token_env_var = "TICKETS_TOKEN"
env_http_headers = { "X-Team" = "TEAM" }
[mcp_servers.off]
command = "true"
enabled = false
"""
VSCODE = """{
  // what the team uses
  "inputs": [{"type": "promptString", "id": "gh-token", "password": true}],
  "servers": {
    "gh": {"type": "http", "url": "https://gh.example/mcp", "headers": {"Authorization": "Bearer ${input:gh-token}"}},
    "files": {"command": "true", "args": ["${userHome}/papers", "//not a comment"], "env": {"A": "${env:A_TOKEN}"},},
    "with-file": {"command": "true", "envFile": ".env"},
    "folder": {"command": "true", "args": ["${workspaceFolder}/x"]}, /* the last */
  },
}"""


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def adds(cli: Any, *words: str, status: int = 0) -> str:
    done = cli("connector", "add", "--from", *words)
    assert done.returncode == status, (done.stdout, done.stderr)
    return done.stdout + done.stderr


def kept(cli: Any, name: str) -> Any:
    return load(cli.home / f"config/connectors/{name}.yaml")


def names(cli: Any) -> list[str]:
    return sorted(each.stem for each in (cli.home / "config/connectors").glob("*.yaml"))


def test_claude_codes_own_servers_and_those_of_this_folder(cli: Any) -> None:
    servers = {
        "GitHub.com": {"type": "http", "url": "https://api.example/mcp", "headers": {"Authorization": "Bearer ${GH_TOKEN}"}},
        "notes": {"command": "true", "args": ["--key", "${KEY}"], "env": {"K": "s3cret", "D": "${X:-else}"}},
        "old": {"type": "sse", "url": "https://old.example/sse"},
        "us": {"type": "http", "url": "http://127.0.0.1:7391/mcp", "headers": {"Authorization": "Bearer ilk_x"}},
    }
    here = {"local": {"command": "true"}}
    elsewhere = {"elsewhere": {"command": "true"}}
    projects = {str(cli.workspace): {"mcpServers": here}, "/other": {"mcpServers": elsewhere}}
    written(cli.human / ".claude.json", json.dumps({"mcpServers": servers, "projects": projects}))
    said = adds(cli, "claude-code", "--dry-run")
    assert "would add `notes`" in said and "s3cret" not in said and names(cli) == []
    said = adds(cli, "claude-code")
    assert names(cli) == ["github-com", "local", "notes", "old"] and "elsewhere" not in said
    assert "added `GitHub.com` as `github-com`" in said and "it is this gateway" in said
    assert "Authorization=Bearer ${env:GH_TOKEN}" in said and "s3cret" not in said
    reached = kept(cli, "github-com").server
    assert isinstance(reached, Http) and reached.headers == {"Authorization": "Bearer ${env:GH_TOKEN}"}
    started = kept(cli, "notes").server
    assert isinstance(started, Stdio) and started.command == ("true", "--key", "${env:KEY}")
    assert started.environment == {"K": "s3cret", "D": "${env:X:-else}"}
    for file in (cli.home / "config/connectors").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "connector `notes` exists already: --force replaces it" in adds(cli, "claude-code", "notes", status=1)
    adds(cli, "claude-code", "notes", "--force")


def test_codex_names_its_variables(cli: Any) -> None:
    written(cli.human / ".codex/config.toml", CODEX)
    said = adds(cli, "codex")
    assert names(cli) == ["docs", "tickets"] and "left out `off`" in said
    docs = kept(cli, "docs")
    assert docs.server.command[-2:] == ("-m", "docs_server") and (docs.start_timeout_ms, docs.timeout_ms) == (12_000, 90_500)
    assert docs.server.environment == {"DOCS_TOKEN": "${env:DOCS_TOKEN}", "MODE": "fast"}
    assert kept(cli, "tickets").server.headers == {"X-Team": "${env:TEAM}", "Authorization": "Bearer ${env:TICKETS_TOKEN}"}


def test_an_editors_inputs_become_variables_and_comments_are_passed_over(cli: Any) -> None:
    written(cli.human / ".config/Code/User/mcp.json", VSCODE)
    said = adds(cli, "vscode")
    assert names(cli) == ["files", "gh"]
    assert "the client asks for `gh-token`: set the variable GH_TOKEN where the gateway runs" in said
    assert "its variables are in a file" in said and "`${workspaceFolder}` means something in the client only" in said
    assert kept(cli, "gh").server.headers == {"Authorization": "Bearer ${env:GH_TOKEN}"}
    files = kept(cli, "files").server
    assert files.command == ("true", f"{cli.human}/papers", "//not a comment") and files.environment == {"A": "${env:A_TOKEN}"}


@pytest.mark.parametrize(("client", "place", "key"), [
    ("claude-code", ".mcp.json", "mcpServers"), ("cursor", ".cursor/mcp.json", "mcpServers"), ("vscode", ".vscode/mcp.json", "servers"),
])  # fmt: skip
def test_what_a_project_brings_is_added_by_its_name_only(cli: Any, client: str, place: str, key: str) -> None:
    brought = {"theirs": {"command": "sh", "args": ["-c", "touch ran"], "env": {"T": "${env:T}"}}}
    written(cli.workspace / place, json.dumps({key: brought}))
    assert "the project brings it: name it to add it" in adds(cli, client) and names(cli) == []
    adds(cli, client, "theirs")
    assert names(cli) == ["theirs"] and not (cli.workspace / "ran").exists()


def test_a_name_that_hides_its_meaning_is_shown(cli: Any) -> None:
    written(cli.human / ".cursor/mcp.json", json.dumps({"mcpServers": {"a\x1b[2Jb": {"command": "true", "args": ["\u202e"]}}}))
    said = adds(cli, "cursor")
    assert "\x1b" not in said and "\\x1b[2Jb" in said and "\u202e" not in said and names(cli) == ["a-2jb"]


@pytest.mark.parametrize("text", ["{", "[]", '{"mcpServers": []}', '{"mcpServers": {"a": 1}}', '{"mcpServers": {"a": {"args": [1]}}}',
                                  '{"mcpServers": {"a": {"command": "${X}"}}}', '{"mcpServers": {"": {"command": "a\\u0000b"}}}'])  # fmt: skip
def test_what_is_malformed_adds_nothing(cli: Any, text: str) -> None:
    written(cli.human / ".claude.json", text)
    done = cli("connector", "add", "--from", "claude-code")
    assert done.returncode in (0, 120) and "Traceback" not in done.stderr and names(cli) == []


def test_two_of_one_name_and_options_that_do_not_fit(cli: Any) -> None:
    written(cli.human / ".cursor/mcp.json", json.dumps({"mcpServers": {"A b": {"command": "true"}, "a-b": {"command": "false"}}}))
    assert "another server is called `a-b`" in adds(cli, "cursor") and kept(cli, "a-b").server.command == ("true",)
    assert "cursor has no server called `c`" in adds(cli, "cursor", "c", status=120)
    assert "with --from, only names" in adds(cli, "cursor", "--env", "A=b", status=120)


def test_what_a_reference_names_reaches_the_server_and_what_is_not_set_is_told(cli: Any) -> None:
    said = cli("connector", "add", "shows", "--stdio", "--env", "GIVEN=${env:THERE}", "--", "sh", "-c", "echo got $GIVEN, $0 >&2; exit 3", "${env:THERE}")
    assert said.returncode == 0, said.stderr
    done = cli("connector", "test", "shows")
    assert done.returncode == 1 and "the environment of the gateway lacks `THERE`" in done.stdout, done.stdout
    done = cli("connector", "test", "shows", env=cli.environment | {"THERE": "v41ue-of-it"})
    assert "with status 3" in done.stdout and "it wrote: got …, …" in done.stdout and "v41ue-of-it" not in done.stdout, done.stdout
    cli("connector", "add", "far", "--http", "http://127.0.0.1:1/mcp", "--header", "X-Key=${env:THERE}")
    done = cli("connector", "test", "far", env=cli.environment | {"THERE": "a\r\nHost: x"})
    assert "cannot be sent in a header" in done.stdout and "Host" not in done.stdout, done.stdout
