"""Clients: what one says when it makes itself known (RFC 7591), where a browser may be sent back to, and who a client
proves to be.

A redirect URI is matched as it was registered, character by character; only the port of a loopback one is free, since a
native client takes what the system gives it (RFC 8252, 7.3). A client that makes itself known may name places on this
machine and `https` ones, as MCP has it; an operator may name others, such as an editor's own scheme.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import re
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote_plus, urlsplit

from interlock.identity.oauth.assertion import ASSERTION_TYPE, asserted
from interlock.identity.oauth.limits import (
    NAME_CHARACTERS_MAX,
    REDIRECT_CHARACTERS_MAX,
    REDIRECTS_MAX,
    REGISTRATIONS_PER_MINUTE_MAX,
    UNAPPROVED_KEPT_MS,
    UNAPPROVED_MAX,
)
from interlock.identity.oauth.wire import Fault, Faulty, Visit, digest_of, secret
from interlock.storage.logins import ClientRow
from interlock.vocabulary.json_text import MalformedJson, is_object, parse
from interlock.vocabulary.printable import printable

if TYPE_CHECKING:
    from collections.abc import Collection

    from interlock.storage.logins import Logins
    from interlock.vocabulary.json_text import JsonObject

#: Who made a client known that did so by itself.
ITSELF: Final = "itself"
#: The same of a client that has a document (`documents.py`).
DOCUMENT: Final = "its document"
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://?[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=%-]+", re.ASCII)
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_NEVER: Final = frozenset(
    {"about", "blob", "data", "file", "filesystem", "ftp", "javascript", "vbscript", "view-source"}
)
_GRANTS: Final = ["authorization_code", "refresh_token"]


class Made(NamedTuple):
    """A client that is new, and its secret if it has one: it is never shown again."""

    row: ClientRow
    secret: str | None


def made(name: str, redirects: list[str], method: str, by: str, now_ms: int) -> Made:
    """A new client, not kept yet."""
    words = secret("ils_") if method == "client_secret_basic" else None
    kept = digest_of(words) if words is not None else None
    identity = f"ilo-{digest_of(secret(''))[:24]}"
    return Made(ClientRow(identity, name, json.dumps(redirects), method, kept, None, None, by, now_ms), words)


def registration(visit: Visit, now_ms: int) -> Made:
    """The client that a request to be registered describes. Raises `Faulty`."""
    kind = (visit.headers.one("content-type") or "").partition(";")[0].strip().lower()
    if kind != "application/json":  # of what a page of another origin may post unasked, nothing
        raise Faulty("invalid_client_metadata", "the body must be application/json")
    try:
        value = parse(visit.body)
    except MalformedJson as error:
        raise Faulty("invalid_client_metadata", "the body cannot be read as JSON") from error
    if not is_object(value):
        raise Faulty("invalid_client_metadata", "the body is no object")
    return made(*metadata_of(value), _method(value), ITSELF, now_ms)


def metadata_of(value: JsonObject) -> tuple[str, list[str]]:
    """A client's name and its redirect URIs, as it says. Raises `Faulty`."""
    return _name(value), _redirects(value)


def keep(store: Logins, client: ClientRow, now_ms: int) -> Fault | None:
    """Keep a client that made itself known, if there is room; of one that is known by its document what that says
    now."""
    with store.whole():
        store.sweep(now_ms)
        store.forget(now_ms - UNAPPROVED_KEPT_MS, now_ms)
        if store.describe(client):
            return None
        many = store.registered_since(now_ms - 60_000) >= REGISTRATIONS_PER_MINUTE_MAX
        if many or store.unapproved(now_ms) >= UNAPPROVED_MAX:
            return Fault("temporarily_unavailable", "too many clients make themselves known", 429)
        store.put_client(client)
    return None


def described(client: Made) -> JsonObject:
    """What a client is told of itself (RFC 7591, 3.2.1)."""
    row = client.row
    told: JsonObject = {
        "client_id": row.id,
        "client_id_issued_at": row.made_ms // 1_000,
        "client_name": row.name,
        "redirect_uris": row.places,
        "token_endpoint_auth_method": row.method,
        "grant_types": _GRANTS,
        "response_types": ["code"],
    }
    return told if client.secret is None else {**told, "client_secret": client.secret, "client_secret_expires_at": 0}


def agent_of(client: ClientRow) -> str:
    """Who a client acts as. A name that a client gave itself is never an agent's whole name: what it is called says
    nothing about who it is, its id does."""
    if client.agent is not None:
        return client.agent
    words = re.sub(r"[^a-z0-9]+", "-", client.name.lower()).strip("-")[:40].strip("-") or "client"
    return f"{words}-{_part_of(client)}"


def _part_of(client: ClientRow) -> str:
    """A part of an id that no other client has; of an address its digest."""
    return (digest_of(client.id) if client.by == DOCUMENT else client.id.removeprefix("ilo-"))[:8]


def _name(value: JsonObject) -> str:
    name = value.get("client_name", "unnamed client")
    if not isinstance(name, str) or not name.strip() or len(name) > NAME_CHARACTERS_MAX:
        raise Faulty("invalid_client_metadata", f"`client_name` is no text of 1 to {NAME_CHARACTERS_MAX} characters")
    return printable(name.strip())


def _redirects(value: JsonObject) -> list[str]:
    found = value.get("redirect_uris")
    if not isinstance(found, list) or not 0 < len(found) <= REDIRECTS_MAX:
        raise Faulty("invalid_redirect_uri", f"`redirect_uris` is no list of 1 to {REDIRECTS_MAX}")
    for each in found:
        if not isinstance(each, str) or not is_redirect(each) or not _is_open_to_all(each):
            words = "a redirect URI is `http` to this machine or `https`, without a user, a fragment or `..`"
            raise Faulty("invalid_redirect_uri", words)
    return [str(each) for each in found]


def _method(value: JsonObject) -> str:
    """RFC 7591 lets a server replace what is asked for: here a client has a secret if it asked for one."""
    grants = value.get("grant_types", _GRANTS)
    if not isinstance(grants, list) or "authorization_code" not in grants:
        raise Faulty("invalid_client_metadata", "a client that makes itself known logs in by `authorization_code`")
    kinds = value.get("response_types", ["code"])
    if not isinstance(kinds, list) or "code" not in kinds:
        raise Faulty("invalid_client_metadata", "the one response type is `code`")
    if value.get("token_endpoint_auth_method") == "private_key_jwt":
        raise Faulty("invalid_client_metadata", "keys are made known by the operator: interlock agent client")
    asked = value.get("token_endpoint_auth_method", "none")
    return "client_secret_basic" if asked in ("client_secret_basic", "client_secret_post") else "none"


def is_redirect(uri: str) -> bool:
    """Whether a URI may be a redirect URI at all: absolute, plain, and nothing that a browser would run or open."""
    if len(uri) > REDIRECT_CHARACTERS_MAX or _URI.fullmatch(uri) is None:
        return False
    try:
        parts = urlsplit(uri)
        plain = parts.username is None and parts.password is None and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
    climbs = any(part in (".", "..") for part in unquote_plus(parts.path).replace("\\", "/").split("/"))
    if parts.scheme.lower() in _NEVER or not plain or climbs:
        return False
    return parts.scheme != "http" or parts.hostname in _LOOPBACK


def _is_open_to_all(uri: str) -> bool:
    parts = urlsplit(uri)
    return bool(parts.hostname) and parts.scheme in ("http", "https")


def fits(uri: str, registered: Collection[str]) -> bool:
    """Whether a redirect URI is one that was registered."""
    if not is_redirect(uri):
        return False
    return uri in registered or _without_port(uri) in {_without_port(each) for each in registered if is_local(each)}


def is_local(uri: str) -> bool:
    """Whether a redirect URI leads to a program on this machine that listens."""
    parts = urlsplit(uri)
    return parts.scheme == "http" and parts.hostname in _LOOPBACK


def _without_port(uri: str) -> str:
    parts = urlsplit(uri)
    if not is_local(uri):
        return uri
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    return parts._replace(netloc=host).geturl()


def place_of(uri: str) -> str:
    """Where a redirect URI leads, for a person."""
    parts = urlsplit(uri)
    return f"a program on this machine ({parts.netloc})" if is_local(uri) else f"{parts.scheme}://{parts.netloc}"


# Who a client proves to be


def authenticated(
    store: Logins, visit: Visit, said: dict[str, str], audiences: Collection[str], now_ms: int
) -> ClientRow | Fault:
    """The client that a request is from, by the one method that it was registered with (RFC 6749, 2.3)."""
    header = visit.headers.one("authorization")
    shown = [header is not None, "client_secret" in said, "client_assertion" in said]
    if sum(shown) > 1:
        return Fault("invalid_request", "a client proves who it is in one way")
    if header is not None:
        return _by_secret(store, header, said)
    if "client_assertion" in said:
        return _by_assertion(store, said, audiences, now_ms)
    client = store.client(said.get("client_id", ""))
    if client is None or client.method != "none" or "client_secret" in said:
        return Fault("invalid_client", "the client is not known, or did not prove who it is", 401)
    return client


def _by_secret(store: Logins, header: str, said: dict[str, str]) -> ClientRow | Fault:
    refused = Fault("invalid_client", "client and secret do not fit", 401)
    scheme, _, text = header.partition(" ")
    try:
        pair = base64.b64decode(text.strip(), validate=True).decode("ascii").partition(":")
    except (binascii.Error, UnicodeError, ValueError):
        return refused
    identity, words = unquote_plus(pair[0]), unquote_plus(pair[2])
    client = store.client(identity)
    if scheme.lower() != "basic" or client is None or client.method != "client_secret_basic" or client.secret is None:
        return refused
    same = hmac.compare_digest(client.secret, digest_of(words))
    return client if same and said.get("client_id", identity) == identity else refused


def _by_assertion(store: Logins, said: dict[str, str], audiences: Collection[str], now_ms: int) -> ClientRow | Fault:
    refused = Fault("invalid_client", "the client's assertion does not hold", 401)
    client = store.client(said.get("client_id") or _subject(said["client_assertion"]))
    if client is None or client.method != "private_key_jwt" or said.get("client_assertion_type") != ASSERTION_TYPE:
        return refused
    held = asserted(said["client_assertion"], client, audiences, now_ms)
    if held is None or not store.note_assertion(held.id, held.until_ms):
        return refused
    return client


def _subject(assertion: str) -> str:
    """Whose an assertion says it is; believed only once its signature was held to that client's keys."""
    part = assertion.split(".")[1] if assertion.count(".") == 2 else ""
    try:
        value = parse(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (MalformedJson, binascii.Error, ValueError):
        return ""
    subject = value.get("sub") if is_object(value) else None
    return subject if isinstance(subject, str) else ""
