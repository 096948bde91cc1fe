"""Which files one tool call passes through, from its arrival to its answer, in the order in which it enters them.

A real `interlock gateway` of its own process, a real MCP server held by the host plane, one client with one connection. The gateway's
process notes each function that runs between the first byte of the request and the last of the answer. What is not of the call is what
runs while nobody calls as well (the loop of the HTTP server, a watch that wakes now and then), and what not every call has. Warmed up
before: what happens once for a server or a connection is not the way of a call. Counted are the files that do something about the call: not
the pure readers of JSON and of MCP and the database, which are floors of their own, as the engine and the ledger's writer are. Run: `python -m bench trace call`.
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import IO, Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[1]
SOURCES = f"{ROOT}/src/interlock/"
SERVER = ROOT / "examples/demo/notes_server.py"
POLICY = "interlock: 1\nname: trace\nrules:\n  - id: all\n    allow: [tool.call, tool.list]\n"
MODERN, LEGACY = "2026-07-28", "2025-11-25"
META = {
    f"io.modelcontextprotocol/{key}": value
    for key, value in {"protocolVersion": MODERN, "clientCapabilities": {}}.items()
}
TRACES = 5
#: Besides the files that are counted: how many files of these are passed through is said as well.
BESIDES = {
    "src/interlock/mcp/": "readers of MCP",
    "src/interlock/storage/": "what is stored",
    "src/interlock/vocabulary/": "the vocabulary, with its reader of JSON",
}
IDLE_S = 1.5
PATIENCE_S = 60.0


def main() -> None:
    """Print the files of one call of each era of MCP."""
    for revision, passed in traced().items():
        files = [file for file in passed if not file.startswith(tuple(BESIDES))]
        print(f"{len(files)} files, one tool call of revision {revision} from arrival to answer:")
        print(*(f"{number:>4}  {file}" for number, file in enumerate(files, 1)), sep="\n")
        for folder, name in BESIDES.items():
            print(f"  besides {name}: {sum(file.startswith(folder) for file in passed)} of `{folder}`")


def traced() -> dict[str, list[str]]:
    """For each era's revision, the files of one call, in order, as paths from this repository's root."""
    with tempfile.TemporaryDirectory(prefix="ilk-") as folder, Traced(Path(folder)) as gateway:
        return {MODERN: gateway.files(Modern(gateway)), LEGACY: gateway.files(Legacy(gateway))}


class Traced:
    """A gateway with one connector, whose process can be told to note and to tell what it noted."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._home = root / "home"
        self._environment = {
            **{name: value for name, value in os.environ.items() if name != "INTERLOCK_GATEWAY_URL"},
            "INTERLOCK_HOME": str(self._home),
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
            "PYTHONSAFEPATH": "1",
        }
        (root / "policy.yaml").write_text(POLICY)
        (root / "notes").mkdir()
        server = (sys.executable, "-I", "-S", str(SERVER))
        self._command("connector", "add", "notes", "--stdio", "--workspace", str(root / "notes"), "--", *server)

    def __enter__(self) -> Traced:
        words = ["gateway", "--listen", "127.0.0.1:0", "--policy", str(self._root / "policy.yaml")]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.trace_call", *words], env=self._environment, cwd=self._root, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        place, deadline = self._home / "runtime/gateway.json", time.monotonic() + PATIENCE_S
        while not place.exists() or not (self._home / "runtime/gateway.sock").exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("the gateway does not come up")
            time.sleep(0.02)
        self.url = json.loads(place.read_text())["url"]
        self.token = json.loads(self._command("agent", "add", "coder", "--gateway", self.url, "--json"))["token"]
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(30)

    def files(self, client: Client) -> list[str]:
        """The files that every one of a few calls passed through, in the order of the first."""
        client.call()
        idle = set(self._trace(lambda: time.sleep(IDLE_S)))
        traces = [[file for file, name in self._trace(client.call) if (file, name) not in idle] for _ in range(TRACES)]
        return [file for file in dict.fromkeys(traces[0]) if all(file in trace for trace in traces)]

    def _trace(self, work: Callable[[], None]) -> list[tuple[str, str]]:
        self._told("on")
        work()
        return self._told("off")

    def _told(self, word: str) -> list[tuple[str, str]]:
        assert self._process.stdin is not None and self._process.stdout is not None
        print(word, file=self._process.stdin, flush=True)
        return [(file, name) for file, name in json.loads(self._process.stdout.readline())]

    def _command(self, *words: str) -> str:
        command = [sys.executable, "-m", "interlock", *words]
        done = subprocess.run(
            command, env=self._environment, cwd=self._root, capture_output=True, text=True, check=True
        )
        return done.stdout


class Client:
    """One connection of an agent."""

    def __init__(self, gateway: Traced) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(gateway.url).netloc, timeout=PATIENCE_S)
        self._token = gateway.token
        self._ids = itertools.count(1)

    def call(self) -> None:
        """One call of one tool, which must be answered with a result."""
        raise NotImplementedError

    def post(self, message: dict[str, Any], headers: dict[str, str]) -> tuple[dict[str, Any], str | None]:
        """One message: its answer, and the session that it begins, if any."""
        whole = {
            "Authorization": f"Bearer {self._token}", "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream", **headers,
        }  # fmt: skip
        self._connection.request("POST", "/mcp", json.dumps({"jsonrpc": "2.0", **message}), whole)
        response = self._connection.getresponse()
        body = response.read()
        return json.loads(body) if body else {}, response.headers.get("mcp-session-id")

    def call_with(self, more: dict[str, Any], headers: dict[str, str]) -> None:
        """One call of one tool, which must be answered with a result."""
        params = {"name": "notes__list_notes", "arguments": {}, **more}
        answer, _ = self.post({"id": next(self._ids), "method": "tools/call", "params": params}, headers)
        if answer.get("result", {}).get("isError", True):
            raise SystemExit(f"the call was not answered with a result: {answer}")


class Modern(Client):
    """The stateless era."""

    def call(self) -> None:
        """See `Client`."""
        named = {"Mcp-Method": "tools/call", "Mcp-Name": "notes__list_notes"}
        self.call_with({"_meta": META}, {"MCP-Protocol-Version": MODERN, **named})


class Legacy(Client):
    """The stateful era: a session is begun first."""

    def __init__(self, gateway: Traced) -> None:
        super().__init__(gateway)
        client = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "trace", "version": "1"}}
        _, session = self.post({"id": next(self._ids), "method": "initialize", "params": client}, {})
        self._headers = {"MCP-Protocol-Version": LEGACY, "Mcp-Session-Id": session or ""}
        self.post({"method": "notifications/initialized"}, self._headers)

    def call(self) -> None:
        """See `Client`."""
        self.call_with({}, self._headers)


class Noted:
    """Inside the gateway's process: the functions that were entered while it was on, by file and name."""

    def __init__(self) -> None:
        self._on = False
        self._entered: dict[tuple[str, str], None] = {}

    def entered(self, frame: FrameType, event: str, _: object) -> None:
        """A profile function (`sys.setprofile`)."""
        if self._on and event == "call" and frame.f_code.co_filename.startswith(SOURCES):
            self._entered.setdefault((os.path.relpath(frame.f_code.co_filename, ROOT), frame.f_code.co_qualname))

    def obey(self, words: IO[str], answers: IO[str]) -> None:
        """`on` and `off`, each answered with what was noted so far, until the end."""
        for word in words:
            self._on = word.strip() == "on"
            noted, self._entered = list(self._entered), {}
            print(json.dumps(noted), file=answers, flush=True)


def inside(arguments: list[str]) -> None:
    """`interlock` with these arguments, noting what runs in its main thread."""
    from interlock.cli import program

    noted = Noted()
    threading.Thread(target=noted.obey, args=(sys.stdin, sys.stdout), daemon=True).start()
    sys.argv = ["interlock", *arguments]
    sys.setprofile(noted.entered)
    program()


if __name__ == "__main__":
    inside(sys.argv[1:])
