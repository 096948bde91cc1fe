"""A question in words: what would happen, to what, by whom, under which rule, until when. Everything from outside is
made printable.
"""

from __future__ import annotations

import time
import unicodedata
from typing import TYPE_CHECKING, Final

from interlock.vocabulary.printable import printable, shell_words, text_of

if TYPE_CHECKING:
    from interlock.approvals.question import Action, Question

#: The longest value that a prompt shows whole; an act that needs more cannot be approved from the prompt.
WHOLE_CHARACTERS_MAX: Final = 3000
_LABEL_COLUMNS: Final = 11
_WIDTH_MIN, _WIDTH_MAX = 40, 110


def rows(question: Question, *, now_ms: int, limit: int = WHOLE_CHARACTERS_MAX) -> list[tuple[str, str]]:
    """Label and value, in the order a person judges by. Values longer than `limit` characters lose their middle."""
    action, decision = question.action, question.decision
    found = [("act", f"{printable(str(action.get('verb')))} {target_text(action, limit)}".strip())]
    found += _details(action, limit)
    found += [
        ("rule", printable(", ".join(map(str, decision.get("rules") or ["(none)"])))),
        ("because", printable(str(decision.get("because") or ""), 1000)),
        ("who", _who(question)),
        ("waits", _deadline(question, now_ms)),
    ]
    return [(label, value) for label, value in found if value]


def target_text(action: Action, limit: int = WHOLE_CHARACTERS_MAX) -> str:
    """The resolved target in one line, for any verb of either plane."""
    target = action.get("target")
    if not isinstance(target, dict):
        return ""
    if "connector" in target:
        return printable(f"{target.get('connector')}/{target.get('tool') or target.get('name') or ''}", limit)
    if "address" in target:
        return printable(f"{target.get('address')} port {target.get('port')} ({target.get('protocol')})", limit)
    if "signal" in target or "process" in target:
        number = f"signal {target['signal']} " if "signal" in target else ""
        return printable(f"{number}to process {target.get('process')} ({target.get('to')})", limit)
    source = target.get("path", target.get("abstract"))
    shown = printable(text_of(source), limit) if source is not None else ""
    destination = target.get("to")
    if isinstance(destination, dict):
        return f"{shown} to {printable(text_of(destination.get('path')), limit)}"
    return shown


def is_whole(question: Question) -> bool:
    """Whether nothing is cut in what `rows` shows."""
    return (
        all("more)…" not in value for _, value in rows(question, now_ms=0))
        and len(str(question.action)) < 4 * WHOLE_CHARACTERS_MAX
    )


def layout(found: list[tuple[str, str]], *, columns: int) -> list[str]:
    """Lines no wider than the terminal; what continues is marked, so that a long value cannot pose as the next row."""
    width = max(_WIDTH_MIN, min(columns, _WIDTH_MAX)) - _LABEL_COLUMNS - 3
    lines: list[str] = []
    for label, value in found:
        for number, piece in enumerate(_wrapped(value, width)):
            head = label if number == 0 else ""
            lines.append(f"  {head:<{_LABEL_COLUMNS - 2}}{'  ' if number == 0 else '| '}{piece}")
    return lines


def _details(action: Action, limit: int) -> list[tuple[str, str]]:
    target = action.get("target")
    if not isinstance(target, dict):
        return []
    arguments = target.get("arguments")
    if isinstance(arguments, list):
        words = shell_words([text_of(word) for word in arguments], limit)
        return [
            ("arguments", words),
            ("in", printable(text_of(target["directory"]), limit) if "directory" in target else ""),
        ]
    if isinstance(arguments, dict):
        import json

        found = [("arguments", printable(json.dumps(arguments, ensure_ascii=False), limit))]
        return [("operation", printable(str(target.get("operation") or ""))), *found]
    aliases = target.get("aliases") or []
    return [("also known", printable(", ".join(text_of(alias) for alias in aliases), limit))] if aliases else []


def _who(question: Question) -> str:
    subject = question.action.get("subject")
    process = subject.get("process") if isinstance(subject, dict) else None
    parts = [f"agent {question.agent}" if question.agent else "", f"session {question.session}"]
    if isinstance(process, dict):
        parts.append(f"process {process.get('id')} ({text_of(process.get('program'))})")
    return printable(", ".join(part for part in parts if part))


def _deadline(question: Question, now_ms: int) -> str:
    left = max(0, question.expires_ms - now_ms) // 1000
    clock = time.strftime("%H:%M:%S", time.localtime(question.expires_ms / 1000))
    return f"until {clock} ({left} s); no answer is a no"


def _wrapped(text: str, width: int) -> list[str]:
    pieces, piece, used = [], "", 0
    for character in text:
        columns = 2 if unicodedata.east_asian_width(character) in "WF" else 0 if unicodedata.combining(character) else 1
        if used + columns > width:
            pieces.append(piece)
            piece, used = "", 0
        piece += character
        used += columns
    return [*pieces, piece]
