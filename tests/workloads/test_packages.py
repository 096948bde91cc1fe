"""Package clients at work in a project, as an ordinary person's with toolchains in the home: a package that ships what
editors read, a store that was begun outside, tools that are fetched, run and installed, builds of Go, Java and Rust.

Each row runs once outside and once under Interlock, in copies of the same project, with a home of its own each time, and
no registry but folders. Compared are output, status and what lies in the project afterwards. The clients themselves come
from npm and PyPI, once; a row whose client is not to be had is skipped. What needs a registry while it runs, or minutes,
runs with INTERLOCK_LONG=1 only. The homes lie outside of /tmp and /var/tmp, where a session may make names anyway.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Installed

LONG = os.environ.get("INTERLOCK_LONG") == "1"
#: A package that ships what its author's editor and agent read, and an environment file.
PACKAGE = """
mkdir -p ships/.vscode ships/.claude ships/.devcontainer project && cd ships
echo '{"name": "ships", "version": "1.0.0", "bin": "run.js", "files": [".vscode/", ".claude/", ".devcontainer/", ".env", ".mcp.json"]}' > package.json
printf '#!/usr/bin/env node\\nconsole.log(1)\\n' > run.js
echo '{}' > .vscode/settings.json && echo '{}' > .vscode/tasks.json && echo '{}' > .claude/settings.json
echo '{}' > .devcontainer/devcontainer.json && echo A=1 > .env && echo '{}' > .mcp.json
tar c --sort=name --mtime=@0 --owner=0 --group=0 --transform 's#^#package/#' .vscode .claude .devcontainer .env .mcp.json package.json run.js | gzip -n > ../project/ships-1.0.0.tgz
cd ../project && echo '{"name": "x", "version": "1.0.0", "license": "MIT"}' > package.json
"""
FROM_A_FILE = {
    "npm": "npm install --offline --no-audit --no-fund ./ships-1.0.0.tgz && npm ci --offline --no-audit --no-fund && npx --no ships",
    "pnpm": "pnpm add --offline ./ships-1.0.0.tgz && rm -rf node_modules && pnpm install --offline --frozen-lockfile && pnpm exec ships",
    "yarn": "yarn add --offline --no-progress file:./ships-1.0.0.tgz && rm -rf node_modules && yarn install --offline && node_modules/.bin/ships",
    "copies of it": "npm install --offline --no-audit --no-fund ./ships-1.0.0.tgz && cp -r node_modules/ships node_modules/b "
    "&& mv node_modules/b node_modules/c && tar cf - node_modules | tar tf - | wc -l && rm -rf node_modules/c",
}  # fmt: skip
LAYER = """
interlock: 1
name: tools
rules:
  - id: tools
    allow: [file.read, process.exec]
    path: [{tools}]
  - id: registries
    allow: net.connect
    address: ["0.0.0.0/0"]
    port: 443
"""


class Homes:
    """The same home twice: one to work in outside, one under Interlock."""

    def __init__(self, root: Path, installed: Installed, user: str, tools: Path) -> None:
        self.root, self.installed, self.tools = root, installed, tools
        self.options = {"user": user, "group": user, "extra_groups": []} if os.geteuid() == 0 else {}
        self.user = user
        self.extra: dict[str, str] = {}
        for side in ("outside", "inside"):
            (root / side / "project").mkdir(parents=True)
        self.allow(str(tools), "/usr/local/go")
        self.own()

    def allow(self, *folders: str) -> None:
        (self.root / "layer.yaml").write_text(LAYER.format(tools=", ".join(f'"{folder}/**"' for folder in folders)))

    def own(self) -> None:
        if self.options:
            subprocess.run(["chown", "-R", f"{self.user}:", self.root / "outside", self.root / "inside"], check=True)

    def prepare(self, script: str) -> None:
        for side in ("outside", "inside"):
            done = self._run(side, ["sh", "-ec", script], self.root / side)
            assert done.returncode == 0, done.stdout + done.stderr

    def compared(self, script: str, *, denied: bool = False) -> str:
        """Runs it on both sides; what was said at the end of the session."""
        outside = self._run("outside", ["sh", "-ec", script], self.root / "outside/project")
        assert outside.returncode == 0, outside.stdout + outside.stderr
        inside = self.held(script)
        assert inside.returncode == 0, inside.stdout + inside.stderr
        assert denied or "denied" not in inside.stderr, inside.stderr
        assert self._words(inside.stdout) == self._words(outside.stdout)
        assert files(self.root / "inside/project") == files(self.root / "outside/project")
        return inside.stderr

    def held(self, script: str, *options: str) -> subprocess.CompletedProcess[str]:
        return self._run("inside", self.holding("sh", "-ec", script, options=options), self.root / "inside/project")

    def holding(self, *command: str, options: tuple[str, ...] = ()) -> list[str]:
        policies = ["--policy", "coding-agent", "--policy", str(self.root / "layer.yaml")]
        return [str(self.installed.interlock), "run", *policies, *options, "--", *command]

    def interlock(self, *words: str) -> str:
        return self._run("inside", [str(self.installed.interlock), *words], self.root / "inside/project").stdout

    def environment(self, side: str) -> dict[str, str]:
        home, kept = self.root / side, {name: os.environ[name] for name in ("LANG", "SSL_CERT_FILE") if name in os.environ}
        folders = [self.tools / "node_modules/.bin", self.tools / "python/bin", home / ".local/bin"]
        return kept | self.extra | {
            "PATH": ":".join([*map(str, folders), "/usr/local/go/bin:/usr/local/bin:/usr/bin:/bin"]), "HOME": str(home),
            "TERM": "dumb", "INTERLOCK_HOME": str(home / ".interlock"), "MAVEN_OPTS": f"-Duser.home={home}",
            "npm_config_update_notifier": "false", "GOFLAGS": "-buildvcs=false", "GOTOOLCHAIN": "local", "GOPROXY": f"file://{self.root}/proxy",
            "GOSUMDB": "off", "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1",
        }  # fmt: skip

    def _run(self, side: str, command: list[str], directory: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=directory, env=self.environment(side), capture_output=True, text=True, timeout=280,
            stdin=subprocess.DEVNULL, **self.options,
        )  # fmt: skip

    def _words(self, text: str) -> str:
        """What was said, without times and the homes' own names."""
        text = re.sub(rf"{re.escape(str(self.root))}/(in|out)side", "HOME", text)
        return re.sub(r"\d+(\.\d+)? ?m?s\b|^Progress: .*\n|^\+*\n", "", text, flags=re.MULTILINE)


def files(top: Path) -> dict[str, str]:
    """The project's files; of what clients write about themselves, that it is there."""
    found = {}
    for path in sorted(top.rglob("*")):
        own = path.name.startswith((".package-lock", ".modules", ".yarn-", ".pnpm", "lock.yaml", "activate", "pyvenv"))
        is_code = bool({"__pycache__", "bin", "target"} & set(path.parts) or ".bin" in path.parts) or path.name in ("RECORD", "uv_cache.json", "direct_url.json")
        if "__pycache__" in path.parts:
            continue
        content = "link" if path.is_symlink() else "folder" if path.is_dir() else "own" if own or is_code else path.read_bytes().hex()
        found[str(path.relative_to(top))] = content
    return found


@pytest.fixture(scope="session")
def tools() -> Path:
    """Where the clients are installed: kept between runs."""
    place = Path(os.environ.get("INTERLOCK_TEST_TOOLS", "/var/tmp/interlock-test-tools"))
    place.mkdir(parents=True, exist_ok=True)
    return place


def javascript(tools: Path, *clients: str) -> None:
    if shutil.which("npm") is None:
        pytest.skip("there is no npm here")
    missing = [client for client in clients if not (tools / "node_modules" / client.partition("@")[0]).exists()]
    if missing:
        _fetched(["npm", "install", "--prefix", str(tools), "--no-audit", "--no-fund", "--no-save", *missing], tools)


def uv(tools: Path) -> None:
    if not (tools / "python/bin/uv").exists():
        pip = ["python3", "-m", "pip", "install", "-q", "--disable-pip-version-check", "--target", str(tools / "python"), "uv"]
        _fetched(pip, tools)


def _fetched(command: list[str], tools: Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        pytest.skip(f"no registry answers `{command[0]}`: {done.stderr[-300:]}")
    subprocess.run(["chmod", "-R", "a+rX", str(tools)], check=True)


@pytest.fixture
def homes(installed: Installed, ordinary_user: str, tools: Path) -> Iterator[Homes]:
    root = Path(tempfile.mkdtemp(prefix="interlock-test-", dir="/home" if os.geteuid() == 0 else Path.home()))
    root.chmod(0o755)
    yield Homes(root, installed, ordinary_user, tools)
    shutil.rmtree(root, ignore_errors=True)


@pytest.mark.parametrize("client", FROM_A_FILE, ids=lambda name: name.replace(" ", "-"))
def test_a_package_ships_what_editors_read(homes: Homes, tools: Path, client: str) -> None:
    javascript(tools, *{"pnpm": ["pnpm@9"], "yarn": ["yarn@1"]}.get(client, []))
    homes.prepare(PACKAGE)
    homes.compared(FROM_A_FILE[client])
    assert (homes.root / "inside/project/node_modules/ships/.vscode/tasks.json").exists()
    changes = json.loads(homes.interlock("session", "changes", "--json"))["changes"]
    # Yarn 1 keeps compiled code in the session's temporary folder, which ends with it and is not listed.
    kinds = {item["kind"] for item in changes}
    # Of the tree of dependencies there is one line, and none of what lies in it.
    assert kinds <= {"package-scripts", "package-locks", "dependencies", "caches"}


def test_pnpm_goes_on_with_the_store_of_a_project_that_was_installed_outside(homes: Homes, tools: Path) -> None:
    javascript(tools, "pnpm@9")
    homes.prepare(PACKAGE + "pnpm add --offline ./ships-1.0.0.tgz\n")
    homes.compared("cp ships-1.0.0.tgz other.tgz && pnpm add --offline other@file:./other.tgz && pnpm exec ships")
    assert not (homes.root / "inside/project/.pnpm-store").exists()


WHEEL = "thing-1.0-py3-none-any.whl"
FROM_A_FOLDER = "--offline --no-index --find-links ../wheels --python /usr/bin/python3"


def _wheel(homes: Homes) -> None:
    meta = "thing-1.0.dist-info/"
    for side in ("outside", "inside"):
        (homes.root / side / "wheels").mkdir()
        with zipfile.ZipFile(homes.root / side / "wheels" / WHEEL, "w") as wheel:
            wheel.writestr("thing/__init__.py", "def main(): print('thing')\n")
            wheel.writestr("thing/.vscode/tasks.json", "{}")
            wheel.writestr(meta + "METADATA", "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n")
            wheel.writestr(meta + "WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(meta + "entry_points.txt", "[console_scripts]\nthing = thing:main\n")
            wheel.writestr(meta + "RECORD", "")
    homes.allow(str(homes.tools), str(homes.root / "inside/wheels"))
    homes.own()


def test_tools_are_run_by_uvx_and_packages_installed_by_uv(homes: Homes, tools: Path) -> None:
    uv(tools)
    _wheel(homes)
    homes.compared(
        f"uvx {FROM_A_FOLDER} thing && uv tool list && uv venv -q --python /usr/bin/python3 "
        "&& uv pip install -q --offline --no-index --find-links ../wheels thing && .venv/bin/thing"
    )


def test_a_tool_on_the_path_asks_and_is_listed(homes: Homes, tools: Path) -> None:
    """`uv tool install` puts a program where every shell finds it: a yes for the name, and a line at the end."""
    uv(tools)
    _wheel(homes)
    program, script = homes.root / "inside/.local/bin/thing", f"uv tool install {FROM_A_FOLDER} thing"
    refused = homes.held(script, "--no-ask")
    assert refused.returncode != 0 and not program.is_symlink(), refused.stderr
    assert "coding-agent/installing: you and your programs would start this by its name" in refused.stderr, refused.stderr
    shutil.rmtree(homes.root / "inside/.local/share/uv/tools/thing", ignore_errors=True)  # for a person to do: it is of before
    running = subprocess.Popen(
        homes.holding("sh", "-ec", f"{script} && thing"), cwd=homes.root / "inside/project", env=homes.environment("inside"),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **homes.options,
    )  # fmt: skip
    asked = _answered(homes, running)
    out, errors = running.communicate(timeout=60)
    assert running.returncode == 0 and out.endswith("thing\n"), errors
    assert asked and all("/.local/bin" in each for each in asked), asked
    assert program.is_symlink()
    assert "you and your programs, by its name: ~/.local/bin/thing" in errors


def test_programs_of_before_are_neither_replaced_nor_asked_about(homes: Homes) -> None:
    homes.prepare("mkdir -p .local/bin .local/share/uv/tools/old/bin && echo old > .local/bin/old && echo old > .local/share/uv/tools/old/bin/old")
    for script in (
        "echo new > ~/.local/bin/old", "rm ~/.local/bin/old", "echo new > x && mv x ~/.local/bin/old", "chmod 755 ~/.local/bin/old",
        "ln -f project ~/.local/bin/old", "echo x > ~/.local/share/uv/tools/old/bin/new", "rm -r ~/.local/share/uv/tools/old",
        "echo x > ~/.local/bin/new", "ln -s /bin/sh ~/.local/bin/new", "mkdir x && mv x ~/.local/share/uv/tools/old/lib",
    ):  # fmt: skip
        assert homes.held(script, "--no-ask").returncode != 0, script
    assert files(homes.root / "inside/.local") == files(homes.root / "outside/.local")
    assert (homes.root / "inside/.local/bin/old").read_text() == "old\n"


def _answered(homes: Homes, running: subprocess.Popen[str]) -> list[str]:
    """Says yes to each question until the session is over; what was asked."""
    asked, end = [], time.monotonic() + 60
    while running.poll() is None and time.monotonic() < end:
        for line in homes.interlock("approvals", "list", "--json").splitlines():
            asked.append(line)
            homes.interlock("approvals", "approve", json.loads(line)["id"])
        time.sleep(0.1)
    return asked


def _module(homes: Homes) -> None:
    """A module in a folder that serves as the proxy, with an editor's tasks in it."""
    place = homes.root / "proxy/example.org/dep/@v"
    place.mkdir(parents=True)
    (place / "list").write_text("v1.0.0\n")
    (place / "v1.0.0.info").write_text('{"Version": "v1.0.0"}')
    (place / "v1.0.0.mod").write_text("module example.org/dep\n\ngo 1.20\n")
    with zipfile.ZipFile(place / "v1.0.0.zip", "w") as file:
        for name, text in (("go.mod", "module example.org/dep\n\ngo 1.20\n"), ("dep.go", "package dep\n\nconst D = 2\n")):
            file.writestr(f"example.org/dep@v1.0.0/{name}", text)
        file.writestr("example.org/dep@v1.0.0/.vscode/tasks.json", "{}")
        file.writestr("example.org/dep@v1.0.0/.env", "A=1\n")


GO = """
cd project && printf 'module example.org/x\\n\\ngo 1.20\\n' > go.mod
printf 'package main\\nimport "example.org/dep"\\nfunc main() { println(dep.D) }\\n' > main.go
printf 'package main\\nimport "testing"\\nfunc TestX(t *testing.T) {}\\n' > main_test.go
"""


def test_go_fetches_into_its_module_cache_and_builds(homes: Homes) -> None:
    if not Path("/usr/local/go/bin/go").exists():
        pytest.skip("there is no Go in /usr/local/go")
    _module(homes)
    homes.allow(str(homes.tools), "/usr/local/go", str(homes.root / "proxy"))
    homes.prepare(GO)
    outside = homes.root / "outside"
    # What compiles the standard library is the same, and takes its time: once, and shared.
    shutil.copytree(outside / "project", outside / "warm")
    homes.own()
    subprocess.run(
        ["/usr/local/go/bin/go", "build", "-o", "/dev/null", "."], cwd=outside / "warm", check=True, timeout=280,
        env=homes.environment("outside") | {"GOFLAGS": "-mod=mod -buildvcs=false"}, **homes.options,
    )  # fmt: skip
    shutil.rmtree(outside / "warm")
    shutil.rmtree(homes.root / "inside/.cache", ignore_errors=True)
    shutil.copytree(outside / ".cache", homes.root / "inside/.cache", symlinks=True)
    homes.own()
    work = "go get example.org/dep@v1.0.0 && go vet ./... && go build -o x . && ./x && rm x && go run . && go env GOPROXY"
    homes.compared(work + (" && go test ./..." if LONG else ""))
    assert (homes.root / "inside/go/pkg/mod/example.org/dep@v1.0.0/.vscode/tasks.json").exists()
    counted = [(homes.root / side / ".config/go/telemetry/local").exists() for side in ("inside", "outside")]
    assert counted[0] == counted[1]


POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>x</groupId><artifactId>x</artifactId><version>1</version><packaging>{}</packaging>
<properties><maven.compiler.source>11</maven.compiler.source><maven.compiler.target>11</maven.compiler.target></properties></project>
"""


def test_maven_builds(homes: Homes) -> None:
    """A project without plugins, as none need be fetched; with INTERLOCK_LONG=1 one that is compiled and packed."""
    if shutil.which("mvn") is None:
        pytest.skip("there is no Maven here")
    homes.prepare("mkdir -p project/src/main/java && echo 'class A { }' > project/src/main/java/A.java")
    for side in ("outside", "inside"):
        (homes.root / side / "project/pom.xml").write_text(POM.format("jar" if LONG else "pom"))
    homes.own()
    if not LONG:
        homes.compared("mvn -q -B -o validate", denied=True)  # the JVM looks for counters of others in /tmp, and goes on
    elif homes._run("outside", ["mvn", "-q", "-B", "package"], homes.root / "outside/project").returncode == 0:
        homes.compared("mvn -q -B package >&2 && ls target/*.jar && mvn -q -B -o clean", denied=True)
    else:
        pytest.skip("no repository answers Maven")


@pytest.mark.skipif(not LONG, reason="it asks a registry: INTERLOCK_LONG=1")
def test_cargo_builds_with_a_cold_and_a_warm_cache(homes: Homes) -> None:
    """Where the toolchain cannot be reached by the ordinary user, as whoever runs the tests."""
    if shutil.which("rustc") is None:
        pytest.skip("there is no Rust here")
    sysroot = subprocess.run(["rustc", "--print", "sysroot"], capture_output=True, text=True, check=True).stdout.strip()
    homes.options = {}
    homes.allow(sysroot)
    homes.prepare(f"mkdir .cargo && cd project && {sysroot}/bin/cargo init -q --vcs none --name x . && echo 'itoa = \"1\"' >> Cargo.toml")
    homes.extra = {"RUSTC": f"{sysroot}/bin/rustc"}
    build = f"{sysroot}/bin/cargo build -q && {sysroot}/bin/cargo run -q && {sysroot}/bin/cargo build -q --offline && {sysroot}/bin/cargo clean -q"
    homes.compared(build)
    homes.compared(f"{build} && {sysroot}/bin/cargo build -q --offline && {sysroot}/bin/cargo clean -q")
