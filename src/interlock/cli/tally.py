"""Denials told as a number: those of which no rule speaks, by verb and place; what the command's own permissions refuse
as well is counted apart. The lines at the end of `interlock run`.
"""

from __future__ import annotations

from typing import Any, Final

from interlock.vocabulary.printable import printable, text_of

Message = dict[str, Any]
#: Places kept; denials in further places are counted without one.
PLACES_MAX: Final = 500
#: Places told at the end.
LINES_MAX: Final = 5
#: The decision's own words where no rule of any layer speaks (`spec/action.md`).
_NO_RULE: Final = "no rule allows it"


class Tally:
    """Counts by verb and place, with the target of the first one of each."""

    def __init__(self) -> None:
        self._groups: dict[tuple[str, str], tuple[int, Any]] = {}
        self.elsewhere = 0
        self.by_permissions = 0

    def add_denial(self, message: Message) -> None:
        """One denial that no rule speaks of, as the supervisor told it."""
        action = message.get("action") or {}
        self._add(str(action.get("verb")), _place_of(action.get("target")), 1, action.get("target"))

    def add_groups(self, groups: object) -> int:
        """The groups of a `suppressed` message. Returns how many of its denials are told at the end by place, or need
        no telling since the command's own permissions refuse them as well.
        """
        taken = 0
        for group in groups if isinstance(groups, list) else ():
            count, place = group.get("count", 0), group.get("place")
            if group.get("cause") == "permissions":
                self.by_permissions += count
            elif group.get("cause") == "no-rule":
                self._add(str(group.get("verb")), _place_told(place), count, group.get("first"))
            else:
                continue
            taken += count
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

    def _add(self, verb: str, place: str, count: int, first: Any) -> None:
        known = self._groups.get((verb, place))
        if known is not None:
            self._groups[verb, place] = (known[0] + count, known[1])
        elif len(self._groups) < PLACES_MAX:
            self._groups[verb, place] = (count, first)
        else:
            self.elsewhere += count


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


def is_unruled(message: Message) -> bool:
    """Whether no rule of any layer speaks of the denied act."""
    decision = message.get("decision")
    return isinstance(decision, dict) and not decision.get("rules") and decision.get("because") == _NO_RULE
