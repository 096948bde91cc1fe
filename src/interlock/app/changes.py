"""What a session changed that something outside would run later: from the record of its end; for one that was killed
or still runs, from its record of changes. The looking is the supervisor's, which does the same at every end.
"""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Final

from interlock.vocabulary.changes import Changes, changes_of
from interlock.vocabulary.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interlock.storage.home import Home
    from interlock.vocabulary.json_value import JsonObject

#: How long looking may take, in seconds: it is bounded by itself, a slow disk is not.
_SECONDS_MAX: Final = 120
_ALLOWS: Final = "allow"


def changes(home: Home, session: str) -> Changes:
    """What a session changed that would run later. Raises `HostError` when that cannot be worked out."""
    from interlock.app.history import every_record

    more: list[JsonObject] = []
    for record in every_record(home, session):
        if record.get("type") == "session.changed":
            more.append(record)
        elif record.get("type") == "session.closed" and isinstance(record.get("runs_later"), list):
            return changes_of(record, more)
    return _from_changes(home, session)


def _from_changes(home: Home, session: str) -> Changes:
    from interlock.app.history import opening
    from interlock.app.policies import runs_later
    from interlock.storage.home import user_home
    from interlock.vocabulary.printable import text_of

    workspace = opening(home, session).get("workspace")
    if workspace is None:
        return Changes(is_from_changes=True)
    human_home = user_home()
    start: JsonObject = {
        "runs_later": runs_later(home, workspace=text_of(workspace), human_home=human_home),
        "workspace": workspace,
        "home": human_home,
    }
    found = _looked_at(start, _done(home, session))
    return changes_of(found)._replace(is_from_changes=True)


def _done(home: Home, session: str) -> Iterator[JsonObject]:
    """The file acts that were allowed and are not known to have failed, in order: `verb` and `target`."""
    from interlock.app.history import every_record

    failed: set[int] = set()
    for record in every_record(home, session):
        if record.get("type") == "routine":
            failed.update(number for number, ended in record.get("effects") or [] if ended not in (0, "unknown"))
    for record in every_record(home, session):
        action, decision = record.get("action"), record.get("decision")
        if record.get("type") != "action.decided" or not isinstance(action, dict) or not isinstance(decision, dict):
            continue
        is_change = str(action.get("verb")).startswith("file.") and action.get("verb") != "file.read"
        if is_change and decision.get("decision") == _ALLOWS and record.get("record") not in failed:
            yield {"verb": action["verb"], "target": action.get("target")}


def _looked_at(start: JsonObject, acts: Iterator[JsonObject]) -> JsonObject:
    from interlock.host.supervisor import find_supervisor

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
