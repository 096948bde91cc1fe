"""The servers of the table: how each is installed, added to the gateway and called, and what it must answer."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.matrix.packages import HERE, Environment, go, npm, python

PROGRAMS = Path(__file__).parent / "programs"
Arguments = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """What a server has: its workspace, the port of its own (HTTP), and the URL of a page that it may fetch."""

    folder: Path
    port: int
    page: str


def _nothing(_: Place) -> None:
    """Most servers find an empty folder."""


def _no_options(_: Place) -> list[str]:
    return []


@dataclass(frozen=True)
class Server:
    """One row. `transport` is `stdio`, where the gateway starts it, or `http` or `sse`, where it runs elsewhere."""

    name: str
    environment: Environment
    command: Callable[[Place], list[str]]
    tool: str
    arguments: Callable[[Place], Arguments]
    says: str
    transport: str = "stdio"
    options: Callable[[Place], list[str]] = _no_options
    lay: Callable[[Place], None] = _nothing

    @property
    def label(self) -> str:
        """The row's name in the table."""
        return f"{self.name} ({', '.join(self.environment.pins)}; {self.transport})"

    def url(self, port: int) -> str:
        return f"http://127.0.0.1:{port}/{'sse' if self.transport == 'sse' else 'mcp'}"


def _node(environment: Environment, program: str, *words: str) -> list[str]:
    return [shutil.which("node") or "node", environment.program(program), *words]


def _greeting(place: Place) -> None:
    (place.folder / "hello.txt").write_text("hello from the matrix")


def _repository(place: Place) -> None:
    import subprocess

    subprocess.run(["git", "init", "-q", "-b", "main", str(place.folder)], check=True)


def _layer(place: Place) -> list[str]:
    """The fetch server is given the one page that it fetches. It finds no Node, with which a library of it would call `npm install` first."""
    layer = place.folder.parent / "page.yaml"
    port = place.page.rpartition(":")[2].strip("/")
    layer.write_text(
        "interlock: 1\nname: the-page\nrules:\n  - id: page\n    allow: [net.connect, net.send]\n"
        f"    address: 127.0.0.1\n    port: {port}\n"
    )
    return ["--policy", str(layer), "--env", f"PATH={FETCH.place}/bin"]


def _adds(_: Place) -> Arguments:
    return {"a": 40, "b": 2}


def _note(_: Place) -> Arguments:
    return {"entities": [{"name": "matrix", "entityType": "test", "observations": ["it was here"]}]}


FILESYSTEM, EVERYTHING, MEMORY, THINKING = (
    npm(each) for each in ("filesystem", "everything", "memory", "sequential-thinking")
)
GIT, TIME, FETCH, SQLITE = (python(each) for each in ("git", "time", "fetch", "sqlite"))
OLDER, NEWER = python("fastmcp-older"), python("fastmcp")
TYPESCRIPT, GO = npm("typescript"), go("go-memory")

SERVERS = [
    Server(
        name="filesystem", environment=FILESYSTEM, lay=_greeting, tool="read_text_file", says="hello from the matrix",
        command=lambda place: [FILESYSTEM.program("mcp-server-filesystem"), str(place.folder)],
        arguments=lambda place: {"path": str(place.folder / "hello.txt")},
    ),
    Server(
        name="everything", environment=EVERYTHING, tool="echo", says="hello",
        command=lambda place: [EVERYTHING.program("mcp-server-everything")],
        arguments=lambda place: {"message": "hello"},
    ),
    Server(
        name="memory", environment=MEMORY, tool="create_entities", arguments=_note, says="[",
        command=lambda place: [MEMORY.program("mcp-server-memory")],
        options=lambda place: ["--env", f"MEMORY_FILE_PATH={place.folder}/graph.jsonl"],
    ),
    Server(
        name="thinking", environment=THINKING, tool="sequentialthinking", says="thoughtNumber",
        command=lambda place: [THINKING.program("mcp-server-sequential-thinking")],
        arguments=lambda place: {"thought": "so", "nextThoughtNeeded": False, "thoughtNumber": 1, "totalThoughts": 1},
    ),
    Server(
        name="git", environment=GIT, lay=_repository, tool="git_status", says="On branch main",
        command=lambda place: [GIT.program("mcp-server-git"), "--repository", str(place.folder)],
        arguments=lambda place: {"repo_path": str(place.folder)},
    ),
    Server(
        name="time", environment=TIME, tool="get_current_time", says="UTC",
        command=lambda place: [TIME.program("mcp-server-time"), "--local-timezone", "UTC"],
        arguments=lambda place: {"timezone": "UTC"},
    ),
    Server(
        name="fetch", environment=FETCH, tool="fetch", says="a page of the matrix", options=_layer,
        command=lambda place: [FETCH.program("mcp-server-fetch"), "--ignore-robots-txt", "--allow-private-ips"],
        arguments=lambda place: {"url": place.page},
    ),
    Server(
        name="sqlite", environment=SQLITE, tool="read_query", says="42",
        command=lambda place: [SQLITE.program("mcp-server-sqlite"), "--db-path", str(place.folder / "kept.db")],
        arguments=lambda place: {"query": "SELECT 40 + 2 AS answer"},
    ),
    Server(
        name="fastmcp2", environment=OLDER, tool="add", arguments=_adds, says="42",
        command=lambda place: [OLDER.program("python"), str(PROGRAMS / "fastmcp_server.py")],
    ),
    Server(
        name="fastmcp", environment=NEWER, tool="add", arguments=_adds, says="42", transport="http",
        command=lambda place: [NEWER.program("python"), str(PROGRAMS / "fastmcp_server.py"), str(place.port)],
    ),
    Server(
        name="typescript", environment=TYPESCRIPT, tool="add", arguments=_adds, says="42", transport="http",
        command=lambda place: ["node", str(PROGRAMS / "typescript_server.mjs"), str(TYPESCRIPT.place), str(place.port)],
    ),
    Server(
        name="go-memory", environment=GO, tool="create_entities", arguments=_note, says="ntities",
        command=lambda place: [GO.program("memory"), "-memory", str(place.folder / "graph.json")],
    ),
    Server(
        name="everything-sse", environment=EVERYTHING, tool="echo", says="hello", transport="sse",
        command=lambda place: ["env", f"PORT={place.port}", *_node(EVERYTHING, "mcp-server-everything", "sse")],
        arguments=lambda place: {"message": "hello"},
    ),
]  # fmt: skip

#: What every machine with the tests has: the quick part of the table.
QUICK_SERVERS = [
    Server(
        name="official", environment=HERE, tool="add", arguments=_adds, says="42",
        command=lambda place: [HERE.program("python"), str(PROGRAMS / "official_server.py")],
    ),
]  # fmt: skip
