"""Choosing records: by decision, verb, rule, time; and the flat object that `ledger query --json` prints for each."""

from __future__ import annotations

import datetime
import fnmatch
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interlock.ledger.reader import Record

_SPAN = re.compile(r"(\d{1,9})([smhd])\Z")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class Filter:
    """What a record must be. None asks for nothing.

    Arguments:
        decision: `allow`, `steer`, `approve` or `deny`.
        verb: a verb, or a pattern such as `file.*`.
        rule: `layer/id`, or the id alone.
        since: RFC 3339 in UTC; earlier records are left out.
        type: a record type, or a pattern.
    """

    decision: str | None = None
    verb: str | None = None
    rule: str | None = None
    since: str | None = None
    type: str | None = None

    def takes(self, record: Record) -> bool:
        """True if the record is asked for. Only decisions have a decision, a verb and rules."""
        value = record.value
        if self.since is not None and str(value.get("time")) < self.since:
            return False
        if self.type is not None and not fnmatch.fnmatchcase(record.type, self.type):
            return False
        asks_decision = self.decision is not None or self.verb is not None or self.rule is not None
        if not asks_decision:
            return self.type is not None or record.type == "action.decided"
        if record.type != "action.decided":
            return False
        decision, action = _object(value, "decision"), _object(value, "action")
        return (
            (self.decision is None or decision.get("decision") == self.decision)
            and (self.verb is None or fnmatch.fnmatchcase(str(action.get("verb")), self.verb))
            and (
                self.rule is None
                or any(self.rule in (rule, rule.rpartition("/")[2]) for rule in decision.get("rules", []))
            )
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


def row(record: Record) -> dict[str, Any]:
    """One record as a flat object: time, type and record always; for a decision also verb, target, decision, rules."""
    value = record.value
    flat = {key: value.get(key) for key in ("time", "type", "session", "record")} | {"log": record.log}
    if record.type != "action.decided":
        taken = {"v", "tick", "mac", *flat}
        return flat | {key: item for key, item in value.items() if key not in taken}
    decision, action = _object(value, "decision"), _object(value, "action")
    return flat | {
        "id": action.get("id"),
        "plane": action.get("plane"),
        "verb": action.get("verb"),
        "target": target(action),
        "decision": decision.get("decision"),
        "rules": decision.get("rules", []),
        "because": decision.get("because"),
        "agent": value.get("agent") or _object(action, "subject").get("agent"),
        "trace": value.get("trace"),
        "parent": value.get("parent"),
        "details": action.get("target"),
    }


def target(action: dict[str, Any]) -> Any:
    """What the action is about, in one value: a path, two paths, an address, a tool, a process."""
    about = _object(action, "target")
    if isinstance(about.get("to"), dict):
        return [about.get("path"), about["to"].get("path")]
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


def _object(value: dict[str, Any], key: str) -> dict[str, Any]:
    found = value.get(key)
    return found if isinstance(found, dict) else {}
