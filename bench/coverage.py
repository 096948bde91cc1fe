"""An executable built with `-C instrument-coverage`, read from outside: which functions it counts, where each is written, and where a running
process of it keeps the counts.

Nothing is asked of the process and nothing written by it: the counters lie in its memory. Formats: LLVM's "Code Coverage Mapping Format" and
"Instrumentation Profile Format" (raw version 10, LLVM 19 to 22, as Rust 1.85 and later have it).
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_DATA_BYTES = 64
_COUNTER_BYTES = 8


@dataclass(frozen=True, slots=True)
class Function:
    """One counted function: the file it is written in, and its counters among all."""

    file: str
    first: int
    count: int


class Instrumented:
    """The functions of one executable."""

    def __init__(self, executable: Path) -> None:
        """Raises `ValueError` where it has no counters."""
        self.executable = executable
        sections = dict(_sections(executable.read_bytes()))
        if "__llvm_prf_cnts" not in sections:
            raise ValueError(f"{executable} was not built with -C instrument-coverage")
        self._address, counters = sections["__llvm_prf_cnts"]
        self._bytes = len(counters)
        written = dict(_written(sections["__llvm_covfun"][1], dict(_files(sections["__llvm_covmap"][1]))))
        self.functions = [
            Function(written[name], first, count)
            for name, first, count in _counted(*sections["__llvm_prf_data"], self._address)
            if name in written
        ]

    def counts(self, process: int) -> tuple[int, ...]:
        """All counters of a running process, now. Raises `PermissionError` where its memory may not be read."""
        maps = Path(f"/proc/{process}/maps").read_text().splitlines()
        base = next(int(line.partition("-")[0], 16) for line in maps if line.endswith(str(self.executable)))
        with Path(f"/proc/{process}/mem").open("rb") as memory:
            memory.seek(base + self._address)
            return struct.unpack(f"<{self._bytes // _COUNTER_BYTES}Q", memory.read(self._bytes))


def _sections(elf: bytes) -> Iterator[tuple[str, tuple[int, bytes]]]:
    (table,) = struct.unpack_from("<Q", elf, 0x28)
    number, names = struct.unpack_from("<HH", elf, 0x3C)
    headers = [struct.unpack_from("<IIQQQQ", elf, table + 64 * index) for index in range(number)]
    for name, _, _, address, offset, size in headers:
        start = headers[names][4] + name
        yield elf[start : elf.index(b"\0", start)].decode(), (address, elf[offset : offset + size])


def _number(text: bytes, at: int) -> tuple[int, int]:
    """A ULEB128 number, and where the next one begins."""
    value = shift = 0
    while True:
        byte, at = text[at], at + 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _files(section: bytes) -> Iterator[tuple[int, list[str]]]:
    """Lists of source files, each by the number that functions name it by."""
    at = 0
    while at + 16 <= len(section):
        _, size, rest, _ = struct.unpack_from("<IIII", section, at)
        encoded = section[at + 16 : at + 16 + size]
        count, start = _number(encoded, 0)
        _, start = _number(encoded, start)
        packed, start = _number(encoded, start)
        text = zlib.decompress(encoded[start : start + packed]) if packed else encoded[start:]
        yield _digest(encoded), list(_texts(text, count))
        at = _aligned(at + 16 + size + rest)


def _texts(text: bytes, count: int) -> Iterator[str]:
    at = 0
    for _ in range(count):
        length, at = _number(text, at)
        yield text[at : at + length].decode()
        at += length


def _written(section: bytes, files: dict[int, list[str]]) -> Iterator[tuple[int, str]]:
    """For each function, by the digest of its name, the file that it is written in."""
    at = 0
    while at + 28 <= len(section):
        name, size, _, listed = struct.unpack_from("<QIQQ", section, at)
        _, start = _number(section, at + 28)
        index, _ = _number(section, start)
        yield name, files[listed][index]
        at = _aligned(at + 28 + size)


def _counted(address: int, section: bytes, counters: int) -> Iterator[tuple[int, int, int]]:
    """For each function its name's digest, its first counter and how many it has. A record points to its counters relative to itself."""
    for at in range(0, len(section), _DATA_BYTES):
        name, _, distance = struct.unpack_from("<QQQ", section, at)
        (count,) = struct.unpack_from("<I", section, at + 48)
        yield name, ((address + at + distance - counters) % 2**64) // _COUNTER_BYTES, count


def _digest(text: bytes) -> int:
    return int.from_bytes(hashlib.md5(text, usedforsecurity=False).digest()[:8], "little")


def _aligned(at: int) -> int:
    return (at + 7) & ~7
