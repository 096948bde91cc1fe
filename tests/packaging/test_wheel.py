"""One wheel serves every Python from 3.11 on, on every distribution that its platform tag promises."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection

from .conftest import Built

MODULE = "interlock/_native.abi3.so"
REGO = "interlock/_rego.abi3.so"
SUPERVISOR = "interlock/_bin/interlock-supervisor"


def glibc_of_tag(wheel: Path) -> tuple[int, int]:
    tag = re.fullmatch(r"interlock_security-[\d.]+-cp311-abi3-manylinux_(\d+)_(\d+)_x86_64\.whl", wheel.name)
    assert tag, wheel.name
    return int(tag[1]), int(tag[2])


def glibc_needed(binary: Path) -> tuple[int, int]:
    """The newest version of the C library whose symbols `binary` names, read from its own section of needed versions."""
    with binary.open("rb") as file:
        section = ELFFile(file).get_section_by_name(".gnu.version_r")
        assert isinstance(section, GNUVerNeedSection)
        names = [auxiliary.name for _, needed in section.iter_versions() for auxiliary in needed]
    versions = [re.fullmatch(r"GLIBC_(\d+)\.(\d+)(?:\.\d+)?", name) for name in names]
    return max((int(version[1]), int(version[2])) for version in versions if version)


def test_the_tag_promises_no_older_c_library_than_module_and_executable_need(built: Built, tmp_path: Path) -> None:
    with zipfile.ZipFile(built.wheel) as wheel:
        needed = [glibc_needed(Path(wheel.extract(name, tmp_path))) for name in (MODULE, REGO, SUPERVISOR)]
    assert max(needed) <= glibc_of_tag(built.wheel)


def test_auditwheel_agrees_with_the_tag(built: Built) -> None:
    show = [sys.executable, "-m", "auditwheel", "show", built.wheel]
    said = subprocess.run(show, capture_output=True, text=True, check=True).stdout
    major, minor = glibc_of_tag(built.wheel)
    assert f'platform tag: "manylinux_{major}_{minor}_x86_64"' in " ".join(said.split())


def test_the_wheel_says_inside_what_its_name_says(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as wheel:
        [described] = [name for name in wheel.namelist() if name.endswith(".dist-info/WHEEL")]
        text = wheel.read(described).decode()
    assert re.findall(r"^Tag: (.*)$", text, re.MULTILINE) == ["-".join(built.wheel.stem.split("-")[2:])]
    assert "Root-Is-Purelib: false" in text


def test_the_supervisor_may_be_executed(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as wheel:
        mode = wheel.getinfo(SUPERVISOR).external_attr >> 16
    assert mode & 0o777 == 0o755


def test_the_wheel_carries_every_file_of_the_package_and_no_more(built: Built, of_git: tuple[set[str], set[str]]) -> None:
    tracked, under_work = ({name.removeprefix("src/") for name in names if name.startswith("src/")} for names in of_git)
    with zipfile.ZipFile(built.wheel) as wheel:
        carried = {name for name in wheel.namelist() if not name.endswith("/") and ".dist-info/" not in name}
    assert (tracked | {MODULE, REGO, SUPERVISOR}) - carried == set()
    assert carried - tracked - under_work == {MODULE, REGO, SUPERVISOR}
