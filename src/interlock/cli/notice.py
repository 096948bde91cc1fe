"""The one-line denial for the human: what, where, which rule, why; rate limited, made printable. The face of
`interlock run`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from interlock.cli.tally import Tally, is_unruled
from interlock.vocabulary import words
from interlock.vocabulary.printable import printable, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from interlock.vocabulary.enforcement import Enforcement
    from interlock.vocabulary.supervision import Asked, Denied, Started, Steered, Suppressed, Unkept

#: Notices at once, and one more after each interval. What is not shown is counted, recorded, and shown by `why`.
BURST: Final = 8
INTERVAL_SECONDS: Final = 0.5
#: The same denial is not shown again within this time.
REPEAT_SECONDS: Final = 10.0
#: Checkouts told at the end.
CHECKOUTS_MAX: Final = 8
#: Lines about what was done instead; what comes after them is in the record.
STEERS_MAX: Final = 64
#: Warnings of the policy shown at the start.
WARNINGS_MAX: Final = 3
_REMEMBERED_MAX: Final = 1000
#: Layers that the line of the start need not name.
_ALWAYS_THERE: Final = frozenset({"guard", "base"})
#: Acts that no rule speaks of: what programs try by the hundred and go without, and the kinds whose first is announced.
_PROBED: Final = frozenset({"file.read", "unix.connect"})
_ANNOUNCED: Final = ("file.", "process.exec", "net.", "key.")
_BUILT_IN: Final = "guard/built-in"
#: How the supervisor begins to say that git ended for what it could not check out (`door/file/index.rs`).
_CHECKOUT: Final = "git was refused "


class NoticeFace:
    """Collects the session's denials and words the notices.

    What a rule denies is announced. Of what no rule speaks of, the first program, the first connection and the first
    change are, since each is likely to be why a command fails; reading and the rest is what programs try and go
    without: it is counted and told at the end, by place.
    """

    def __init__(self, *, quiet: bool, opening: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        """`opening`: whether to say at the start what holds the session."""
        self._quiet = quiet
        self._opening = opening and not quiet
        self._clock = clock
        self._room = float(BURST)
        self._last = clock()
        self._seen: dict[str, float] = {}
        self._warned = 0
        self._holds = ""
        self._short_of: dict[str, Enforcement] = {}
        self._kinds: set[str] = set()
        self.tally = Tally()
        self.denied_count = 0
        self.not_shown = 0
        self._checkouts: list[str] = []
        self._steered: set[str] = set()
        self._is_ending = False

    @property
    def is_quiet(self) -> bool:
        """Whether the person asked for as few lines as can be."""
        return self._quiet

    def begins(
        self, layers: Sequence[str], workspace: str, directory: str, short_of: Mapping[str, Enforcement]
    ) -> None:
        """Keep what the line of the start says: a workspace that is more than the directory is said to be so, and the
        rules that are not enforced fully (`short_of`) are named.
        """
        shown = ", ".join(layer for layer in layers if layer not in _ALWAYS_THERE) or "guard"
        around = f", the repository around {words.short(directory)}" if directory.startswith(f"{workspace}/") else ""
        self._holds = f"{printable(shown)} in {words.short(workspace)}{around}"
        self._short_of = dict(short_of)

    def started(self, started: Started) -> str | None:
        """`interlock: LAYERS in WORKSPACE`, and what is not enforced fully. The latter is said in a log, too."""
        lacking = lacking_words({**self._short_of, **started.enforced})
        if self._quiet or not (self._opening or lacking):
            return None
        return f"interlock: {self._holds}" + (f"; PARTIAL: {printable(lacking, 1000)}" if lacking else "")

    def warn(self, text: str) -> None:
        """A warning of the policy's, on stderr; the first few, since a policy can have many."""
        self._warned += 1
        if self._quiet or self._warned > WARNINGS_MAX + 1:
            return
        from interlock.cli.failure import say

        say(f"warning: {text}" if self._warned <= WARNINGS_MAX else "more warnings: interlock policy check")

    def denied(self, denied: Denied) -> str | None:
        """The line for a denial, or None when it is not to be shown now."""
        self.denied_count += 1
        self._note_checkout(denied)
        if is_unruled(denied) and not self._is_first_of_its_kind(denied):
            self.tally.add_denial(denied)
            return None
        line = denial_line(denied)
        if self._quiet or not self._may_show(line):
            self.not_shown += 1
            return None
        return line

    def steered(self, steered: Steered) -> str | None:
        """`interlock: VERB TARGET: done instead (RULE: because)`, once each; in quiet sessions the record has it. What
        goes to the trash is counted in one line at the end: a session that edits files would be nothing but notices.
        """
        if steered.decision.get("steer") == "trash":
            return None
        line = f"interlock: {words.steering(steered.action, steered.decision)}"
        if self._quiet or line in self._steered or len(self._steered) >= STEERS_MAX:
            return None
        self._steered.add(line)
        return line

    def ending(self) -> str | None:
        """Said once, where looking through what the session changed takes longer than a moment."""
        if self._quiet or self._is_ending:
            return None
        self._is_ending = True
        return "interlock: looking through what the session changed"

    def unkept(self, unkept: Unkept) -> str:
        """`interlock: cannot be restored: PATH: why`. Said in quiet sessions too: somebody may rely on it."""
        path, because = printable(text_of(unkept.path)), printable(unkept.because)
        return f"interlock: cannot be restored: {path}: {because}"

    def suppressed(self, suppressed: Suppressed) -> None:
        """Count denials that were not told one by one: probes by place, what came too fast by number."""
        self.denied_count += suppressed.number
        self.not_shown += max(0, suppressed.number - self.tally.add_groups(suppressed.groups))

    def checkouts(self) -> list[str]:
        """The lines of the end: checkouts that git ended, and what they lacked. Told in quiet sessions too."""
        return [f"{because}; run the git command outside to have it" for because in self._checkouts]

    def unruled(self) -> list[str]:
        """The lines of the end: what no rule allowed and was not announced, by place."""
        return [] if self._quiet else self.tally.lines()

    def question_waits(self, asked: Asked) -> str:
        """Said when the terminal cannot ask: where to answer."""
        act = words.act(asked.action)
        return f"interlock: {act} waits for approval; answer from another terminal: interlock approvals list"

    def _note_checkout(self, denied: Denied) -> None:
        because = printable(str(denied.decision.get("because")), 1000)
        told = because in self._checkouts or len(self._checkouts) >= CHECKOUTS_MAX
        if because.startswith(_CHECKOUT) and denied.decision.get("rules") == [_BUILT_IN] and not told:
            self._checkouts.append(because)

    def _is_first_of_its_kind(self, denied: Denied) -> bool:
        verb = str(denied.action.get("verb"))
        if verb in _PROBED or not verb.startswith(_ANNOUNCED):
            return False
        kind = verb.partition(".")[0]
        first = kind not in self._kinds
        self._kinds.add(kind)
        return first

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


def lacking_words(states: Mapping[str, Enforcement]) -> str:
    """What is not enforced fully, and why: names with one reason together. Empty where all is."""
    if not states:
        return ""
    from interlock.vocabulary.enforcement import Fully, in_words

    named: dict[str, list[str]] = {}
    for name, state in states.items():
        if not isinstance(state, Fully):
            named.setdefault(in_words(state), []).append(name)
    return "; ".join(f"{', '.join(names)} ({why})" for why, names in named.items())


def denial_line(denied: Denied) -> str:
    """`interlock: denied VERB TARGET (RULE: because); interlock why`."""
    return f"interlock: {words.denial(denied.action, denied.decision)}; interlock why"
