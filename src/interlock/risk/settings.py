"""The scorings of a policy: each layer's `risk` and `labels`, made ready to be asked about one tool."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from interlock.vocabulary.json_value import steps_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from interlock.policy.compiled_form import CompiledPolicy
    from interlock.policy.labels import CompiledLabels
    from interlock.policy.risk import CompiledRisk, CompiledTarget

#: Names of tools and resources come from servers and agents: so many are remembered, then all are forgotten.
NAMES_KEPT_MAX: Final = 4_096
_ORDER: Final = ("public", "internal", "confidential", "secret")


class Signal(Struct, frozen=True):
    """One part of the sum. `layer` is the layer whose points these are."""

    signal: str
    reading: str
    points: int
    because: str
    layer: str


class Target(Struct, frozen=True):
    """What a layer says of one tool."""

    sensitivity: str | None = None
    reversible: bool | None = None
    outward: bool = False
    destination: tuple[tuple[str, ...], ...] = ()
    volume: tuple[tuple[str, ...], ...] = ()


class HostNames:
    """Hosts by name: whole ones, and those below a domain."""

    def __init__(self, listed: Iterable[str]) -> None:
        names = tuple(listed)
        self._whole = frozenset(name for name in names if not name.startswith("*."))
        self._below = tuple(name[1:] for name in names if name.startswith("*."))

    def have(self, host: str) -> bool:
        """Whether a host, in lower case, is one of them."""
        return host in self._whole or (bool(self._below) and host.endswith(self._below))


class Scoring:
    """One layer's."""

    def __init__(self, layer: str, compiled: CompiledRisk) -> None:
        self.layer = layer
        self.is_shadow = compiled["mode"] == "shadow"
        self.points = compiled["weights"]
        self.internal, self.known = HostNames(compiled["internal"]), HostNames(compiled["known"])
        self.rows, self.calls, self.bytes = (compiled["volume"][name] for name in ("rows", "calls", "bytes"))
        self.hours = tuple(compiled["hours"]) if compiled["hours"] is not None else None
        self.zone_min = compiled["zone_min"]
        self._targets = [(_matcher(each["connector"]), _matcher(each["tool"]), each) for each in compiled["targets"]]
        self._found: dict[tuple[str, str], Target] = {}
        self._standing: dict[tuple[Target, str, str], dict[str, Signal]] = {}

    def standing(self, said: Target, operation: str, assurance: str) -> dict[str, Signal]:
        """The signals that need no more than the tool, its class and its agent's assurance; the caller's own copy."""
        found = self._standing.get((said, operation, assurance))
        if found is None:
            if len(self._standing) >= NAMES_KEPT_MAX:
                self._standing.clear()
            made = _standing(self.points, said, operation, assurance)
            every = (Signal(name, reading, self.points[name][reading], why, self.layer) for name, reading, why in made)
            found = self._standing[said, operation, assurance] = {each.signal: each for each in every if each.points}
        return dict(found)

    def target(self, connector: str, tool: str) -> Target:
        """What it says of one tool: where several entries mean it, the strictest of each."""
        found = self._found.get((connector, tool))
        if found is None:
            if len(self._found) >= NAMES_KEPT_MAX:
                self._found.clear()
            meant = [
                each for whose, which, each in self._targets if whose.fullmatch(connector) and which.fullmatch(tool)
            ]
            found = self._found[connector, tool] = _joined(meant)
        return found


class Declared:
    """What results are, over all layers: each may add labels, none takes one away."""

    def __init__(self, compiled: Iterable[CompiledLabels]) -> None:
        self._entries = [(_matcher(each["connector"]), _matcher(each["tool"]), each["labels"]) for each in compiled]
        self._found: dict[tuple[str, str], tuple[str, ...]] = {}

    def of(self, connector: str, tool: str) -> tuple[str, ...]:
        """The labels of a tool's results."""
        found = self._found.get((connector, tool))
        if found is None:
            if len(self._found) >= NAMES_KEPT_MAX:
                self._found.clear()
            meant = (
                given for whose, which, given in self._entries if whose.fullmatch(connector) and which.fullmatch(tool)
            )
            found = self._found[connector, tool] = tuple(sorted({label for given in meant for label in given}))
        return found


def scorings(policy: CompiledPolicy) -> tuple[Scoring, ...]:
    """Those of all layers that score."""
    return tuple(Scoring(layer["name"], layer["risk"]) for layer in policy["layers"] if "risk" in layer)


def declared(policy: CompiledPolicy) -> Declared | None:
    """What the layers say of results; none where they say nothing."""
    found = [each for layer in policy["layers"] for each in layer.get("labels", ())]
    return Declared(found) if any("labels" in layer for layer in policy["layers"]) else None


def _standing(
    points: dict[str, dict[str, int]], said: Target, operation: str, assurance: str
) -> list[tuple[str, str, str]]:
    assurance = assurance if assurance in points["identity"] else "asserted"
    found = [("identity", assurance, f"the agent is {assurance}")]
    if operation in points["operation"]:
        found.append(("operation", operation, f"it is {_A.get(operation, 'a')} {operation}"))
    else:
        found.append(("operation", "admin", "its class is not known"))
    if said.sensitivity is None:
        found.append(("sensitivity", "undeclared", "no policy says how sensitive its target is"))
    else:
        found.append(("sensitivity", said.sensitivity, f"its target is {said.sensitivity}"))
    if said.reversible is False or (said.reversible is None and operation not in _UNDONE):
        found.append(("reversible", "no", "it cannot be undone"))
    return found


_A: Final = {"export": "an", "admin": "an", "execute": "an"}
#: Classes of operation that can be undone where nobody says otherwise.
_UNDONE: Final = frozenset({"read", "write", "execute"})


def _joined(meant: list[CompiledTarget]) -> Target:
    sensitivities = [each["sensitivity"] for each in meant if each["sensitivity"] is not None]
    reversible = [each["reversible"] for each in meant if each["reversible"] is not None]
    return Target(
        sensitivity=max(sensitivities, key=_ORDER.index) if sensitivities else None,
        reversible=all(reversible) if reversible else None,
        outward=any(each["outward"] for each in meant),
        destination=tuple(steps_of(at) for each in meant for at in each["destination"]),
        volume=tuple(steps_of(at) for each in meant for at in each["volume"]),
    )


def _matcher(globs: list[str]) -> re.Pattern[str]:
    """Names with `*` and `?`, and nothing else that has a meaning."""
    forms = (re.escape(each).replace(r"\*", ".*").replace(r"\?", ".") for each in globs)
    return re.compile("|".join(forms), re.DOTALL)
