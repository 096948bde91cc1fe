"""The source distribution is whole: it is what git tracks, its Rust workspace resolves offline of the clone, and it builds."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from .conftest import ROOT, Built

#: What packaging itself adds.
ADDED = {"PKG-INFO", "src/interlock_security.egg-info/SOURCES.txt"}


@pytest.fixture
def unpacked(built: Built, tmp_path: Path) -> Path:
    with tarfile.open(built.source) as source:
        source.extractall(tmp_path, filter="data")
    [folder] = tmp_path.iterdir()
    return folder


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_it_is_what_git_tracks(unpacked: Path, of_git: tuple[set[str], set[str]]) -> None:
    tracked, under_work = of_git
    packed = files_below(unpacked) - ADDED
    assert tracked - packed == set(), "files of the project that the source distribution lacks"
    assert packed - tracked - under_work == set(), "files that git ignores and the source distribution has"


def test_scripts_keep_their_executable_bit(unpacked: Path) -> None:
    for name in files_below(unpacked) - ADDED:
        assert os.access(unpacked / name, os.X_OK) == os.access(ROOT / name, os.X_OK), name


def test_its_rust_workspace_resolves_with_the_locked_versions(unpacked: Path) -> None:
    command = ["cargo", "metadata", "--locked", "--no-deps", "--format-version", "1"]
    metadata = json.loads(subprocess.run(command, cwd=unpacked, capture_output=True, text=True, check=True).stdout)
    targets = [target for package in metadata["packages"] for target in package["targets"]]
    assert len(metadata["packages"]) == len(list((ROOT / "crates").iterdir()))
    assert all(Path(target["src_path"]).is_relative_to(unpacked) and Path(target["src_path"]).exists() for target in targets)
    subprocess.run(["cargo", "fetch", "--locked"], cwd=unpacked, check=True, capture_output=True)


@pytest.mark.parametrize(
    ("rust", "said"),
    [
        (None, ["error: can't find Rust compiler", "This package requires Rust >=1.85"]),
        ("rustc 1.84.0 (9fc6b4312 2025-01-07)", ["error: Rust 1.84.0 does not match extension requirement >=1.85"]),
    ],
    ids=["missing", "too-old"],
)
def test_pip_says_which_rust_it_needs(unpacked: Path, tmp_path: Path, rust: str | None, said: list[str]) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    if rust:
        (programs / "rustc").write_text(f"#!/bin/sh\necho '{rust}'\n")
        (programs / "rustc").chmod(0o755)
    wheel = [sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", tmp_path, unpacked]
    environment = {key: value for key, value in os.environ.items() if key != "RUSTC"} | {"PATH": str(programs)}
    done = subprocess.run(wheel, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode != 0
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines()]
    assert [one for one in said if not any(one in line for line in lines)] == [], lines[-30:]
    assert not any("Traceback" in line for line in lines)


@pytest.mark.slow
@pytest.mark.skipif(os.environ.get("INTERLOCK_LONG") != "1", reason="compiles everything anew: INTERLOCK_LONG=1")
def test_pip_installs_it_into_a_fresh_environment(built: Built, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CARGO_TARGET")}
    install = [tmp_path / "venv/bin/pip", "install", "--quiet", "--disable-pip-version-check", built.source]
    subprocess.run(install, check=True, cwd=tmp_path, env=environment)
    subprocess.run([tmp_path / "venv/bin/interlock", "doctor"], check=True, cwd=tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(os.environ.get("INTERLOCK_LONG") != "1", reason="builds the source tree twice: INTERLOCK_LONG=1")
@pytest.mark.parametrize("installer", ["pipx", "uv"])
def test_pipx_and_uv_install_the_unpacked_tree(unpacked: Path, tmp_path: Path, installer: str) -> None:
    tools = tmp_path / "tools"
    subprocess.run([sys.executable, "-m", "venv", tools], check=True)
    subprocess.run([tools / "bin/pip", "install", "--quiet", "--disable-pip-version-check", installer], check=True)
    places = {"PIPX_HOME": "home", "PIPX_BIN_DIR": "bin", "UV_TOOL_DIR": "home", "UV_TOOL_BIN_DIR": "bin"}
    environment = os.environ | {name: str(tmp_path / place) for name, place in places.items()}
    command = [tools / "bin/pipx", "install"] if installer == "pipx" else [tools / "bin/uv", "tool", "install"]
    # Resolved: pipx and uv choose a Python themselves otherwise, which may be one that was not asked for.
    subprocess.run([*command, "--python", sys.executable, unpacked], check=True, env=environment, cwd=tmp_path)
    assert shutil.which("interlock", path=str(tmp_path / "bin"))
    subprocess.run([tmp_path / "bin/interlock", "doctor"], check=True, cwd=tmp_path)
