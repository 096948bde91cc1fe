"""Choosing entries: by decision, verb, rule, time; and the flat object that `ledger query --json` prints for each."""

from __future__ import annotations

import datetime
import fnmatch
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from interlock.vocabulary.json_value import object_at

if TYPE_CHECKING:
    from interlock.ledger.event import Event
    from interlock.ledger.reader import Entry
    from interlock.vocabulary.json_value import JsonObject

_SPAN: Final = re.compile(r"(\d{1,9})([smhd])\Z")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class Filter:
    """What an event must be. None asks for nothing.

    Arguments:
        decision: `allow`, `steer`, `approve` or `deny`.
        verb: a verb, or a pattern such as `file.*`.
        rule: `layer/id`, or the id alone.
        since: RFC 3339 in UTC; earlier events are left out.
        type: a type of event, or a pattern.
    """

    decision: str | None = None
    verb: str | None = None
    rule: str | None = None
    since: str | None = None
    type: str | None = None

    def takes(self, event: Event) -> bool:
        """Whether the event is asked for. Only decisions have a decision, a verb and rules."""
        if self.since is not None and event.time < self.since:
            return False
        if self.type is not None and not fnmatch.fnmatchcase(event.type, self.type):
            return False
        if not (self.decision or self.verb or self.rule):
            return self.type is not None or event.is_decision
        return event.is_decision and (
            (self.decision is None or event.says == self.decision)
            and (self.verb is None or fnmatch.fnmatchcase(event.verb, self.verb))
            and (self.rule is None or any(self.rule in (rule, rule.rpartition("/")[2]) for rule in event.rules))
        )


def since(text: str, now: datetime.datetime) -> str:
    """`15m`, `2h`, `3d` before `now`, or an RFC 3339 time, as records write it. Raises ValueError."""
    span = _SPAN.match(text)
    moment = (
        now - datetime.timedelta(seconds=int(span[1]) * _SECONDS[span[2]])
        if span
        else datetime.datetime.fromisoformat(text)
    )
    aware = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
    return aware.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def row(entry: Entry) -> JsonObject:
    """One entry as a flat object: time, type and record always; for a decision also verb, target, decision, rules."""
    event, document = entry.event, entry.event.document
    flat = {key: document.get(key) for key in ("time", "type", "session", "record")} | {"log": entry.log}
    if not event.is_decision:
        taken = {"v", "tick", "mac", *flat}
        return flat | {key: item for key, item in document.items() if key not in taken}
    return flat | {
        "id": event.action_id,
        "plane": event.action.get("plane"),
        "verb": event.action.get("verb"),
        "target": target(event.action),
        "decision": event.says,
        "rules": list(event.rules),
        "because": event.because,
        "agent": document.get("agent") or event.subject.get("agent"),
        "trace": document.get("trace"),
        "parent": document.get("parent"),
        "details": event.action.get("target"),
    }


def target(action: JsonObject) -> object:
    """What the action is about, in one value: a path, two paths, an address, a tool, a process."""
    about = object_at(action, "target")
    if isinstance(about.get("to"), dict):
        return [about.get("path"), object_at(about, "to").get("path")]
    if "path" in about:
        return about["path"]
    if "address" in about:
        host = f"[{about['address']}]" if ":" in str(about["address"]) else about["address"]
        return f"{host}:{about.get('port')}"
    if "connector" in about:
        return f"{about['connector']}/{about.get('tool') or about.get('name')}"
    for key in ("abstract", "process"):
        if about.get(key) is not None:
            return f"{key}:{about[key]}"
    return about or None
