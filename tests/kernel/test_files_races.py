"""File calls raced by exchanging a directory with a symlink to a protected one, and by renaming a parent into a protected name.

Judged outside, by what the protected folder holds. Each race runs first without Interlock, where it must be winnable.
`INTERLOCK_LONG=1` runs each for ten minutes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.kernel.drive import FILE_VERBS, Drive, policy, rule

SOURCE = Path(__file__).parent / "programs" / "file_races.c"
SECONDS = 600 if os.environ.get("INTERLOCK_LONG") == "1" else 2
#: At most: the control ends as soon as it was won once. Some need luck on two processors.
CONTROL_SECONDS = 60
KINDS = ["read", "write", "create", "truncate", "chmod", "unlink", "rename", "link", "mkdir", "rename-parent"]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler: install one (Debian: apt-get install gcc)")
    built = tmp_path_factory.mktemp("races") / "file_races"
    subprocess.run(["cc", "-O1", "-Wall", "-pthread", "-o", built, SOURCE], check=True)
    return built


def lay(top: Path) -> tuple[Path, Path]:
    """A workspace and a protected folder beside it."""
    shutil.rmtree(top, ignore_errors=True)
    work, kept = top / "work", top / "kept"
    for folder in (work / "d", work / "prepared", kept):
        folder.mkdir(parents=True)
    (work / "d" / "f").write_text("public")
    (kept / "f").write_text("SECRET")
    (kept / "f").chmod(0o600)
    (work / "link").symlink_to(kept)
    return work, kept


def spoiled(kept: Path, output: str) -> bool:
    """Whether the protected folder is other than it was laid, or the program got hold of what is in it."""
    names = sorted(path.name for path in kept.iterdir())
    intact = names == ["f"] and (kept / "f").read_text() == "SECRET" and (kept / "f").stat().st_mode & 0o777 == 0o600
    return not intact or "WON" in output or (kept / "f").stat().st_nlink > 1


def native(program: Path, kind: str, work: Path, kept: Path) -> bool:
    """The control: whether the race can be won at all. Ends as soon as it was."""
    for _ in range(CONTROL_SECONDS * 2):
        run = subprocess.run([program, kind, "0.5"], cwd=work, capture_output=True, text=True, check=True)
        if spoiled(kept, run.stdout) or (kind == "link" and "1" in run.stdout):
            return True
    return False


@pytest.mark.parametrize("outsider", [False, True], ids=["threads inside", "a swapper outside too"])
@pytest.mark.parametrize("kind", KINDS)
def test_no_race_reaches_what_is_protected(
    program: Path, kind: str, outsider: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, kept = lay(tmp_path / "control")
    assert native(program, kind, work, kept), "the race cannot be won in the open, so holding it shows nothing"
    work, kept = lay(tmp_path / "held")
    monkeypatch.chdir(work)
    compiled = policy(
        rule("all", "allow", FILE_VERBS, path=["/**"]),
        rule("exec", "allow", ["process.exec"], path=["/**"]),
        rule("kept", "deny", FILE_VERBS, path=[f"{kept}/**"]),
        rule("hooks", "deny", FILE_VERBS, path=["**/hooks/*"]),
    )
    swapper = subprocess.Popen([program, "swap", str(SECONDS + 2)], cwd=work, stdout=subprocess.DEVNULL) if outsider else None
    with Drive([str(program), kind, str(SECONDS)], compiled) as drive:
        ended, output, errors = drive.finish(timeout=SECONDS + 60)
    if swapper is not None:
        swapper.kill()
        swapper.wait()
    tries, done, swaps = map(int, output.decode().split()[-3:])
    print(f"{kind}: {tries} tries, {done} went through, {swaps} swaps by threads inside, {int(spoiled(kept, output.decode()))} wins")
    assert ended["type"] == "exited", (ended, errors)
    assert not spoiled(kept, output.decode())
    assert tries > 100 and swaps > 10
