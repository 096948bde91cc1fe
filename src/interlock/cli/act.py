"""An act in one line: verb and resolved target, made printable; for notices, listings and trees."""

from __future__ import annotations

import os
from typing import Any

from interlock.vocabulary.printable import printable, shell_words, text_of

Message = dict[str, Any]


def act_text(action: object) -> str:
    """Verb and resolved target in one line, for any verb."""
    if not isinstance(action, dict):
        return "(unknown act)"
    target = action.get("target")
    verb = printable(str(action.get("verb")))
    return f"{verb} {_target(target)}".rstrip() if isinstance(target, dict) else verb


def _target(target: Message) -> str:
    if isinstance(target.get("arguments"), list):
        program = short(text_of(target.get("path")))
        words = [text_of(word) for word in target["arguments"][1:]]
        return f"{program} {shell_words(words, 120)}".rstrip()
    if "address" in target:
        address = str(target.get("address"))
        shown = f"[{address}]" if ":" in address else address
        return printable(f"{shown}:{target.get('port')}/{target.get('protocol')}")
    if "signal" in target or "process" in target:
        return printable(f"{target.get('signal', '')} to process {target.get('process')} ({target.get('to')})".strip())
    if "connector" in target:
        return printable(f"{target.get('connector')}/{target.get('tool') or target.get('name') or ''}")
    if "call" in target:
        return printable(str(target["call"]))
    if "abstract" in target:
        return printable(f"@{text_of(target['abstract'])}")
    source = short(text_of(target.get("path")))
    destination = target.get("to")
    return f"{source} to {short(text_of(destination.get('path')))}" if isinstance(destination, dict) else source


def short(path: str) -> str:
    """A path for a line: the home as `~`, made printable."""
    home = os.environ.get("HOME", "")
    if len(home) > 1 and (path == home or path.startswith(f"{home}/")):
        path = f"~{path[len(home) :]}"
    return printable(path)
