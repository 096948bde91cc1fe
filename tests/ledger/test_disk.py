"""Real disks that fail: one that is full, and one that cannot be written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from interlock._native import LedgerError, LedgerFull
from interlock.ledger.ledger_check import verify_ledger
from interlock.ledger.reader import entries
from tests.ledger.conftest import CLOSED, Ledger, decided


@pytest.fixture
def small(tmp_path: Path):
    """A tmpfs of 6 MiB; needs root to mount."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    target = tmp_path / "small"
    target.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m,mode=0700", "none", str(target)], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"this machine lets nobody mount a tmpfs: {mounted.stderr.strip()}")
    yield Ledger(target / "state")
    subprocess.run(["umount", "--lazy", str(target)], check=True)


def fill(small: Ledger) -> Path:
    """Take all the space there is. Returns the file that has it."""
    path = small.state / "filler"
    with path.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(b"x" * 4096)
    return path


def test_on_a_full_disk_nothing_is_permitted_and_denials_are_recorded(small: Ledger) -> None:
    log = small.open("s-1")
    filler = fill(small)
    taken = 0
    with pytest.raises(LedgerFull):
        while True:
            log.append(decided(taken, path="/w/" + "x" * 500), "ordered")
            taken += 1
    for number in range(50):
        log.append(decided(1_000_000 + number, "deny"), "durable")
    with pytest.raises(LedgerFull):
        log.append(decided(2_000_000), "durable")
    filler.unlink()
    log.append(decided(3_000_000), "durable")
    log.close(CLOSED)
    denied = [entry for entry in entries(small.path("s-1")) if entry.event.says == "deny"]
    assert len(denied) == 50
    report = verify_ledger(small.ledger, small.keys, auditor=small.auditor())
    assert report.verified, report


def test_a_disk_that_is_full_from_the_start_lets_no_session_begin(small: Ledger) -> None:
    small.open("s-0").close(CLOSED)
    filler = fill(small)
    with pytest.raises(LedgerError):
        small.open("s-1")
    filler.unlink()
    small.open("s-2").close(CLOSED)
    assert verify_ledger(small.ledger, small.keys, auditor=None).verified


def test_a_directory_that_cannot_be_written_lets_no_session_begin(tmp_path: Path) -> None:
    """As an ordinary user, since root writes anywhere."""
    if os.geteuid() != 0:
        closed = tmp_path / "state"
        closed.mkdir(mode=0o500)
        with pytest.raises(LedgerError):
            Ledger(closed).open("s-1")
        return
    mounted = tmp_path / "readonly"
    mounted.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,mode=0700", "none", str(mounted)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this machine lets nobody mount a tmpfs: {done.stderr.strip()}")
    try:
        with pytest.raises(LedgerError, match=r"[Rr]ead-only"):
            Ledger(mounted / "state").open("s-1")
    finally:
        subprocess.run(["umount", str(mounted)], check=True)


def test_keys_made_by_many_processes_at_once_are_one_pair(ledger: Ledger) -> None:
    source = str(Path(__import__("interlock").__file__).resolve().parents[1])
    words = f"import sys; sys.path.insert(0, {source!r}); from interlock._native import ensure_keys; print(ensure_keys({str(ledger.keys)!r})['key'])"
    ledger.state.mkdir(mode=0o700)
    started = [subprocess.Popen([sys.executable, "-c", words], stdout=subprocess.PIPE, text=True) for _ in range(12)]
    assert len({process.communicate()[0] for process in started}) == 1
    assert all(process.returncode == 0 for process in started)
    assert sorted(path.name for path in ledger.keys.iterdir()) == [
        "auditor.x25519", "auditor.x25519.pub", "ledger.ed25519", "ledger.ed25519.pub",
    ]  # fmt: skip
