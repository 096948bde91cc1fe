"""Yeses for the session that are in force: those of the sessions that run, and taking one back. The sessions keep them;
there is no other list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from interlock.app.run import outer_session
from interlock.host.control import revoke, running_sessions, show
from interlock.vocabulary.errors import EXIT_REFUSED, OperatorError, PeerError
from interlock.vocabulary.json_value import is_object, list_at, object_at

if TYPE_CHECKING:
    from interlock.storage.home import Home
    from interlock.vocabulary.json_value import JsonObject


class Held(NamedTuple):
    """One yes: its id, the session that it holds in, the place that it is about, who gave it and until when."""

    id: str
    session: str
    reach: JsonObject
    approver: str
    expires_ms: int


def held(home: Home) -> list[Held]:
    """All that are in force, by session. One that does not answer has none that could be used."""
    found: list[Held] = []
    for session in running_sessions(home.runtime):
        try:
            grants = list_at(show(home.runtime, session), "grants")
        except PeerError:
            continue
        found += [_held(session, grant) for grant in grants if is_object(grant)]
    return found


def take_back(home: Home, identity: str) -> Held:
    """Take back the yes that `identity` names (a beginning that fits one only will do), and any other to its place.

    Raises `OperatorError` inside a session, and when no such yes is in force.
    """
    if outer_session() is not None:
        raise OperatorError(
            "a yes is taken back outside the session that it belongs to",
            hint="use another terminal, one that no `interlock run` holds",
            exit_code=EXIT_REFUSED,
        )
    fitting = [each for each in held(home) if each.id.startswith(identity)]
    if len(fitting) != 1 or not identity or not revoke(home.runtime, fitting[0].session, fitting[0].id):
        what = "fits more than one yes" if len(fitting) > 1 else "is no yes for a session that is in force"
        raise OperatorError(f"`{identity}` {what}", hint="see: interlock approvals held")
    return fitting[0]


def _held(session: str, grant: JsonObject) -> Held:
    expires_ms = grant.get("expires_ms")
    until = expires_ms if isinstance(expires_ms, int) else 0
    return Held(str(grant.get("id")), session, object_at(grant, "reach"), str(grant.get("approver")), until)
