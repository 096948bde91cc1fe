"""A container without a runtime: the filter, the powers and the read-only root that one would give, around a real `interlock`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Installed
from tests.containers.profile import Profile, compiled

CONFINED = Path(__file__).with_name("confined.py")
#: What Docker leaves to a container's root: CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, NET_RAW,
#: SYS_CHROOT, MKNOD, AUDIT_WRITE, SETFCAP.
DOCKER_CAPABILITIES = [0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31]
CAP_SYS_PTRACE = 19


@dataclass(frozen=True)
class Kind:
    """One way to start a container. `powers`: the capabilities left to root; None where the user is an ordinary one from the start."""

    name: str
    user: int | None = None
    powers: tuple[int, ...] = tuple(DOCKER_CAPABILITIES)
    read_only: bool = False


KINDS = [Kind("root"), Kind("uid-1000", user=1000), Kind("cap-drop-all", powers=()), Kind("read-only", read_only=True)]
#: What an ordinary user of this machine can be put into.
ORDINARY = [Kind("uid-1000")]


class Container:
    """Runs `interlock` behind a profile."""

    def __init__(self, installed: Installed, root: Path) -> None:
        self.installed = installed
        self.root = root

    def __call__(
        self, profile: Profile, kind: Kind, *arguments: str, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """The end of `interlock` with `arguments`; `options` are those of `program`."""
        return self.program(profile, kind, str(self.installed.interlock), *arguments, **options)

    def program(
        self,
        profile: Profile,
        kind: Kind,
        *words: str,
        powers: tuple[int, ...] = (),
        environment: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """The same for any program."""
        (self.root / "filter").write_bytes(compiled(profile))
        spec = {"filter": str(self.root / "filter"), "user": None, "capabilities": None, "read_only": None}
        if os.geteuid() == 0:
            spec |= {"user": kind.user, "capabilities": [*kind.powers, *powers]}
            spec["read_only"] = [str(self.root / "w")] if kind.read_only else None
        (self.root / "spec").write_text(json.dumps(spec))
        work = self.root / "w"
        for name in ("w", "w/home", "w/work"):
            (self.root / name).mkdir(exist_ok=True)
            if kind.user is not None and os.geteuid() == 0:
                os.chown(self.root / name, kind.user, kind.user)
        outside = {name: value for name, value in os.environ.items() if not name.startswith(("INTERLOCK_", "XDG_"))}
        environment = outside | (environment or {})
        environment |= {"HOME": str(work / "home"), "INTERLOCK_HOME": str(work / "home/i"), "TMPDIR": str(work)}
        script = f'mkdir -p "$HOME" {work}/work && cd {work}/work && exec "$@"'
        return subprocess.run(
            [sys.executable, str(CONFINED), str(self.root / "spec"), "--", "sh", "-c", script, "sh", *words],
            env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
        )  # fmt: skip


@pytest.fixture
def container(installed: Installed) -> Iterator[Container]:
    """In a folder that every user may enter."""
    root = Path(tempfile.mkdtemp(prefix="interlock-container-"))
    root.chmod(0o755)
    yield Container(installed, root)
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(params=KINDS if os.geteuid() == 0 else ORDINARY, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each way to start a container; an ordinary user has but one."""
    return request.param
