"""What a rule of Rego answered, as findings.

Taken are the forms that policies for OPA have: a boolean (`allow`), a list or set of texts (`deny[msg]`), an object
with `allow` and perhaps a reason, and a list of findings in full, `{"decision": "deny", "id": "…", "because": "…"}`.
Everything else is an error: an answer that is nearly one of these must not pass for consent.
"""

from __future__ import annotations

import re
from typing import Final

from interlock.vocabulary.facts import Finding
from interlock.vocabulary.json_value import is_object
from interlock.vocabulary.printable import printable

FINDINGS_MAX: Final = 100
BECAUSE_CHARACTERS_MAX: Final = 500
TIMEOUT_MS_MAX: Final = 24 * 3_600_000
#: The id of what has none of its own.
OWN: Final = "rego"
_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,99}\Z", re.ASCII)
_REASONS: Final = ("because", "reason", "msg", "message")
_KEYS: Final = frozenset({"decision", "id", "timeout_ms", *_REASONS})


def error(why: str) -> Finding:
    """It could not be heard, so it denies."""
    return Finding("error", OWN, printable(why, BECAUSE_CHARACTERS_MAX))


def findings_of(value: object, query: str) -> tuple[Finding, ...]:
    """Read an answer. `query` is the rule that was asked."""
    if isinstance(value, bool):
        return () if value else (Finding("deny", OWN, f"`{query}` is false"),)
    if is_object(value) and isinstance(value.get("allow"), bool):
        return () if value["allow"] else (Finding("deny", OWN, _reason(value) or f"`{query}` does not allow it"),)
    if not isinstance(value, list):
        return (error(f"`{query}` is {_kind(value)}, which says neither yes nor no"),)
    if len(value) > FINDINGS_MAX:
        return (error(f"`{query}` has more than {FINDINGS_MAX} findings"),)
    return tuple(_one(each, query) for each in value)


def _one(value: object, query: str) -> Finding:
    if isinstance(value, str):
        return Finding("deny", OWN, printable(value, BECAUSE_CHARACTERS_MAX) or None)
    if not is_object(value):
        return error(f"`{query}` holds {_kind(value)}, which is not a finding")
    unknown = sorted(set(value) - _KEYS)
    if unknown:
        return error(f"a finding of `{query}` has `{printable(unknown[0], 60)}`, which is not known")
    says, name, timeout_ms = value.get("decision", "deny"), value.get("id", OWN), value.get("timeout_ms")
    if says not in ("deny", "approve"):
        return error(f"a finding of `{query}` says neither `deny` nor `approve`")
    if not isinstance(name, str) or not _ID.match(name):
        return error(f"the id of a finding of `{query}` is not made of a-z, 0-9 and `-`")
    if timeout_ms is not None and (says != "approve" or not _is_timeout(timeout_ms)):
        return error(f"`timeout_ms` of a finding of `{query}` is not a time that somebody could be waited for")
    return Finding(str(says), name, _reason(value), timeout_ms if isinstance(timeout_ms, int) else None)


def _is_timeout(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= TIMEOUT_MS_MAX


def _reason(value: dict[str, object]) -> str | None:
    texts = (value[key] for key in _REASONS if isinstance(value.get(key), str))
    return printable(str(next(texts, "")), BECAUSE_CHARACTERS_MAX) or None


def _kind(value: object) -> str:
    return "null" if value is None else "an object" if is_object(value) else f"a {type(value).__name__}"
