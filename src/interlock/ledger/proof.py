"""An inclusion proof (RFC 6962 §2.1.1): one record, shown to be in a signed log to somebody who has nothing else of it.

The proof is a JSON object; checking it needs only SHA-256 and the public key. Making one reads the whole log.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

from interlock.ledger import verifier
from interlock.ledger.reader import records

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FORM = "interlock-proof/1"


def prove(directory: Path, number: int, key: Ed25519PublicKey) -> dict[str, Any]:
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
    leaves, entry = [], b""
    for record in records(directory):
        if record.number == size:
            break
        leaves.append(hashlib.sha256(b"\0" + record.raw).digest())
        entry = record.raw if record.number == number else entry
    path = [base64.b64encode(node).decode() for node in _path(leaves, number)]
    text = entry.decode()
    proof = {"form": FORM, "origin": origin, "record": number, "entry": text, "path": path, "checkpoint": note.decode()}
    check(proof, key)
    return proof


def check(proof: dict[str, Any], key: Ed25519PublicKey) -> int:
    """Check a proof. Returns the size of the signed tree it is in.

    Raises:
        ValueError: it proves nothing; the message says why.
    """
    try:
        if set(proof) != {"form", "origin", "record", "entry", "path", "checkpoint"} or proof["form"] != FORM:
            raise ValueError("not a proof of this form")
        note = verifier.open_note(proof["checkpoint"].encode(), proof["origin"], key)
        path = [verifier.decoded(node) for node in proof["path"]]
        number, entry = int(proof["record"]), proof["entry"].encode()
        stated = verifier.read_record(entry)["record"]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a proof: {error}") from None
    if stated != number:
        raise ValueError(f"the entry says it is record {stated}, the proof says {number}")
    if base64.b64encode(_root(entry, number, note.size, path)).decode() != note.root:
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
