"""A client that signs (`private_key_jwt`; RFC 7523, 3, and RFC 7521, 4.2): its keys, and one assertion held to them.

Only signatures by a key that never leaves the client are taken. Each assertion is good once: its `jti` is noted. Left
out: keys by reference (`jwks_uri`), since nothing is fetched.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NamedTuple

from interlock.identity.oauth.limits import ASSERTION_CHARACTERS_MAX, ASSERTION_MS_MAX, KEYS_MAX
from interlock.identity.oauth.wire import digest_of
from interlock.vocabulary.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Collection

    from interlock.storage.logins import ClientRow

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHMS: Final = ("ES256", "ES384", "Ed25519", "PS256", "RS256")
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_KINDS: Final = frozenset({"EC", "OKP", "RSA"})
_JTI_CHARACTERS_MAX: Final = 256


class Asserted(NamedTuple):
    """An assertion that holds: what it is noted under, and until when."""

    id: str
    until_ms: int


def read_keys(text: str) -> tuple[str, list[str]]:
    """A JSON Web Key Set, or one key, that an operator gives: as it is stored, and the thumbprints of its keys (RFC
    7638). Raises `OperatorError` for what is no set of public keys."""
    from joserfc.errors import JoseError
    from joserfc.jwk import KeySet

    try:
        value = json.loads(text)
        keys = value.get("keys", [value])
        if not 0 < len(keys) <= KEYS_MAX:
            raise OperatorError(f"a client has one to {KEYS_MAX} keys")
        if any(_PRIVATE & set(key) for key in keys):
            raise OperatorError("this is a private key", hint="give the public one: it is all that the gateway needs")
        if not all(key.get("kty") in _KINDS for key in keys):
            raise OperatorError(f"a key is of one of these kinds: {', '.join(sorted(_KINDS))}")
        found = KeySet.import_key_set({"keys": keys})
        return json.dumps({"keys": keys}), [key.thumbprint() for key in found.keys]
    except (JoseError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise OperatorError("this is no JSON Web Key Set", hint='RFC 7517: {"keys": [{"kty": …}]}') from error


def asserted(text: str, client: ClientRow, audiences: Collection[str], now_ms: int) -> Asserted | None:
    """What the assertion of a client says, if it holds now and is for one of `audiences`."""
    from joserfc import jwt
    from joserfc.errors import JoseError
    from joserfc.jwk import KeySet

    if client.keys is None or len(text) > ASSERTION_CHARACTERS_MAX:
        return None
    try:
        keys = KeySet.import_key_set(json.loads(client.keys))
        claims = jwt.decode(text, keys, algorithms=list(ALGORITHMS)).claims
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return _held(claims, client.id, audiences, now_ms)


def _held(claims: dict[str, object], client: str, audiences: Collection[str], now_ms: int) -> Asserted | None:
    audience, until, identity = claims.get("aud"), claims.get("exp"), claims.get("jti")
    named = audience[0] if isinstance(audience, list) and len(audience) == 1 else audience
    if claims.get("iss") != client or claims.get("sub") != client or named not in audiences:
        return None
    if not isinstance(identity, str) or not 0 < len(identity) <= _JTI_CHARACTERS_MAX:
        return None
    begins = [claims.get(name, 0) for name in ("nbf", "iat")]
    if not _is_number(until) or not all(map(_is_number, begins)):
        return None
    until_ms = int(float(str(until)) * 1_000)
    early = any(float(str(each)) * 1_000 > now_ms + ASSERTION_MS_MAX for each in begins)
    if early or not now_ms < until_ms <= now_ms + ASSERTION_MS_MAX:
        return None
    return Asserted(digest_of(f"{client}\0{identity}"), until_ms)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12
