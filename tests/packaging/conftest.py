"""What others install, built once for these tests as `make wheel` builds it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Built:
    """The two files of a release; the wheel was built from the source distribution and from nothing else."""

    source: Path
    wheel: Path


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    if shutil.which("cargo") is None:
        pytest.skip("cargo is not on the PATH: this needs a machine that has what the build needs")
    out = tmp_path_factory.mktemp("dist")
    command = ["bash", ROOT / "tools/package.sh", sys.executable, out]
    done = subprocess.run(command, capture_output=True, text=True, cwd=out)
    assert done.returncode == 0, done.stderr[-4000:]
    [source], [wheel] = out.glob("*.tar.gz"), out.glob("*.whl")
    return Built(source, wheel)


@pytest.fixture(scope="session")
def of_git() -> tuple[set[str], set[str]]:
    """The files that git tracks here, and those besides that it would not ignore: a test under work is no fault of packaging."""
    if not (ROOT / ".git").exists():
        pytest.skip("needs a git clone: only git knows which files belong to the project")

    def listed(*options: str) -> set[str]:
        done = subprocess.run(["git", "ls-files", "-z", *options], cwd=ROOT, capture_output=True, text=True, check=True)
        return {name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()}

    return listed(), listed("--others", "--exclude-standard")
