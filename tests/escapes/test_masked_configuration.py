"""A tool inside goes by the person's own configuration, without the secrets in it: it sees registries, proxies and certificates as outside,
or fails aloud. What is secret comes out by no way.

Each way first succeeds without Interlock; whether a tool asked the right registry is for the registry to say.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import io
import json
import os
import shutil
import subprocess
import tarfile
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.escapes.arena import Arena, Outcome

Run = Callable[..., Outcome]
SECRET = "s3cr3tf00d"

#: A configuration, what a tool needs of it, and what is secret in it (besides `SECRET`).
CONFIGURATIONS = {
    ".npmrc": (
        f"registry=http://r.example:4873/\n@acme:registry=https://u:{SECRET}@npm.acme/\n//r.example:4873/:_authToken={SECRET}\ncafile=/x/ca.pem\n",
        ["registry=http://r.example:4873/", "@acme:registry=https://npm.acme/", "cafile=/x/ca.pem"],
    ),
    ".yarnrc": (
        f'registry "http://u:{SECRET}@r.example:4873"\n"//r.example:4873/:_authToken" "{SECRET}"\n',
        ['registry "http://r.example:4873"'],
    ),
    ".yarnrc.yml": (
        f'npmRegistryServer: "http://r.example:4873"\nnpmAuthToken: {SECRET}\nnpmScopes:\n  acme:\n    npmAuthIdent: "u:{SECRET}"\n',
        ['npmRegistryServer: "http://r.example:4873"'],
    ),
    ".config/pip/pip.conf": (
        f"[global]\nindex-url = https://u:{SECRET}@r.example/simple\nextra-index-url =\n    https://{SECRET}@x.example/simple\ncert = /x/ca.pem\n",
        ["index-url = https://r.example/simple", "    https://x.example/simple", "cert = /x/ca.pem"],
    ),
    ".pip/pip.conf": (f"[global]\nproxy = http://u:{SECRET}@p.example:3128\n", ["proxy = http://p.example:3128"]),
    ".pypirc": (
        f"[acme]\nrepository: https://r.example/\nusername: me\npassword: {SECRET}\n",
        ["repository: https://r.example/", "username: me"],
    ),
    ".cargo/credentials.toml": (
        f'[registries.acme]\ntoken = "{SECRET}"\n[registry]\ntoken = "{SECRET}"\n',
        ["[registries.acme]"],
    ),
    ".cargo/config.toml": (
        f'[source.crates-io]\nreplace-with = "m"\n[source.m]\nregistry = "sparse+https://u:{SECRET}@m.example/"\n',
        ['replace-with = "m"', 'registry = "sparse+https://m.example/"'],
    ),
    ".netrc": (f"machine r.example login me password {SECRET}\n", ["machine r.example", "login me"]),
    ".docker/config.json": (
        json.dumps(
            {"auths": {"r.example": {"auth": b64encode(f"u:{SECRET}".encode()).decode()}}, "credsStore": "pass"}
        ),
        ['"r.example"', '"credsStore": "pass"'],
    ),
    ".m2/settings.xml": (
        "<settings><mirrors><mirror><url>https://m.example/</url><mirrorOf>*</mirrorOf></mirror></mirrors>"
        f"<servers><server><id>m</id><password>{SECRET}</password></server></servers></settings>\n",
        ["<url>https://m.example/</url><mirrorOf>*</mirrorOf>"],
    ),
}
ENCODED = b64encode(f"u:{SECRET}".encode()).decode()


def written(arena: Arena, name: str, text: str) -> Path:
    place = arena.home / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    place.chmod(0o600)
    arena._own()
    return place


@pytest.mark.parametrize("preset", ["coding-agent", "ci"])
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_what_a_tool_goes_by_is_there_and_what_opens_it_is_not(arena: Arena, name: str, preset: str) -> None:
    text, needed = CONFIGURATIONS[name]
    place = written(arena, name, text)
    assert arena.run("cat", place).output == text
    done = arena.held("cat", place, preset=preset)
    assert done.code == 0, done.errors
    assert [line for line in needed if line not in done.output] == []
    assert SECRET not in done.output
    assert ENCODED not in done.output


NOT_UNDERSTOOD = {
    ".npmrc": f"registry=https://u:pa/{SECRET}@r.example/\n",
    ".yarnrc.yml": f"npmAuthToken: |\n  {SECRET}\n",
    ".config/pip/pip.conf": f"[global]\nindex-url = https://r.example/simple?token={SECRET}\n",
    ".cargo/config.toml": f'x = """\n{SECRET}"""\n',
    ".netrc": f"machine a macdef init\n{SECRET}\n\n",
    ".docker/config.json": f'{{"auths": {SECRET}\n',
    ".m2/settings.xml": f"<!DOCTYPE a [<!ENTITY x '{SECRET}'>]><settings>&x;</settings>\n",
}


@pytest.mark.parametrize("name", NOT_UNDERSTOOD)
def test_what_is_not_understood_is_refused_aloud(arena: Arena, name: str) -> None:
    place = written(arena, name, NOT_UNDERSTOOD[name])
    assert SECRET in arena.run("cat", place).output
    done = arena.held("cat", place)
    assert (done.code, done.output) == (1, "")
    assert "Permission denied" in done.errors
    why = arena.run(arena.python.parent / "interlock", "why", "last")
    assert "without its secrets" in why.output, why.output + why.errors


SHORT = "k3J9xQ2mTz"
#: Addresses that are a key themselves: whoever has them has what they open.
KEYS_IN_ADDRESSES = {
    ".npmrc": f"@acme:registry=https://npm.example/{SHORT}/acme/\n",
    ".yarnrc": f'registry "https://npm.example/{SHORT}/"\n',
    ".yarnrc.yml": f'npmRegistryServer: "https://npm.example/basic/{SHORT}/npm"\n',
    ".config/pip/pip.conf": f"[global]\nindex-url = https://r.example/simple\nextra-index-url = https://dl.example/{SHORT}/org/python/simple/\n",
    ".cargo/config.toml": f'[source.m]\nregistry = "sparse+https://dl.example/{SHORT}/org/cargo/"\n',
    ".m2/settings.xml": f"<settings><mirrors><mirror><url>https://dl.example/{SHORT}/maven/</url></mirror></mirrors></settings>\n",
}


@pytest.mark.parametrize("name", KEYS_IN_ADDRESSES)
def test_an_address_that_is_a_key_itself_is_refused_aloud(arena: Arena, name: str) -> None:
    place = written(arena, name, KEYS_IN_ADDRESSES[name])
    assert SHORT in arena.run("cat", place).output
    done = arena.held("cat", place)
    assert (done.code, done.output) == (1, "")
    assert "Permission denied" in done.errors
    # What is refused is the token: with a name in its place the file is shown.
    written(arena, name, KEYS_IN_ADDRESSES[name].replace(SHORT, "npm-proxy"))
    assert "npm-proxy" in arena.held("cat", place).output


#: Ways to the whole file; each prints what it got.
WAYS = {
    "read": "print(open(path).read())",
    "copied": "import shutil; shutil.copyfile(path, 'copy'); print(open('copy').read())",
    "mapped": "import mmap; f = os.open(path, os.O_RDONLY); print(mmap.mmap(f, os.fstat(f).st_size, prot=mmap.PROT_READ)[:])",
    "held without rights": "f = os.open(path, os.O_PATH); print(open(f'/proc/self/fd/{f}').read())",
    "read and written": "f = os.open(path, os.O_RDWR); print(os.read(f, 9999))",
    "reopened": "f = os.open(path, os.O_RDONLY); print(open(f'/proc/self/fd/{f}').read())",
    "reopened for writing": "f = os.open(path, os.O_RDONLY); g = os.open(f'/proc/self/fd/{f}', os.O_RDWR); os.write(g, b'x'); print(open(path).read())",
    "linked": "os.link(path, 'other'); print(open('other').read())",
    "renamed": "os.rename(path, 'other'); print(open('other').read())",
    "by a symlink": "os.symlink(path, 'way'); print(open('way').read())",
    "by its folder": "d = os.open(os.path.dirname(path), os.O_PATH); print(open(os.open('.npmrc', os.O_RDONLY, dir_fd=d)).read())",
    "by a hard link from before": "print(open('from-before').read())",
    "sent": "import socket; a, b = socket.socketpair(); f = os.open(path, os.O_RDONLY); os.sendfile(a.fileno(), f, 0, 9999); print(b.recv(9999))",
    "through a pipe of the kernel's": "r, w = os.pipe(); f = os.open(path, os.O_RDONLY); os.splice(f, w, 9999); print(os.read(r, 9999))",
    "run by a program": "import subprocess; print(subprocess.run(['sh', '-c', f'. {path}; set; cat {path}'], capture_output=True))",
    "exchanged": "open('other', 'w').close(); import ctypes; ctypes.CDLL(None).syscall(316, -100, os.fsencode(path), -100, b'other', 2); print(open('other').read())",
}


@pytest.mark.parametrize("policy", ["preset", "own"])
@pytest.mark.parametrize("way", WAYS)
def test_no_way_leads_to_the_secret(arena: Arena, way: str, policy: str) -> None:
    """Under a policy of one's own too, that allows everything else with these files."""
    own = arena.root / "own.yaml"
    own.write_text(
        "interlock: 1\nname: own\nrules:\n  - {id: files, allow: ['file.*', process.exec], path: '/**'}\n"
        "  - {id: calls, allow: ['net.*', 'unix.*', process.signal]}\n"
        "  - {id: shown, allow: file.read, path: '~/.npmrc', mask: credentials}\n"
    )

    def attack(run: Run) -> bool:
        arena.build()
        place = written(arena, ".npmrc", CONFIGURATIONS[".npmrc"][0])
        os.link(place, arena.work / "from-before")
        # What follows is looked at as well: a way that leads there later.
        script = f"import os, sys; path = sys.argv[1]\ntry:\n    {WAYS[way]}\nexcept OSError as error: print(error)\nos.system('cat other copy 2>/dev/null')"
        return SECRET in run("/usr/bin/python3", "-c", script, place).output

    if not attack(arena.run):
        assert way == "reopened for writing", "the control failed"
    held = {"preset": "coding-agent"} if policy == "preset" else {"preset": "observe", "policy": own}
    assert not attack(lambda *command: arena.held(*command, **held))


class Registry(http.server.BaseHTTPRequestHandler):
    """A package index for npm and pip with one package; keeps who asked for what."""

    asked: list[tuple[str, str | None]]
    port: int

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers.get("Authorization")))
        body = self._body()
        self.send_response(200 if body is not None else 404)
        self.send_header("Content-Type", "text/html" if self.path.startswith("/simple") else "application/json")
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        """Silent."""

    def _body(self) -> bytes | None:
        if self.path == "/interlock-probe":
            name, url = "interlock-probe", f"http://127.0.0.1:{self.port}/package.tgz"
            dist = {"tarball": url, "shasum": hashlib.sha1(package()).hexdigest()}
            version = {"name": name, "version": "7.7.7", "dist": dist}
            return json.dumps({"name": name, "dist-tags": {"latest": "7.7.7"}, "versions": {"7.7.7": version}}).encode()
        if self.path == "/package.tgz":
            return package()
        if self.path == "/simple/interlock-probe/":
            return b'<a href="/interlock_probe-7.7.7.tar.gz">interlock_probe-7.7.7.tar.gz</a>'
        return None


@functools.cache
def package() -> bytes:
    """Once: gzip writes the time into it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        data = b'{"name": "interlock-probe", "version": "7.7.7"}'
        entry = tarfile.TarInfo("package/package.json")
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


@contextlib.contextmanager
def registry() -> Iterator[type[Registry]]:
    handler = type("Handler", (Registry,), {"asked": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    handler.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield handler
    finally:
        server.shutdown()
        server.server_close()


def reaches(arena: Arena, port: int) -> Path:
    """A layer that opens the registry, as a person with one on this machine would write it."""
    place = arena.root / "registry.yaml"
    place.write_text(
        f"interlock: 1\nname: registry\nrules:\n  - {{id: registry, allow: net.connect, address: 127.0.0.1, port: {port}}}\n"
    )
    return place


@pytest.mark.parametrize("act", ["view", "install"])
def test_npm_asks_the_registry_of_its_person_and_has_no_token(arena: Arena, act: str) -> None:
    if shutil.which("npm") is None:
        pytest.skip("a machine with npm is needed")
    command = {
        "view": ["npm", "view", "interlock-probe", "version"],
        "install": ["npm", "install", "--no-audit", "--no-fund", "interlock-probe"],
    }[act]
    with registry() as found:
        written(
            arena,
            ".npmrc",
            f"registry=http://127.0.0.1:{found.port}/\n//127.0.0.1:{found.port}/:_authToken={SECRET}\nfetch-retries=0\n",
        )
        outside = arena.run(*command)
        assert outside.code == 0, outside.errors
        assert any(header and SECRET in header for _, header in found.asked)
        found.asked.clear()
        inside = arena.held(*command, policy=reaches(arena, found.port))
        assert inside.code == 0, inside.errors
        assert {path for path, _ in found.asked} >= {"/interlock-probe"}
        assert [header for _, header in found.asked if header] == []
        if act == "view":
            assert inside.output == outside.output == "7.7.7\n"


def test_pip_asks_the_index_of_its_person_and_has_no_password(arena: Arena) -> None:
    has_pip = subprocess.run(["/usr/bin/python3", "-m", "pip", "--version"], capture_output=True).returncode == 0
    if not has_pip:
        pytest.skip("a machine with pip is needed")
    command = ["/usr/bin/python3", "-m", "pip", "index", "versions", "--disable-pip-version-check", "interlock-probe"]
    with registry() as found:
        text = f"[global]\nindex-url = http://u:{SECRET}@127.0.0.1:{found.port}/simple\ntrusted-host = 127.0.0.1\nretries = 0\n"
        written(arena, ".config/pip/pip.conf", text)
        outside = arena.run(*command)
        assert "7.7.7" in outside.output, outside.errors
        found.asked.clear()
        inside = arena.held(*command, policy=reaches(arena, found.port))
        assert inside.output == outside.output, inside.errors
        assert [path for path, _ in found.asked] == ["/simple/interlock-probe/"]
        assert [header for _, header in found.asked if header] == []


def test_maven_asks_the_mirror_of_its_person_and_has_no_password(arena: Arena) -> None:
    if shutil.which("mvn") is None:
        pytest.skip("a machine with Maven is needed")
    with registry() as found:
        mirror = f"<mirror><id>m</id><mirrorOf>*</mirrorOf><url>http://127.0.0.1:{found.port}/</url></mirror>"
        server = f"<server><id>m</id><username>u</username><password>{SECRET}</password></server>"
        settings = f"<settings><mirrors>{mirror}</mirrors><servers>{server}</servers></settings>\n"
        place = written(arena, ".m2/settings.xml", settings)
        # Java has a home of its own, and what Maven keeps of a failure it would not ask again.
        command = ["mvn", "-B", "-U", "-s", place, f"-Dmaven.repo.local={arena.work}/m2", "help:effective-settings"]
        arena.run(*command)
        outside = {path for path, _ in found.asked}
        assert any("/org/apache/maven/plugins/" in path for path in outside)
        found.asked.clear()
        shutil.rmtree(arena.work / "m2", ignore_errors=True)
        inside = arena.held(*command, policy=reaches(arena, found.port))
        assert {path for path, _ in found.asked} == outside, inside.output + inside.errors
        assert [header for _, header in found.asked if header] == []


def test_the_view_is_in_the_record_and_in_the_words_of_the_policy(arena: Arena) -> None:
    place = written(arena, ".npmrc", CONFIGURATIONS[".npmrc"][0])
    interlock = arena.python.parent / "interlock"
    assert arena.held("cat", place).code == 0
    shown = arena.run(interlock, "session", "show", "last", "--json")
    told = json.loads(shown.output)["records"]
    decided = [
        record
        for record in told
        if record.get("type") == "action.decided" and record["action"]["target"].get("path") == str(place)
    ]
    assert [record["decision"]["steer"] for record in decided] == ["masked"]
    assert any(
        "/view/" in str(record["action"]["target"].get("path"))
        for record in told
        if record.get("type") == "action.decided"
    )
    explained = arena.run(interlock, "policy", "explain", "--preset", "coding-agent")
    assert "read (masked)" in explained.output
