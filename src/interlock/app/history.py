"""What happened, from the record: finds a session's log, the gateway's logs and the sessions of tool servers.
Reading is `interlock.ledger`.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from interlock.storage.home import Home
from interlock.vocabulary.denial import Denial, DenialsTold
from interlock.vocabulary.errors import OperatorError
from interlock.vocabulary.printable import printable, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

Record = dict[str, Any]
#: `s-20261121T130102`: what an id says of its time.
_SECOND_CHARACTERS: Final = 17
#: Other sessions looked through for those that a session's tool calls reached.
RELATED_SESSIONS_MAX: Final = 500
#: Records of one log that a view reads; the rest is `interlock ledger query`.
RECORDS_MAX: Final = 200_000


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
    return str(opening(home, session).get("time") or "")


def resolve(home: Home, name: str) -> str:
    """A session by id, by a prefix that fits one only, or `last`: the last that a person started, not the gateway for
    a tool server. Raises `OperatorError` when there is none.
    """
    found = session_ids(home)
    if name == "last":
        last = next((session for session in reversed(found) if not opening(home, session).get("parent")), None)
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


def records(directory: str) -> list[Record]:
    """The records of one log, in order, as far as it can be read."""
    return [record for record, _ in zip(_read(directory), range(RECORDS_MAX), strict=False)]


def every_record(home: Home, session: str) -> Iterator[Record]:
    """The records of a session, in order, however many there are."""
    return _read(f"{home.sessions}/{session}")


def last_denials(name: str, *, count: int | None) -> DenialsTold:
    """The last `count` denials of a session, or all, from its record."""
    from interlock.app.own_layers import own_layers

    home = Home.from_environment()
    session = resolve(home, name)
    every = records(f"{home.sessions}/{session}")
    asked = {record.get("action") for record in every if record.get("type") == "approval.asked"}
    found = [record for record in every if is_denial(record)]
    workspace = text_of(opening(home, session).get("workspace"))
    files = {layer.name: layer.path for layer in own_layers(home, workspace)}
    shown = found if count is None else found[-count:]
    return DenialsTold(session, files, tuple(Denial.read(_denial(record, asked)) for record in shown))


def one_denial(identity: str) -> DenialsTold:
    """One denial, `SESSION:RECORD`. Raises `OperatorError` when there is none of that name."""
    from interlock.app.own_layers import own_layers

    home = Home.from_environment()
    name, _, number = identity.rpartition(":")
    if not number.isdecimal():
        raise OperatorError(
            f"`{printable(identity)}` names no denial", hint="SESSION:RECORD as `interlock why` prints it"
        )
    session = resolve(home, name or "last")
    record = denied_action(session, int(number), home)
    every = records(f"{home.sessions}/{session}")
    asked = {each.get("action") for each in every if each.get("type") == "approval.asked"}
    workspace = text_of(opening(home, session).get("workspace"))
    files = {layer.name: layer.path for layer in own_layers(home, workspace)}
    return DenialsTold(session, files, (Denial.read(_denial(record, asked)),))


def denied_action(session: str, number: int, home: Home) -> Record:
    """The record of one denial. Raises `OperatorError` when that record is none."""
    for record in _read(f"{home.sessions}/{session}"):
        if record.get("record") == number and is_denial(record):
            return record
    raise OperatorError(f"record {number} of `{session}` is not a denial", hint="interlock why lists them")


def is_denial(record: Record) -> bool:
    """Whether a record is a decision to deny, or of a call that no policy opens."""
    if record.get("type") == "call.refused":
        return True
    decision = record.get("decision")
    return record.get("type") == "action.decided" and isinstance(decision, dict) and decision.get("decision") == "deny"


def story(home: Home, session: str) -> tuple[dict[str, list[Record]], list[Record]]:
    """The records that a tree of `session` is drawn from: of it and of the sessions it reached, by id; and of the
    gateway's logs.
    """
    gateway = [record for log in _gateway_logs(home) for record in records(log)]
    own = records(f"{home.sessions}/{session}")
    calls = {
        record["action"].get("id")
        for record in gateway
        if record.get("type") == "action.decided" and isinstance(record.get("action"), dict)
    }
    sessions = {session: own}
    if calls:
        for other in session_ids(home)[-RELATED_SESSIONS_MAX:]:
            if other != session and (found := records(f"{home.sessions}/{other}")) and _is_reached(found, calls):
                sessions[other] = found
    return sessions, gateway


def opening(home: Home, session: str) -> Record:
    """The `session.opened` record, or nothing of it when the log cannot be read."""
    for record, _ in zip(_read(f"{home.sessions}/{session}"), range(8), strict=False):
        if record.get("type") == "session.opened":
            return record
    return {}


def is_closed(home: Home, session: str) -> bool:
    """Whether a session's own supervisor recorded its end, and so the end of its processes. A log that was completed
    after its writer was killed (spec/record.md) says nothing of them.
    """
    import json
    from pathlib import Path

    from interlock.ledger.reader import last

    try:
        found = json.loads(last(Path(home.sessions, session)) or b"{}")
    except (OSError, ValueError):
        return False
    return found.get("type") == "session.closed" and found.get("runs_later") is not None


def _is_reached(found: list[Record], calls: set[Any]) -> bool:
    return any(_parent(record) in calls for record in found)


def _parent(record: Record) -> Any:
    parent = record.get("parent")
    return parent.get("action") if isinstance(parent, dict) else parent


def _gateway_logs(home: Home) -> list[str]:
    try:
        return [f"{home.gateway_logs}/{name}" for name in sorted(os.listdir(home.gateway_logs))]
    except FileNotFoundError:
        return []


def _denial(record: Record, asked: set[Any]) -> Record:
    if record.get("type") == "call.refused":
        return {
            "time": record.get("time"),
            "verb": "call",
            "target": {"call": record.get("call")},
            "asked": False,
            "rules": ["guard/built-in"],
            "layers": ["guard"],
            "because": f"{record.get('because')}; no policy opens it",
            "record": record.get("record"),
        }
    action, decision = record.get("action") or {}, record.get("decision") or {}
    return {
        "time": record.get("time"),
        "verb": action.get("verb"),
        "target": action.get("target"),
        "asked": action.get("id") in asked,
        "rules": decision.get("rules"),
        "layers": decision.get("layers"),
        "because": decision.get("because"),
        "record": record.get("record"),
    }


def _read(directory: str) -> Iterator[Record]:
    from interlock.ledger import reader

    return (record.value for record in reader.records(directory))
