"""`risk:` of a layer: how calls are scored (docs/risk.md). The table of signals with their points, and what a layer may
say of it.

A layer that says nothing of a signal takes its points from the table. Several layers that score are each a whole
scoring; of each signal the highest counts (`interlock.risk.score`), so a further layer never lowers a score. Left out:
reading a call, and the sum.
"""

# mypy: disable-error-code="func-returns-value"
from __future__ import annotations

import re
from typing import Final, TypedDict

from interlock.policy.document import Mapping, Node, Sequence, Text
from interlock.policy.faults import Fault, meant, quoted
from interlock.policy.values import flag, items, text

Faults = list[Fault]

#: Signal → reading → points. A reading with no points is told as well, where a layer gives it some.
POINTS: Final[dict[str, dict[str, int]]] = {
    "identity": {"attested": 0, "authenticated": 5, "asserted": 20},
    "operation": {"read": 0, "write": 10, "delete": 25, "export": 25, "execute": 20, "admin": 30},
    "reversible": {"no": 10},
    "asked": {"much": 10},
    "lately": {"much": 10},
    "sensitivity": {"public": 0, "undeclared": 5, "internal": 5, "confidential": 15, "secret": 25},
    "destination": {"internal": 0, "known": 5, "new": 20, "unseen": 20},
    "labels": {"untrusted": 15, "private": 5, "secret": 10},
    "novelty": {"tool": 10, "destination": 5},
    "provenance": {"untrusted": 20},
    "definition": {"changed": 15},
    "hour": {"outside": 10},
}
SENSITIVITIES: Final = ("public", "internal", "confidential", "secret")
POINTS_MAX: Final = 100
TARGETS_MAX: Final = 500
NAMES_MAX: Final = 5_000
#: What counts as much where a layer does not say: rows or bytes asked or sent at once, calls and bytes of ten minutes.
VOLUME: Final = {"rows": 1_000, "calls": 60, "bytes": 1_000_000}
MODES: Final = ("enforce", "shadow")
_KEYS: Final = ("mode", "weights", "targets", "internal", "known", "volume", "hours", "zone")
_TARGET_KEYS: Final = ("connector", "tool", "sensitivity", "reversible", "outward", "destination", "volume")
_HOURS: Final = re.compile(r"([01][0-9]|2[0-4]):([0-5][0-9])-([01][0-9]|2[0-4]):([0-5][0-9])\Z", re.ASCII)
_ZONE: Final = re.compile(r"([+-])(0[0-9]|1[0-4]):([0-5][0-9])\Z", re.ASCII)
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,11}\Z", re.ASCII)
_GLOB: Final = re.compile(r"[A-Za-z0-9_.:/*?-]{1,200}\Z", re.ASCII)
_DAY_MIN: Final = 24 * 60


class CompiledTarget(TypedDict):
    """What is known of some tools of some connectors."""

    connector: list[str]
    tool: list[str]
    sensitivity: str | None
    reversible: bool | None
    outward: bool
    destination: list[str]
    volume: list[str]


class CompiledRisk(TypedDict):
    """A layer's scoring, whole: what it leaves out stands here as the table has it."""

    mode: str
    weights: dict[str, dict[str, int]]
    targets: list[CompiledTarget]
    internal: list[str]
    known: list[str]
    volume: dict[str, int]
    hours: list[int] | None
    zone_min: int


def risk(node: Node, field: str, faults: Faults) -> CompiledRisk | None:
    """Read it. Faults go to the list."""
    if not isinstance(node, Mapping):
        return _wrong(faults, node, f"`{field}` is a mapping", "write `risk: {}` for the points of the table")
    found = _entries(node, _KEYS, field, faults)
    made: CompiledRisk = {
        "mode": "enforce",
        "weights": {signal: dict(readings) for signal, readings in POINTS.items()},
        "targets": [],
        "internal": [],
        "known": [],
        "volume": dict(VOLUME),
        "hours": None,
        "zone_min": 0,
    }
    if "mode" in found:
        made["mode"] = _word(found["mode"], "mode", MODES, faults)
    if "weights" in found:
        _weights(found["weights"], made["weights"], faults)
    if "targets" in found:
        made["targets"] = _targets(found["targets"], faults)
    made["internal"] = _hosts(found.get("internal"), "internal", faults)
    made["known"] = _hosts(found.get("known"), "known", faults)
    if "volume" in found:
        _volume(found["volume"], made["volume"], faults)
    if "hours" in found:
        made["hours"] = _hours(found["hours"], faults)
    if "zone" in found:
        made["zone_min"] = _zone(found["zone"], faults)
        if "hours" not in found:
            _wrong(faults, found["zone"], "`zone` without `hours`", 'add `hours: "08:00-18:00"`')
    return made


def at_least(node: Node, faults: Faults) -> int | None:
    """`{at_least: 60}` of `when: {risk: …}`."""
    example = "write `when: {risk: {at_least: 60}}`"
    if not isinstance(node, Mapping) or not node.entries:
        return _wrong(faults, node, "`risk` in `when` is a mapping", example)
    bound: int | None = None
    for key, value in node.entries:
        if key.value == "at_least":
            bound = _points(value, "at_least", faults)
            if bound == 0:
                _wrong(faults, value, "`at_least: 0` is reached by every call", "leave the condition out")
        elif key.value in ("at_most", "below", "less_than"):
            hint = f"a low score never opens anything; {example} on a rule that asks or denies"
            _wrong(faults, key, "a score can only tighten", hint)
        else:
            _wrong(faults, key, f"unknown key {quoted(key.value)} in `risk`", example)
    return bound


def _entries(node: Mapping, known: tuple[str, ...], field: str, faults: Faults) -> dict[str, Node]:
    found: dict[str, Node] = {}
    for key, value in node.entries:
        if key.value in known:
            found[key.value] = value
        else:
            hint = meant(key.value, known, f"known here: {', '.join(known)}")
            _wrong(faults, key, f"unknown key {quoted(key.value)} in `{field}`", hint)
    return found


def _weights(node: Node, weights: dict[str, dict[str, int]], faults: Faults) -> None:
    if not isinstance(node, Mapping):
        return _wrong(faults, node, "`weights` is a mapping", "write `weights: {operation: {export: 40}}`")
    for signal, readings in _entries(node, tuple(POINTS), "weights", faults).items():
        if not isinstance(readings, Mapping):
            _wrong(faults, readings, f"`{signal}` is a mapping of its readings", _of(signal))
            continue
        for reading, points in _entries(readings, tuple(POINTS[signal]), signal, faults).items():
            given = _points(points, reading, faults)
            if given is not None:
                weights[signal][reading] = given
    return None


def _of(signal: str) -> str:
    return f"known here: {', '.join(POINTS[signal])}"


def _points(node: Node, field: str, faults: Faults) -> int | None:
    given = _number(node, field, faults)
    if given is None or given <= POINTS_MAX:
        return given
    return _wrong(faults, node, f"`{field}` is over {POINTS_MAX}, which is the highest score", None)


def _number(node: Node, field: str, faults: Faults) -> int | None:
    value = text(node, field, faults)
    if value is None:
        return None
    if _NUMBER.match(value):
        return int(value)
    return _wrong(faults, node, f"`{field}` is a whole number from 0, not {quoted(value)}", None)


def _targets(node: Node, faults: Faults) -> list[CompiledTarget]:
    if not isinstance(node, Sequence) or not node.items:
        _wrong(faults, node, "`targets` is a list", "write `- {connector: crm, sensitivity: confidential}`")
        return []
    if len(node.items) > TARGETS_MAX:
        _wrong(faults, node, f"more than {TARGETS_MAX} targets", "use patterns such as `tool: read_*`")
        return []
    return [made for item in node.items if (made := _target(item, faults)) is not None]


def _target(node: Node, faults: Faults) -> CompiledTarget | None:
    if not isinstance(node, Mapping):
        return _wrong(faults, node, "a target is a mapping", "write `{connector: crm, sensitivity: confidential}`")
    found = _entries(node, _TARGET_KEYS, "targets", faults)
    if "connector" not in found:
        return _wrong(faults, node, "the target names no `connector`", 'write `connector: "*"` for all of them')
    if len(found) == len({"connector", "tool"} & set(found)):
        return _wrong(faults, node, "the target says nothing of its tools", f"one of {', '.join(_TARGET_KEYS[2:])}")
    sensitivity = found.get("sensitivity")
    return {
        "connector": globs(found["connector"], "connector", faults),
        "tool": globs(found["tool"], "tool", faults) if "tool" in found else ["*"],
        "sensitivity": _word(sensitivity, "sensitivity", SENSITIVITIES, faults) if sensitivity is not None else None,
        "reversible": flag(found["reversible"], "reversible", faults) if "reversible" in found else None,
        "outward": flag(found["outward"], "outward", faults) is True if "outward" in found else False,
        "destination": _pointers(found.get("destination"), "destination", faults),
        "volume": _pointers(found.get("volume"), "volume", faults),
    }


def globs(node: Node, field: str, faults: Faults) -> list[str]:
    """Names with `*` and `?`, which is all that is read here."""
    listed = items(node, field, faults) or ()
    for item in listed:
        if not _GLOB.match(item.text):
            hint = "letters, digits, `_`, `.`, `:`, `/`, `-`, and `*` or `?` for what may be anything"
            faults.append(Fault(item.place, f"{quoted(item.text)} is not a name or pattern of one", hint))
    return list(dict.fromkeys(item.text for item in listed))


def _pointers(node: Node | None, field: str, faults: Faults) -> list[str]:
    listed = items(node, field, faults) or () if node is not None else ()
    for item in listed:
        if not item.text.startswith("/"):
            hint = "it begins with `/`, as in `/to` (RFC 6901)"
            faults.append(Fault(item.place, f"{quoted(item.text)} is not a JSON pointer", hint))
    return list(dict.fromkeys(item.text for item in listed))


def _hosts(node: Node | None, field: str, faults: Faults) -> list[str]:
    """Names as they are compared: lower case, `*.` in front for every name below."""
    listed = items(node, field, faults) or () if node is not None else ()
    if node is not None and len(listed) > NAMES_MAX:
        _wrong(faults, node, f"`{field}` lists more than {NAMES_MAX} names", "use `*.example.com`")
    for item in listed:
        rest = item.text.removeprefix("*.")
        if not rest or "*" in rest or "@" in rest or "/" in rest or not rest.isascii():
            hint = "a host such as `example.com`, or `*.example.com` for all below it"
            faults.append(Fault(item.place, f"{quoted(item.text)} is not a name", hint))
    return list(dict.fromkeys(item.text.lower().rstrip(".") for item in listed))


def _volume(node: Node, volume: dict[str, int], faults: Faults) -> None:
    if not isinstance(node, Mapping):
        return _wrong(faults, node, "`volume` is a mapping", "write `volume: {rows: 1000, calls: 60, bytes: 1000000}`")
    for name, value in _entries(node, tuple(VOLUME), "volume", faults).items():
        given = _number(value, name, faults)
        if given == 0:
            _wrong(faults, value, f"`{name}: 0` is reached by every call", "write 1 or more")
        elif given is not None:
            volume[name] = given
    return None


def _hours(node: Node, faults: Faults) -> list[int] | None:
    value = text(node, "hours", faults)
    match = _HOURS.match(value or "")
    begin, end = (int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])) if match else (0, 0)
    if match and begin < end <= _DAY_MIN:
        return [begin, end]
    if value is not None:
        _wrong(faults, node, f"{quoted(value)} is not a span of one day", 'write `hours: "08:00-18:00"`')
    return None


def _zone(node: Node, faults: Faults) -> int:
    value = text(node, "zone", faults)
    match = _ZONE.match(value or "")
    if match:
        return (-1 if match[1] == "-" else 1) * (int(match[2]) * 60 + int(match[3]))
    if value is not None:
        _wrong(faults, node, f"{quoted(value)} is not a distance from UTC", 'write `zone: "+01:00"`')
    return 0


def _word(node: Node, field: str, known: tuple[str, ...], faults: Faults) -> str:
    value = text(node, field, faults)
    if value is not None and value not in known:
        _wrong(faults, node, f"unknown {field} {quoted(value)}", meant(value, known, f"one of {', '.join(known)}"))
    return value if value in known else known[0]


def _wrong(faults: Faults, node: Node | Text, message: str, hint: str | None) -> None:
    faults.append(Fault(node.place, message, hint))
