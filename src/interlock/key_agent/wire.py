"""The messages of the agent protocol, read: requests for signatures, and what is to be signed. Pure.

Left out: answers other than those given here, and every request that changes an agent. Sources:
draft-ietf-sshm-ssh-agent (messages), RFC 4252 section 7 and OpenSSH's PROTOCOL (public key authentication and its
host-bound form), PROTOCOL.sshsig (signatures).
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from typing import Final, NamedTuple

REQUEST_IDENTITIES: Final = 11
SIGN_REQUEST: Final = 13
EXTENSION: Final = 27
IDENTITIES_ANSWER: Final = 12
SIGN_RESPONSE: Final = 14
FAILURE: Final = b"\x05"
SUCCESS: Final = b"\x06"
SESSION_BIND: Final = b"session-bind@openssh.com"
#: Keys that an agent is believed to have.
IDENTITIES_MAX: Final = 2048
#: The longest name of a user, and of what a signature is for.
NAME_BYTES_MAX: Final = 255

_USERAUTH_REQUEST: Final = 50
_METHODS: Final = {b"publickey": False, b"publickey-hostbound-v00@openssh.com": True}
_SIGNATURE: Final = b"SSHSIG"


class MalformedMessage(ValueError):
    """What is no such message."""


class Reader:
    """Reads the types of RFC 4251 section 5, to the last byte."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def byte(self) -> int:
        """One byte."""
        return self._taken(1)[0]

    def number(self) -> int:
        """A uint32."""
        return int.from_bytes(self._taken(4), "big")

    def string(self) -> bytes:
        """A string."""
        return self._taken(self.number())

    def truth(self) -> bool:
        """A boolean."""
        return self.byte() != 0

    def end(self) -> None:
        """Nothing stands behind it."""
        if self._data:
            raise MalformedMessage("something stands behind the message")

    def _taken(self, count: int) -> bytes:
        if count > len(self._data):
            raise MalformedMessage("the message ends too early")
        taken, self._data = self._data[:count], self._data[count:]
        return taken


class SignRequest(NamedTuple):
    """Which key is to sign what."""

    key: bytes
    data: bytes
    flags: int


class Binding(NamedTuple):
    """A connection that a host has signed for: by its key, the identifier of the SSH session, and whether an agent is
    forwarded over it."""

    host_key: bytes
    session: bytes
    signature: bytes
    forwarded: bool


class Login(NamedTuple):
    """What is signed to log in: in which SSH session, as whom, with which key, and at whose host where it says so."""

    session: bytes
    user: bytes
    key: bytes
    host_key: bytes | None


def string(data: bytes) -> bytes:
    """As a string on the wire."""
    return len(data).to_bytes(4, "big") + data


def sign_request(body: bytes) -> SignRequest:
    """Behind the number of the message. Raises `MalformedMessage`."""
    reader = Reader(body)
    found = SignRequest(reader.string(), reader.string(), reader.number())
    reader.end()
    return found


def written(request: SignRequest) -> bytes:
    """The whole message."""
    return bytes([SIGN_REQUEST]) + string(request.key) + string(request.data) + request.flags.to_bytes(4, "big")


def binding(body: bytes) -> Binding:
    """Behind the extension's name. Raises `MalformedMessage`."""
    reader = Reader(body)
    found = Binding(reader.string(), reader.string(), reader.string(), reader.truth())
    reader.end()
    return found


def identities(answer: bytes) -> frozenset[bytes]:
    """The keys of an answer to a request for identities; none of what is no such answer."""
    try:
        reader = Reader(answer)
        if reader.byte() != IDENTITIES_ANSWER:
            return frozenset()
        found = [(reader.string(), reader.string())[0] for _ in range(min(reader.number(), IDENTITIES_MAX))]
        return frozenset(found)
    except MalformedMessage:
        return frozenset()


def login(data: bytes) -> Login | None:
    """What is to be signed, if it is a login; else None."""
    try:
        reader = Reader(data)
        session, number, user = reader.string(), reader.byte(), reader.string()
        service, method, signs = reader.string(), reader.string(), reader.truth()
        reader.string()  # the algorithm: which of its key's the client chose
        key = reader.string()
        is_login = number == _USERAUTH_REQUEST and service == b"ssh-connection" and method in _METHODS and signs
        if not is_login:
            return None
        host_key = reader.string() if _METHODS[method] else None
        reader.end()
    except MalformedMessage:
        return None
    return Login(session, user, key, host_key)


def namespace(data: bytes) -> bytes | None:
    """What a signature of something else would be for, as `git`; None where the data is no such thing."""
    if not data.startswith(_SIGNATURE):
        return None
    try:
        return Reader(data[len(_SIGNATURE) :]).string()
    except MalformedMessage:
        return None


def fingerprint(key: bytes) -> str:
    """As OpenSSH shows it."""
    return "SHA256:" + b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")
