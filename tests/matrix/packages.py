"""The packages of the table, installed once each into a folder that is kept between runs (`INTERLOCK_TEST_MATRIX`).

Versions stand in `versions.toml` alone. An environment is named after its entry and its pins, so a changed pin is installed anew and an old one is
left. What does not install is a row of the table with the reason, so that is a value here.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

INSTALL_SECONDS_MAX = 900
PINS: dict[str, dict[str, list[str]]] = tomllib.loads((Path(__file__).parent / "versions.toml").read_text())


class NotInstalled(Exception):
    """An environment cannot be had here; the message says why."""


@dataclass(frozen=True)
class Environment:
    """One entry of `versions.toml`, and where it is."""

    kind: str
    name: str

    @property
    def pins(self) -> list[str]:
        if self.kind == "here":
            return [f"{self.name}=={importlib.metadata.version(self.name)}"]
        return PINS[self.kind][self.name]

    @property
    def place(self) -> Path:
        pins = hashlib.sha256("\n".join([sys.version, *self.pins]).encode()).hexdigest()[:8]
        return cache() / f"{self.kind}-{self.name}-{pins}"

    @property
    def is_whole(self) -> bool:
        return self.kind == "here" or (self.place / ".whole").exists()

    def program(self, name: str) -> str:
        """An executable of the environment, by its absolute name."""
        if self.kind == "here":
            return str(Path(sys.executable).parent / name)
        return str(self.place / {"python": "bin", "npm": "node_modules/.bin", "go": "bin"}[self.kind] / name)


def cache() -> Path:
    """Where environments are kept."""
    return Path(os.environ.get("INTERLOCK_TEST_MATRIX", "/var/tmp/interlock-test-matrix"))


def python(name: str) -> Environment:
    return Environment("python", name)


def npm(name: str) -> Environment:
    return Environment("npm", name)


def go(name: str) -> Environment:
    return Environment("go", name)


#: The environment of the tests themselves, which has the official SDK for Python.
HERE = Environment("here", "mcp")
UV = Environment("python", "uv")


def installed(environment: Environment) -> Environment:
    """The environment, installed now if it is not yet; of several runs one installs it. Raises `NotInstalled`."""
    if environment.is_whole:
        return environment
    cache().mkdir(parents=True, exist_ok=True)
    with Path(f"{environment.place}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not environment.is_whole:
            shutil.rmtree(environment.place, ignore_errors=True)
            environment.place.mkdir()
            {"python": _python, "npm": _npm, "go": _go}[environment.kind](environment)
            (environment.place / ".whole").touch()
    return environment


def _python(environment: Environment) -> None:
    """By uv, itself from PyPI: pip takes minutes for some of these."""
    if environment == UV:
        _run([sys.executable, "-m", "venv", str(environment.place)])
        _run([environment.program("python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *UV.pins])
        return
    uv = installed(UV).program("uv")
    _run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(environment.place)])
    _run([uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", environment.program("python"), *environment.pins])


def _npm(environment: Environment) -> None:
    if not shutil.which("npm"):
        raise NotInstalled("npm is missing")
    (environment.place / "package.json").write_text('{"private": true, "type": "module"}')
    _run(["npm", "install", "--no-audit", "--no-fund", "--prefix", str(environment.place), *environment.pins])


def _go(environment: Environment) -> None:
    if not shutil.which("go"):
        raise NotInstalled("go is missing")
    _run(["go", "install", *environment.pins], GOBIN=str(environment.place / "bin"))


def _run(command: list[str], **variables: str) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=INSTALL_SECONDS_MAX, env=os.environ | variables
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(str(error)[:300]) from error
    if done.returncode:
        said = [line for line in (done.stderr or done.stdout).splitlines() if "error" in line.lower()] or ["no reason given"]
        raise NotInstalled(said[-1].strip()[:300])
