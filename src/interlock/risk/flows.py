"""What of a call flows from where it may not come: what each agent has read, what it met first where, and what a call
of its carries (docs/flows.md). By agent, over all its sessions, as `memory.py`.

    call → the flows it is a sink of → what its agent has from their sources → those that it breaks

INVARIANT: where something met first is where its agent has it from; nothing that the agent does with it later makes it
another's. Only what the policy says declassifies lifts that: a tool's result, the prompt, a person. What could not be
looked through, or no longer fits, counts as named by a source.

Pure: time is an argument, and what has to outlive this process is handed to a `Keeper`. Left out: which calls a flow's
ends mean (`Ends`, which asks the engine).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct, json

from interlock.risk.memory import LABELS_MS, Keeper, Kept
from interlock.risk.score import sent
from interlock.risk.words import names_in
from interlock.vocabulary.json_value import JsonObject, is_object, object_at, steps_of, value_at

if TYPE_CHECKING:
    from interlock.policy.flows import CompiledFlow

#: Names that are remembered of one agent, and as many that something vouches for.
NAMES_MAX: Final = 50_000
#: Sources that are told apart.
SOURCES_MAX: Final = 1_000
#: What its agent wrote itself, and what its person wrote.
OWN: Final = ""
PROMPT: Final = "prompt"
#: Read where no more sources could be told apart: it counts as each of them.
ANY: Final = "*"
#: The kinds of rows that are kept.
KINDS: Final = frozenset({"flow.read", "flow.cleared", "flow.named", "flow.vouched"})
_SHOWN_MAX: Final = 60
_HOUR_MS: Final = 3_600_000


class Flow(Struct, frozen=True):
    """A flow of a layer's."""

    layer: str
    compiled: CompiledFlow

    @property
    def name(self) -> str:
        """As decisions cite it."""
        return f"{self.layer}/{self.compiled['id']}"


class Broken(Struct, frozen=True):
    """A flow that a call would be, and how."""

    flow: Flow
    because: str


class Ends(Protocol):
    """Which calls are which ends of which flows, by their names."""

    def sources(self, origin: str) -> frozenset[str]:
        """The flows of which what was read there is a source."""

    def declassifiers(self, origin: str) -> frozenset[str]:
        """The flows that what was read there declassifies."""


class Origin(Struct, frozen=True, array_like=True):
    """Where a result came from, as it is kept: `flows` are those whose conditions on arguments its call met, at either
    end (`+` before the name of one that it declassifies)."""

    connector: str
    tool: str
    operation: str
    flows: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """In one spelling."""
        return json.encode(self).decode()


class _Mind(Struct):
    """One agent's: what it met where first, what vouches for it, when it read what, what was declassified when, and
    where there was more than could be kept."""

    first: dict[str, str] = {}
    vouched: dict[str, set[str]] = {}
    read: dict[str, int] = {}
    kept: dict[str, int] = {}
    cleared: dict[str, int] = {}
    beyond: set[str] = set()


class Flows:
    """See the module. Not shared between threads."""

    def __init__(self, flows: Sequence[Flow], ends: Ends, keeper: Keeper) -> None:
        self._flows = flows
        self._ends = ends
        self._keeper = keeper
        self._minds: dict[str, _Mind] = {}
        self._names = any(flow.compiled["carries"] != "anything" for flow in flows)
        self._words = any(flow.compiled["argument"] for flow in flows if flow.compiled["carries"] != "anything")

    def learn(self, kept: Iterable[Kept]) -> None:
        """What was kept before, or by another process meanwhile, in the order in which it was."""
        for each in kept:
            mine, (origin, *names) = self._mind(each.agent), each.value.split("\n")
            match each.kind:
                case "flow.read":
                    mine.read[origin] = max(each.at_ms, mine.read.get(origin, 0))
                case "flow.cleared":
                    mine.cleared[origin] = max(each.at_ms, mine.cleared.get(origin, 0))
                case "flow.named":
                    self._meet(mine, origin, names)
                case "flow.vouched":
                    self._vouch(mine, origin, names)
                case _:
                    continue

    def broken(self, agent: str, action: JsonObject, sinks: frozenset[str], now_ms: int) -> list[Broken]:
        """The flows that a call of this agent's would be, of those that it is a sink of."""
        mine, found = self._mind(agent), []
        for flow in self._flows:
            if flow.name in sinks:
                because = self._carried(flow, mine, action, now_ms)
                if because is not None:
                    stated = flow.compiled["because"]
                    found.append(Broken(flow, because if stated is None else f"{stated} ({because})"))
        return found

    def let_through(self, agent: str, action: JsonObject, origin: str, now_ms: int) -> None:
        """A call is about to be sent: its agent has written what it says, and reads what it answers. Raises what the
        keeper raises."""
        if self._names:
            self._named(agent, OWN, sent(action), now_ms)
        self._reads(agent, origin, now_ms)

    def returned(self, agent: str, origin: str, said: object, now_ms: int) -> None:
        """A call's result goes to its agent. `said`: the result; an error that a tool gives declassifies nothing."""
        self._reads(agent, origin, now_ms)
        if said is None:
            return
        if self._names:
            self._named(agent, origin, said, now_ms)
        if self._ends.declassifiers(origin) and _is_an_answer(said):
            mine = self._mind(agent)
            self._keeper.keep(Kept(agent, "flow.cleared", _digest(origin), origin, now_ms))
            mine.cleared[origin] = now_ms
            self._vouched(agent, origin, said, now_ms)

    def prompted(self, agent: str, prompt: str, now_ms: int) -> None:
        """Its person wrote something, as the agent's own hook tells it."""
        if any(flow.compiled["prompt"] for flow in self._flows):
            self._vouched(agent, PROMPT, prompt, now_ms)

    def _carried(self, flow: Flow, mine: _Mind, action: JsonObject, now_ms: int) -> str | None:
        """What of a call comes from where it may not, in words."""
        values = _values(action, flow.compiled["argument"])
        read = self._read(flow, mine, now_ms)
        if not values:
            return None
        if flow.compiled["carries"] == "anything":
            return f"its agent has read {_told(read)}" if read is not None else None
        names, is_whole = names_in([value for _, value in values], words=bool(flow.compiled["argument"]))
        if not is_whole:
            return f"there is more than can be looked through, and its agent has read {_told(read)}" if read else None
        return next((why for name in sorted(names) if (why := self._from(flow, mine, name, read)) is not None), None)

    def _from(self, flow: Flow, mine: _Mind, name: str, read: str | None) -> str | None:
        """Why a name comes from a source, if it does."""
        if any(self._vouches(flow, each) for each in mine.vouched.get(name, ())):
            return None
        origin = mine.first.get(name)
        if origin is None:
            origin = next((each for each in mine.beyond if self._is_source(flow, each)), None)
        if origin not in (None, OWN) and self._is_source(flow, str(origin)):
            return f"its agent has {_shown(name)} from {_told(str(origin))}"
        if flow.compiled["carries"] == "unknown" and origin in (None, OWN) and read is not None:
            return f"nothing that counts has named {_shown(name)}, and its agent has read {_told(read)}"
        return None

    def _read(self, flow: Flow, mine: _Mind, now_ms: int) -> str | None:
        """A source that this agent has read lately; and where a flow carries anything, since something declassified
        last. What vouches for a value says nothing of others."""
        whole = mine.cleared.items() if flow.compiled["carries"] == "anything" else ()
        cleared = (at for origin, at in whole if flow.name in self._ends.declassifiers(origin))
        since = max(max(cleared, default=0), now_ms - LABELS_MS + 1)
        return next((each for each, at in mine.read.items() if at >= since and self._is_source(flow, each)), None)

    def _is_source(self, flow: Flow, origin: str) -> bool:
        return origin == ANY or flow.name in self._ends.sources(origin)

    def _vouches(self, flow: Flow, origin: str) -> bool:
        return flow.compiled["prompt"] if origin == PROMPT else flow.name in self._ends.declassifiers(origin)

    def _reads(self, agent: str, origin: str, now_ms: int) -> None:
        if not self._ends.sources(origin):
            return
        mine = self._mind(agent)
        if origin not in mine.read and len(mine.read) >= SOURCES_MAX:
            origin = ANY
        # Kept anew once a part of its time is over, or something was declassified since.
        last = mine.kept.get(origin, -LABELS_MS)
        if now_ms >= last + _HOUR_MS or any(at >= last for at in mine.cleared.values()):
            self._keeper.keep(Kept(agent, "flow.read", _digest(origin), origin, now_ms))
            mine.kept[origin] = now_ms
        mine.read[origin] = now_ms

    def _named(self, agent: str, origin: str, value: object, now_ms: int) -> None:
        mine = self._mind(agent)
        names, is_whole = names_in(value, words=self._words)
        new = sorted(name for name in names if name not in mine.first)
        if not new and is_whole:
            return
        if origin != OWN and (not is_whole or len(new) + len(mine.first) > NAMES_MAX):
            new.append(ANY)
        kept = "\n".join([origin, *new])
        self._keeper.keep(Kept(agent, "flow.named", _digest(kept), kept, now_ms))
        self._meet(mine, origin, new)

    def _meet(self, mine: _Mind, origin: str, names: Iterable[str]) -> None:
        for name in names:
            if name == ANY:
                mine.beyond.add(origin)
            elif len(mine.first) < NAMES_MAX:
                mine.first.setdefault(name, origin)

    def _vouched(self, agent: str, origin: str, value: object, now_ms: int) -> None:
        mine = self._mind(agent)
        names, _ = names_in(value, words=True)
        new = sorted(name for name in names if origin not in mine.vouched.get(name, ()))
        if new:
            kept = "\n".join([origin, *new])
            self._keeper.keep(Kept(agent, "flow.vouched", _digest(kept), kept, now_ms))
            self._vouch(mine, origin, new)

    def _vouch(self, mine: _Mind, origin: str, names: Iterable[str]) -> None:
        for name in names:
            if name in mine.vouched or len(mine.vouched) < NAMES_MAX:
                mine.vouched.setdefault(name, set()).add(origin)

    def _mind(self, agent: str) -> _Mind:
        return self._minds.setdefault(agent, _Mind())


def _values(action: JsonObject, argument: Sequence[str]) -> list[tuple[str, object]]:
    """What of a call a flow looks at, by where it stands; what is not there, or empty, is nothing."""
    if not argument:
        return [("", sent(action))]
    arguments = object_at(object_at(action, "target"), "arguments")
    found = ((at, value_at(arguments, steps_of(at))) for at in argument)
    return [(at, value) for at, value in found if value not in (None, "", [], {})]


def _is_an_answer(said: object) -> bool:
    """Whether a result is the end of a call that went well: an error repeats what was asked."""
    unfinished = ("input_required", "task")
    return is_object(said) and said.get("isError") is not True and said.get("resultType") not in unfinished


def _told(origin: str) -> str:
    """A source in words."""
    if origin == ANY:
        return "too many sources to tell apart"
    parts = json.decode(origin, type=Origin)
    return f"what `{_plain(parts.connector)}` answers to `{_plain(parts.tool)}`"


def _shown(name: str) -> str:
    return f"`{_plain(name)}`"


def _plain(text: str) -> str:
    return "".join(each if each.isprintable() else "�" for each in text[:_SHOWN_MAX])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
