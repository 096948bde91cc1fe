"""The same in real containers, by runc: namespaces, a root of its own, the profile compiled by libseccomp, `interlock run` as process 1."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.containers.conftest import CAP_SYS_PTRACE, DOCKER_CAPABILITIES, KINDS, Container, Kind
from tests.containers.profile import Profile, docker
from tests.containers.test_start import SAID, WORK

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="makes containers: needs root"),
    pytest.mark.skipif(shutil.which("runc") is None, reason="needs runc: apt-get install runc"),
]
CAPABILITY_NAMES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW"
    " IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG"
    " MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP"
)


def bound(path: str, *options: str) -> Profile:
    return {"destination": path, "type": "bind", "source": path, "options": ["rbind", *options]}


def configured(container: Container, profile: Profile, kind: Kind, powers: list[int], words: list[str]) -> Profile:
    """What runc is told: this machine's programs for reading, a folder for writing, nothing else."""
    user, work = kind.user or 0, container.root / "w"
    names = CAPABILITY_NAMES.split()
    held = [f"CAP_{names[number]}" for number in (*kind.powers, *powers)]
    effective = [] if user else held
    places = [place for place in ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc") if Path(place).exists()]
    programs = {*places, str(container.installed.python.parents[1]), *([sys.base_prefix] if sys.base_prefix != "/usr" else [])}
    return {
        "ociVersion": "1.0.2",
        "root": {"path": str(container.root / "rootfs"), "readonly": kind.read_only},
        "process": {
            "terminal": False,
            "user": {"uid": user, "gid": user},
            "cwd": str(work / "work"),
            "args": words,
            "env": ["PATH=/usr/local/bin:/usr/bin:/bin", f"HOME={work}/home", f"INTERLOCK_HOME={work}/i", "LANG=C.UTF-8"],
            "capabilities": {"bounding": held, "effective": effective, "permitted": effective},
        },
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=1777"]},
            *[bound(place, "ro") for place in sorted(programs)],
            bound(str(work)),
        ],
        "linux": {"namespaces": [{"type": name} for name in ("pid", "mount", "ipc", "uts", "network")], "seccomp": profile},
    }


def contained(container: Container, profile: Profile, kind: Kind, powers: list[int], *words: str) -> subprocess.CompletedProcess[str]:
    bundle = container.root
    for name in ("rootfs", "w/home/.ssh", "w/work", "w/i"):
        (bundle / name).mkdir(parents=True, exist_ok=True)
    (bundle / "w/home/.ssh/id_rsa").write_text("secret\n")
    for path in [bundle / "w", *(bundle / "w").rglob("*")]:
        os.chown(path, kind.user or 0, kind.user or 0)
    (bundle / "config.json").write_text(json.dumps(configured(container, profile, kind, powers, list(words))))
    name = f"interlock-test-{os.getpid()}-{bundle.name[-8:]}"
    return subprocess.run(["runc", "run", "--bundle", bundle, name], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)


def work_in(container: Container, profile: Profile, kind: Kind, powers: list[int]) -> None:
    ran = contained(container, profile, kind, powers, str(container.installed.interlock), "run", "--", "/usr/bin/sh", "-c", WORK)
    assert (ran.stdout, ran.returncode) == (SAID, 0), ran.stderr


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_it_works_and_denies_in_a_container_with_sys_ptrace(container: Container, kind: Kind) -> None:
    work_in(container, docker(["SYS_PTRACE"]), kind, [CAP_SYS_PTRACE])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_it_works_and_denies_in_a_container_with_the_shipped_profile(container: Container, kind: Kind) -> None:
    printed = subprocess.run([container.installed.interlock, "container-profile"], capture_output=True, check=True)
    work_in(container, json.loads(printed.stdout), kind, [])


def test_a_container_without_either_is_told_what_it_lacks(container: Container) -> None:
    ran = contained(container, docker(), KINDS[0], [], str(container.installed.interlock), "run", "--", "/usr/bin/true")
    assert ran.returncode == 122 and "refuses `pidfd_getfd`" in ran.stderr, ran.stderr
    assert set(DOCKER_CAPABILITIES) == set(KINDS[0].powers)
