"""An inclusion proof (RFC 6962 §2.1.1): one record, shown to be in a signed log to somebody who has nothing else of it.

Checking a proof needs only SHA-256 and the public key. Making one reads the whole log.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from interlock.ledger import verifier
from interlock.ledger.reader import entries
from interlock.vocabulary.json_value import is_object, list_at, number_at, text_at

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from interlock.vocabulary.json_value import JsonObject

FORM: Final = "interlock-proof/1"
_KEYS: Final = frozenset({"form", "origin", "record", "entry", "path", "checkpoint"})


@dataclass(frozen=True, slots=True)
class Proof:
    """Arguments:
    origin: the log's name, under which its checkpoints are signed.
    record: the number of the record in it.
    entry: the record's text.
    path: the hashes that lead from it to the root, base64.
    checkpoint: the signed note with that root.
    """

    origin: str
    record: int
    entry: str
    path: tuple[str, ...]
    checkpoint: str

    @classmethod
    def read(cls, value: object) -> Proof:
        """From the object of `as_object`. Raises `ValueError` for anything else."""
        if not is_object(value) or set(value) != _KEYS or value["form"] != FORM:
            raise ValueError("not a proof of this form")
        origin, entry, note = text_at(value, "origin"), text_at(value, "entry"), text_at(value, "checkpoint")
        record, path = number_at(value, "record"), list_at(value, "path")
        if origin is None or entry is None or note is None or record is None or path != value["path"]:
            raise ValueError("not a proof: a part of it has another form")
        return cls(origin, record, entry, tuple(map(str, path)), note)

    def as_object(self) -> JsonObject:
        """The proof as JSON."""
        return {
            "form": FORM,
            "origin": self.origin,
            "record": self.record,
            "entry": self.entry,
            "path": list(self.path),
            "checkpoint": self.checkpoint,
        }


def prove(directory: Path, number: int, key: Ed25519PublicKey) -> Proof:
    """The proof that record `number` is in the log as last signed.

    Raises:
        ValueError: the log has no such record, or it is not signed yet.
        OSError: the log cannot be read.
    """
    note = (directory / "checkpoint").read_bytes()
    origin = note.split(b"\n", 1)[0].decode()
    size = verifier.open_note(note, origin, key).size
    if number < 0 or number >= size:
        raise ValueError(f"record {number} is not among the {size} that are signed")
    leaves, raw = [], b""
    for entry in entries(directory):
        if entry.number == size:
            break
        leaves.append(hashlib.sha256(b"\0" + entry.raw).digest())
        raw = entry.raw if entry.number == number else raw
    path = tuple(base64.b64encode(node).decode() for node in _path(leaves, number))
    proof = Proof(origin, number, raw.decode(), path, note.decode())
    check(proof, key)
    return proof


def check(proof: Proof, key: Ed25519PublicKey) -> int:
    """Check a proof. Returns the size of the signed tree it is in.

    Raises:
        ValueError: it proves nothing; the message says why.
    """
    note = verifier.open_note(proof.checkpoint.encode(), proof.origin, key)
    path = [verifier.decoded(node) for node in proof.path]
    entry = proof.entry.encode()
    stated = verifier.read_record(entry).get("record")
    if stated != proof.record:
        raise ValueError(f"the entry says it is record {stated}, the proof says {proof.record}")
    if base64.b64encode(_root(entry, proof.record, note.size, path)).decode() != note.root:
        raise ValueError("the entry is not in the signed tree")
    return note.size


def _path(leaves: list[bytes], number: int) -> list[bytes]:
    """PATH(m, D[n]) of RFC 6962 §2.1.1."""
    if len(leaves) <= 1:
        return []
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    if number < split:
        return [*_path(leaves[:split], number), _tree(leaves[split:])]
    return [*_path(leaves[split:], number - split), _tree(leaves[:split])]


def _tree(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    return hashlib.sha256(b"\1" + _tree(leaves[:split]) + _tree(leaves[split:])).digest()


def _root(entry: bytes, number: int, size: int, path: list[bytes]) -> bytes:
    """The root that an inclusion path leads to: RFC 9162 §2.1.3.2, which checks the path's length as well."""
    if not 0 <= number < size:
        raise ValueError(f"record {number} is not among the {size} that are signed")
    at, last = number, size - 1
    node = hashlib.sha256(b"\0" + entry).digest()
    for other in path:
        if last == 0:
            raise ValueError("the path is too long")
        if at & 1 or at == last:
            node = hashlib.sha256(b"\1" + other + node).digest()
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            node = hashlib.sha256(b"\1" + node + other).digest()
        at, last = at >> 1, last >> 1
    if last:
        raise ValueError("the path is too short")
    return node
