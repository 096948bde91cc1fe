"""The one engine, asked from Python. Conversions only: what is decided, and how, is `crates/interlock-core`'s."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from interlock.vocabulary.errors import HostError, OperatorError
from interlock.vocabulary.label_places import LABEL_PLACES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from interlock._native import Policy
    from interlock.policy.loading import Compiled
    from interlock.vocabulary.json_value import JsonObject


def native() -> ModuleType:
    """The engine's module. Raises `HostError` when this installation lacks it."""
    try:
        from interlock import _native
    except ImportError as error:
        raise HostError(
            "the native engine is not part of this installation",
            hint="reinstall Interlock from a wheel, or build it: pip install . (needs a Rust toolchain)",
        ) from error
    return _native


def engine(compiled: Compiled) -> Policy:
    """The compiled policy, ready to decide. Raises `HostError` when this installation lacks the native module."""
    ready: Policy = native().Policy(compiled.json)
    return ready


def decide_line(policy: Policy, line: str, number: int, flowing: Sequence[str] = ()) -> str:
    """One `{"action": …, "facts": …}` to one Decision. `flowing`: the layers that find flows alone. Raises
    `OperatorError`, naming the line, when it is not such a line.
    """
    from interlock import _native

    try:
        return policy.decide_many([_with_facts(line, flowing)])[0]
    except _native.NativeError as error:
        raise OperatorError(
            f"line {number} cannot be decided: {error}",
            hint='each line is {"action": …} as in spec/action.md; `facts` may be left out',
        ) from error


def _with_facts(line: str, flowing: Sequence[str]) -> str:
    """Without facts of its own, an act is upon what was there before the session, a name that it makes is new, and
    where it tells of no content, no guarded key changes; a call scores 0, its agent has read nothing, and nothing
    flows. With facts it is decided as it is: as a record has it.
    """
    try:
        asked = json.loads(line, object_pairs_hook=_once)
    except ValueError:
        return line
    action = asked.get("action") if isinstance(asked, dict) else None
    if not isinstance(action, dict) or "facts" in asked:
        return line
    _keep_keys(action)
    made = action.get("verb") in ("file.create", "file.mknod")
    known = {"origin": "session" if made else "before", "origin_to": "session", "history": "none", "history_to": "none"}
    read: JsonObject = {place: [] for place in LABEL_PLACES}
    found: JsonObject = {"findings": {layer: [] for layer in flowing}} if flowing else {}
    return json.dumps({**asked, "facts": {**known, "risk": 0, "labels": read, **found}})


def _keep_keys(action: JsonObject) -> None:
    target = action.get("target")
    if str(action.get("verb")).startswith("file.") and isinstance(target, dict):
        for end in (target, target.get("to")):
            if isinstance(end, dict):
                end.setdefault("content", unchanged())


def unchanged() -> JsonObject:
    """Content by which no key changes, however a file is read (`spec/action.md`)."""
    formats: list[str] = json.loads(native().policy_language())["formats"]
    return {"read": {form: {"changes": []} for form in formats}}


def _once(pairs: list[tuple[str, object]]) -> JsonObject:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is repeated")
    return found
