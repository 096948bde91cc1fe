#!/usr/bin/env python3
"""Offline verifier of Interlock's logs (spec/ledger.md): a second implementation, in one file, no code of the writer's.

It needs Python 3.11 and the `cryptography` package, nothing of Interlock; every exported bundle carries a copy. It is
one long file on purpose: who is handed it reads, copies and runs all of what a verdict rests on, and nothing beside it
can be left out, be another version, or be picked up from another place on the import path.

    python verifier.py BUNDLE                      # a bundle made by `interlock ledger export`
    python verifier.py LOG --key ledger.ed25519.pub [--auditor auditor.x25519]

Every byte of every file of a log is covered by something checked here: frames by length and CRC, records by the tree,
all bytes of the log (headers, CRCs, MACs) by the chain that each signed checkpoint carries, tiles by the tree, notes by
their signature. It does not prove that what was recorded is true. That no whole log is missing is checked against the
index, in `ledger_check.py`.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import os
import re
import stat
import struct
import sys
import tarfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

HEADER = struct.Struct(">IBI")
LENGTH_AND_TYPE = struct.Struct(">IB")
COMMIT = struct.Struct(">QQ")
POSITION = struct.Struct(">QQ")
MAC_BYTES = 32
PAYLOAD_BYTES_MAX = 65_535
SEGMENT, RECORD, MARK, CHECKPOINT = b"SRCP"
#: A writer signs every 10 s even when nothing happens; a longer time than this between two checkpoints is said.
SILENCE_NS = 30_000_000_000
OPENING_TYPES = ("log.opened", "index.opened", "index.closed")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\Z")
TILE = re.compile(r"tile/(\d{1,2})/((?:x\d{3}/)*)(\d{3})(?:\.p/([1-9]\d{0,2}))?\Z")
#: What a check of integrity alone still reads: where a writer begins and a log ends.
EDGE = re.compile(rb'"type":"(?:log\.opened|index\.opened|index\.closed|session\.closed)"')
LEFTOVER = re.compile(r"(checkpoint|tile/.*)\.new\Z")

#: A record as it was parsed. What it holds is read by `part`.
JsonObject = dict[str, object]
Form = TypeVar("Form")


class Files(Protocol):
    """The files of one log: names relative to its directory, and their bytes."""

    def names(self) -> list[str]: ...
    def read(self, name: str) -> bytes: ...


class Directory:
    """A log on disk. A symbolic link or anything but a plain file is listed, and reading it errs."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def names(self) -> list[str]:
        found: list[str] = []
        for folder, folders, files in os.walk(self.path, followlinks=False):
            links = [name for name in folders if (Path(folder) / name).is_symlink()]
            found += [str((Path(folder) / name).relative_to(self.path)) for name in files + links]
        return sorted(found)

    def read(self, name: str) -> bytes:
        descriptor = os.open(self.path / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(f"{name} is not a plain file")
            return file.read()


class Held:
    """A log in memory: from an archive, or for a test."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def names(self) -> list[str]:
        return sorted(self.files)

    def read(self, name: str) -> bytes:
        return self.files[name]


def unpacked(path: Path) -> dict[str, bytes]:
    """The plain files of a bundle's archive, below its one top directory. Nothing is written anywhere."""
    with tarfile.open(path, "r:gz") as archive:
        members = [member for member in archive if member.isfile()]
        held = {member.name: archive.extractfile(member) for member in members}
        return {name.partition("/")[2]: file.read() for name, file in held.items() if file is not None}


@dataclass(frozen=True)
class Finding:
    """Something wrong: where, and what it means."""

    file: str
    offset: int
    record: int | None
    what: str

    def __str__(self) -> str:
        at = f"record {self.record}, " if self.record is not None else ""
        return f"{self.file}: {at}byte {self.offset}: {self.what}"


@dataclass(frozen=True)
class Head:
    """How far a log had come, as another log remembers it: its records, and the root over them (base64)."""

    size: int
    root: str


@dataclass(frozen=True)
class Remembered:
    """What the index says of a log: that it was opened or closed (the record's type), and its head then."""

    type: str
    log: str
    head: Head


@dataclass
class Report:
    """What was found in one log."""

    origin: str
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    records: int = 0
    signed_records: int = 0
    checkpoints: int = 0
    segments: int = 0
    bytes: int = 0
    torn_bytes: int = 0
    closed: bool = False
    mac: str = "needs the auditor's key"
    #: The auditor's key (its id) to which MACs are sealed that the key given does not open.
    sealed_elsewhere: str = ""
    orphans: list[str] = field(default_factory=list)
    index_heads: list[Head] = field(default_factory=list)
    #: Root (base64) at each size asked for with `sizes`.
    roots: dict[int, str] = field(default_factory=dict)
    #: Of the index: what it says of other logs.
    remembered: list[Remembered] = field(default_factory=list)

    @property
    def verified(self) -> bool:
        return not self.findings

    def lines(self) -> list[str]:
        """The report for a person."""
        head = "VERIFIED" if self.verified else "FAILED"
        text = [
            f"{head} LOCAL {self.origin}: {self.records} records, {self.checkpoints} checkpoints, {self.bytes} bytes"
        ]
        text += [f"  {finding}" for finding in self.findings]
        text.append(f"  MAC: {self.mac}")
        if self.records > self.signed_records:
            text.append(f"  UNSIGNED TAIL {self.records - self.signed_records} records")
        return text + [f"  note: {note}" for note in self.notes]


class Wrong(Exception):
    """The byte at which a log stops being one, and why."""

    def __init__(self, offset: int, what: str) -> None:
        super().__init__(what)
        self.offset = offset
        self.what = what


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def raw_public(key: Ed25519PublicKey) -> bytes:
    """The 32 bytes of a public key (RFC 8032 §5.1.5)."""
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def decoded(text: str) -> bytes:
    """Base64 that is the only encoding of its bytes."""
    data = base64.b64decode(text, validate=True)
    if encoded(data) != text:
        raise ValueError("not the canonical base64")
    return data


class Tree:
    """RFC 6962 §2.1, grown leaf by leaf, with all hashes of every tile level (256 wide)."""

    def __init__(self) -> None:
        self.size = 0
        self.stack: list[tuple[int, bytes]] = []
        self.levels: list[bytearray] = []

    def add(self, entry: bytes) -> None:
        leaf = sha256(b"\0" + entry)
        self.size += 1
        stack = self.stack
        height, node = 0, leaf
        while stack and stack[-1][0] == height:
            node = sha256(b"\1" + stack.pop()[1] + node)
            height += 1
            if height % 8 == 0:
                self._keep(height // 8, node)
        stack.append((height, node))
        self._keep(0, leaf)

    def _keep(self, level: int, node: bytes) -> None:
        while len(self.levels) <= level:
            self.levels.append(bytearray())
        self.levels[level] += node

    def root(self) -> bytes:
        if not self.stack:
            return sha256(b"")
        node = self.stack[-1][1]
        for _, left in reversed(self.stack[:-1]):
            node = sha256(b"\1" + left + node)
        return node


@dataclass(frozen=True)
class Note:
    """A checkpoint: C2SP tlog-checkpoint with two extension lines."""

    size: int
    root: str
    bytes: int
    chain: str
    time: str
    tick: int


def open_note(data: bytes, origin: str, key: Ed25519PublicKey) -> Note:
    """Read a signed note. Raises ValueError with what is wrong; every byte of it is accounted for."""
    text, separator, signature = data.decode("utf-8").partition("\n\n")
    if not separator:
        raise ValueError("a checkpoint without a signature")
    text += "\n"
    match = re.fullmatch(rf"— {re.escape(origin)} ([A-Za-z0-9+/=]+)\n", signature)
    if match is None:
        raise ValueError("a checkpoint signed by another name")
    blob = decoded(match[1])
    if blob[:4] != sha256(origin.encode() + b"\n\x01" + raw_public(key))[:4]:
        raise ValueError("a checkpoint signed by another key")
    try:
        key.verify(blob[4:], text.encode())
    except InvalidSignature:
        raise ValueError("a checkpoint whose signature does not verify") from None
    number = r"(0|[1-9]\d{0,19})"
    extension = rf"interlock-log {number} (\S{{44}})\ninterlock-time (\S{{27}}) {number}\n"
    form = rf"{re.escape(origin)}\n{number}\n(\S{{44}})\n{extension}"
    parts = re.fullmatch(form, text)
    if parts is None:
        raise ValueError("a checkpoint of unknown form")
    return Note(int(parts[1]), parts[2], int(parts[3]), parts[4], parts[5], int(parts[6]))


def canonical(value: object) -> str:
    """RFC 8785, slowly and exactly; integers are written with all their digits."""
    if isinstance(value, dict):
        members = sorted(value.items(), key=lambda item: item[0].encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join(f"{canonical(key)}:{canonical(item)}" for key, item in members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, float):
        return _real(value)
    return json.dumps(value, ensure_ascii=False)


def _real(value: float) -> str:
    """ECMA-262 Number::toString."""
    if value == 0:
        return "0"
    sign, digits, exponent = _shortest(value)
    point = len(digits) + exponent
    if len(digits) <= point <= 21:
        text = digits + "0" * (point - len(digits))
    elif 0 < point <= 21:
        text = f"{digits[:point]}.{digits[point:]}"
    elif -6 < point <= 0:
        text = "0." + "0" * -point + digits
    else:
        text = digits[0] + ("." + digits[1:] if len(digits) > 1 else "") + f"e{point - 1:+d}"
    return sign + text


def _shortest(value: float) -> tuple[str, str, int]:
    mantissa, _, exponent = f"{value!r}e0".partition("e")
    power = int(exponent.partition("e")[0])
    whole, _, part = mantissa.lstrip("-").partition(".")
    digits = (whole + part).lstrip("0")
    stripped = digits.rstrip("0")
    return "-" if value < 0 else "", stripped, power - len(part) + len(digits) - len(stripped)


class _Numbers:
    """Notices a number with a point, which only the slow canonical form writes rightly."""

    def __init__(self) -> None:
        self.seen = False

    def __call__(self, text: str) -> float:
        self.seen = True
        return float(text)


_NUMBERS = _Numbers()
_DECODER = json.JSONDecoder(parse_float=_NUMBERS, strict=True)
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False)


def read_record(payload: bytes) -> JsonObject:
    """A record's JSON, in canonical form. Raises ValueError."""
    _NUMBERS.seen = False
    text = payload.decode("utf-8")
    value: object = _DECODER.decode(text)
    written = canonical(value) if _NUMBERS.seen or not payload.isascii() else _ENCODER.encode(value)
    if written != text or not isinstance(value, dict):
        raise ValueError("a record that is not canonical JSON")
    return value


def part(record: JsonObject, key: str, form: type[Form]) -> Form:
    """What stands under `key`: text, an integer, an object or a list. Raises ValueError for anything but `form`."""
    value = record.get(key)
    if not isinstance(value, form) or isinstance(value, bool):
        raise ValueError(f"a record without `{key}`, or with one of another form")
    return value


def head_in(record: JsonObject, key: str) -> Head:
    """The head of a log under `key`. Raises ValueError."""
    head = part(record, key, dict)
    return Head(part(head, "size", int), part(head, "root", str))


def auditor_id(auditor: X25519PrivateKey) -> str:
    """What a writer calls the auditor to whom it seals: 16 hex digits of the public key's SHA-256."""
    public = auditor.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return sha256(public).hex()[:16]


def unseal(sealed: str, auditor: X25519PrivateKey, origin: str) -> bytes:
    """K(0) of a writer, from its opening record. Raises ValueError."""
    blob = decoded(sealed)
    public = auditor.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    shared = auditor.exchange(X25519PublicKey.from_public_bytes(blob[:32]))
    derive = HKDF(hashes.SHA256(), 32, salt=blob[:32] + public, info=b"interlock-ledger/1 seal")
    try:
        return ChaCha20Poly1305(derive.derive(shared)).decrypt(bytes(12), blob[32:], origin.encode())
    except InvalidTag:
        raise ValueError("a MAC key that was not sealed to this auditor for this log") from None


class Check:
    """One pass over one log."""

    def __init__(
        self, origin: str, key: Ed25519PublicKey, auditor: X25519PrivateKey | None, sizes: set[int], live: bool
    ) -> None:
        self.report = Report(origin)
        self.origin = origin
        self.session = origin.rsplit("/", 1)[-1]
        self.key = key
        self.auditor = auditor
        self.sizes = sizes
        self.live = live
        self.tree = Tree()
        self.chain = hashlib.sha256(sha256(f"interlock-ledger/1\n{origin}\n".encode()))
        self.epoch = 0
        self.mac_key: bytes | None = None
        self.batch: list[tuple[int, bytes]] = []
        self.notes: dict[bytes, int] = {}
        self.last_note = b""
        self.tick = 0
        self.time = ""
        self.note_tick: int | None = None
        self.decided: dict[str, tuple[int, bool]] = {}
        self.open: dict[int, str] = {}
        self.before = 0
        self.ends_signed = False
        self.integrity = False

    def wrong(self, file: str, offset: int, what: str, record: int | None = None) -> None:
        self.report.findings.append(Finding(file, offset, record, what))

    # The log's own files, in order.

    def segments(self, files: Files, names: list[str]) -> None:
        numbers = [name for name in names if re.fullmatch(r"segment-\d{8}", name)]
        if not numbers:
            self.wrong("segment-00000000", 0, "the log has no segment: everything it held is gone")
        for number, name in enumerate(numbers):
            if name != f"segment-{number:08d}":
                self.wrong(name, 0, f"segment {number} is missing")
                return
            data = files.read(name)
            self.report.segments += 1
            if not self.segment(name, number, data, number == len(numbers) - 1):
                return
            self.before += len(data)
            self.report.bytes += len(data)

    def segment(self, name: str, number: int, data: bytes, last: bool) -> bool:
        """One segment. False if nothing behind it can be judged."""
        good = at = 0
        try:
            while at < len(data):
                at, good = self.frame(number, data, at, good)
            if not self.batch and data:
                return True
            raise Wrong(at, "the segment ends without a commit mark")
        except Wrong as wrong:
            if not last or self.report.closed or mark_after(data, wrong.offset):
                self.wrong(name, wrong.offset, wrong.what, self.tree.size + len(self.batch))
                return False
            self.batch.clear()
            self.report.torn_bytes = len(data) - good
            what = "is being written" if self.live else "will be cut, and the cut recorded, when the log is next opened"
            self.report.notes.append(
                f"TORN TAIL {len(data) - good} bytes after the last commit mark at byte {good} of {name}: {what}"
            )
        return True

    def frame(self, number: int, data: bytes, at: int, good: int) -> tuple[int, int]:
        """The frame at `at`. Returns where the next begins and up to where all is whole."""
        if at + 9 > len(data):
            raise Wrong(at, "the file ends inside a frame's header")
        length, kind, crc = HEADER.unpack_from(data, at)
        end = at + 9 + length
        after = end + (MAC_BYTES if kind in (RECORD, MARK) else 0)
        if length > PAYLOAD_BYTES_MAX or after > len(data):
            raise Wrong(at, "a frame that is longer than what is left of the file")
        payload = data[at + 9 : end]
        if zlib.crc32(payload, zlib.crc32(data[at : at + 5])) != crc:
            raise Wrong(at, "a frame whose CRC does not match: a byte of it was changed")
        if (kind == SEGMENT) != (at == 0):
            raise Wrong(at, "a segment must begin with its head and hold no other")
        self.ends_signed = kind == CHECKPOINT
        if kind == RECORD:
            self.batch.append((at, payload))
            self.check_mac(number, data, at, end, payload)
            return after, good
        if kind == SEGMENT:
            self.check_head(number, payload)
        elif kind == MARK:
            self.mark(at, payload)
            self.check_mac(number, data, at, end, None)
            self.evolve()
        elif kind == CHECKPOINT:
            self.checkpoint(at, payload)
        else:
            raise Wrong(at, "a frame of unknown type")
        self.chain.update(data[good:after])
        return after, after

    def check_head(self, number: int, payload: bytes) -> None:
        first = self.tree.size
        expected = canonical({"first": first, "format": "interlock-ledger/1", "origin": self.origin, "segment": number})
        if payload != expected.encode():
            raise Wrong(0, "the head of another segment or of another log")

    def check_mac(self, number: int, data: bytes, at: int, end: int, payload: bytes | None) -> None:
        if self.auditor is None:
            return
        if payload is not None and b'"mac":{' in payload:
            self.take_key(at, payload)
        if self.mac_key is None and self.report.sealed_elsewhere:
            return
        if self.mac_key is None:
            raise Wrong(at, "a record before any MAC key was sealed to the auditor")
        mac = hmac.digest(self.mac_key, POSITION.pack(number, at) + data[at:end], "sha256")
        if mac != data[end : end + MAC_BYTES]:
            raise Wrong(at, "a MAC that does not match: the frame was written or moved by somebody without the key")

    def take_key(self, at: int, payload: bytes) -> None:
        """A writer begins: its key replaces the one before."""
        try:
            record = read_record(payload)
            if record.get("type") not in OPENING_TYPES or self.auditor is None:
                return
            mac = part(record, "mac", dict)
            if part(mac, "epoch", int) != self.epoch:
                raise ValueError("a writer that begins at another epoch")
            sealed_to = part(mac, "auditor", str)
            if sealed_to != auditor_id(self.auditor):
                # Not a word about the MACs: another key opens them. That is a finding of its own (`verify_log`).
                self.mac_key, self.report.sealed_elsewhere = None, sealed_to
                return
            self.mac_key = unseal(part(mac, "sealed", str), self.auditor, self.origin)
        except ValueError as error:
            raise Wrong(at, str(error)) from None

    def evolve(self) -> None:
        self.epoch += 1
        if self.mac_key is not None:
            self.mac_key = hmac.digest(self.mac_key, b"evolve", "sha256")

    def mark(self, at: int, payload: bytes) -> None:
        if len(payload) != COMMIT.size or not self.batch:
            raise Wrong(at, "a commit mark of unknown form, or of nothing")
        if COMMIT.unpack(payload) != (self.epoch, self.tree.size + len(self.batch)):
            raise Wrong(at, "a commit mark that does not follow the one before: a batch is missing, repeated or moved")
        for offset, record in self.batch:
            try:
                self.record(offset, record)
            except (ValueError, RecursionError) as error:
                raise Wrong(offset, str(error) or "a record that cannot be read") from None
        self.batch.clear()

    def checkpoint(self, at: int, payload: bytes) -> None:
        if self.batch:
            raise Wrong(at, "a checkpoint inside a batch")
        try:
            note = open_note(payload, self.origin, self.key)
        except ValueError as error:
            raise Wrong(at, str(error)) from None
        chain = self.chain.digest()
        here = Note(self.tree.size, encoded(self.tree.root()), self.before + at, encoded(chain), note.time, note.tick)
        if note != here:
            raise Wrong(
                at, f"a checkpoint of other bytes: what stands before it is not what was signed at {note.size} records"
            )
        if self.note_tick is not None and note.tick - self.note_tick > SILENCE_NS:
            seconds = (note.tick - self.note_tick) // 1_000_000_000
            self.report.notes.append(
                f"silence of {seconds} s before {note.time}: the writer was stopped, or the machine slept"
            )
        self.note_tick = note.tick
        self.chain = hashlib.sha256(chain)
        self.last_note = payload
        self.notes[payload] = self.tree.size
        self.report.checkpoints += 1
        self.report.signed_records = self.tree.size

    # The records.

    def record(self, offset: int, payload: bytes) -> None:
        number = self.tree.size
        is_read = not self.integrity or number == 0 or EDGE.search(payload) is not None
        record = read_record(payload) if is_read else None
        self.tree.add(payload)
        self.report.records = self.tree.size
        if self.tree.size in self.sizes:
            self.report.roots[self.tree.size] = encoded(self.tree.root())
        if record is None:
            self.report.closed = False
            return
        kind, time, tick = self.place(number, record)
        if kind in OPENING_TYPES:
            self.tick, self.note_tick = 0, None
            self.opening(kind, record)
        if tick < self.tick:
            raise ValueError("a record older than the one before it, by the writer's own monotonic clock")
        if time < self.time:
            self.report.notes.append(f"the wall clock went back to {time} at record {number}")
        self.tick, self.time = tick, time
        self.report.closed = kind == "session.closed"
        self.meaning(number, kind, record)

    def place(self, number: int, record: JsonObject) -> tuple[str, str, int]:
        """The type, time and tick of a record that says of itself that it belongs here."""
        kind, time, tick = part(record, "type", str), part(record, "time", str), part(record, "tick", int)
        if (
            record.get("v") != 1
            or record.get("record") != number
            or record.get("session") != self.session
            or not TIME.match(time)
        ):
            raise ValueError("a record whose own number, session, time or version is not that of its place")
        if number == 0 and kind not in OPENING_TYPES:
            raise ValueError("a log that does not begin with its opening")
        return kind, time, tick

    def opening(self, kind: str, record: JsonObject) -> None:
        own_key = sha256(raw_public(self.key)).hex()[:16]
        if part(record, "key", str) != own_key or part(record, "origin", str) != self.origin:
            raise ValueError("an opening that names another key or another log")
        part(part(record, "mac", dict), "sealed", str)
        if record.get("recovered", "") is not None:
            cut = part(part(record, "recovered", dict), "bytes", int)
            self.report.notes.append(f"a torn tail of {cut} bytes was cut before record {self.tree.size - 1}")
        if "index_head" in record:
            self.report.index_heads.append(head_in(record, "index_head"))
        if kind != "log.opened":
            self.report.remembered.append(Remembered(kind, part(record, "log", str), head_in(record, "head")))

    def meaning(self, number: int, kind: str, record: JsonObject) -> None:
        """Decision before effect, and what was decided without one."""
        if kind == "action.decided":
            self.decision(number, record)
        elif kind == "action.enacted":
            self.effect(number, part(record, "action", str), part(record, "effect", str))
        elif kind == "routine":
            for ended in self.ended(record):
                self.open.pop(ended, None)
        elif kind == "gap":
            lost, reason = record.get("lost"), part(record, "reason", str)
            self.report.notes.append(f"GAP at record {number}: {lost} lost: {reason}")

    def decision(self, number: int, record: JsonObject) -> None:
        allowed = part(part(record, "decision", dict), "decision", str) in ("allow", "steer")
        action = part(part(record, "action", dict), "id", str)
        self.decided[action] = (number, allowed or self.decided.get(action, (0, False))[1])
        if allowed:
            self.open[number] = action

    def effect(self, number: int, action: str, effect: str) -> None:
        decided, allowed = self.decided.get(action, (None, False))
        if decided is None or (effect == "done" and not allowed):
            self.wrong("records", 0, f"an effect without a decision that allowed it: action `{action}`", number)
        elif self.open.pop(decided, None) is None:
            self.open = {at: other for at, other in self.open.items() if other != action}

    def ended(self, record: JsonObject) -> list[int]:
        """The numbers of the decided acts whose ends a `routine` record tells."""
        found = []
        for effect in part(record, "effects", list) if "effects" in record else ():
            match effect:
                case [int(decided), _]:
                    found.append(decided)
                case _:
                    raise ValueError("a record with an effect of another form")
        return found

    # What stands beside the log.

    def beside(self, files: Files, names: list[str]) -> None:
        complete = self.report.closed and self.ends_signed
        if self.report.closed and not self.ends_signed and not self.live:
            self.wrong("segment", self.report.bytes, "a closed log that does not end with a checkpoint")
        self.check_published(files, names, complete)
        tiles = [name for name in names if name.startswith("tile/") and not LEFTOVER.match(name)]
        for name in tiles:
            self.check_tile(name, files.read(name))
        missing = self.expected_tiles() - set(tiles)
        for name in sorted(missing):
            if complete and not self.live:
                self.wrong(name, 0, "a tile of this log is missing")
        for name in names:
            if LEFTOVER.match(name):
                self.report.notes.append(f"{name} was left by a killed writer and holds nothing of the log")
            elif not re.fullmatch(r"segment-\d{8}|checkpoint|tile/.+", name):
                self.wrong(name, 0, "a file that does not belong to a log")

    def check_published(self, files: Files, names: list[str], complete: bool) -> None:
        if "checkpoint" not in names:
            if self.report.records > 1:
                self.wrong("checkpoint", 0, "the last signed checkpoint was taken away")
            return
        data = files.read("checkpoint")
        if data not in self.notes:
            try:
                size = open_note(data, self.origin, self.key).size
                what = f"{size} records were signed, and the log does not hold them: it was cut"
            except ValueError as error:
                what = str(error)
            self.wrong("checkpoint", 0, what)
        elif data != self.last_note and complete and not self.live:
            self.wrong("checkpoint", 0, "an older checkpoint was put in the place of the last one")

    def check_tile(self, name: str, data: bytes) -> None:
        match = TILE.match(name)
        if match is None:
            self.wrong(name, 0, "a file that is not a tile")
            return
        level, index = int(match[1]), int(match[2].replace("x", "").replace("/", "") + match[3])
        width = int(match[4]) if match[4] else 256
        held = bytes(self.tree.levels[level]) if level < len(self.tree.levels) else b""
        start = index * 8192
        if width > 256 or len(data) != width * 32 or held[start : start + width * 32] != data:
            self.wrong(name, 0, "a tile that is not of this log's tree")

    def expected_tiles(self) -> set[str]:
        names = set()
        for level, held in enumerate(self.tree.levels):
            full, rest = divmod(len(held) // 32, 256)
            names |= {f"tile/{level}/{tile_index(index)}" for index in range(full)}
            if rest:
                names.add(f"tile/{level}/{tile_index(full)}.p/{rest}")
        return names


def tile_index(index: int) -> str:
    """C2SP tlog-tiles: 1234067 is x001/x234/067."""
    text, rest = f"{index % 1000:03d}", index // 1000
    while rest:
        text, rest = f"x{rest % 1000:03d}/{text}", rest // 1000
    return text


def mark_after(data: bytes, at: int) -> bool:
    """True if a whole commit mark or checkpoint stands behind `at`: what is wrong there is then no torn write."""
    for match in re.finditer(rb"(?=.{4}[CP])", data[at + 1 :], re.DOTALL):
        start = at + 1 + match.start()
        if start + 9 > len(data):
            break
        length, kind, crc = HEADER.unpack_from(data, start)
        payload = data[start + 9 : start + 9 + length]
        whole = length <= PAYLOAD_BYTES_MAX and len(payload) == length
        if whole and zlib.crc32(payload, zlib.crc32(LENGTH_AND_TYPE.pack(length, kind))) == crc:
            return True
    return False


def origin_of(files: Files) -> str:
    """The origin that a log claims in its first bytes."""
    data = files.read("segment-00000000")[:4096]
    length = HEADER.unpack_from(data)[0]
    return str(json.loads(data[9 : 9 + length])["origin"])


def verify_log(
    files: Files,
    key: Ed25519PublicKey,
    *,
    origin: str | None = None,
    auditor: X25519PrivateKey | None = None,
    sizes: set[int] | None = None,
    live: bool = False,
    integrity: bool = False,
) -> Report:
    """Verify one log.

    Arguments:
        files: the log's files.
        key: the public half of the signing key.
        origin: whose log it must be; without it, what the log itself claims (and must be signed as).
        auditor: the auditor's private key; without it MACs are not checked, and the report says so.
        sizes: sizes at which the root is wanted.
        live: True while a writer holds it: a torn tail is then work in progress.
        integrity: True to check bytes, tree, chain and signatures only, not what the records say.
    """
    try:
        check = Check(origin or origin_of(files), key, auditor, sizes or set(), live)
    except (OSError, ValueError, KeyError, TypeError, struct.error, RecursionError) as error:
        return Report(origin or "?", [Finding("segment-00000000", 0, None, f"no head of a log: {error}")])
    check.integrity = integrity
    try:
        names = files.names()
        check.segments(files, names)
        if check.report.verified:
            check.beside(files, names)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        check.wrong("log", check.before, f"it cannot be read: {error}")
    report = check.report
    if auditor is not None and report.sealed_elsewhere:
        report.mac = f"sealed to another auditor's key, `{report.sealed_elsewhere}`: not checked"
        what = f"`{auditor_id(auditor)}` is not this log's auditor: its MACs are sealed to `{report.sealed_elsewhere}`"
        check.wrong("log", 0, f"{what} and were not checked")
    report.orphans = sorted(check.open.values())
    if integrity:
        report.notes.append("integrity only: what the records say was not read")
    if auditor is not None and report.verified:
        report.mac = f"checked, {check.epoch} epochs, contiguous"
    if not report.closed and not live and check.session != "index":
        report.notes.append("the session has no closing record: its writer was killed, or the log's end was cut")
    if report.orphans:
        report.notes.append(f"{len(report.orphans)} actions were decided and have no recorded end")
    return report


def public_key(pem: bytes) -> Ed25519PublicKey:
    """A PEM public key. Raises ValueError."""
    key = serialization.load_pem_public_key(pem)
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("not an Ed25519 public key")
    return key


def load_public(path: str | Path) -> Ed25519PublicKey:
    """The public signing key in a file. Raises OSError, ValueError."""
    return public_key(Path(path).read_bytes())


def load_auditor(path: str | Path) -> X25519PrivateKey:
    """The auditor's private key, PEM. Raises ValueError."""
    key = serialization.load_pem_private_key(Path(path).read_bytes(), password=None)
    if not isinstance(key, X25519PrivateKey):
        raise ValueError(f"{path} is not an X25519 private key")
    return key


def opened(path: Path) -> tuple[Files, bytes]:
    """The log at `path` (a bundle, its archive, or a bare log) and the public key beside it, if there is one."""
    if path.is_file():
        held = unpacked(path)
        log = {name.removeprefix("log/"): data for name, data in held.items() if name.startswith("log/")}
        return Held(log), held["ledger.ed25519.pub"]
    beside = path / "ledger.ed25519.pub"
    folder = path / "log" if (path / "log").is_dir() else path
    return Directory(folder), beside.read_bytes() if beside.exists() else b""


def main(arguments: list[str] | None = None) -> int:
    """0 when the log verifies, 125 when not."""
    parser = argparse.ArgumentParser(description="verify a log of Interlock offline")
    parser.add_argument("path", type=Path, help="an exported bundle, or the directory of one log")
    parser.add_argument("--key", type=Path, help="public signing key, PEM; get it by another way than the log")
    parser.add_argument("--auditor", type=Path, help="the auditor's private key, PEM: checks the MACs too")
    parser.add_argument("--origin", help="whose log it must be")
    options = parser.parse_args(arguments)
    try:
        files, key_beside = opened(options.path)
        pem = options.key.read_bytes() if options.key else key_beside
        if not pem:
            raise ValueError("no `ledger.ed25519.pub` lies beside it, and no --key was named: is it a bundle?")
        key = public_key(pem)
        auditor = load_auditor(options.auditor) if options.auditor else None
    except (OSError, ValueError, KeyError, EOFError, zlib.error, tarfile.TarError) as error:
        print(f"cannot read the bundle or the key: {error}", file=sys.stderr)
        return 125
    report = verify_log(files, key, origin=options.origin, auditor=auditor)
    if options.key is None:
        report.notes.append("the public key came with the bundle: compare it with one you got another way")
    print("\n".join(report.lines()))
    return 0 if report.verified else 125


if __name__ == "__main__":
    raise SystemExit(main())
