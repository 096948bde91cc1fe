"""`tools/prerequisites.sh` names what is missing and the commands that install it, as each distribution has them."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from .conftest import ROOT

#: What the script itself uses; everything else is there only if a test puts it there.
ITS_OWN = ["bash", "sort", "awk", "env"]
DISTRIBUTIONS = {
    "debian-12": "ID=debian\nVERSION_ID='12'\nVERSION_CODENAME=bookworm\n",
    "debian-13": "ID=debian\nVERSION_ID='13'\nVERSION_CODENAME=trixie\n",
    "debian-unstable": "ID=debian\nVERSION_CODENAME=forky\n",
    "ubuntu-22.04": "ID=ubuntu\nID_LIKE=debian\nVERSION_ID='22.04'\nVERSION_CODENAME=jammy\nUBUNTU_CODENAME=jammy\n",
    "ubuntu-24.04": "ID=ubuntu\nID_LIKE=debian\nVERSION_ID='24.04'\nVERSION_CODENAME=noble\nUBUNTU_CODENAME=noble\n",
    "ubuntu-26.04": "ID=ubuntu\nID_LIKE=debian\nVERSION_ID='26.04'\nVERSION_CODENAME=resolute\nUBUNTU_CODENAME=resolute\n",
    "mint-22": "ID=linuxmint\nID_LIKE='ubuntu debian'\nVERSION_ID='22.2'\nVERSION_CODENAME=zara\nUBUNTU_CODENAME=noble\n",
    "lmde-6": "ID=linuxmint\nID_LIKE=debian\nVERSION_ID='6'\nVERSION_CODENAME=faye\nDEBIAN_CODENAME=bookworm\n",
    "fedora-43": "ID=fedora\nVERSION_ID=43\n",
    "rhel-9": "ID='rhel'\nID_LIKE='fedora'\nVERSION_ID='9.7'\n",
    "rocky-10": "ID='rocky'\nID_LIKE='rhel centos fedora'\nVERSION_ID='10.1'\n",
    "alpine": "ID=alpine\nVERSION_ID=3.22.0\n",
}
APT = "apt-get update && apt-get install make gcc libc6-dev git"
RUST_1_89 = "export PATH=/usr/lib/rust-1.89/bin:$PATH"
RUSTUP = "curl --proto =https --tlsv1.2 -sSf https://sh.rustup.rs | sh"
BARE = {
    "debian-12": [f"{APT} python3 python3-venv cargo-web"],
    "debian-13": [f"{APT} python3 python3-venv cargo"],
    "debian-unstable": [f"{APT} python3 python3-venv cargo"],
    "ubuntu-22.04": [f"{APT} python3.11 python3.11-venv cargo-1.89", RUST_1_89],
    "ubuntu-24.04": [f"{APT} python3 python3-venv cargo-1.89", RUST_1_89],
    "ubuntu-26.04": [f"{APT} python3 python3-venv cargo"],
    "mint-22": [f"{APT} python3 python3-venv cargo-1.89", RUST_1_89],
    "lmde-6": [f"{APT} python3 python3-venv cargo-web"],
    "fedora-43": ["dnf install make gcc glibc-devel git python3 cargo"],
    "rhel-9": ["dnf install make gcc glibc-devel git python3.12 cargo"],
    "rocky-10": ["dnf install make gcc glibc-devel git python3 cargo"],
    "alpine": [RUSTUP],
}


@dataclass(frozen=True)
class System:
    """A folder that stands for a whole system: its os-release, and the programs that are on its PATH."""

    root: Path

    @property
    def path(self) -> str:
        return f"{self.root}/bin:{self.root}/usr/bin"

    def program(self, name: str, script: str = "exit 0", folder: str = "bin") -> System:
        path = self.root / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!{shutil.which('bash')}\n{script}\n")
        path.chmod(0o755)
        return self

    def advice(self, *, python: str = "python3") -> tuple[list[str], list[str], int]:
        """What it calls missing, the commands it prints, and its status."""
        environment = {"PATH": self.path, "INTERLOCK_SYSTEM_ROOT": str(self.root)}
        command = [self.root / "bin/bash", ROOT / "tools/prerequisites.sh", python]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        lines = done.stderr.splitlines()
        missing = [line.removeprefix("missing: ").split(" (")[0] for line in lines if line.startswith("missing: ")]
        commands = [line.strip().replace(str(self.root), "").split("    #")[0] for line in lines if line.startswith("  ")]
        return missing, commands, done.returncode


@pytest.fixture
def bare(tmp_path: Path) -> System:
    """A system with nothing but what every one has; its user is root and its machine a supported one."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "etc").mkdir()
    for name in ITS_OWN:
        found = shutil.which(name)
        assert found, name
        (tmp_path / "bin" / name).symlink_to(Path(found).resolve())
    system = System(tmp_path).program("id", "echo 0")
    return system.program("uname", 'case "$1" in -s) echo Linux ;; -m) echo x86_64 ;; esac')


def of(system: System, distribution: str) -> System:
    (system.root / "etc/os-release").write_text(DISTRIBUTIONS[distribution])
    return system


def whole(system: System) -> System:
    """Everything but Rust."""
    for name in ("make", "cc", "git", "python3"):
        system.program(name)
    return system


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_a_bare_system_gets_every_command_it_needs(bare: System, distribution: str) -> None:
    missing, commands, status = of(bare, distribution).advice()
    assert missing == ["make", "a C compiler", "git", "Python 3.11 or newer", "Rust 1.85 or newer"]
    assert commands == BARE[distribution]
    assert status == 1


def test_an_ordinary_user_is_told_to_use_sudo(bare: System) -> None:
    commands = of(bare, "debian-13").program("id", "echo 1000").advice()[1]
    assert commands == ["sudo apt-get update && sudo apt-get install make gcc libc6-dev git python3 python3-venv cargo"]


def test_a_system_without_os_release_is_told_what_is_missing(bare: System) -> None:
    missing, commands, status = bare.advice()
    assert "git" in missing and commands == [RUSTUP] and status == 1


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_nothing_is_said_where_nothing_is_missing(bare: System, distribution: str) -> None:
    system = whole(of(bare, distribution)).program("cargo", "echo cargo 1.85.0 '(d73d2caf9 2024-12-31)'")
    assert system.advice() == ([], [], 0)


@pytest.mark.parametrize(
    ("distribution", "said", "commands"),
    [
        ("debian-12", "cargo 1.65.0", ["apt-get update && apt-get install cargo-web"]),
        ("ubuntu-24.04", "cargo 1.75.0", ["apt-get update && apt-get install cargo-1.89", RUST_1_89]),
        ("debian-13", "cargo 1.84.1", [RUSTUP]),
        ("debian-12", "cargo 1.9.0", ["apt-get update && apt-get install cargo-web"]),
    ],
)
def test_a_packaged_rust_that_is_too_old_is_replaced(bare: System, distribution: str, said: str, commands: list[str]) -> None:
    system = whole(of(bare, distribution)).program("cargo", f"echo '{said} (abc 2022-01-01)'", folder="usr/bin")
    assert system.advice() == (["Rust 1.85 or newer"], commands, 1)


def test_rustup_mends_its_own_toolchains(bare: System) -> None:
    system = whole(of(bare, "debian-12")).program("rustup").program("cargo", "echo no default toolchain >&2; exit 1")
    assert system.advice() == (["Rust 1.85 or newer"], ["rustup update stable && rustup default stable"], 1)


def test_a_rust_beside_the_path_is_found(bare: System) -> None:
    system = whole(of(bare, "ubuntu-24.04")).program("cargo", "echo cargo 1.75.0", folder="usr/lib/rust-1.75/bin")
    system.program("cargo", "echo cargo 1.89.0", folder="usr/lib/rust-1.89/bin")
    assert system.advice() == (["Rust 1.85 or newer"], [RUST_1_89], 1)


def test_an_old_python_is_told_by_its_version(bare: System) -> None:
    old = 'case "$1" in --version) echo Python 3.10.12 ;; *) exit 1 ;; esac'
    system = whole(of(bare, "ubuntu-22.04")).program("cargo", "echo cargo 1.93.0").program("python3", old)
    missing, commands, _ = system.advice()
    assert (missing, commands) == (["Python 3.11 or newer"], ["apt-get update && apt-get install python3.11 python3.11-venv"])


def test_a_python_without_venv_needs_only_that(bare: System) -> None:
    system = whole(of(bare, "debian-12")).program("cargo", "echo cargo 1.93.0")
    system.program("python3", 'case "$2" in *ensurepip*) exit 1 ;; esac')
    assert system.advice() == (["Python's venv module"], ["apt-get update && apt-get install python3-venv"], 1)


def test_another_kind_of_machine_is_named(bare: System) -> None:
    system = whole(of(bare, "debian-13")).program("cargo", "echo cargo 1.93.0")
    system.program("uname", 'case "$1" in -s) echo Linux ;; -m) echo riscv64 ;; esac')
    assert system.advice() == (["an x86_64 machine"], [], 1)


@pytest.mark.parametrize(
    ("old", "chosen"),
    [(["python3"], "python3.11"), (["python3", "python3.11"], "python3"), ([], "python3")],
    ids=["ubuntu-22.04", "none", "debian-13"],
)
def test_make_takes_the_first_python_that_is_new_enough(bare: System, tmp_path: Path, old: list[str], chosen: str) -> None:
    make = shutil.which("make")
    if make is None:
        pytest.skip("make is not on the PATH: this needs a machine that has what the build needs")
    for name in ("python3", "python3.11"):
        bare.program(name, "exit 1" if name in old else "exit 0")
    project = tmp_path / "project"
    (project / "crates").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "Cargo.toml", "Cargo.lock"):
        shutil.copy(ROOT / name, project)
    bare.program("find", "exit 0")
    shown = subprocess.run([make, "-n", "setup"], cwd=project, env={"PATH": bare.path}, capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[0] == f"bash tools/prerequisites.sh {chosen}"
