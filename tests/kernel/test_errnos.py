"""Which errno is given where two apply: the kernel's order, inside a session that allows everything as outside. The kernel is the oracle."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.drive import EVERYTHING, Drive

PROGRAM = Path(__file__).parent / "programs" / "file_errnos.py"
NOBODY = 65534
PYTHON = "/usr/bin/python3"


@pytest.mark.parametrize("user", [None, NOBODY] if os.getuid() == 0 else [None])
def test_errnos_come_in_the_kernels_order(user: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(f"/var/tmp/interlock-errnos-{os.getpid()}-{user}")
    script, outputs = folder.with_suffix(".py"), []
    script.write_text(PROGRAM.read_text())
    script.chmod(0o644)
    as_user: dict[str, Any] = {} if user is None else {"user": user, "group": user, "extra_groups": []}
    try:
        for inside in (False, True):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            os.chown(folder, os.geteuid() if user is None else user, -1)
            monkeypatch.chdir(folder)
            report = folder.with_suffix(".txt")
            command = ["sh", "-c", f"exec {PYTHON} -S {script} 2>&1"]
            if not inside:
                outputs.append(subprocess.run(command, check=True, capture_output=True, text=True, timeout=120, **as_user).stdout)
                continue
            # To a file: a pipe that nobody reads fills up.
            report.touch()
            report.chmod(0o666)
            with Drive([*command[:2], f"{command[2]} > {report}"], EVERYTHING, user=user) as drive:
                last, _, _ = drive.finish(240)
            assert last.get("code") == 0, report.read_text()[-2000:]
            outputs.append(report.read_text())
    finally:
        monkeypatch.chdir("/")
        shutil.rmtree(folder, ignore_errors=True)
        for left in (script, folder.with_suffix(".txt")):
            left.unlink(missing_ok=True)
    lines = [output.splitlines() for output in outputs]
    assert len(lines[0]) > 4_000
    assert [pair for pair in zip(*lines, strict=True) if pair[0] != pair[1]] == []
