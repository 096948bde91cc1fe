"""The one-line denial for the human: what, where, which rule, why; rate limited, made printable. The face of
`interlock run`.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Final

from interlock.vocabulary.printable import printable, shell_words, text_of

if TYPE_CHECKING:
    from collections.abc import Callable

Message = dict[str, Any]
#: Notices at once, and one more after each interval. What is not shown is counted, recorded, and shown by `why`.
BURST: Final = 8
INTERVAL_SECONDS: Final = 0.5
#: The same denial is not shown again within this time.
REPEAT_SECONDS: Final = 10.0
#: Warnings of the policy shown at the start.
WARNINGS_MAX: Final = 3
#: Denials kept for the report at the end.
KEPT_MAX: Final = 100
_REMEMBERED_MAX: Final = 1000


class NoticeFace:
    """Collects the session's denials and words the notices."""

    def __init__(self, *, quiet: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._quiet = quiet
        self._clock = clock
        self._room = float(BURST)
        self._last = clock()
        self._seen: dict[str, float] = {}
        self._warned = 0
        self.denied_count = 0
        self.not_shown = 0
        self.denials: list[Message] = []

    def warn(self, text: str) -> None:
        """A warning of the policy's, on stderr; the first few, since a policy can have many."""
        self._warned += 1
        if self._quiet or self._warned > WARNINGS_MAX + 1:
            return
        from interlock.cli.failure import say

        say(f"warning: {text}" if self._warned <= WARNINGS_MAX else "more warnings: interlock policy check")

    def denied(self, message: Message) -> str | None:
        """The line for a denial, or None when it is not to be shown now."""
        self.denied_count += 1
        if len(self.denials) < KEPT_MAX:
            self.denials.append(message)
        line = denial_line(message)
        if self._quiet or not self._may_show(line):
            self.not_shown += 1
            return None
        return line

    def suppressed(self, message: Message) -> None:
        """Count denials that came too fast to be told one by one."""
        counts = message.get("counts", message.get("count", 0))
        number = sum(counts.values()) if isinstance(counts, dict) else counts if isinstance(counts, int) else 0
        self.denied_count += number
        self.not_shown += number

    def question_waits(self, message: Message) -> str:
        """Said when the terminal cannot ask: where to answer."""
        act = act_text(message.get("action"))
        return f"interlock: {act} waits for approval; answer from another terminal: interlock approvals list"

    def _may_show(self, line: str) -> bool:
        now = self._clock()
        self._room = min(float(BURST), self._room + (now - self._last) / INTERVAL_SECONDS)
        self._last = now
        if now - self._seen.get(line, -REPEAT_SECONDS) < REPEAT_SECONDS or self._room < 1:
            return False
        if len(self._seen) >= _REMEMBERED_MAX:
            self._seen.clear()
        self._seen[line] = now
        self._room -= 1
        return True


def denial_line(message: Message) -> str:
    """`interlock: denied VERB TARGET (RULE: because); interlock why`."""
    decision = message.get("decision")
    decision = decision if isinstance(decision, dict) else {}
    rules = [str(rule) for rule in decision.get("rules") or []]
    because = str(decision.get("because") or "")
    reason = ": ".join(part for part in (", ".join(rules), because) if part) or "no rule allows it"
    return f"interlock: denied {act_text(message.get('action'))} ({printable(reason)}); interlock why"


def act_text(action: object) -> str:
    """Verb and resolved target in one line, for any verb."""
    if not isinstance(action, dict):
        return "(unknown act)"
    target = action.get("target")
    verb = printable(str(action.get("verb")))
    return f"{verb} {_target(target)}".rstrip() if isinstance(target, dict) else verb


def _target(target: Message) -> str:
    if isinstance(target.get("arguments"), list):
        program = _short(text_of(target.get("path")))
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
    source = _short(text_of(target.get("path")))
    destination = target.get("to")
    return f"{source} to {_short(text_of(destination.get('path')))}" if isinstance(destination, dict) else source


def _short(path: str) -> str:
    home = os.environ.get("HOME", "")
    if len(home) > 1 and (path == home or path.startswith(f"{home}/")):
        path = f"~{path[len(home) :]}"
    return printable(path)
