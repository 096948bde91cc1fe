"""What would run later, for people: a few lines at a session's end, and all of it in `interlock session changes`.
Pure: `interlock.app.changes` in, lines out. Grouped by who would run it, the most dangerous first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from interlock.cli.failure import LINE_CHARACTERS_MAX
from interlock.policy.runs_later import KINDS, place_of_key, runner_of
from interlock.vocabulary.printable import marked, printable, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from interlock.vocabulary.changes import Change, Changes

#: Lines at a session's end: kinds, what is left out, and where all of it is.
_KINDS_SHOWN: Final = 8
#: Of each kind at the end; and keys of each file.
_NAMES_SHOWN: Final = 3
_KEYS_SHOWN: Final = 3
_VALUE_CHARACTERS_MAX: Final = 80
#: Of a key, and of a path: one that is longer loses its middle, so that it takes no room from the next.
_KEY_CHARACTERS_MAX: Final = 80
_PATH_CHARACTERS_MAX: Final = 200
#: What a session is there to write, and what git keeps of it: they do not run by themselves, and have no line of their
#: own at the end.
_WRITTEN: Final = frozenset(kind.name for kind in KINDS if kind.is_code)
_EXPECTED: Final = _WRITTEN | {"git-content"}
_QUIET: Final = frozenset(kind.name for kind in KINDS if kind.is_quiet)
_UNKNOWN: Final = "others"
_ORDER: Final = {kind.name: place for place, kind in enumerate(KINDS)}


def in_short(found: Changes, session: str, places: Sequence[tuple[str, str]]) -> list[str]:
    """At most ten lines, to be made printable by who shows them. `places` are folders and what they are called, such as
    the workspace and nothing.
    """
    lines = []
    kinds = sorted((kind for kind in found.counts if kind not in _EXPECTED), key=_place)
    for kind in kinds[:_KINDS_SHOWN]:
        items = [item for item in found.items if item.kind == kind]
        names = [_short(item, places) for item in items[:_NAMES_SHOWN]]
        more = found.counts[kind] - len(names)
        what = ", ".join(names) + (f" and {more} more" if more > 0 else "")
        lines.append(f"{runner_of(kind)}: {what}")
    left = kinds[_KINDS_SHOWN:]
    if left:
        counted = ", ".join(f"{kind} {found.counts[kind]}" for kind in left)
        lines.append(f"and {sum(found.counts[kind] for kind in left)} more ({counted})")
    unseen = f"; {_unseen(found)}" if found.unseen else ""
    written = _written(found)
    also = f", and of {written}" if written else ""
    return [*lines, f"all of it{also}: interlock session changes {session}{unseen}"]


def as_expected(found: Changes, session: str, places: Sequence[tuple[str, str]]) -> str | None:
    """The one line for a session that wrote code and committed it, and did nothing else that would run; empty where
    it wrote texts for people alone, or nothing. None for all others. A few files that nobody has a name for are named:
    mostly somebody has asked for just these.
    """
    if found.unseen or any(kind not in _EXPECTED for kind in found.counts):
        return None
    names = [_name(item, places, _PATH_CHARACTERS_MAX) for item in found.items if item.kind == _UNKNOWN]
    are_all = {*found.counts} - _QUIET - {"git-content"} == {_UNKNOWN} and found.counts[_UNKNOWN] == len(names)
    named = f" ({', '.join(names)})" if are_all and len(names) <= _NAMES_SHOWN else ""
    written = _written(found)
    return f"{written}{named} changed: interlock session changes {session}" if written else ""


def in_a_word(found: Changes, session: str) -> str:
    """How many there are, texts for people aside."""
    number = sum(number for kind, number in found.counts.items() if kind not in _QUIET)
    what = "change" if number == 1 else "changes"
    return f"{number} {what} would run later outside; interlock session changes {session}"


def unknown(found: Changes, session: str) -> str:
    """The one line where nothing was found that would run, and not everything was looked at."""
    return f"{_unseen(found)}: what of it would run later outside is not known; interlock session changes {session}"


def _unseen(found: Changes) -> str:
    return f"{found.unseen} {'change was' if found.unseen == 1 else 'changes were'} too many, or could not be looked at"


def _written(found: Changes) -> str:
    """`2 files of code or settings and 1 that is neither`, in words; empty for none."""
    unknown = found.counts.get(_UNKNOWN, 0)
    known = sum(number for kind, number in found.counts.items() if kind in _WRITTEN - _QUIET - {_UNKNOWN})
    of = [f"{_files(known)} of code or settings"] if known else []
    if unknown:
        of.append(f"{unknown} of no known kind" if known else f"{_files(unknown)} of no known kind")
    return " and ".join(of)


def _files(number: int) -> str:
    return f"{number} {'file' if number == 1 else 'files'}"


def in_full(found: Changes, places: Sequence[tuple[str, str]]) -> list[str]:
    """All of it: a heading for each kind, then each thing with what was done and the keys that matter."""
    lines = []
    for kind in sorted(found.counts, key=_place):
        lines.append(f"{runner_of(kind)} ({kind})")
        items = [item for item in found.items if item.kind == kind]
        for item in items:
            lines.append(f"  {', '.join(item.how)}  {_name(item, places)}")
            lines += [f"      {key} = {value}" for key, value in _keys(item)]
            lines += [f"      and {item.keys_more} keys more"] if item.keys_more else []
        if (more := found.counts[kind] - len(items)) > 0:
            lines.append(f"  and {more} more")
    if found.unseen:
        lines.append(_unseen(found))
    return [printable(line, LINE_CHARACTERS_MAX) for line in lines]


def _place(kind: str) -> tuple[int, str]:
    return _ORDER.get(kind, -1), kind


def _short(item: Change, places: Sequence[tuple[str, str]]) -> str:
    shown = _keys(item)[:_KEYS_SHOWN]
    keys = [f"{_middle(key, _KEY_CHARACTERS_MAX)} = {marked(_cut(value))}" for key, value in shown]
    more = len(item.keys) + item.keys_more - len(shown)
    if more > 0:
        keys.append(f"{more} keys more")
    return _name(item, places, _PATH_CHARACTERS_MAX) + (f" ({'; '.join(keys)})" if keys else "")


def _keys(item: Change) -> list[tuple[str, str]]:
    """The keys of a file, those first that are known to run something."""
    return sorted(item.keys.items(), key=lambda pair: (place_of_key(item.kind, pair[0]), pair[0]))


def _middle(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit // 2]}…{text[-(limit // 2) :]}"


def _name(item: Change, places: Sequence[tuple[str, str]], limit: int = LINE_CHARACTERS_MAX) -> str:
    leads = f" -> {marked(_middle(_path(item.leads, places), limit))}" if item.leads is not None else ""
    count = "" if item.changes is None else f" ({item.changes} {'change' if item.changes == 1 else 'changes'})"
    return f"{marked(_middle(_path(item.path, places), limit))}{leads}{count}"


def _path(value: object, places: Sequence[tuple[str, str]]) -> str:
    path = text_of(value)
    for folder, called in places:
        if path.startswith(f"{folder}/"):
            return f"{called}{path[len(folder) + 1 :]}"
    return path


def _cut(value: str) -> str:
    return value if len(value) <= _VALUE_CHARACTERS_MAX else f"{value[:_VALUE_CHARACTERS_MAX]}…"
