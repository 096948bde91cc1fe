"""The index: no session, and no part of the index itself, can be taken away without `verify` saying so."""

from __future__ import annotations

import shutil
import threading

import pytest

from interlock._native import LedgerDamaged, LedgerError, Log, ensure_keys
from interlock.ledger.ledger_check import LedgerReport, verify_ledger
from tests.ledger.conftest import CLOSED, Ledger, decided


def sessions(ledger: Ledger, *names: str) -> None:
    for name in names:
        log = ledger.open(name)
        log.append(decided(1, "deny"), "ordered")
        log.close(CLOSED)


def verify(ledger: Ledger) -> LedgerReport:
    return verify_ledger(ledger.ledger, ledger.keys, auditor=None)


def said(report: LedgerReport) -> str:
    return "\n".join(str(finding) for finding in [*report.findings, *(found for log in report.logs for found in log.findings)])


def test_an_untouched_ledger_verifies(ledger: Ledger) -> None:
    sessions(ledger, "s-1", "s-2", "s-3")
    report = verify(ledger)
    assert report.verified, said(report)
    assert len(report.logs) == 4


def test_a_removed_session_is_missed(ledger: Ledger) -> None:
    sessions(ledger, "s-1", "s-2")
    shutil.rmtree(ledger.path("s-1"))
    assert "a whole session was taken away" in said(verify(ledger))


def test_a_removed_index_is_missed(ledger: Ledger) -> None:
    sessions(ledger, "s-1")
    shutil.rmtree(ledger.ledger / "index")
    assert "the index is gone" in said(verify(ledger))


def test_an_index_put_back_to_an_older_state_is_found_and_refused(ledger: Ledger, tmp_path) -> None:
    sessions(ledger, "s-1")
    shutil.copytree(ledger.ledger / "index", tmp_path / "older")
    sessions(ledger, "s-2")
    shutil.rmtree(ledger.ledger / "index")
    shutil.copytree(tmp_path / "older", ledger.ledger / "index")
    shutil.rmtree(ledger.path("s-2"))
    assert "it was cut or put back" in said(verify(ledger))
    with pytest.raises(LedgerDamaged, match="no longer in it"):
        ledger.open("s-3")


def test_even_without_the_signers_memory_a_later_session_remembers_the_index(ledger: Ledger, tmp_path) -> None:
    sessions(ledger, "s-1")
    shutil.copytree(ledger.ledger / "index", tmp_path / "older")
    sessions(ledger, "s-2", "s-3")
    shutil.rmtree(ledger.ledger / "index")
    shutil.copytree(tmp_path / "older", ledger.ledger / "index")
    shutil.rmtree(ledger.path("s-2"))
    (ledger.keys / "index.checkpoint").unlink()
    text = said(verify(ledger))
    assert "was opened when the index held" in text
    assert "the index does not know this log" in text


def test_a_log_that_was_swapped_for_another_session_is_found(ledger: Ledger) -> None:
    sessions(ledger, "s-1", "s-2")
    shutil.rmtree(ledger.path("s-1"))
    shutil.copytree(ledger.path("s-2"), ledger.path("s-1"))
    assert not verify(ledger).verified


def test_a_lost_signing_key_is_an_error_and_no_fresh_start(ledger: Ledger) -> None:
    """A shipped product made a fresh key, and with it a fresh chain, without a word."""
    sessions(ledger, "s-1")
    (ledger.keys / "ledger.ed25519").unlink()
    with pytest.raises(LedgerError, match="restore it from a copy"):
        ledger.open("s-2")
    (ledger.keys / "ledger.ed25519.pub").unlink()
    with pytest.raises(LedgerError, match="restore it from a copy"):
        ledger.open("s-2")


def test_a_swapped_signing_key_verifies_nothing(ledger: Ledger, tmp_path) -> None:
    sessions(ledger, "s-1")
    ensure_keys(str(tmp_path / "other"))
    for name in ("ledger.ed25519", "ledger.ed25519.pub"):
        shutil.copy(tmp_path / "other" / name, ledger.keys / name)
    assert not verify(ledger).verified
    with pytest.raises(LedgerError):
        ledger.open("s-2")


def test_the_auditors_private_key_may_be_elsewhere(ledger: Ledger) -> None:
    sessions(ledger, "s-1")
    (ledger.keys / "auditor.x25519").unlink()
    sessions(ledger, "s-2")
    report = verify(ledger)
    assert report.verified
    assert all(log.mac == "needs the auditor's key" for log in report.logs)


def test_two_writers_of_one_log_are_refused(ledger: Ledger) -> None:
    log = ledger.open("s-1")
    with pytest.raises(LedgerError, match="another writer"):
        ledger.open("s-1")
    log.close(CLOSED)


def test_nothing_is_readable_by_others(ledger: Ledger) -> None:
    sessions(ledger, "s-1")
    for path in [ledger.keys, ledger.ledger, *ledger.keys.rglob("*"), *ledger.ledger.rglob("*")]:
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_a_key_file_that_others_can_read_is_refused(ledger: Ledger) -> None:
    sessions(ledger, "s-1")
    (ledger.keys / "ledger.ed25519").chmod(0o644)
    with pytest.raises(LedgerError, match="can be read by others"):
        ledger.open("s-2")


def test_a_symlink_in_place_of_a_log_is_not_followed(ledger: Ledger, tmp_path) -> None:
    sessions(ledger, "s-1")
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    ledger.path("s-2").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LedgerError):
        ledger.open("s-2")


def test_closing_needs_no_second_word(ledger: Ledger) -> None:
    log = ledger.open("s-1")
    log.close(CLOSED)
    for act in (lambda: log.append(decided(1), "ordered"), lambda: log.submit([(decided(1).encode(), "ordered")]), lambda: log.close(CLOSED)):
        with pytest.raises(LedgerError):
            act()
    assert isinstance(log, Log)


def test_sessions_that_open_and_close_meanwhile_are_no_damage(ledger: Ledger) -> None:
    sessions(ledger, "s-0")
    done = threading.Event()

    def others() -> None:
        number = 0
        while not done.wait(0.02) and number < 100:
            number += 1
            sessions(ledger, f"s-{number}")

    writer = threading.Thread(target=others)
    writer.start()
    try:
        reports = [verify(ledger) for _ in range(30)]
    finally:
        done.set()
        writer.join()
    assert all(report.verified for report in reports), said(next(report for report in reports if not report.verified))
    assert len({len(report.logs) for report in reports}) > 1
