"""What a server keeps from being looked at counts as too much; what is gone meanwhile does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.app import server_bounds
from interlock.app.server_bounds import UNANSWERED_MAX, Bounds
from interlock.connectors.configuration import Limits

LIMITS = Limits(processes=4, memory_bytes=1 << 30, disk_bytes=1 << 20)


@pytest.fixture
def bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bounds:
    monkeypatch.setattr(server_bounds, "show", lambda *_: {"processes": []})
    (tmp_path / "home").mkdir()
    return Bounds(str(tmp_path), "s-1", str(tmp_path / "home"), LIMITS)


def test_a_file_that_goes_meanwhile_hides_no_other(bounds: Bounds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(8):
        (tmp_path / f"home/{number}").write_bytes(b"x" * (300 << 10))
    lstat, seen = server_bounds.os.lstat, []

    def first_gone(path: str) -> object:
        seen.append(path)
        if len(seen) == 1:
            raise FileNotFoundError(2, "gone", path)
        return lstat(path)

    monkeypatch.setattr(server_bounds.os, "lstat", first_gone)
    assert bounds.exceeded() == "it keeps more than 1 MiB in its home"


def test_a_folder_closed_to_us_is_beyond_the_limit(bounds: Bounds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home/closed").mkdir()
    scandir = server_bounds.os.scandir

    def refused(folder: str) -> object:
        if folder.endswith("/closed"):
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(server_bounds.os, "scandir", refused)  # root may read any, so it is said here
    assert bounds.exceeded() == "what it keeps in its home cannot be looked at (Permission denied)"


def test_a_supervisor_that_never_answers_is_not_taken_for_nothing_running(bounds: Bounds, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*_: str) -> None:
        raise OSError("nobody answers")

    monkeypatch.setattr(server_bounds, "show", silent)
    said = [bounds.exceeded() for _ in range(UNANSWERED_MAX)]
    assert said == [None] * (UNANSWERED_MAX - 1) + ["what it runs cannot be looked at"]
