"""Package clients at work in a project, as a person's with toolchains in the home: a package that ships what editors
read, a store that was begun outside, tools that are fetched and run, builds of Go and Java.

Each row runs once outside and once under Interlock, in copies of the same project, with a home of its own each time.
Compared are the status and what lies in the project afterwards. What needs a registry is skipped where none answers.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

TOOLS = ("pnpm@9", "yarn@1")
#: A package that ships what its author's editor and agent read, and an environment file.
PACKAGE = """
mkdir -p ships/.vscode ships/.claude ships/.devcontainer && cd ships
echo '{"name": "ships", "version": "1.0.0", "files": [".*"]}' > package.json
echo '{}' > .vscode/settings.json && echo '{}' > .vscode/tasks.json && echo '{}' > .claude/settings.json
echo '{}' > .devcontainer/devcontainer.json && echo A=1 > .env && echo '{}' > .mcp.json
npm pack --silent && mv ships-1.0.0.tgz .. && cd .. && mkdir project && cd project && mv ../ships-1.0.0.tgz .
echo '{"name": "x", "version": "1.0.0", "license": "MIT"}' > package.json
"""
LOCAL = {
    "npm": "npm install --offline --no-audit --no-fund ./ships-1.0.0.tgz && npm ci --offline --no-audit --no-fund",
    "pnpm": "pnpm add --offline ./ships-1.0.0.tgz && rm -rf node_modules && pnpm install --offline --frozen-lockfile",
    "yarn": "yarn add --offline --no-progress file:./ships-1.0.0.tgz && rm -rf node_modules && yarn install --offline",
    "copies of it": "npm install --offline --no-audit --no-fund ./ships-1.0.0.tgz && cp -r node_modules/ships node_modules/b "
    "&& mv node_modules/b node_modules/c && tar cf - node_modules | tar tf - | wc -l && rm -rf node_modules/c",
}  # fmt: skip


class Homes:
    """A home for each side, with tools in `tools`, which a layer of the person's allows."""

    def __init__(self, root: Path, installed, user: str | None) -> None:
        self.root, self.installed = root, installed
        self.options = {} if user is None else {"user": user, "extra_groups": []}
        root.chmod(0o755)
        for side in ("outside", "inside"):
            (root / side).mkdir()
        (root / "layer.yaml").write_text(LAYER)
        if user is not None:
            for path in (root / "outside", root / "inside"):
                shutil.chown(path, user)

    def prepare(self, script: str) -> None:
        for side in ("outside", "inside"):
            done = self._run(side, ["sh", "-ec", script], self.root / side)
            assert done.returncode == 0, done.stdout + done.stderr

    def compared(self, script: str, directory: str = "project") -> None:
        outside = self._run("outside", ["sh", "-ec", script], self.root / "outside" / directory)
        assert outside.returncode == 0, outside.stdout + outside.stderr
        held = [
            str(self.installed.interlock),
            "run",
            "--policy",
            "coding-agent",
            "--policy",
            str(self.root / "layer.yaml"),
            "--",
        ]
        inside = self._run("inside", [*held, "sh", "-ec", script], self.root / "inside" / directory)
        assert inside.returncode == 0, inside.stdout + inside.stderr
        assert "denied" not in inside.stderr, inside.stderr
        assert files(self.root / "inside" / directory) == files(self.root / "outside" / directory)

    def _run(self, side: str, command: list[str], directory: Path) -> subprocess.CompletedProcess[str]:
        home = self.root / side
        kept = {name: os.environ[name] for name in ("LANG", "SSL_CERT_FILE") if name in os.environ}
        tools = ":".join(str(home / "tools" / part) for part in ("node_modules/.bin", "venv/bin"))
        environment = kept | {
            "PATH": f"{tools}:/usr/local/go/bin:/usr/local/bin:/usr/bin:/bin", "HOME": str(home), "TERM": "dumb",
            "INTERLOCK_HOME": str(self.root / f"state-{os.geteuid()}-{side}" / "i") if not self.options else f"{home}/.i",
            "npm_config_update_notifier": "false", "GOFLAGS": "-buildvcs=false", "GOTOOLCHAIN": "local",
        }  # fmt: skip
        return subprocess.run(
            command, cwd=directory, env=environment, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL,
            **self.options,
        )  # fmt: skip


LAYER = """
interlock: 1
name: tools
rules:
  - id: tools
    allow: [file.read, process.exec]
    path: ["~/tools/**", "/usr/local/go/**"]
  - id: registries
    allow: net.connect
    address: ["0.0.0.0/0"]
    port: 443
"""


def files(top: Path) -> dict[str, str]:
    """The project's files; of what clients write about themselves, that it is there."""
    found = {}
    for path in sorted(top.rglob("*")):
        name = str(path.relative_to(top))
        own = path.name.startswith((".package-lock", ".modules", ".yarn-", ".pnpm", "lock.yaml", "activate", "pyvenv"))
        kind = (
            "link"
            if path.is_symlink()
            else "folder"
            if path.is_dir()
            else "own"
            if own or "bin" in path.parts
            else None
        )
        if "__pycache__" not in path.parts and not path.name.startswith(("direct_url", "RECORD", "uv_cache")):
            found[name] = kind or path.read_bytes().hex()
    return found


@pytest.fixture
def homes(tmp_path_factory, installed, user):
    root = Path(tmp_path_factory.mktemp("packages"))
    for folder in (root, *root.parents):
        if folder == Path("/tmp"):
            break
        folder.chmod(folder.stat().st_mode | 0o011)
    yield Homes(root, installed, user)
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def javascript(tmp_path_factory) -> Path:
    """pnpm and yarn, from the registry that npm is set up for."""
    if shutil.which("npm") is None:
        pytest.skip("there is no npm here")
    place = Path(tmp_path_factory.mktemp("tools"))
    done = subprocess.run(
        ["npm", "install", "--prefix", str(place), "--no-audit", "--no-fund", *TOOLS],
        capture_output=True,
        text=True,
        timeout=300,
    )
    if done.returncode != 0:
        pytest.skip(f"no registry answers npm: {done.stderr[-300:]}")
    return place


def with_tools(homes: Homes, place: Path, name: str = "") -> None:
    for side in ("outside", "inside"):
        shutil.copytree(place, homes.root / side / "tools" / name, symlinks=True, dirs_exist_ok=True)
    subprocess.run(["chmod", "-R", "a+rX", str(homes.root)], check=True)


@pytest.mark.parametrize("client", LOCAL, ids=lambda name: name.replace(" ", "-"))
def test_a_package_ships_what_editors_read(homes: Homes, javascript: Path, client: str) -> None:
    with_tools(homes, javascript)
    homes.prepare(PACKAGE)
    homes.compared(LOCAL[client])
    assert (homes.root / "inside/project/node_modules/ships/.vscode/tasks.json").exists()


def test_pnpm_goes_on_with_the_store_of_a_project_that_was_installed_outside(homes: Homes, javascript: Path) -> None:
    with_tools(homes, javascript)
    homes.prepare(PACKAGE + "pnpm add --offline ./ships-1.0.0.tgz\n")
    homes.compared("cp ships-1.0.0.tgz other.tgz && pnpm add --offline other@file:./other.tgz")
    assert not (homes.root / "inside/project/.pnpm-store").exists()


def test_go_builds_and_counts(homes: Homes) -> None:
    if not Path("/usr/local/go/bin/go").exists():
        pytest.skip("there is no Go in /usr/local/go")
    homes.prepare(
        "mkdir -p project && cd project && printf 'module example.org/x\\n\\ngo 1.20\\n' > go.mod && mkdir b && "
        "printf 'package b\\nconst B = 1\\n' > b/b.go && "
        "printf 'package main\\nimport \"example.org/x/b\"\\nfunc main() { println(b.B) }\\n' > main.go"
    )
    homes.compared(
        "go version && go vet ./... && go build -o /dev/null . && go run . && go test ./... && go env GOCACHE"
    )
    counted = list((homes.root / "inside/.config/go/telemetry/local").glob("*"))
    assert bool(counted) == bool(list((homes.root / "outside/.config/go/telemetry/local").glob("*")))


def test_tools_of_uv_are_fetched_and_run(homes: Homes, tmp_path: Path) -> None:
    place = tmp_path / "venv"
    subprocess.run(["python3", "-m", "venv", place], check=True, timeout=120)
    done = subprocess.run([place / "bin/pip", "install", "-q", "uv"], capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        pytest.skip(f"no registry answers pip: {done.stderr[-300:]}")
    with_tools(homes, place, "venv")
    homes.prepare("mkdir project")
    homes.compared(
        "uvx --from cowsay==6.1 cowsay -t hi && uv tool list && uv tool dir && uv venv -q && uv pip install -q cowsay==6.1"
    )


def test_maven_builds(homes: Homes) -> None:
    if shutil.which("mvn") is None:
        pytest.skip("there is no Maven here")
    pom = (
        "<project><modelVersion>4.0.0</modelVersion><groupId>x</groupId><artifactId>x</artifactId><version>1</version>"
        "<packaging>pom</packaging></project>"
    )
    homes.prepare(f"mkdir project && cd project && echo '{pom}' > pom.xml")
    script = "mvn -q -B validate"
    outside = subprocess.run(["mvn", "-q", "-B", "--version"], capture_output=True, text=True, timeout=120)
    assert outside.returncode == 0, outside.stderr
    homes.compared(script)
