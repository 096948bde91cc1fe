"""Which places that belong to everybody (/tmp, /var/tmp, /dev/shm) a session may have as its own, and what of them it
keeps.

Where the supervisor may mount (CAP_SYS_ADMIN), such a place is empty for the session, and what it makes there goes with
it. Rules hold there as everywhere, so a place that is left out here is still held by them. RULE: whatever policy or a
person says by name must mean the same as ever. What stands there now is kept. What may come later, or may be replaced,
cannot be: the place then stays everybody's.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final, NamedTuple

from interlock.policy.set_shared import SHARED_PLACES
from interlock.surroundings.links import resolved

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from interlock.policy.compiled_form import CompiledPolicy, CompiledRule

#: What is kept of one place. With more it stays everybody's.
KEPT_MAX: Final = 256
_SYS_ADMIN: Final = 21
_PLACES: Final = tuple(place.removesuffix("/**") for place in SHARED_PLACES)
_TOPS: Final = frozenset(place.split("/")[1] for place in _PLACES)
_STARTS: Final = tuple({f"/{top[0]}" for top in _TOPS} | {f"/{magic}" for magic in "*?[{\\"})
#: Of these, a rule without a path speaks of every name.
_NAMED: Final = ("file.", "unix.")
#: Where a path may begin and end in text: `sh -c "make >/tmp/log"`, `--volume=/tmp/a:/b`, `unix:path=/tmp/bus`.
_ENDS: Final = str.maketrans(dict.fromkeys("\"'`;|&<>(){},:=", " "))
#: In text, what somebody else makes a name of.
_OPEN_NAME: Final = frozenset("*?[$\\")
#: What makes a component of a pattern more than a name.
_MAGIC: Final = frozenset("*?[]{}\\")
#: Before a path that begins in the middle of a word: `-I/tmp/include`, `@/tmp/body`.
_BEFORE_PATH: Final = ("-", "@", "+")


class PrivatePlace(NamedTuple):
    """A place, and the names in it that stay what they are outside."""

    path: str
    kept: tuple[str, ...]


def private_places(
    policy: CompiledPolicy,
    *,
    needed: Iterable[str],
    known: Iterable[str] = (),
    words: Sequence[str] = (),
    settings: Iterable[str] = (),
    directory: str = "/",
) -> tuple[PrivatePlace, ...]:
    """The places that the session may have as its own; none where this process may not mount.

    Arguments: `policy` is compiled (spec/policy.md); `needed` are paths that the session or its supervisor
        uses, `known` such as it has only to find if they are there; `words` are the command's arguments, whose paths
        speak of what a person looks for, from `directory`; `settings` are values of environment variables, whose paths
        speak of what is there.
    """
    if not _may_mount():
        return ()
    opened, needed, said = [*_opened(policy)], [*_ways(needed)], [*_paths(words, directory)]
    there = [*known, *_paths((text for text in settings if any(place in text for place in _PLACES)), directory)]
    found: list[PrivatePlace] = []
    for place in _PLACES:
        names = {*_named(place, needed), *_named(place, said), *_by_policy(place, opened)}
        kept = sorted({name for name in names if name is not None} | {*_there(place, there)})
        if None not in names and len(kept) <= KEPT_MAX and os.path.realpath(place) == place and os.path.isdir(place):
            found.append(PrivatePlace(place, tuple(kept)))
    return tuple(found)


def _may_mount() -> bool:
    """Whether CAP_SYS_ADMIN is this process's. The supervisor asks the kernel itself."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            held = next((line.split()[1] for line in status if line.startswith("CapEff:")), "0")
    except OSError:
        return False
    return bool(int(held, 16) & 1 << _SYS_ADMIN)


def _ways(paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        place, links = resolved(path)
        yield from (path, place, *links)


def _paths(texts: Iterable[str], directory: str) -> Iterator[str]:
    """What text names: a whole word that is there (`/tmp/my shot.png`), else whatever looks like a path in it."""
    for text in texts:
        if "/" in text or text == "..":
            for piece in (text,) if os.path.lexists(os.path.join(directory, text)) else text.translate(_ENDS).split():
                start = piece.find("/")
                begins = start == 0 or (start > 0 and piece.startswith(_BEFORE_PATH))
                yield _normal(piece[start:] if begins else f"{directory}/{piece}")


def _normal(path: str) -> str:
    return os.path.normpath(f"/{path.lstrip('/')}")


def _named(place: str, paths: Iterable[str]) -> Iterator[str | None]:
    for path in paths:
        if path == place:
            yield None
        elif path.startswith(f"{place}/"):
            name = _top(place, path)
            yield None if _OPEN_NAME.intersection(name) else _kept(place, name)


def _there(place: str, paths: Iterable[str]) -> Iterator[str]:
    """Of these, what is there: what is not says nothing."""
    for name in {_top(place, path) for path in paths if path.startswith(f"{place}/")}:
        if _kept(place, name, kinds=(stat.S_IFDIR, stat.S_IFREG, stat.S_IFSOCK)) is not None:
            yield name


def _top(place: str, path: str) -> str:
    return path.removeprefix(f"{place}/").split("/")[0]


def _by_policy(place: str, opened: Iterable[tuple[str, bool]]) -> Iterator[str | None]:
    folders: set[str] = set()
    ready: set[str] = set()
    for pattern, is_builtin in opened:
        rest = _rest(pattern, place)
        if not rest:
            continue
        name = _only(rest[0])
        if name is not None:
            folders.add(name)
        elif rest[0] != "**" and is_builtin:
            ready.add(rest[0])
        else:
            yield None
    # A file that policy opens may be replaced outside at any time.
    yield from (_kept(place, name, kinds=(stat.S_IFDIR,)) for name in folders)
    yield from _matching(place, sorted(ready))


def _kept(place: str, name: str, *, kinds: Sequence[int] = (stat.S_IFDIR, stat.S_IFREG)) -> str | None:
    """The name, if what bears it is there and can be kept."""
    try:
        mode = os.lstat(f"{place}/{name}").st_mode
    except OSError:
        return None
    return name if stat.S_IFMT(mode) in kinds else None


def _matching(place: str, components: Sequence[str]) -> Iterator[str]:
    """What ready layers open in a place: states of agents, sockets of key agents. They were made before the session."""
    if not components:
        return
    fronts = tuple({_front(component) for component in components})
    try:
        names = [name for name in os.listdir(place) if name.startswith(fronts)]
    except OSError:
        names = []
    yield from (name for name in names if _matches(name, components) and _kept(place, name) is not None)


def _front(component: str) -> str:
    """What a name begins with that a component matches."""
    magic = next((index for index, character in enumerate(component) if character in _MAGIC), len(component))
    return component[:magic]


def _only(component: str) -> str | None:
    """The one name that a component matches; None if there are more."""
    if _MAGIC.isdisjoint(component):
        return component
    if "\\" not in component:
        return None
    from interlock.policy.pattern import is_literal, unescape  # here, as few patterns need it and every start would pay

    return unescape(component) if is_literal(component) else None


def _matches(name: str, components: Iterable[str]) -> bool:
    import re

    from interlock.policy.pattern import to_regex  # here, since a place seldom holds such a name

    return any(re.fullmatch(to_regex(f"/{component}"), f"/{name}") for component in components)


def _opened(policy: CompiledPolicy) -> Iterator[tuple[str, bool]]:
    """Patterns of what was there before the session and is not simply denied, and whether a ready layer says so."""
    for layer in policy["layers"]:
        for rule in layer["rules"]:
            if rule["decision"] != "deny" and (rule["when"] or {}).get("origin") != "session":
                is_builtin = layer["origin"] == "builtin"
                yield from ((pattern, is_builtin) for pattern in _patterns(rule))


def _patterns(rule: CompiledRule) -> Iterator[str]:
    match = rule["match"]
    if "path" in match:
        # A pattern that begins with `**/` speaks of a name wherever it is, and so of no place.
        yield from (pattern for pattern in match["path"] if pattern in ("**", "**/**") or _may_lead_there(pattern))
    elif match.get("to") != "inside" and any(verb.startswith(_NAMED) for verb in rule["verbs"]):
        yield "/**"


def _may_lead_there(pattern: str) -> bool:
    """By how it begins: of thousands of patterns few can."""
    if not pattern.startswith(_STARTS):
        return False
    first = pattern.split("/", 2)[1]
    return first in _TOPS or not _MAGIC.isdisjoint(first)


def _rest(pattern: str, place: str) -> list[str]:
    """What a pattern asks for below the place; nothing where it speaks of the place alone, or of none of it."""
    parts = pattern.removeprefix("/").split("/")
    for name in place[1:].split("/"):
        part = parts[0] if parts else ""
        if part == "**":
            return parts
        if part != name and (_MAGIC.isdisjoint(part) or not _matches(name, (part,))):
            return []
        parts = parts[1:]
    return parts
