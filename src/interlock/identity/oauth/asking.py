"""The question about a login, as a person finds it at the inbox: who asks, as which agent, where the answer goes, and
what the page shows. It is no agent's act, and no rule of the policy speaks of it (as of definitions, docs/adr/0044)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from interlock.identity.oauth.clients import DOCUMENT, ITSELF, place_of
from interlock.vocabulary.decision import Decision
from interlock.vocabulary.json_text import canonical
from interlock.vocabulary.question import Question

if TYPE_CHECKING:
    from interlock.mediate.ports import Clock
    from interlock.storage.logins import ClientRow, WishRow
    from interlock.vocabulary.json_text import JsonObject


def question_about(wish: WishRow, client: ClientRow, *, session: str, clock: Clock) -> Question:
    """The question."""
    nonce, now_ms = clock.nonce(), clock.now_ms()
    names = {ITSELF: "the client's own words", DOCUMENT: f"as {client.id} says"}
    named = names.get(client.by, f"made known by {client.by}")
    arguments: JsonObject = {
        "client": client.name,
        "name": named,
        "agent": wish.agent,
        "scope": wish.scope,
        "answer goes to": place_of(wish.redirect),
        "redirect": wish.redirect,
        "on the page": wish.words,
    }
    action: JsonObject = {
        "id": f"{session}/l-{nonce[:8]}",
        "nonce": nonce,
        "plane": "gateway",
        "verb": "client.login",
        "target": {"connector": "gateway", "tool": wish.agent, "operation": "admin", "arguments": arguments},
        "subject": {"agent": None, "session": session, "task": None, "process": None},
    }
    because = f"a client that calls itself `{client.name}` wants to log in as agent `{wish.agent}`; page: {wish.words}"
    return Question(
        id=wish.question,
        session=session,
        asker="gateway",
        agent=None,
        digest=hashlib.sha256(canonical(action)).hexdigest(),
        action=action,
        decision={**Decision.own_denial(because).document, "decision": "approve"},
        asked_ms=now_ms,
        expires_ms=now_ms + wish.expires_ms - clock.steady_ms(),
    )
