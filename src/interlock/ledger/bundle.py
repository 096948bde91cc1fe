"""Export: a bundle that a stranger verifies offline: the log's own files, and the same log as C2SP tiles."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

from interlock.ledger import verifier
from interlock.ledger.reader import entries

_TILE_WIDTH = 256

README = """\
Record of {origin}

    python verifier.py .                             needs Python 3.11 and the package `cryptography`
    python verifier.py . --key YOUR-COPY.pub         with the public key that you got another way than this bundle
    python verifier.py . --auditor auditor.x25519    with the auditor's private key: checks the MACs too

log/                  the log as its writer left it: segments, checkpoint, tiles (format: spec/ledger.md of Interlock)
c2sp/                 the same as C2SP tlog-tiles: checkpoint, tile/, tile/entries/; c2sp/vkey is the verifier key
ledger.ed25519.pub    the public key that signed it
verifier.py           the verifier, in plain Python

The public key in a bundle proves only that the bundle agrees with itself. Compare it with one you got another way.
"""


def export(log: Path, public_key: Path, target: Path) -> int:
    """Write a bundle of `log` to `target`: a directory, or an archive if its name ends in .tar.gz.

    Returns: the number of signed records.

    Raises:
        FileExistsError: the target is there.
        OSError, ValueError: the log cannot be read or has no checkpoint.
    """
    if target.exists():
        raise FileExistsError(f"`{target}` exists")
    files = dict(_files(log, public_key))
    if target.name.endswith((".tar.gz", ".tgz")):
        _archive(files, target)
    else:
        for name, data in files.items():
            place = target / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
    return int(files["c2sp/checkpoint"].split(b"\n")[1])


def _archive(files: dict[str, bytes], target: Path) -> None:
    """The same files give the same archive: no owner, no time."""
    with tarfile.open(target, "x:gz") as archive:
        root = target.name.removesuffix(".tgz").removesuffix(".tar.gz")
        for name, data in sorted(files.items()):
            member = tarfile.TarInfo(f"{root}/{name}")
            member.size, member.mode = len(data), 0o644
            archive.addfile(member, io.BytesIO(data))


def _files(log: Path, public_key: Path) -> list[tuple[str, bytes]]:
    directory = verifier.Directory(log)
    held = [(f"log/{name}", directory.read(name)) for name in directory.names() if not name.endswith(".new")]
    note = directory.read("checkpoint")
    origin, size = note.split(b"\n")[0].decode(), int(note.split(b"\n")[1])
    key = verifier.load_public(public_key)
    own = Path(verifier.__file__).read_bytes()
    return [
        *held,
        *_c2sp(log, size),
        ("c2sp/checkpoint", note),
        ("c2sp/vkey", f"{verifier_key(origin, verifier.raw_public(key))}\n".encode()),
        ("ledger.ed25519.pub", public_key.read_bytes()),
        ("verifier.py", own),
        ("README", README.format(origin=origin).encode()),
    ]


def verifier_key(name: str, raw: bytes) -> str:
    """The C2SP form of a public key: name, key hash, base64 of algorithm and key."""
    typed = b"\x01" + raw
    key_hash = hashlib.sha256(name.encode() + b"\n" + typed).digest()[:4]
    return f"{name}+{key_hash.hex()}+{verifier.encoded(typed)}"


def _c2sp(log: Path, size: int) -> list[tuple[str, bytes]]:
    """Hash tiles of every level and entry bundles for a tree of `size` records (C2SP tlog-tiles)."""
    tree, sized = verifier.Tree(), []
    for entry in entries(log):
        if entry.number == size:
            break
        tree.add(entry.raw)
        sized.append(len(entry.raw).to_bytes(2, "big") + entry.raw)
    files = []
    for start in range(0, size, _TILE_WIDTH):
        bundle = sized[start : start + _TILE_WIDTH]
        files.append((f"c2sp/tile/entries/{_place(start // _TILE_WIDTH, len(bundle))}", b"".join(bundle)))
    for level, hashes in enumerate(tree.levels):
        for start in range(0, len(hashes), _TILE_WIDTH * 32):
            tile = bytes(hashes[start : start + _TILE_WIDTH * 32])
            files.append((f"c2sp/tile/{level}/{_place(start // (_TILE_WIDTH * 32), len(tile) // 32)}", tile))
    return files


def _place(index: int, width: int) -> str:
    return verifier.tile_index(index) + ("" if width == _TILE_WIDTH else f".p/{width}")
