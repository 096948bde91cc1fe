"""A client whose id is the address of a document that describes it (client ID metadata documents,
draft-ietf-oauth-client-id-metadata-document): fetched when a person is about to be asked, and held to what it must say.

The gateway fetches what a stranger names, so nothing but a public address is reached: the name is looked up once, each
of its addresses must be public, and the connection goes to the very address that was looked at (no rebinding). `https`
at its own port alone, no redirect, no proxy, no credential, a small answer in a short time.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import re
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import httptools

from interlock.identity.oauth.clients import DOCUMENT, is_redirect, metadata_of
from interlock.identity.oauth.limits import (
    DOCUMENT_ANSWER_BYTES_MAX,
    DOCUMENT_BYTES_MAX,
    DOCUMENT_S_MAX,
)
from interlock.identity.oauth.wire import Faulty
from interlock.storage.logins import ClientRow
from interlock.vocabulary.json_text import MalformedJson, is_object, parse

PORT: Final = 443
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_LABELS: Final = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]", re.ASCII)
_UNSAID: Final = "the document that is to describe the client cannot be had"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def looked_up(host: str) -> list[str]:
    """The addresses of a name."""
    found = await asyncio.get_running_loop().getaddrinfo(host, PORT, type=socket.SOCK_STREAM)
    return [str(each[4][0]) for each in found]


async def connected(address: str, host: str) -> Streams:
    """A connection to an address that proves to be the host's."""
    context = ssl.create_default_context()
    return await asyncio.open_connection(address, PORT, ssl=context, server_hostname=host)


@dataclass(frozen=True, slots=True)
class Documents:
    """Fetches documents. `look_up` and `connect` are the network's."""

    look_up: Callable[[str], Awaitable[list[str]]] = looked_up
    connect: Callable[[str, str], Awaitable[Streams]] = connected

    async def client(self, identity: str, now_ms: int) -> ClientRow:
        """The client of this id. Raises `Faulty`."""
        try:
            async with asyncio.timeout(DOCUMENT_S_MAX):
                body = await self._fetched(identity)
        except (OSError, ValueError, TimeoutError, httptools.HttpParserError, EOFError) as error:
            raise Faulty("invalid_client", _UNSAID) from error
        return described(identity, body, now_ms)

    async def _fetched(self, identity: str) -> bytes:
        parts = urlsplit(identity)
        host = parts.hostname or ""
        addresses = await self.look_up(host)
        if not addresses or not all(map(is_public, addresses)):
            raise Faulty("invalid_client", "the client's document is not at a public address")
        reader, writer = await self.connect(addresses[0], host)
        try:
            path = f"{parts.path}?{parts.query}" if parts.query else parts.path
            head = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\nConnection: close\r\n\r\n"
            writer.write(head.encode("ascii"))
            await writer.drain()
            return await _body(reader)
        finally:
            writer.close()


def is_document(identity: str) -> bool:
    """Whether a client's id is the address of a document: `https`, a host's name, its own port, a path."""
    if not is_redirect(identity):
        return False
    parts = urlsplit(identity)
    plain = parts.scheme == "https" and parts.netloc == parts.hostname and parts.path not in ("", "/")
    return plain and _LABELS.fullmatch(parts.netloc) is not None


def is_public(address: str) -> bool:
    """Whether an address is one of the internet's, by whatever form it is written in."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo is not None else None)
        if found in _NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return found.is_global and not found.is_multicast


def described(identity: str, body: bytes, now_ms: int) -> ClientRow:
    """The client that a document describes. Raises `Faulty`."""
    try:
        value = parse(body)
    except MalformedJson as error:
        raise Faulty("invalid_client", _UNSAID) from error
    if not is_object(value) or value.get("client_id") != identity:
        raise Faulty("invalid_client", "the client's document is about another client")
    if value.get("token_endpoint_auth_method", "none") != "none" or "client_secret" in value:
        raise Faulty("invalid_client", "a client with a document is a public one here: its method is `none`")
    name, redirects = metadata_of(value)
    return ClientRow(identity, name, json.dumps(redirects), "none", None, None, None, DOCUMENT, now_ms)


class _Reading:
    """What the parser of HTTP tells."""

    def __init__(self) -> None:
        self.body = b""
        self.is_whole = False

    def on_body(self, part: bytes) -> None:
        """A part of the body."""
        self.body += part

    def on_message_complete(self) -> None:
        """All of it has come."""
        self.is_whole = True


async def _body(reader: asyncio.StreamReader) -> bytes:
    """The body of an answer that is 200. Raises `ValueError` for another one or a large one."""
    reading, size = _Reading(), 0
    parser = httptools.HttpResponseParser(reading)
    while not reading.is_whole:
        part = await reader.read(DOCUMENT_BYTES_MAX)
        size += len(part)
        if not part:
            break
        parser.feed_data(part)
        if size > DOCUMENT_ANSWER_BYTES_MAX or len(reading.body) > DOCUMENT_BYTES_MAX:
            raise ValueError("the document is too large")
    if not size or parser.get_status_code() != 200:
        raise ValueError("the answer is another one than the document")
    return reading.body
