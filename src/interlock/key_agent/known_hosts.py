"""The hosts that a person knows: which names a host's key stands under. Pure.

Hashed names and patterns are told only of hosts that are asked about. Source: sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT".
Left out: certificate authorities, so what only a certificate makes known is known under no name.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64decode
from binascii import Error as NotBase64
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SSH_PORT: Final = 22
_LINES_MAX: Final = 65_536
_WITH_PORT: Final = re.compile(r"\[([^\[\]]+)\]:([0-9]{1,5})")
_HASHED: Final = re.compile(r"\|1\|([^|]+)\|([^|]+)")


class Host(NamedTuple):
    """A host as somebody connects to it."""

    name: str
    port: int

    @property
    def written(self) -> str:
        """As the files have it."""
        return self.name if self.port == _SSH_PORT else f"[{self.name}]:{self.port}"


class RevokedKeyError(ValueError):
    """A person has said that this key is nobody's any more."""


class _Line(NamedTuple):
    names: str
    key: bytes
    revoked: bool


class KnownHosts:
    """What the files say."""

    def __init__(self, texts: Iterable[str]) -> None:
        lines = [line for text in texts for line in text.splitlines()[:_LINES_MAX]]
        self._lines = [read for line in lines if (read := _read(line)) is not None]

    def named(self, key: bytes, asked: Sequence[Host]) -> list[Host]:
        """The hosts that have this key: of those asked about, and those that stand there by their names. Raises
        `RevokedKeyError`.
        """
        lines = [line for line in self._lines if line.key == key]
        if any(line.revoked for line in lines):
            raise RevokedKeyError("the host's key is revoked in your known_hosts")
        found = [host for host in asked if any(_matches(line.names, host) for line in lines)]
        found += [host for line in lines for host in _plain(line.names)]
        return list(dict.fromkeys(found))


def _read(line: str) -> _Line | None:
    words = line.split()
    marker = words.pop(0) if words and words[0].startswith("@") else ""
    if len(words) < 3 or words[0].startswith("#") or marker not in ("", "@revoked"):
        return None
    try:
        return _Line(words[0], b64decode(words[2], validate=True), marker == "@revoked")
    except (NotBase64, ValueError):
        return None


def _plain(names: str) -> list[Host]:
    """The names that are written out, but those that the line takes away again."""
    hosts = [_host(name) for name in names.split(",") if not re.search(r"[*?!|]", name)]
    return [host for host in hosts if host is not None and _matches(names, host)]


def _host(written: str) -> Host | None:
    with_port = _WITH_PORT.fullmatch(written)
    if with_port is None:
        return Host(written.lower(), _SSH_PORT)
    port = int(with_port[2])
    return Host(with_port[1].lower(), port) if 0 < port <= 65_535 else None


def _matches(names: str, host: Host) -> bool:
    found = False
    for pattern in names.split(","):
        if pattern.startswith("!") and _fits(pattern[1:], host.written):
            return False
        found = found or _fits(pattern, host.written)
    return found


def _fits(pattern: str, written: str) -> bool:
    hashed = _HASHED.fullmatch(pattern)
    if hashed is None:
        parts = re.split(r"([*?])", pattern.lower())
        glob = "".join({"*": ".*", "?": "."}.get(part, re.escape(part)) for part in parts)
        return re.fullmatch(glob, written) is not None
    try:
        salt, expected = (b64decode(part, validate=True) for part in hashed.groups())
    except (NotBase64, ValueError):
        return False
    return hmac.compare_digest(hmac.digest(salt, written.encode(), hashlib.sha1), expected)
