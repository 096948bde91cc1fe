"""The score of one call: 0 to 100, the sum of signals, each with its points and the reason.

    Action + what is known → readings → points → sum

INVARIANT: a function of the Action, of `Known` and of the policy alone, so that what a record keeps gives the same
score again (`tests/unit/risk`). More of anything never lowers it: of each signal the highest points of all layers that
score count. It says nothing of what follows; rules do, and with a score they can only tighten.

What an agent chooses itself (names, arguments) is read so that hiding costs: a number of rows written as text, `-1`, an
address that cannot be found where the policy says one stands, or more text than is looked through, counts as much as
the worst that it could be. Left out: what was known (`memory.py`), what the policy says (`settings.py`).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from msgspec import Struct, structs

from interlock.risk.addresses import addresses_in
from interlock.risk.settings import Signal
from interlock.vocabulary.json_value import JsonObject, object_at, text_at, value_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from interlock.risk.settings import Scoring, Target

RISK_MAX: Final = 100
#: Text of one call that is looked through for where it goes, in characters; and values.
TEXT_CHARACTERS_MAX: Final = 65_536
VALUES_MAX: Final = 2_000
HOSTS_MAX: Final = 32
#: Keys of arguments whose meaning is remembered.
NAMES_KEPT_MAX: Final = 4_096
_SHOWN_MAX: Final = 60
#: A host after `://` (with or without a user in front of it), or an address of mail. A backslash ends either: readers
#: of addresses disagree about it, and so both sides of one are taken.
_HOST: Final = re.compile(
    r"(?::|^|[\s\"'(=])(?://|\\\\)(?:[^/?#\\\s@]{0,256}@)?(\[[0-9A-Fa-f:.]{2,45}\]|[^\s/?#\\:@\"'<>,;)\]]{1,253})"
    r"|@((?:[^\W_]|-|\.)+\.[^\W\d_][\w-]*)"
)
#: Keys of arguments that say how much is asked, without `_` and `-` and in lower case.
_HOW_MUCH: Final = frozenset(
    (
        "batchsize", "limit", "max", "maxcount", "maxitems", "maxresults", "maxrows", "numresults", "pagesize",
        "perpage", "rows", "take", "topk",
    )
)  # fmt: skip
#: The same where a number stands behind them; a text there is mostly something else (a last name).
_HOW_MUCH_IN_NUMBERS: Final = frozenset(["count", "first", "last", "n", "size", "top"])
#: Signals of which each reading counts by itself.
_SEVERAL: Final = frozenset({"labels", "novelty"})
_DAY_MIN: Final = 24 * 60
_MINUTE_MS: Final = 60_000


class Seen(Struct, frozen=True):
    """What is read off a call for every scoring alike: where it goes, how much it says it asks for, what it carries."""

    hosts: tuple[str, ...] = ()
    #: The most that an argument asks for; infinite where one says so in words, or below zero.
    rows: float = 0
    bytes: int = 0
    is_whole: bool = True
    #: Addresses that its arguments name plainly, for what is known of where they came from.
    addresses: frozenset[str] = frozenset()


class Known(Struct, frozen=True, omit_defaults=True):
    """What is known besides the call, and kept in its record. `calls` and `bytes` are those of its agent lately, in all
    its sessions together, without this one."""

    now_ms: int = 0
    assurance: str = "asserted"
    labels: tuple[str, ...] = ()
    calls: int = 0
    bytes: int = 0
    new_tool: bool = False
    new_hosts: tuple[str, ...] = ()
    changed: bool = False
    #: Addresses of the call that its agent first met in what is untrusted.
    untrusted: tuple[str, ...] = ()


class Score(Struct, frozen=True):
    """The sum, and what it is the sum of."""

    score: int
    signals: tuple[Signal, ...]


def seen(action: JsonObject) -> Seen:
    """Read a call."""
    found = _read(action)
    addresses, _ = addresses_in(sent(action), decoded=False)
    return structs.replace(found, addresses=addresses) if addresses else found


def sent(action: JsonObject) -> list[object]:
    """What a call says: the name of a resource, its arguments, and answers to a server's questions."""
    target = object_at(action, "target")
    named = target.get("tool") if action.get("verb") == "resource.read" else None
    return [named, target.get("arguments"), object_at(target, "beside").get("inputResponses")]


def _read(action: JsonObject) -> Seen:
    target = object_at(action, "target")
    hosts: dict[str, None] = {}
    rows: float = 0
    left, values, size = TEXT_CHARACTERS_MAX, 0, 0
    texts = [str(target.get("tool", ""))] if action.get("verb") == "resource.read" else []
    pending: list[object] = [*texts, target.get("arguments"), object_at(target, "beside").get("inputResponses")]
    while pending:
        each = pending.pop()
        values += 1
        if values > VALUES_MAX or len(hosts) > HOSTS_MAX:
            return Seen(tuple(hosts)[:HOSTS_MAX], rows, size, False)
        if isinstance(each, str):
            size += len(each)
            left -= len(each)
            if left < 0:
                return Seen(tuple(hosts)[:HOSTS_MAX], rows, size, False)
            if "//" in each or "@" in each or "\\\\" in each:
                hosts.update(dict.fromkeys(_hosts(each)))
        elif isinstance(each, dict):
            for key, value in each.items():
                if not isinstance(value, dict | list) and _asks(key, value):
                    rows = max(rows, _amount(value))
                pending.append(value)
        elif isinstance(each, list):
            pending.extend(each)
        else:
            size += 8
    return Seen(tuple(hosts), rows, size)


def _hosts(text: str) -> list[str]:
    return [plain for match in _HOST.finditer(text) if (plain := _plain(match[1] or match[2]))]


def _plain(host: str) -> str:
    return host.lower().strip("[]").rstrip(".")


def _asks(key: str, value: object) -> bool:
    meant = _meant(key)
    return meant is True or (meant is None and isinstance(value, int | float))


@lru_cache(NAMES_KEPT_MAX)
def _meant(key: str) -> bool | None:
    """Whether a key says how much is asked; none where it does in front of a number only."""
    plain = key.replace("_", "").replace("-", "").lower()
    return True if plain in _HOW_MUCH else None if plain in _HOW_MUCH_IN_NUMBERS else False


def _amount(value: object) -> float:
    """How much a value asks for. What is no plain number above zero may mean everything."""
    if value is None:
        return float("inf")
    if isinstance(value, str):
        digits = value.strip()
        value = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 16 else -1
    if isinstance(value, bool) or not isinstance(value, int | float):
        return float("inf")
    return float(value) if value > 0 else float("inf")  # zero and less mean "no limit" to many; a NaN compares so too


def score(scorings: Sequence[Scoring], action: JsonObject, read: Seen, known: Known) -> Score:
    """The sum. Arguments: the policy's scorings, the call, what `seen` read of it, and what is known besides."""
    best: dict[str, Signal] = {}
    for scoring in scorings:
        mine = _signals(scoring, action, read, known)
        if not best:
            best = mine
            continue
        for name, each in mine.items():
            former = best.get(name)
            if former is None or (each.points, former.layer) > (former.points, each.layer):
                best[name] = each
    return Score(min(RISK_MAX, sum([each.points for each in best.values()])), tuple(best.values()))


def _signals(scoring: Scoring, action: JsonObject, read: Seen, known: Known) -> dict[str, Signal]:
    """One layer's, each by what it is about: of one thing there is one signal, with the most points."""
    target = object_at(action, "target")
    connector, tool, operation = str(target.get("connector")), str(target.get("tool")), str(target.get("operation"))
    said = scoring.target(connector, tool)
    found = scoring.standing(said, operation, known.assurance)
    arguments = object_at(target, "arguments")
    more = _volume(scoring, said, arguments, read, known)
    if read.hosts or said.destination or said.outward or not read.is_whole:
        more += _destinations(scoring, said, arguments, read)
    if known.labels:
        more += [("labels", each, f"its agent has read what is {each}") for each in known.labels]
    if known.new_tool:
        more.append(("novelty", "tool", "its agent has not used this tool before"))
    if known.new_hosts:
        more.append(("novelty", "destination", f"its agent has sent nothing to {_shown(known.new_hosts[0])} before"))
    if known.untrusted:
        named = _shown(known.untrusted[0])
        more.append(("provenance", "untrusted", f"its agent has {named} from what is untrusted"))
    if known.changed:
        more.append(("definition", "changed", "the tool's definition changed lately"))
    if scoring.hours is not None:
        minute = (known.now_ms // _MINUTE_MS + scoring.zone_min) % _DAY_MIN
        if not scoring.hours[0] <= minute < scoring.hours[1]:
            more.append(("hour", "outside", f"it is {minute // 60:02}:{minute % 60:02}, outside the hours"))
    for signal, reading, because in more:
        points = scoring.points[signal][reading]
        name = signal + reading if signal in _SEVERAL else signal
        former = found.get(name)
        if points and (former is None or points > former.points):
            found[name] = Signal(signal, reading, points, because, scoring.layer)
    return found


def _volume(
    scoring: Scoring, said: Target, arguments: JsonObject, read: Seen, known: Known
) -> list[tuple[str, str, str]]:
    found = []
    asked = read.rows
    for steps in said.volume:
        asked = max(asked, _amount(value_at(arguments, steps)))
    if asked >= scoring.rows:
        amount = "everything" if asked == float("inf") else f"{asked:.0f}"
        found.append(("asked", "much", f"it asks for {amount}"))
    elif read.bytes >= scoring.bytes or not read.is_whole:
        found.append(("asked", "much", "it carries much"))
    if known.calls >= scoring.calls:
        found.append(("lately", "much", f"its agent has made {known.calls} calls lately"))
    elif known.bytes >= scoring.bytes:
        found.append(("lately", "much", f"its agent has moved {known.bytes} bytes lately"))
    return found


def _destinations(scoring: Scoring, said: Target, arguments: JsonObject, read: Seen) -> list[tuple[str, str, str]]:
    """Each place that it goes to. Of these the one with most points counts."""
    hosts, unseen = list(read.hosts), not read.is_whole
    named_at = [named for steps in said.destination if (named := value_at(arguments, steps)) is not None]
    unseen = unseen or (bool(said.destination) and not named_at)
    for named in named_at:
        for each in named if isinstance(named, list) else [named]:
            if isinstance(each, str) and each.strip():
                hosts += _hosts(each) or [_plain(each.strip())]
            else:
                unseen = True
    found = []
    for host in hosts:
        reading = "internal" if scoring.internal.have(host) else "known" if scoring.known.have(host) else "new"
        if scoring.points["destination"][reading]:
            found.append(("destination", reading, f"it goes to {_shown(host)}, which is {reading}"))
    if unseen or (said.outward and not hosts):
        found.append(("destination", "unseen", "where it goes cannot be seen"))
    return found


def _shown(host: str) -> str:
    return f"`{''.join(each if each.isprintable() else '�' for each in host[:_SHOWN_MAX])}`"


def agent_of(action: JsonObject) -> str:
    """Whose act it is."""
    return text_at(object_at(action, "subject"), "agent") or ""
