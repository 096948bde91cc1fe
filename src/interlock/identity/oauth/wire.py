"""What comes and goes at the endpoints of a login: parameters read strictly, faults as RFC 6749 names them, replies.

A parameter that stands twice is a fault (RFC 6749, 3.1): two readers would take one each.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import parse_qsl, urlencode

from interlock.identity.oauth.limits import PARAMETERS_MAX
from interlock.vocabulary.json_text import encode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from interlock.mcp.request_headers import Headers

HeaderList = list[tuple[bytes, bytes]]
_NO_STORE: Final = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
_JSON: Final = [(b"content-type", b"application/json"), *_NO_STORE]


class Visit(NamedTuple):
    """One request at an endpoint."""

    method: str
    path: str
    query: bytes
    headers: Headers
    body: bytes


class Reply(NamedTuple):
    """What is answered."""

    status: int
    headers: HeaderList
    body: bytes


class Fault(NamedTuple):
    """Why something is refused: `code` of RFC 6749, 5.2 and its like, `words` for a person, `ended` the login that
    ended over it, `owner` the agent whose credential was shown, where it was another's."""

    code: str
    words: str
    status: int = 400
    ended: str | None = None
    owner: str | None = None


class Faulty(Exception):
    """A fault met while reading."""

    def __init__(self, code: str, words: str, status: int = 400) -> None:
        super().__init__(words)
        self.fault = Fault(code, words, status)


def parameters(text: bytes) -> dict[str, str]:
    """The parameters of a query or a form, each once, without those that are empty (RFC 6749, 3.1). Raises `Faulty`."""
    if not text:
        return {}
    try:
        pairs = parse_qsl(
            text.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=PARAMETERS_MAX,
        )
    except (ValueError, UnicodeError) as error:
        raise Faulty("invalid_request", "the parameters cannot be read") from error
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Faulty("invalid_request", "a parameter comes twice")
    return {name: value for name, value in found.items() if value}


def form(visit: Visit) -> dict[str, str]:
    """The parameters of a body. Raises `Faulty` for another kind of body."""
    kind = (visit.headers.one("content-type") or "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Faulty("invalid_request", "the body must be application/x-www-form-urlencoded")
    return parameters(visit.body)


def told(value: Mapping[str, object], status: int = 200) -> Reply:
    """A reply in JSON, which nobody keeps."""
    return Reply(status, _JSON, encode(value))


def refused(fault: Fault) -> Reply:
    """A refusal in JSON (RFC 6749, 5.2)."""
    reply = told({"error": fault.code, "error_description": fault.words}, fault.status)
    if fault.code != "invalid_client":
        return reply
    return reply._replace(headers=[*reply.headers, (b"www-authenticate", b'Basic realm="interlock"')])


def sent_back(redirect: str, issuer: str, said: Mapping[str, str | None]) -> Reply:
    """The browser goes back to the client, with who answers (RFC 9207)."""
    query = urlencode({name: value for name, value in {**said, "iss": issuer}.items() if value is not None})
    place = f"{redirect}{'&' if '?' in redirect else '?'}{query}"
    headers = [(b"location", place.encode("ascii")), (b"referrer-policy", b"no-referrer"), *_NO_STORE]
    return Reply(302, headers, b"")


def secret(prefix: str) -> str:
    """32 random bytes behind a prefix by which scanners know one."""
    return f"{prefix}{secrets.token_urlsafe(32)}"


def digest_of(text: str) -> str:
    """What is stored of a secret."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
