"""Packages of `npx` and `uvx` servers: fetched once with a yes, in a session; then run from what came, without network.

A registry of the test's own on loopback serves a package that tries things; the real registries serve the quick start.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import http.server
import io
import json
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest
from test_init import Person, calls, person  # noqa: F401 - the fixture

from interlock.connectors.configuration import Stdio, load

NODE_SERVER = """#!/usr/bin/env node
const net = require('net'), fs = require('fs'), readline = require('readline');
const answer = (id, result) => console.log(JSON.stringify({jsonrpc: '2.0', id, result}));
const tools = [{name: 'tries', inputSchema: {type: 'object'}}];
readline.createInterface({input: process.stdin}).on('line', (line) => {
  const {id, method, params} = JSON.parse(line);
  if (method === 'initialize') answer(id, {protocolVersion: params.protocolVersion, capabilities: {tools: {}}, serverInfo: {name: 'x', version: '1'}});
  else if (method === 'tools/list') answer(id, {tools});
  else if (method === 'tools/call') {
    const did = {version: require('./package.json').version};
    try { fs.appendFileSync(__filename, '//'); did.wrote = true; } catch (error) { did.wrote = error.code; }
    const socket = net.connect(PORT, '127.0.0.1', () => { did.net = true; done(); });
    socket.on('error', (error) => { did.net = error.code; done(); });
    const done = () => answer(id, {content: [{type: 'text', text: JSON.stringify(did)}]});
  } else if (id !== undefined) console.log(JSON.stringify({jsonrpc: '2.0', id, error: {code: -32601, message: 'no'}}));
});
"""


class Registry(http.server.ThreadingHTTPServer):
    """An npm registry with one package, whose newest version is the one that was put in last."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.asked: list[str] = []
        self.versions: dict[str, bytes] = {}
        self.url = f"http://127.0.0.1:{self.server_address[1]}/"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def put(self, version: str, **more: Any) -> None:
        script = "node -e \"require('fs').writeFileSync(require('os').homedir() + '/ran', 'x')\""
        scripts = dict.fromkeys(("preinstall", "install", "postinstall", "prepare"), script)
        manifest = {"name": "tries", "version": version, "bin": {"tries": "server.js"}, "scripts": scripts, **more}
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w:gz") as archive:
            server = NODE_SERVER.replace("PORT", str(self.server_address[1]))
            for name, text in (("package.json", json.dumps(manifest)), ("server.js", server), (".vscode/tasks.json", "{}")):
                info = tarfile.TarInfo(f"package/{name}")
                info.size, info.mode = len(text.encode()), 0o755
                archive.addfile(info, io.BytesIO(text.encode()))
        self.versions[version] = out.getvalue()


class _Answers(http.server.BaseHTTPRequestHandler):
    server: Registry

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        version = self.path.rpartition("-")[2].removesuffix(".tgz")
        if self.path.endswith(".tgz"):
            return self._send(self.server.versions[version], "application/octet-stream")
        if self.path.partition("?")[0] != "/tries":
            return self.send_error(404)
        described = {
            each: {"name": "tries", "version": each, "bin": {"tries": "server.js"}, "hasInstallScript": True, "dist": {
                "tarball": f"{self.server.url}tries/-/tries-{each}.tgz",
                "integrity": "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()}}
            for each, data in self.server.versions.items()
        }  # fmt: skip
        whole = {"name": "tries", "dist-tags": {"latest": list(described)[-1]}, "versions": described}
        return self._send(json.dumps(whole).encode(), "application/json")

    def _send(self, data: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def registry(person: Person) -> Iterator[Registry]:  # noqa: F811
    if shutil.which("npm") is None:
        pytest.skip("needs node and npm, which fetch the packages of npx")
    made = Registry()
    made.put("1.0.0")
    (person.home / ".npmrc").write_text(f"registry={made.url}\n")
    yield made
    made.shutdown()


def kept(person: Person, name: str) -> Stdio:  # noqa: F811
    server = load(person.root / f"i/config/connectors/{name}.yaml").server
    assert isinstance(server, Stdio) and server.package is not None
    return server


def tried(person: Person, name: str = "x") -> Any:  # noqa: F811
    """What the package's server could do, told through the gateway."""
    if not (person.root / "i/config/policies/gateway.yaml").exists():
        person.types("gateway", "init")
        (person.root / "all.yaml").write_text("interlock: 1\nname: all\nrules:\n  - {id: all, allow: [tool.call, tool.list]}\n")
    gateway, url = person.serves("--policy", str(person.root / "all.yaml"))
    try:
        token = json.loads(person.types("agent", "token", "coder", "--gateway", url, "--json"))["token"]
        [_, answer] = asyncio.run(calls(f"{url}/mcp", {"Authorization": f"Bearer {token}"}, (f"{name}__tries", {})))
        return json.loads(answer.content[0].text)
    finally:
        gateway.terminate()
        gateway.communicate(timeout=30)


def test_it_is_fetched_once_with_a_yes_and_runs_from_what_came(person: Person, registry: Registry) -> None:  # noqa: F811
    assert "this command fetches `tries` from npm" in person.types("connector", "add", "x", "--stdio", "--", "npx", "-y", "tries", status=120)
    assert registry.asked == []
    said = person.types("connector", "add", "x", "--stdio", "--fetch", "--", "npx", "-y", "tries")
    assert "fetched tries 1.0.0 (sha256:" in said and not (person.home / "ran").exists(), "a script of the package ran"
    package = kept(person, "x").package
    assert package is not None and Path(package.folder).parent == person.root / "i/packages/x"
    registry.put("2.0.0")
    registry.asked.clear()
    assert tried(person) == {"version": "1.0.0", "wrote": "EACCES", "net": "EACCES"} and registry.asked == []
    assert "x: speaks" in person.types("connector", "test", "x"), "what the server tried has changed its package"


def test_what_was_changed_is_not_started_and_an_update_mends_it(person: Person, registry: Registry) -> None:  # noqa: F811
    person.types("connector", "add", "x", "--stdio", "--fetch", "--", "npx", "-y", "tries")
    first = kept(person, "x").package
    assert first is not None
    changes = {
        "server.js": lambda path: path.write_text(path.read_text() + "//"),
        "package.json": lambda path: path.chmod(0o600),
        "more.js": lambda path: path.write_text(""),
        ".vscode": shutil.rmtree,
    }
    for name, change in changes.items():
        place = Path(first.folder, "node_modules/tries", name)
        saved = shutil.copytree(first.folder, person.root / "saved", symlinks=True)
        change(place)
        said = person.types("connector", "test", "x", status=1)
        assert "was changed: its files are not those that were fetched; `interlock connector update x` fetches it anew" in said, name
        shutil.rmtree(first.folder)
        shutil.move(saved, first.folder)
    assert "x: speaks" in person.types("connector", "test", "x")
    registry.put("2.0.0")
    assert "this command fetches" in person.types("connector", "update", "x", status=120)
    assert "tries 1.0.0" in person.types("connector", "update", "x", "--fetch")
    second = kept(person, "x").package
    assert second is not None and second.version == "2.0.0" and second.digest != first.digest and second.folder != first.folder
    assert tried(person)["version"] == "2.0.0"
    assert not Path(first.folder).exists(), "the gateway that was started since did not clear the old one"


def test_a_link_out_of_a_package_is_refused(person: Person, registry: Registry) -> None:  # noqa: F811
    person.types("connector", "add", "x", "--stdio", "--fetch", "--", "npx", "-y", "tries")
    package = kept(person, "x").package
    assert package is not None
    Path(package.folder, "node_modules/way-out").symlink_to("/etc")
    assert "the link `node_modules/way-out` leads out of it" in person.types("connector", "test", "x", status=1)


def test_what_cannot_be_fetched_adds_nothing_and_says_why(person: Person, registry: Registry) -> None:  # noqa: F811
    for words, said in (
        (("npx", "nothing-of-that-name"), "could not be fetched"),
        (("npx", "-p", "tries", "other-program"), "has no program `other-program`"),
        (("npx", "../tries"), "is not a package of a registry"),
    ):
        assert said in person.types("connector", "add", "x", "--stdio", "--fetch", "--", *words, status=120)
    assert not list((person.root / "i/config/connectors").iterdir())
    left = [each for each in (person.root / "i/packages").rglob("*") if each.name != ".lock"]
    assert [each for each in left if each.is_file()] == []


def test_the_yes_is_asked_on_a_terminal(person: Person, registry: Registry) -> None:  # noqa: F811
    words = ["-m", "interlock", "connector", "add", "x", "--stdio", "--", "npx", "tries"]
    for answer, status in (("n", 120), ("y", 0)):
        terminal = pexpect.spawn(sys.executable, words, env=person.environment, cwd=str(person.work), encoding="utf-8", timeout=90)
        terminal.expect("This command fetches `tries` from npm")
        terminal.expect(r"Fetch it\? \[y/N\] ")
        terminal.sendline(answer)
        terminal.expect(pexpect.EOF)
        terminal.close()
        assert terminal.exitstatus == status, terminal.before
        assert (person.root / "i/config/connectors/x.yaml").exists() is (answer == "y")


def test_a_fetch_that_is_killed_leaves_nothing_for_long(person: Person, registry: Registry) -> None:  # noqa: F811
    silent = socket.create_server(("127.0.0.1", 0))
    (person.home / ".npmrc").write_text(f"registry=http://127.0.0.1:{silent.getsockname()[1]}/\n")
    adding = person.start("connector", "add", "x", "--stdio", "--fetch", "--", "npx", "tries")
    note, deadline = person.root / "i/packages/.stage", time.monotonic() + 60
    while not note.exists() or not note.read_text():
        assert adding.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    stage = Path(note.read_text())
    adding.kill()
    adding.communicate()
    silent.close()
    (person.home / ".npmrc").write_text(f"registry={registry.url}\n")
    person.types("connector", "add", "x", "--stdio", "--fetch", "--", "npx", "tries")
    assert not stage.exists() and not note.exists() and "x: speaks" in person.types("connector", "test", "x")


def reaches_npm() -> bool:
    done = subprocess.run(["npm", "view", "@modelcontextprotocol/server-filesystem", "version"], capture_output=True, timeout=60)
    return done.returncode == 0


def test_the_quick_start_of_the_documentation(person: Person) -> None:  # noqa: F811
    """docs/gateway.md, from nothing to a real client's call of a real server, within two minutes."""
    if shutil.which("npm") is None or not reaches_npm():
        pytest.skip("needs npm and its registry")
    papers = person.home / "papers"
    papers.mkdir()
    (papers / "a.txt").write_text("what it says")
    (person.home / ".cursor").mkdir()
    if (Path.home() / ".npmrc").exists():  # this machine's own way to a registry
        shutil.copy(Path.home() / ".npmrc", person.home)
    begun = time.monotonic()
    made = json.loads(person.types("gateway", "init", "--json"))
    person.types(
        "connector", "add", "files", "--stdio", "--fetch", "--workspace", str(papers), "--operation", "read_text_file=read",
        "--", "npx", "-y", "@modelcontextprotocol/server-filesystem", str(papers),
    )  # fmt: skip
    gateway, url = person.serves()
    try:
        token = json.loads(person.types("agent", "token", "coder", "--gateway", url, "--json"))["token"]
        wanted = ("files__read_text_file", {"path": str(papers / "a.txt")})
        names, answer = asyncio.run(calls(f"{url}/mcp", {"Authorization": f"Bearer {token}"}, wanted))
    finally:
        gateway.terminate()
        gateway.communicate(timeout=30)
    assert "files__read_text_file" in names and "what it says" in answer.content[0].text and not answer.is_error
    assert time.monotonic() - begun < 120 and made["agent"]["token"].startswith("ilk_")


def test_a_python_package_runs_from_its_own_folder(person: Person) -> None:  # noqa: F811
    done = subprocess.run(["/usr/bin/python3", "-m", "pip", "download", "--no-deps", "-d", str(person.root / "d"), "mcp-server-time"],
                          capture_output=True, timeout=120)  # fmt: skip
    if done.returncode != 0:
        pytest.skip("needs pip and PyPI")
    person.types("connector", "add", "time", "--stdio", "--fetch", "--", "uvx", "mcp-server-time", "--local-timezone", "UTC")
    said = person.types("connector", "test", "time")
    assert "get_current_time" in said
    package = kept(person, "time").package
    assert package is not None and package.source == "pypi"
    module = next(Path(package.folder, "site-packages/mcp_server_time").glob("*.py"))
    module.write_text(module.read_text() + "\n")
    assert "was changed" in person.types("connector", "test", "time", status=1)
