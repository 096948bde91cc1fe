"""The table of clients: with rules that name hosts and no other configuration, each reaches the hosts that are allowed and no other, and the person reads why.

One row is one program that people use, as root and as an ordinary user. `make clients` brings those that a machine lacks; a row whose program is not there is
skipped and says so. The world is a network of the test's own.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.kernel.drive import FILE_VERBS, Drive, Message, policy, rule
from tests.kernel.world import OTHER, PUBLIC, World, folder, in_world
from tests.workloads.clients import CLIENTS, Client
from tests.workloads.registry import DATABASE_PORT, HOST, PORT, Registry

pytestmark = [
    pytest.mark.skipif(os.getuid() != 0, reason="needs root: makes a network of its own"),
    pytest.mark.timeout(300),
]
DENIED = "secret.evil.org"
NOBODY = 65534
PORTS = [[port, port] for port in (443, DATABASE_PORT, PORT)]
POLICY = policy(
    rule("files", "allow", FILE_VERBS, path=["/**"]),
    rule("run", "allow", ["process.exec"], path=["/**"]),
    rule("signal", "allow", ["process.signal"], to="inside"),
    rule("local", "allow", ["net.bind", "net.listen", "unix.connect"]),
    rule("inside", "allow", ["net.connect", "net.send"], to="inside"),
    rule("host", "allow", ["net.connect"], host=["*.example.com"], port=PORTS),
)
ZONE = {HOST: [PUBLIC], "api.example.com": [PUBLIC]}
#: What `make clients` installs, before what the machine has. Without it a few rows are played, to spare time.
MADE = Path(__file__).parents[2] / "build/clients"
FEW = ("wget", "git over https", "psql", "getent", "pip")
PATH = os.pathsep.join(
    [str(MADE / "venv/bin"), str(MADE / "node_modules/.bin"), os.environ["PATH"], "/usr/local/go/bin"]
)


@pytest.mark.parametrize("user", [None, NOBODY], ids=["root", "ordinary"])
@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_reaches_what_is_allowed_and_nothing_else(client: str, user: int | None) -> None:
    row = CLIENTS[client]
    if client not in FEW and not MADE.exists():
        pytest.skip("the whole table is played by `make clients`")
    python = _python(row.imports, user)
    lacks = next((name for name in row.needs if not _may_run(name, user)), None)
    if lacks or python is None:
        pytest.skip(
            f"{lacks or f'Python with {row.imports}'} is not installed here, or not for this user: `make clients`"
        )
    place = folder()
    try:
        _lay(row, place)
        in_world(lambda world: _play(row, place, world, user, python), ZONE)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _lay(row: Client, place: Path) -> None:
    for name, text in row.files.items():
        (place / name).write_text(text)
    if row.built:
        built = subprocess.run(
            ["/bin/sh", "-c", _filled(row.built, place, HOST, "")],
            env=_environment(place) | {"GOCACHE": str(MADE / "go-cache")},
            capture_output=True,
            text=True,
            check=False,
        )
        if built.returncode:
            pytest.skip(f"what the row needs is not here: {built.stderr[-200:]}")
    registry = place / "registry"
    registry.mkdir()


def _play(row: Client, place: Path, world: World, user: int | None, python: str) -> None:
    registry = Registry(place / "registry")
    for path in [place, *place.rglob("*")]:
        os.chown(path, user or 0, user or 0, follow_symlinks=False)
    registry.serve(PUBLIC, OTHER)
    said, denied = _session(_filled(row.text, place, HOST, python), place, user)
    assert (row.wanted in said) is not row.never, said
    assert row.never or not row.connects or PUBLIC in {*world.reached, *registry.reached}, said
    said, denied = _session(_filled(row.text, place, DENIED, python), place, user)
    assert row.wanted not in said, said
    assert not any("evil" in name for name in world.asked) and {*world.reached, *registry.reached} <= {PUBLIC}
    if row.connects and not row.never:
        assert DENIED in denied, (said, denied)


def _session(text: str, place: Path, user: int | None) -> tuple[str, set[str]]:
    """What a shell printed in a session, and the hosts whose connections were denied."""
    with Drive(
        ["/bin/sh", "-c", f"({text}) >{place}/said 2>&1; true"],
        POLICY,
        user=user,
        environment=_environment(place),
        directory=str(place),
    ) as drive:
        seen: list[Message] = []
        drive.control.settimeout(120)
        for message in drive.messages():
            seen.append(message)
            if message["type"] in ("exited", "failed"):
                break
        assert seen[-1]["type"] == "exited", seen[-1]
    hosts = {
        message["action"]["target"].get("host")
        for message in seen
        if message["type"] == "denied" and message["action"]["verb"] == "net.connect"
    }
    return (place / "said").read_text(errors="replace"), hosts


def _filled(text: str, place: Path, host: str, python: str) -> str:
    return text.format(
        ca=place / "registry/ca.pem", base=f"https://{host}:{PORT}", host=host, place=place, python=python
    )


def _environment(place: Path) -> dict[str, str]:
    return {
        "PATH": PATH,
        "HOME": str(place),
        "LANG": "C.UTF-8",
        "NODE_PATH": str(MADE / "node_modules"), "RUSTUP_HOME": os.environ.get("RUSTUP_HOME", str(Path.home() / ".rustup")),
        "TMPDIR": "/tmp",
    }


@functools.cache
def _may_run(name: str, user: int | None) -> bool:
    path = shutil.which(name, path=PATH)
    return path is not None and _runs([path, "--version"], user)


@functools.cache
def _python(module: str | None, user: int | None) -> str | None:
    """A Python that has the module and may be run by the user."""
    pythons = [str(MADE / "venv/bin/python"), "/usr/bin/python3", sys.executable]
    wanted = f"import {module}" if module else "pass"
    return next((path for path in pythons if os.path.exists(path) and _runs([path, "-c", wanted], user)), None)


def _runs(words: Sequence[str], user: int | None) -> bool:
    options = {} if user is None else {"user": user, "group": user, "extra_groups": []}
    try:
        ran = subprocess.run(words, capture_output=True, timeout=60, check=False, cwd="/", **options)  # type: ignore[call-overload]
    except OSError:
        return False
    return ran.returncode in (0, 1, 2) if "--version" in words else ran.returncode == 0
