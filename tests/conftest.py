"""What every test may ask for: an Interlock installed from its wheel where any user can run it, and an ordinary user.

The checkout's own environment often lies below a home that other users cannot enter, so the wheel is installed once for
each test run into a world-readable place. That is at the same time the test that a wheel carries everything.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
USER = f"interlock-test-{os.getpid()}"

# A run in the background of a script is started with SIGINT ignored, and would hand that on to every program under test.
signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass(frozen=True)
class Installed:
    """An Interlock installed from the wheel."""

    python: Path

    @property
    def interlock(self) -> Path:
        return self.python.parent / "interlock"


def _base_python() -> str:
    """A Python that every user can start: the one that runs the tests, unless it lies in a closed folder."""
    running = Path(sys.base_prefix).resolve()
    closed = any(not folder.stat().st_mode & 0o001 for folder in [running, *running.parents])
    return "/usr/bin/python3" if closed and os.geteuid() == 0 else str(Path(sys.base_prefix) / "bin" / "python3")


def pytest_configure(config: pytest.Config) -> None:
    """Where several processes share the tests, the first one installs what all of them use."""
    shares = getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput")
    if shares and not config.option.collectonly and "INTERLOCK_TEST_INSTALLED" not in os.environ:
        place = _place()
        config.add_cleanup(lambda: shutil.rmtree(place, ignore_errors=True))
        os.environ["INTERLOCK_TEST_INSTALLED"] = str(_install(place))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where several processes share the tests, files with a long test come first, then those with many tests: at the end nobody waits for one.

    With `INTERLOCK_TURN` (0 or 1), each row that is there for root and for an ordinary user runs for one of them, by turns over the rows; the other
    turn has the other halves.
    """
    if turn := os.environ.get("INTERLOCK_TURN"):
        others = _of_the_other_turn(items, int(turn))
        config.hook.pytest_deselected(items=others)
        left = set(others)
        items[:] = [item for item in items if item not in left]
    if not hasattr(config, "workerinput"):
        return
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)

    def weight(tests: list[pytest.Item]) -> tuple[float, int]:
        limits = [marker.args[0] for test in tests if (marker := test.get_closest_marker("timeout"))]
        return -max(limits, default=0), -len(tests)

    items[:] = [test for tests in sorted(files.values(), key=weight) for test in tests]


def _of_the_other_turn(items: list[pytest.Item], turn: int) -> list[pytest.Item]:
    rows: dict[tuple[str, str], dict[str, pytest.Item]] = {}
    for item in items:
        user = item.callspec.params.get("user") if isinstance(item, pytest.Function) and hasattr(item, "callspec") else None
        if user in ("root", "ordinary"):
            others = [part for part in item.callspec.id.split("-") if part != user]
            rows.setdefault((f"{item.path}::{item.function.__qualname__}", "-".join(others)), {})[user] = item
    both = [row for row in rows.values() if len(row) == 2]
    return [row["root" if (number + turn) % 2 else "ordinary"] for number, row in enumerate(both)]


@pytest.fixture(scope="session")
def installed() -> Iterator[Installed]:
    """Build the wheel, install it into a fresh environment that every user can read.

    `INTERLOCK_TEST_INSTALLED` names the Python of an environment that has it already: quicker while developing.
    """
    if ready := os.environ.get("INTERLOCK_TEST_INSTALLED"):
        yield Installed(Path(ready))
        return
    place = _place()
    yield Installed(_install(place))
    shutil.rmtree(place, ignore_errors=True)


def _place() -> Path:
    # Some tests mount over /tmp.
    place = Path(tempfile.mkdtemp(prefix="interlock-installed-", dir="/var/tmp"))
    place.chmod(0o755)
    return place


def _install(place: Path) -> Path:
    python = place / "venv" / "bin" / "python"
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", place, ROOT], check=True, cwd=ROOT)
    subprocess.run([_base_python(), "-m", "venv", place / "venv"], check=True)
    [wheel] = place.glob("*.whl")
    quiet = ["--quiet", "--disable-pip-version-check"]
    subprocess.run([python, "-m", "pip", "install", *quiet, wheel], check=True, cwd=place)
    return python


@pytest.fixture(scope="session")
def ordinary_user() -> Iterator[str]:
    """The name of a user without privilege: made for this run when it runs as root."""
    if os.geteuid() != 0:
        yield pwd.getpwuid(os.geteuid()).pw_name
        return
    made = subprocess.run(["useradd", "--no-create-home", "--shell", "/bin/sh", USER], capture_output=True)
    if made.returncode not in (0, 9):  # 9: it is still there from a run that was cut off
        pytest.fail(f"cannot make an ordinary user: {made.stderr.decode()}")
    yield USER
    subprocess.run(["userdel", USER], capture_output=True)


@pytest.fixture(params=["root", "ordinary"])
def user(request: pytest.FixtureRequest) -> str | None:
    """Run the test as root and as an ordinary user; None stands for whoever runs the tests."""
    if request.param == "root":
        if os.geteuid() != 0:
            pytest.skip("needs root: run the tests as root, too")
        return None
    name: str = request.getfixturevalue("ordinary_user")
    return None if os.geteuid() != 0 else name
