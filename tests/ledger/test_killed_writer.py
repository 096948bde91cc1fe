"""A writer killed at any moment: what it acknowledged is there, its log verifies, and the next Interlock completes it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time

from interlock._native import recover_ledger
from interlock.ledger.ledger_check import verify_ledger
from interlock.ledger.reader import entries
from tests.ledger.conftest import LONG, Ledger, writer_command

KILLS = 2_000 if LONG else 100
SEED = int(os.environ.get("INTERLOCK_SEED", "20261121"))


def run_and_kill(ledger: Ledger, session: str, random_: random.Random) -> list[tuple[int, int]]:
    """Returns what was acknowledged: (record, the writer's own number)."""
    process = subprocess.Popen(
        writer_command(ledger.state, session, random_.randrange(3)), stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    if random_.random() < 0.85:
        process.stdout.readline()
    time.sleep(random_.random() ** 3 * 0.3)
    process.send_signal(signal.SIGKILL)
    told, _ = process.communicate()
    lines = [line.split() for line in told.splitlines(keepends=True) if line.endswith("\n") and line != "open\n"]
    return [(int(record), int(number)) for record, number in lines]


def test_no_acknowledged_record_is_lost_and_the_ledger_always_verifies(ledger: Ledger) -> None:
    random_ = random.Random(SEED)
    acknowledged = 0
    for kill in range(KILLS):
        session = f"s-{kill}"
        told = run_and_kill(ledger, session, random_)
        if not ledger.ledger.exists():
            continue  # killed before it made anything
        held = {entry.number: entry.event.document for entry in entries(ledger.path(session))}
        for record, number in told:
            assert held[record]["action"]["id"] == f"s/{number}", f"seed {SEED}, kill {kill}: record {record} is lost"
        acknowledged += len(told)
        if kill % 20 == 19 or kill < 5:
            completed = recover_ledger(str(ledger.ledger), str(ledger.keys))
            assert all(error is None for _, _, error in completed), completed
            report = verify_ledger(ledger.ledger, ledger.keys, auditor=ledger.auditor())
            assert report.verified, (kill, report.findings, [log.findings for log in report.logs if not log.verified])
    assert acknowledged > KILLS, "the writers were killed before they wrote anything"
    every = [log for log in report.logs if "/s-" in log.origin]
    assert all(log.closed for log in every if log.records > 1)
    assert not any(log.orphans for log in every), "a decision without an end is said to be of unknown end at recovery"


def test_a_torn_tail_is_cut_and_the_cut_is_recorded(ledger: Ledger) -> None:
    told = run_and_kill(ledger, "s-1", random.Random(1))
    while not told:
        told = run_and_kill(ledger, "s-1", random.Random(1))
    segment = ledger.path("s-1") / "segment-00000000"
    whole = segment.read_bytes()
    segment.write_bytes(whole + whole[-57 - 300 : -57 - 250])
    assert recover_ledger(str(ledger.ledger), str(ledger.keys))[0][2] is None
    opening = [entry.event.document for entry in entries(ledger.path("s-1")) if entry.event.type == "log.opened"]
    assert opening[1]["recovered"]["bytes"] == 50
    assert segment.read_bytes().startswith(whole)
    report = verify_ledger(ledger.ledger, ledger.keys, auditor=ledger.auditor())
    assert report.verified
    assert any("torn tail of 50 bytes" in note for log in report.logs for note in log.notes)


def test_damage_before_the_last_mark_is_refused_and_left_for_the_verifier(ledger: Ledger) -> None:
    while len(run_and_kill(ledger, "s-1", random.Random(2))) < 3:
        pass
    segment = ledger.path("s-1") / "segment-00000000"
    data = bytearray(segment.read_bytes())
    data[700] ^= 1
    segment.write_bytes(bytes(data))
    [(name, _, error)] = recover_ledger(str(ledger.ledger), str(ledger.keys))
    assert name == "sessions/s-1"
    assert "damaged at byte" in str(error)
    assert segment.read_bytes() == bytes(data), "nothing was written to a damaged log"
    assert not verify_ledger(ledger.ledger, ledger.keys, auditor=None).verified
