"""The gateway's scoring: the policy's scorings, what is remembered of agents, and the clock, joined behind the port of
the line (`mediate/scoring.py`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from interlock.app.gateway_flows import PolicyFlows
from interlock.mediate.scoring import Scored, Scoring, Unscored
from interlock.risk.addresses import addresses_in
from interlock.risk.flows import KINDS
from interlock.risk.memory import UNTRUSTED, Kept, Memory, Use
from interlock.risk.score import Known, Score, agent_of, score, seen
from interlock.risk.settings import declared, scorings
from interlock.vocabulary.json_text import JsonObject, object_at, text_at
from interlock.vocabulary.label_places import LABEL_PLACES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from interlock.mediate.ports import Clock
    from interlock.policy.compiled_form import CompiledPolicy
    from interlock.storage.memories import Row


class Store(Protocol):
    """Where memories are kept, which other processes of the same gateway's home may share."""

    @property
    def version(self) -> int:
        """Differs when another process has written."""

    def keep(self, row: Row) -> None:
        """Have it on disk. Raises `HostError`."""

    def keep_all(self, rows: Iterable[Row]) -> None:
        """The same of several, all or none. Raises `HostError`."""

    def news(self) -> Iterable[Row]:
        """What was written since this was asked last; at first everything."""


class _Keeper:
    def __init__(self, store: Store) -> None:
        self._store = store

    def keep(self, kept: Kept) -> None:
        self._store.keep(_row(kept))

    def keep_all(self, kept: Iterable[Kept]) -> None:
        self._store.keep_all(map(_row, kept))


class PolicyScoring:
    """See the module. Belongs to the running loop."""

    def __init__(self, policy: CompiledPolicy, store: Store, clock: Clock) -> None:
        self._scorings = scorings(policy)
        self._declared = declared(policy)
        self._is_shadow = bool(self._scorings) and all(each.is_shadow for each in self._scorings)
        self._store, self._clock = store, clock
        self._version = store.version
        self._flows = None
        if any("flows" in layer for layer in policy["layers"]):
            self._flows = PolicyFlows(policy, self._declared, _Keeper(store))
        self._memory = Memory(_Keeper(store), ())
        self._learn()

    def scored(self, action: JsonObject, assurance: str) -> Scored:
        """See `Scoring`."""
        if self._store.version != self._version:
            self._version = self._store.version
            self._learn()
        read, now_ms = seen(action), self._clock.now_ms()
        known = self._memory.known(agent_of(action), assurance, _use(action), read, now_ms)
        flows = None if self._flows is None else self._flows.findings(action, now_ms)
        labels = None
        if self._declared is not None:
            read_lately = known.labels
            labels = {
                place: tuple(word for word in read_lately if word in words) for place, words in LABEL_PLACES.items()
            }
        if not self._scorings:
            return Scored(labels=labels, flows=flows)
        found = score(self._scorings, action, read, known)
        told = _told(found, known, self._is_shadow)
        if self._is_shadow:
            return Scored(0, labels, told, found.score, flows)
        return Scored(found.score, labels, told, flows=flows)

    def let_through(self, action: JsonObject) -> None:
        """See `Scoring`."""
        now_ms = self._clock.now_ms()
        if self._flows is not None:
            self._flows.let_through(action, now_ms)
        self._memory.let_through(agent_of(action), _use(action), seen(action), self._labels(action), now_ms)

    def returned(self, action: JsonObject, size: int, said: object) -> None:
        """See `Scoring`."""
        now_ms, agent = self._clock.now_ms(), agent_of(action)
        self._memory.returned(agent, size, now_ms)
        if self._flows is not None:
            self._flows.returned(action, said, now_ms)
        if said is None or self._declared is None or not self._scorings:
            return
        untrusted = UNTRUSTED in self._labels(action)
        addresses, is_whole = addresses_in(said, decoded=untrusted)
        self._memory.met(agent, addresses, untrusted=untrusted, now_ms=now_ms, is_whole=is_whole)

    def prompted(self, agent: str, prompt: str) -> None:
        """See `Scoring`."""
        if self._flows is not None:
            self._flows.memory.prompted(agent, prompt, self._clock.now_ms())

    def _learn(self) -> None:
        """What was kept that is not known here yet."""
        rows = [_kept(row) for row in self._store.news()]
        self._memory.learn(row for row in rows if row.kind not in KINDS)
        if self._flows is not None:
            self._flows.memory.learn(row for row in rows if row.kind in KINDS)

    def _labels(self, action: JsonObject) -> tuple[str, ...]:
        target = object_at(action, "target")
        return self._declared.of(str(target.get("connector")), str(target.get("tool"))) if self._declared else ()


def scoring_of(policy: CompiledPolicy, store: Store, clock: Clock) -> Scoring:
    """The scoring of a policy; of one that asks for nothing that is kept in mind, none."""
    asked = any({"risk", "labels", "flows"}.intersection(layer) for layer in policy["layers"])
    return PolicyScoring(policy, store, clock) if asked else Unscored()


def _row(kept: Kept) -> Row:
    return kept.agent, kept.kind, kept.name, kept.value, kept.at_ms


def _kept(row: Row) -> Kept:
    return Kept(*row)


def _use(action: JsonObject) -> Use:
    target = object_at(action, "target")
    name = f"{target.get('connector')}/{target.get('tool')}"
    return Use(str(action.get("id")), name, text_at(target, "definition"))


def _told(found: Score, known: Known, is_shadow: bool) -> JsonObject:
    return {
        "score": found.score,
        "mode": "shadow" if is_shadow else "enforce",
        "signals": found.signals,
        "known": known,
    }
