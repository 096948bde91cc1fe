"""From a client's wish to a code: the request to log in (OAuth 2.1, 4.1.1), and what a person's yes becomes.

What is wrong with the client or with where it would be answered is told in a page, and the browser goes nowhere. Other
faults go back to the client, but only to a program on this machine: whoever registers a place elsewhere could else lead
a browser there by a link to this gateway (RFC 9700, 4.11.2). PKCE with S256 is a must: nothing can be downgraded.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from interlock.identity.oauth.clients import agent_of, fits, is_local
from interlock.identity.oauth.limits import CODE_MS_MAX, STATE_CHARACTERS_MAX, WISHES_MAX
from interlock.identity.oauth.metadata import SCOPE
from interlock.identity.oauth.wire import Fault, Faulty, digest_of, secret
from interlock.storage.logins import CodeRow

if TYPE_CHECKING:
    from interlock.identity.oauth.metadata import Resources
    from interlock.storage.logins import ClientRow, Logins, WishRow

_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


class Wish(NamedTuple):
    """What a client asks for, once it is known to be right."""

    client: ClientRow
    agent: str
    redirect: str
    back: str | None
    challenge: str


class GoesBack(NamedTuple):
    """A fault that the client is told, at its own redirect URI."""

    redirect: str
    back: str | None
    fault: Fault


def wished(store: Logins, said: dict[str, str], resources: Resources, now_ms: int) -> Wish | GoesBack:
    """Read a request to log in. Raises `Faulty` for what is told in a page."""
    client = store.client(said.get("client_id", ""))
    if client is None:
        raise Faulty("invalid_client", "this gateway does not know the client; it has to make itself known again")
    redirect = said.get("redirect_uri", "")
    if not fits(redirect, client.places):
        raise Faulty("invalid_request", "the place that the client wants to be answered at is not one of its own")
    back, fault = said.get("state"), _fault(said, resources)
    if fault is None and client.agent is not None and not store.is_active(client.agent):
        fault = Fault("access_denied", f"agent `{client.agent}` was revoked")
    if fault is None and store.wishes(now_ms) >= WISHES_MAX:
        fault = Fault("temporarily_unavailable", "too many logins wait for a person")
    if fault is None:
        return Wish(client, agent_of(client), redirect, back, said["code_challenge"])
    if not is_local(redirect):
        raise Faulty(fault.code, fault.words)
    return GoesBack(redirect, back, fault)


def _fault(said: dict[str, str], resources: Resources) -> Fault | None:
    if "request" in said or "request_uri" in said:
        return Fault("request_not_supported", "parameters come in the request itself")
    if said.get("response_type") != "code":
        return Fault("unsupported_response_type", "the one response type is `code`")
    if said.get("response_mode", "query") != "query":
        return Fault("invalid_request", "the one response mode is `query`")
    if len(said.get("state", "")) > STATE_CHARACTERS_MAX:
        return Fault("invalid_request", "the state is too long")
    method, challenge = said.get("code_challenge_method"), said.get("code_challenge", "")
    if method != "S256" or _CHALLENGE.fullmatch(challenge) is None:
        return Fault("invalid_request", "a challenge by S256 is needed (RFC 7636)")
    if said.get("prompt") == "none":
        return Fault("interaction_required", "a person is asked for each login")
    return target_fault(said, resources) or scope_fault(said)


def target_fault(said: dict[str, str], resources: Resources) -> Fault | None:
    """What is asked for is this gateway, where anything is named (RFC 8707): there is nothing else to be had here."""
    if "resource" in said and not resources.is_one(said["resource"]):
        return Fault("invalid_target", "the resource is not this gateway")
    return None


def scope_fault(said: dict[str, str]) -> Fault | None:
    """There is one scope: what an agent may do is for the policy to say."""
    asked = said.get("scope", SCOPE).split()
    return None if SCOPE in asked else Fault("invalid_scope", f"the one scope is `{SCOPE}`")


def grant(store: Logins, wish: WishRow, approver: str, now_ms: int) -> bool:
    """A person said yes. False where the agent was revoked meanwhile, or the wish is over."""
    with store.whole():
        if not store.act_as(wish.client, wish.agent, now_ms):
            store.turn(wish.handle, "asked", "refused")
            return False
        return store.turn(wish.handle, "asked", "granted", approver)


def fetch(store: Logins, wish: WishRow, now_ms: int) -> str | None:
    """The code of a wish that was granted, once."""
    code = secret("ilc_")
    with store.whole():
        if wish.approver is None or not store.turn(wish.handle, "granted", "fetched"):
            return None
        store.put_code(
            CodeRow(
                digest_of(code),
                wish.client,
                wish.redirect,
                wish.challenge,
                wish.audience,
                wish.scope,
                wish.uid,
                wish.agent,
                wish.approver,
                now_ms + CODE_MS_MAX,
            )
        )
    return code
