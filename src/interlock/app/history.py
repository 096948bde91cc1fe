"""What happened, from the ledger: finds a session's log, the gateway's logs and the sessions of tool servers.
Reading is `interlock.ledger`.
"""

from __future__ import annotations

import os
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Final

from interlock.storage.home import Home
from interlock.vocabulary.denial import Denial, DenialsTold
from interlock.vocabulary.errors import OperatorError
from interlock.vocabulary.json_value import object_at
from interlock.vocabulary.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from interlock.ledger.event import Event
    from interlock.vocabulary.json_value import JsonObject

#: `s-20261121T130102`: what an id says of its time.
_SECOND_CHARACTERS: Final = 17
#: Other sessions looked through for those that a session's tool calls reached.
RELATED_SESSIONS_MAX: Final = 500
#: Events of one log that a view reads; the rest is `interlock ledger query`.
EVENTS_MAX: Final = 200_000


def session_ids(home: Home) -> list[str]:
    """Every session with a log, oldest first: by the second in its id, within a second by when its log was made."""
    try:
        names = [name for name in os.listdir(home.sessions) if name.startswith("s-")]
    except FileNotFoundError:
        return []
    seconds = Counter(name[:_SECOND_CHARACTERS] for name in names)
    return sorted(
        names,
        key=lambda name: (
            name[:_SECOND_CHARACTERS],
            _made(home, name) if seconds[name[:_SECOND_CHARACTERS]] > 1 else "",
        ),
    )


def _made(home: Home, session: str) -> str:
    opened = opening(home, session)
    return opened.time if opened is not None else ""


def resolve(home: Home, name: str) -> str:
    """A session by id, by a prefix that fits one only, or `last`: the last that a person started, not the gateway for
    a tool server. Raises `OperatorError` when there is none.
    """
    found = session_ids(home)
    if name == "last":
        last = last_of(home, found)
        if last is None:
            raise OperatorError("no session has been recorded yet", hint="start one: interlock run -- COMMAND")
        return last
    fitting = [session for session in found if session == name] or [
        session for session in found if session.startswith(name)
    ]
    if len(fitting) != 1:
        what = "fits more than one session" if fitting else "is not a recorded session"
        raise OperatorError(f"`{name}` {what}", hint="see: interlock session list")
    return fitting[0]


def last_of(home: Home, sessions: Sequence[str]) -> str | None:
    """The last of these that a person started, not the gateway for a tool server. `sessions` are sorted by time."""
    return next((session for session in reversed(sessions) if not _is_of_a_server(home, session)), None)


def _is_of_a_server(home: Home, session: str) -> bool:
    opened = opening(home, session)
    return opened is not None and opened.is_of_a_server


def every_event(home: Home, session: str) -> Iterator[Event]:
    """The events of a session, in order, however many there are."""
    return _read(f"{home.sessions}/{session}")


def last_denials(name: str, *, count: int | None) -> DenialsTold:
    """The last `count` denials of a session, or all, from its log."""
    home = Home.from_environment()
    session = resolve(home, name)
    found, asked = _denials(home, session)
    return _told(home, session, found if count is None else found[-count:], asked)


def one_denial(identity: str) -> DenialsTold:
    """One denial, `SESSION:RECORD`. Raises `OperatorError` when there is none of that name."""
    home = Home.from_environment()
    name, _, number = identity.rpartition(":")
    if not number.isdecimal():
        raise OperatorError(
            f"`{printable(identity)}` names no denial", hint="SESSION:RECORD as `interlock why` prints it"
        )
    session = resolve(home, name or "last")
    found, asked = _denials(home, session)
    return _told(home, session, [_numbered(found, session, int(number))], asked)


def denied_action(session: str, number: int, home: Home) -> Event:
    """The event of one denial. Raises `OperatorError` when that record is none."""
    return _numbered((event for event in every_event(home, session) if event.is_denial), session, number)


def _numbered(denials: Iterable[Event], session: str, number: int) -> Event:
    for event in denials:
        if event.number == number:
            return event
    raise OperatorError(f"record {number} of `{session}` is not a denial", hint="interlock why lists them")


def _denials(home: Home, session: str) -> tuple[list[Event], set[str | None]]:
    """The denials of a session, and the ids of the Actions that a person was asked about."""
    found: list[Event] = []
    asked: set[str | None] = set()
    for event in every_event(home, session):
        if event.is_denial:
            found.append(event)
        elif event.type == "approval.asked":
            asked.add(event.action_id)
    return found, asked


def _told(home: Home, session: str, denials: list[Event], asked: set[str | None]) -> DenialsTold:
    from interlock.app.own_layers import own_layers

    opened = opening(home, session)
    workspace = opened.workspace if opened is not None else None
    files = {layer.name: layer.path for layer in own_layers(home, workspace or "")}
    return DenialsTold(session, files, tuple(Denial.read(_denial(event, asked)) for event in denials))


def story(home: Home, session: str) -> tuple[dict[str, list[Event]], list[Event]]:
    """The events that a tree of `session` is drawn from: of it and of the sessions it reached, by id; and of the
    gateway's logs.
    """
    gateway = [event for log in _gateway_logs(home) for event in _first(log)]
    calls = {event.action_id for event in gateway if event.is_decision and event.action_id is not None}
    sessions = {session: _first(f"{home.sessions}/{session}")}
    if calls:
        for other in session_ids(home)[-RELATED_SESSIONS_MAX:]:
            if other != session:
                found = _first(f"{home.sessions}/{other}")
                if any(event.parent in calls for event in found):
                    sessions[other] = found
    return sessions, gateway


def opening(home: Home, session: str) -> Event | None:
    """The `session.opened` of a session; None when its log has none."""
    from interlock.ledger.reader import opening_of

    return opening_of(every_event(home, session))


def is_closed(home: Home, session: str) -> bool:
    """Whether a session's own supervisor recorded its end, and so the end of its processes. A log that was completed
    after its writer was killed (spec/record.md) says nothing of them.
    """
    from pathlib import Path

    from interlock.ledger.reader import last

    try:
        found = last(Path(home.sessions, session))
    except (OSError, ValueError):
        return False
    return found is not None and found.type == "session.closed" and found.document.get("runs_later") is not None


def _gateway_logs(home: Home) -> list[str]:
    try:
        return [f"{home.gateway_logs}/{name}" for name in sorted(os.listdir(home.gateway_logs))]
    except FileNotFoundError:
        return []


def _denial(event: Event, asked: set[str | None]) -> JsonObject:
    """A denial in the form in which the inside socket tells it (spec/supervisor.md)."""
    if event.type == "call.refused":
        return {
            "time": event.time,
            "verb": "call",
            "target": {"call": event.text("call")},
            "asked": False,
            "rules": ["guard/built-in"],
            "layers": ["guard"],
            "because": f"{event.because}; no policy opens it",
            "record": event.number,
        }
    return {
        "time": event.time,
        "verb": event.verb,
        "target": event.action.get("target"),
        "asked": event.action_id in asked,
        "rules": list(event.rules),
        "layers": list(event.layers),
        "because": event.because,
        "record": event.number,
        "spoke": object_at(event.document, "decision").get("spoke"),
    }


def _first(directory: str) -> list[Event]:
    """The events of one log, in order, as far as a view reads them."""
    return list(islice(_read(directory), EVENTS_MAX))


def _read(directory: str) -> Iterator[Event]:
    from interlock.ledger.reader import entries

    return (entry.event for entry in entries(directory))
