"""Denials told as a number: those of which no rule speaks, by verb and place; what the command's own permissions refuse
as well is counted apart. The lines at the end of `interlock run`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from interlock.vocabulary.printable import printable, text_of
from interlock.vocabulary.words import NO_RULE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from interlock.vocabulary.supervision import DenialGroup, Denied

#: Places kept; denials in further places are counted without one.
PLACES_MAX: Final = 500
#: Places told at the end.
LINES_MAX: Final = 5


class Tally:
    """Counts by verb and place, with the target of the first one of each."""

    def __init__(self) -> None:
        self._groups: dict[tuple[str, str], tuple[int, object]] = {}
        self.elsewhere = 0
        self.by_permissions = 0

    def add_denial(self, denied: Denied) -> None:
        """One denial that no rule speaks of, as the supervisor told it."""
        target = denied.action.get("target")
        self._add(str(denied.action.get("verb")), _place_of(target), 1, target)

    def add_groups(self, groups: Iterable[DenialGroup]) -> int:
        """The groups of a `suppressed` message. Returns how many of its denials are told at the end by place, or need
        no telling: the command's own permissions refuse them as well, or Python does without a compiled module.
        """
        taken = 0
        for group in groups:
            if group.cause == "permissions":
                self.by_permissions += group.number
            elif group.cause == "no-rule" and _is_bytecode(group.place):
                pass
            elif group.cause == "no-rule":
                self._add(group.verb, _place_told(group.place), group.number, group.first)
            else:
                continue
            taken += group.number
        return taken

    def lines(self) -> list[str]:
        """`VERB PLACE (COUNT)`, the most frequent first; one that stands alone is told by its whole target."""
        from interlock.vocabulary import words

        ordered = sorted(self._groups.items(), key=lambda item: -item[1][0])
        shown = [
            words.act({"verb": verb, "target": first}) if count == 1 else f"{printable(verb)}{place} ({count})"
            for (verb, place), (count, first) in ordered[:LINES_MAX]
        ]
        rest = sum(count for _, (count, _) in ordered[LINES_MAX:]) + self.elsewhere
        return [*shown, f"and {rest} more elsewhere"] if rest else shown

    def _add(self, verb: str, place: str, count: int, first: object) -> None:
        known = self._groups.get((verb, place))
        if known is not None:
            self._groups[verb, place] = (known[0] + count, known[1])
        elif len(self._groups) < PLACES_MAX:
            self._groups[verb, place] = (count, first)
        else:
            self.elsewhere += count


def _is_bytecode(place: object) -> bool:
    """The supervisor counts what Python would keep compiled (PEP 3147) as a place of its own."""
    return isinstance(place, dict) and text_of(place.get("folder")).endswith("/__pycache__")


def _place_of(target: object) -> str:
    """Where an act was, for a line: the folder of what has a path, the peer of a connection."""
    if not isinstance(target, dict):
        return ""
    if "path" in target:
        return _place_told({"folder": text_of(target["path"]).rpartition("/")[0] or "/"})
    return _place_told(target)


def _place_told(place: object) -> str:
    """The same from a group's `place` (`spec/supervisor.md`)."""
    from interlock.vocabulary import words

    if not isinstance(place, dict):
        return ""
    if "folder" in place:
        return f" in {words.short(text_of(place['folder']))}"
    return words.act({"verb": "", "target": place}) if "address" in place else ""


def is_unruled(denied: Denied) -> bool:
    """Whether no rule of any layer speaks of the denied act."""
    return not denied.decision.get("rules") and denied.decision.get("because") == NO_RULE
