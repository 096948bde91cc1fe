"""Any change to any file of a log is found: random edits of every kind, and those that were named in advance."""

from __future__ import annotations

import json
import os
import random
import struct

import pytest

from interlock.ledger import verifier
from tests.ledger.conftest import CLOSED, LONG, Ledger, decided, enacted

MUTATIONS = 1_000_000 if LONG else 10_000
SEED = int(os.environ.get("INTERLOCK_SEED", "20261121"))

Files = dict[str, bytes]


def held(ledger: Ledger, session: str) -> Files:
    directory = verifier.Directory(ledger.path(session))
    return {name: directory.read(name) for name in directory.names()}


def write(ledger: Ledger, session: str, count: int) -> Files:
    log = ledger.open(session)
    for number in range(count):
        log.append(decided(number), ("routine", "ordered", "durable")[number % 3])
        log.append(enacted(number), "routine")
    log.append(decided(count, "deny"), "ordered")
    log.close(CLOSED)
    return held(ledger, session)


def frames(data: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(data):
        length, kind, _ = struct.unpack_from(">IBI", data, at)
        end = at + 9 + length + (32 if chr(kind) in "RC" else 0)
        found.append(data[at:end])
        at = end
    return found


class Mutator:
    """One random change to a log's files; `other` is another log of the same signer."""

    def __init__(self, files: Files, other: Files, random_: random.Random) -> None:
        self.files, self.other, self.random = files, other, random_
        self.kinds = [
            self.flip, self.flip, self.overwrite, self.insert, self.delete, self.truncate, self.swap_frames, self.drop_frame, self.repeat_frame,
            self.splice, self.remove_file, self.add_file, self.tile_from_elsewhere, self.older_checkpoint, self.foreign_file,
        ]  # fmt: skip

    def mutate(self) -> tuple[str, Files]:
        while True:
            kind = self.random.choice(self.kinds)
            changed = dict(self.files)
            what = kind(changed)
            if changed != self.files:
                return f"{kind.__name__} {what}", changed

    def pick(self) -> str:
        return self.random.choice(sorted(self.files))

    def flip(self, files: Files) -> str:
        name = self.pick()
        data = bytearray(files[name])
        at = self.random.randrange(len(data))
        data[at] ^= 1 << self.random.randrange(8)
        files[name] = bytes(data)
        return f"{name}:{at}"

    def overwrite(self, files: Files) -> str:
        name = self.pick()
        at = self.random.randrange(len(files[name]))
        junk = self.random.randbytes(self.random.randrange(1, 40))
        files[name] = files[name][:at] + junk + files[name][at + len(junk) :]
        return f"{name}:{at}"

    def insert(self, files: Files) -> str:
        name = self.pick()
        at = self.random.randrange(len(files[name]) + 1)
        files[name] = files[name][:at] + self.random.randbytes(self.random.randrange(1, 80)) + files[name][at:]
        return f"{name}:{at}"

    def delete(self, files: Files) -> str:
        name = self.pick()
        at = self.random.randrange(len(files[name]))
        files[name] = files[name][:at] + files[name][at + self.random.randrange(1, 80) :]
        return f"{name}:{at}"

    def truncate(self, files: Files) -> str:
        name = self.pick()
        at = self.random.randrange(len(files[name]))
        files[name] = files[name][:at]
        return f"{name}:{at}"

    def swap_frames(self, files: Files) -> str:
        every = frames(files["segment-00000000"])
        a, b = self.random.randrange(len(every)), self.random.randrange(len(every))
        every[a], every[b] = every[b], every[a]
        files["segment-00000000"] = b"".join(every)
        return f"{a} {b}"

    def drop_frame(self, files: Files) -> str:
        every = frames(files["segment-00000000"])
        start = self.random.randrange(len(every))
        del every[start : start + self.random.randrange(1, 6)]
        files["segment-00000000"] = b"".join(every)
        return str(start)

    def repeat_frame(self, files: Files) -> str:
        every = frames(files["segment-00000000"])
        start, count, at = self.random.randrange(len(every)), self.random.randrange(1, 4), self.random.randrange(len(every) + 1)
        every[at:at] = every[start : start + count]
        files["segment-00000000"] = b"".join(every)
        return f"{start}+{count} at {at}"

    def splice(self, files: Files) -> str:
        mine, theirs = frames(files["segment-00000000"]), frames(self.other["segment-00000000"])
        at = self.random.randrange(min(len(mine), len(theirs)))
        files["segment-00000000"] = b"".join(mine[:at] + theirs[at:])
        return str(at)

    def remove_file(self, files: Files) -> str:
        name = self.pick()
        del files[name]
        return name

    def add_file(self, files: Files) -> str:
        name = self.random.choice(["segment-00000001", "segment-00000002", "notes", "tile/0/009", "tile/7/000", "tile/0/000.p/300", "tile/x"])
        files[name] = files["segment-00000000"] if self.random.random() < 0.3 else self.random.randbytes(64)
        return name

    def tile_from_elsewhere(self, files: Files) -> str:
        name = self.random.choice([name for name in sorted(files) if name.startswith("tile/")])
        files[name] = self.other.get(name, b"")
        return name

    def older_checkpoint(self, files: Files) -> str:
        notes = [frame[9:] for frame in frames(files["segment-00000000"]) if frame[4:5] == b"P"]
        files["checkpoint"] = self.random.choice(notes)
        return ""

    def foreign_file(self, files: Files) -> str:
        name = self.random.choice(sorted(set(self.other) & set(files)))
        files[name] = self.other[name]
        return name


@pytest.fixture
def two(ledger: Ledger) -> tuple[Ledger, Files, Files]:
    return ledger, write(ledger, "s-1", 8), write(ledger, "s-2", 8)


def test_every_mutation_of_a_closed_log_is_found_with_the_public_key_alone(two) -> None:
    ledger, files, other = two
    key, origin = ledger.public(), verifier.origin_of(verifier.Held(files))
    assert verifier.verify_log(verifier.Held(files), key, origin=origin).verified
    mutator = Mutator(files, other, random.Random(SEED))
    missed = []
    for _ in range(MUTATIONS):
        what, changed = mutator.mutate()
        report = verifier.verify_log(verifier.Held(changed), key, origin=origin)
        if report.verified:
            missed.append(what)
    assert not missed, f"seed {SEED}: {len(missed)} of {MUTATIONS} were not found: {missed[:10]}"


def test_every_single_bit_of_every_file_matters(two) -> None:
    ledger, files, _ = two
    key, origin = ledger.public(), verifier.origin_of(verifier.Held(files))
    for name, data in files.items():
        step = 1 if LONG or name == "checkpoint" else 7
        for at in range(0, len(data), step):
            changed = bytearray(data)
            changed[at] ^= 1 << (at % 8)
            report = verifier.verify_log(verifier.Held({**files, name: bytes(changed)}), key, origin=origin)
            assert not report.verified, f"{name}:{at}"


def test_with_the_auditors_key_an_edit_that_keeps_crc_and_tree_of_the_unsigned_tail_is_found(ledger: Ledger) -> None:
    log = ledger.open("s-1")
    for number in range(5):
        log.append(decided(number, path="/w/deny"), "ordered")
    files = held(ledger, "s-1")  # as a process killed now would leave it
    data = files["segment-00000000"]
    every = frames(data)
    at = max(n for n, frame in enumerate(every) if frame[4:5] == b"R")
    payload = every[at][9:-32].replace(b'"allow"', b'"deny" ').replace(b'"deny" ', b'"denyx"')
    import zlib

    head = struct.pack(">IB", len(payload), ord("R"))
    every[at] = head + struct.pack(">I", zlib.crc32(payload, zlib.crc32(head))) + payload + every[at][-32:]
    changed = {**files, "segment-00000000": b"".join(every)}
    blind = verifier.verify_log(verifier.Held(changed), ledger.public())
    assert blind.verified, "the public key covers what was signed, and the tail is said to be unsigned"
    assert any(line.strip().startswith("UNSIGNED TAIL") for line in blind.lines())
    assert "needs the auditor's key" in blind.mac
    seeing = verifier.verify_log(verifier.Held(changed), ledger.public(), auditor=ledger.auditor())
    assert not seeing.verified
    assert "MAC" in seeing.findings[0].what
    log.close(CLOSED)


def test_a_key_of_somebody_else_verifies_nothing(two, tmp_path) -> None:
    _, files, _ = two
    stranger = Ledger(tmp_path / "stranger")
    stranger.open("s-1").close(CLOSED)
    assert not verifier.verify_log(verifier.Held(files), stranger.public()).verified
    own = verifier.load_public(two[0].keys / "ledger.ed25519.pub")
    report = verifier.verify_log(verifier.Held(files), own, auditor=stranger.auditor())
    assert "is not this log's auditor" in report.findings[0].what


def test_flipping_deny_to_allow_is_found_and_named(two) -> None:
    """A shipped product hashed some fields only: changing the decision verified."""
    ledger, files, _ = two
    data = files["segment-00000000"]
    assert b'"decision":"deny"' in data
    changed = {**files, "segment-00000000": data.replace(b'"decision":"deny"', b'"decision":"allo"')}
    report = verifier.verify_log(verifier.Held(changed), ledger.public())
    assert [finding.record for finding in report.findings] == [17]
    assert "CRC" in report.findings[0].what


def test_dropping_the_last_records_with_the_checkpoint_file_put_back_is_found_by_the_index(two) -> None:
    """A shipped product kept its chain's tip in a file beside the log that the verifier never read."""
    from interlock.ledger.ledger_check import verify_ledger

    ledger, files, _ = two
    every = frames(files["segment-00000000"])
    first = next(n for n, frame in enumerate(every) if frame[4:5] == b"P")
    (ledger.path("s-1") / "segment-00000000").write_bytes(b"".join(every[: first + 1]))
    (ledger.path("s-1") / "checkpoint").write_bytes(every[first][9:])
    for tile in (ledger.path("s-1") / "tile").rglob("*"):
        if tile.is_file():
            tile.unlink()
    alone = verifier.verify_log(verifier.Directory(ledger.path("s-1")), ledger.public())
    assert alone.verified
    assert any("no closing record" in note for note in alone.notes)
    report = verify_ledger(ledger.ledger, ledger.keys, auditor=None)
    assert not report.verified
    assert any("the index remembers" in str(finding) for log in report.logs for finding in log.findings)


def test_records_read_back_as_they_were_given(two) -> None:
    from interlock.ledger.reader import entries

    ledger, _, _ = two
    values = [entry.event.document for entry in entries(ledger.path("s-1"))]
    given = json.loads(decided(3))
    assert {key: values[7][key] for key in given} == given
    assert values[8]["duration_us"] == 1.5
