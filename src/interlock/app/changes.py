"""What a session changed that something outside would run later: from the record of its end; for one that was killed
or still runs, from its record of changes. The looking is the supervisor's, which does the same at every end.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from interlock.vocabulary.changes import Changes, changes_of
from interlock.vocabulary.errors import HostError
from interlock.vocabulary.json_value import list_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interlock.ledger.event import Event
    from interlock.storage.home import Home
    from interlock.vocabulary.json_value import JsonObject

#: How long looking may take, in seconds: it is bounded by itself, a slow disk is not.
_SECONDS_MAX: Final = 120
_ALLOWS: Final = "allow"


def changes(home: Home, session: str) -> Changes:
    """What a session changed that would run later. Raises `HostError` when that cannot be worked out."""
    from interlock.app.history import every_event

    more: list[JsonObject] = []
    for event in every_event(home, session):
        if event.type == "session.changed":
            more.append(event.document)
        elif event.type == "session.closed" and isinstance(event.document.get("runs_later"), list):
            return changes_of(event.document, more)
    return _from_changes(home, session)


def _from_changes(home: Home, session: str) -> Changes:
    from interlock.app.history import opening
    from interlock.app.policies import runs_later
    from interlock.storage.home import user_home

    opened = opening(home, session)
    if opened is None or opened.workspace is None:
        return Changes(is_from_changes=True)
    human_home, host = user_home(), opened.document.get("host")
    start: JsonObject = {
        "runs_later": runs_later(home, workspace=opened.workspace, human_home=human_home),
        "workspace": opened.document["workspace"],
        "home": human_home,
        "private_places": (host.get("private_places") if isinstance(host, dict) else None) or [],
    }
    found = _looked_at(start, _done(home, session))
    return changes_of(found)._replace(is_from_changes=True)


def _done(home: Home, session: str) -> Iterator[JsonObject]:
    """The file acts that were allowed and are not known to have failed, in order: `verb` and `target`."""
    from interlock.app.history import every_event

    failed = {number for event in every_event(home, session) for number in _failed(event)}
    for event in every_event(home, session):
        is_change = event.verb.startswith("file.") and event.verb != "file.read"
        if is_change and event.says == _ALLOWS and event.number not in failed:
            yield {"verb": event.verb, "target": event.action.get("target")}


def _failed(event: Event) -> Iterator[int]:
    """The numbers of the decided acts that a `routine` record says failed."""
    for effect in list_at(event.document, "effects") if event.type == "routine" else ():
        match effect:
            case [int(number), ended] if ended not in (0, "unknown"):
                yield number


def _looked_at(start: JsonObject, acts: Iterator[JsonObject]) -> JsonObject:
    import subprocess  # here, since `run` asks this module at every end and looks at a record after few

    from interlock.host.executable import find_supervisor

    lines = "".join(f"{json.dumps(each)}\n" for each in [start, *acts])
    try:
        done = subprocess.run(
            [find_supervisor(), "--changes"],
            input=lines,
            capture_output=True,
            text=True,
            timeout=_SECONDS_MAX,
            check=True,
        )
        found: JsonObject = json.loads(done.stdout)
    except subprocess.CalledProcessError as error:
        raise HostError(f"the record of changes was not understood: {error.stderr.strip()}") from error
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        raise HostError(f"the record of changes could not be looked at: {error}") from error
    return found
