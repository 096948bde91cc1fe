"""A session's start and end cost the same in a ledger of two sessions and of a thousand: counted in bytes read, not in time."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from interlock._native import LedgerDamaged, index_head, recover_ledger
from interlock.ledger.ledger_check import verify_ledger
from interlock.ledger.reader import entries
from tests.ledger.conftest import CLOSED, Ledger, decided

SESSIONS = 1_000
#: Keys, three notes, two tiles of at most 8 KiB, and the list of open logs; four times, for the openings and closings of a session.
START_BYTES_MAX = 100_000


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    """In memory: what is counted are bytes, and a thousand sessions sync ten thousand times."""
    memory = Path("/dev/shm")
    place = Path(tempfile.mkdtemp(prefix="ledger-", dir=memory if memory.is_dir() else None))
    yield Ledger(place / "state")
    shutil.rmtree(place, ignore_errors=True)


def bytes_read() -> int:
    """Bytes this process has asked of read(2) and its kin (proc_pid_io(5), rchar)."""
    return int(Path("/proc/self/io").read_text().split()[1])


def cost(ledger: Ledger, session: str) -> int:
    """Bytes read for one whole session."""
    before = bytes_read()
    log = ledger.open(session)
    log.append(decided(1), "ordered")
    log.close(CLOSED)
    return bytes_read() - before


def test_a_start_reads_no_more_after_a_thousand_sessions(ledger: Ledger) -> None:
    cost(ledger, "s-first")
    young = cost(ledger, "s-second")
    for number in range(SESSIONS):
        ledger.open(f"s-{number}").close(CLOSED)
    old = cost(ledger, "s-last")
    index = (ledger.ledger / "index" / "segment-00000000").stat().st_size
    print(f"{SESSIONS} sessions, index of {index} bytes: a session read {old} bytes, the second one {young}")
    assert index > 10 * START_BYTES_MAX
    assert old < START_BYTES_MAX, "a start reads the index"
    assert verify_ledger(ledger.ledger, ledger.keys, auditor=ledger.auditor()).verified


def test_many_sessions_that_run_cost_a_look_each_and_are_left_alone(ledger: Ledger) -> None:
    cost(ledger, "s-first")
    running = [ledger.open(f"s-{number}") for number in range(30)]
    assert cost(ledger, "s-last") < START_BYTES_MAX * 2
    for log in running:
        log.append(decided(1), "ordered")
        log.close(CLOSED)
    report = verify_ledger(ledger.ledger, ledger.keys, auditor=ledger.auditor())
    assert report.verified, report.findings


def killed(ledger: Ledger, session: str) -> None:
    """A session whose writer dies without a word."""
    child = os.fork()
    if child == 0:
        try:
            log = ledger.open(session)
            log.append(decided(1), "ordered")
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def test_a_start_completes_what_killed_writers_left(ledger: Ledger) -> None:
    killed(ledger, "s-1")
    killed(ledger, "s-2")
    ledger.open("s-3").close(CLOSED)
    for session in ("s-1", "s-2"):
        kinds = [entry.event.type for entry in entries(ledger.path(session))]
        assert kinds == ["log.opened", "action.decided", "log.opened", "action.enacted", "gap", "session.closed"], session
    assert recover_ledger(str(ledger.ledger), str(ledger.keys)) == []
    assert verify_ledger(ledger.ledger, ledger.keys, auditor=ledger.auditor()).verified


def test_a_damaged_log_stops_no_start_and_is_read_once(ledger: Ledger) -> None:
    killed(ledger, "s-1")
    segment = ledger.path("s-1") / "segment-00000000"
    data = bytearray(segment.read_bytes())
    data[700] ^= 1
    segment.write_bytes(bytes(data))
    ledger.open("s-2").close(CLOSED)
    before = segment.stat().st_atime_ns
    os.utime(segment, ns=(0, segment.stat().st_mtime_ns))
    ledger.open("s-3").close(CLOSED)
    assert segment.stat().st_atime_ns == 0 != before, "a log known to be damaged was read again"
    assert segment.read_bytes() == bytes(data)
    [(name, _, error)] = recover_ledger(str(ledger.ledger), str(ledger.keys))
    assert (name, "damaged at byte" in str(error)) == ("sessions/s-1", True)
    assert not verify_ledger(ledger.ledger, ledger.keys, auditor=None).verified


@pytest.fixture
def three(ledger: Ledger) -> Ledger:
    for session in ("s-1", "s-2", "s-3"):
        ledger.open(session).close(CLOSED)
    killed(ledger, "s-4")
    return ledger


def open_logs(ledger: Ledger) -> str:
    return (ledger.ledger / "index.open").read_text().split("\n")[0]


@pytest.mark.parametrize("what", ["gone", "empty", "older", "edited", "foreign", "junk"])
def test_a_list_of_open_logs_that_is_not_the_signers_is_made_again(three: Ledger, tmp_path: Path, what: str) -> None:
    place = three.ledger / "index.open"
    text = place.read_text()
    shutil.copy(place, tmp_path / "older")
    if what == "older":
        killed(three, "s-5")
    if what == "foreign":
        other = Ledger(tmp_path / "other")
        for session in ("s-1", "s-2", "s-3"):
            other.open(session).close(CLOSED)
        shutil.copy(other.ledger / "index.open", tmp_path / "older")
    {
        "gone": place.unlink,
        "empty": lambda: place.write_text(""),
        "older": lambda: shutil.copy(tmp_path / "older", place),
        "edited": lambda: place.write_text(text.replace("sessions/s-4", "sessions/..")),
        "foreign": lambda: shutil.copy(tmp_path / "older", place),
        "junk": lambda: place.write_bytes(b"\xff" * 5000),
    }[what]()
    three.open("s-9").close(CLOSED)
    assert '"open":[]' in open_logs(three)
    assert verify_ledger(three.ledger, three.keys, auditor=three.auditor()).verified
    assert [entry.event.type for entry in entries(three.path("s-4"))][-1] == "session.closed"


@pytest.mark.parametrize("what", ["tiles", "tile", "memory", "note"])
def test_without_what_a_quick_start_needs_the_index_is_read_whole(three: Ledger, what: str) -> None:
    index, head = three.ledger / "index", index_head(str(three.ledger / "index"), str(three.keys))
    if what == "tiles":
        shutil.rmtree(index / "tile")
    elif what == "tile":
        [tile] = (index / "tile" / "0" / "000.p").iterdir()
        tile.write_bytes(bytes(32) + tile.read_bytes()[32:])
        assert index_head(str(index), str(three.keys)) == head, "a wrong tile is not believed"
        tile.unlink()
    elif what == "memory":
        (three.keys / "index.checkpoint").unlink()
    else:
        (index / "checkpoint").unlink()
    assert index_head(str(index), str(three.keys)) == head
    three.open("s-9").close(CLOSED)
    assert verify_ledger(three.ledger, three.keys, auditor=three.auditor()).verified


@pytest.mark.parametrize("cut", [1, 60, 700, 2500])
def test_an_index_cut_anywhere_near_its_end_is_refused(three: Ledger, cut: int) -> None:
    segment = three.ledger / "index" / "segment-00000000"
    data = segment.read_bytes()
    segment.write_bytes(data[:-cut])
    with pytest.raises(LedgerDamaged):
        three.open("s-9")


def test_an_older_note_put_beside_the_index_is_not_believed_and_a_forged_tail_refused(three: Ledger) -> None:
    segment = three.ledger / "index" / "segment-00000000"
    data = segment.read_bytes()
    segment.write_bytes(data + data[-2000:])
    with pytest.raises(LedgerDamaged):
        three.open("s-9")
    segment.write_bytes(data)
    three.open("s-9").close(CLOSED)


def test_a_change_of_old_entries_is_left_to_verify_which_finds_it(three: Ledger) -> None:
    segment = three.ledger / "index" / "segment-00000000"
    data = bytearray(segment.read_bytes())
    data[800] ^= 1
    segment.write_bytes(bytes(data))
    three.open("s-9").close(CLOSED)
    assert not verify_ledger(three.ledger, three.keys, auditor=None).verified
