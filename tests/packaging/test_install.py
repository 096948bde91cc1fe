"""pip installs the wheel in each Python from 3.11 on that this machine has; then it works."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Built

VERSIONS = ["3.11", "3.12", "3.13", "3.14"]
WHICH = "import os, sys; print('%d.%d' % sys.version_info[:2]); print(os.path.realpath(sys.executable))"


def python_of(version: str) -> Path | None:
    """A Python of this version that runs: the one of these tests, one on the PATH, or one that pyenv keeps."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    candidates = [sys.executable, shutil.which(f"python{version}"), *sorted(pyenv.glob(f"versions/{version}.*/bin/python3"))]
    for candidate in filter(None, candidates):
        said = subprocess.run([candidate, "-c", WHICH], capture_output=True, text=True)
        if said.returncode == 0 and said.stdout.split()[0] == version:
            return Path(said.stdout.split()[1])
    return None


@pytest.fixture
def state() -> Iterator[str]:
    """A home of Interlock's own; its sockets need a short path."""
    with tempfile.TemporaryDirectory(prefix="interlock-", dir="/tmp") as folder:
        yield folder


@pytest.mark.parametrize("version", VERSIONS)
def test_the_wheel_installs_and_works(built: Built, tmp_path: Path, state: str, version: str) -> None:
    python = python_of(version)
    if python is None:
        pytest.skip(f"needs Python {version}: neither on the PATH nor kept by pyenv")
    venv, project = tmp_path / "venv", tmp_path / "project"
    project.mkdir()
    subprocess.run([python, "-m", "venv", venv], check=True)
    install = [venv / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", built.wheel]
    subprocess.run(install, check=True, cwd=tmp_path)
    environment = os.environ | {"INTERLOCK_HOME": state}
    run = {"cwd": project, "env": environment, "capture_output": True, "text": True, "timeout": 120}
    doctor = subprocess.run([venv / "bin/interlock", "doctor", "--json"], **run)
    found = json.loads(doctor.stdout)
    assert doctor.returncode == 0 and found["healthy"], [one for one in found["findings"] if one["enforcement"]["state"] != "fully"]
    [engine] = [one["detail"] for one in found["findings"] if one["name"] == "engine"]
    assert Path(engine).is_relative_to(venv), engine
    assert subprocess.run([venv / "bin/interlock", "run", "--", "true"], **run).returncode == 0
    refused = subprocess.run([venv / "bin/interlock", "run", "--", "sh", "-c", "echo {} > .mcp.json"], **run)
    assert refused.returncode != 0 and not (project / ".mcp.json").exists(), refused.stderr
