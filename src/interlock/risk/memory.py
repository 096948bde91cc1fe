"""What is remembered of agents for their next call's score: how much they did lately, what they have used before, what
they have read. By agent, over all its sessions, connections and tokens: none of them is a way to begin anew.

Pure: time is an argument, and what has to outlive this process is handed to a `Keeper` before anything follows from it.
Everything that grows has a bound; what no longer fits counts as new, or as much.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from typing import Final, Protocol

from msgspec import Struct

from interlock.risk.score import Known, Seen

#: "Lately".
WINDOW_MS: Final = 600_000
CALLS_KEPT_MAX: Final = 10_000
NAMES_KEPT_MAX: Final = 10_000
#: So long a tool whose definition changed counts as changed.
CHANGED_MS: Final = 24 * 3_600_000
#: So long what an agent has read stays with it.
LABELS_MS: Final = 24 * 3_600_000
BYTES_MAX: Final = 2**53 - 1
UNTRUSTED: Final = "untrusted"
#: Stands for every address that is not known: more came from what is untrusted than could be looked at or kept.
ANY: Final = "*"


class Kept(Struct, frozen=True):
    """One thing remembered: of which agent (none: of the gateway), of which kind, its name, a value, and when."""

    agent: str
    kind: str
    name: str
    value: str
    at_ms: int


class Keeper(Protocol):
    """Where memories outlive the gateway."""

    def keep(self, kept: Kept) -> None:
        """Have it on disk. Raises when it is not there after all: then nothing follows."""

    def keep_all(self, kept: Iterable[Kept]) -> None:
        """The same of several at once, all or none."""


class _Agent:
    """One agent's."""

    def __init__(self) -> None:
        self.calls: OrderedDict[str, int] = OrderedDict()
        self.moved: deque[tuple[int, int]] = deque()
        self.moved_bytes = 0
        self.tools: set[str] = set()
        self.hosts: set[str] = set()
        self.labels: dict[str, int] = {}
        #: Where its agent first met an address: whether in what is untrusted.
        self.met: dict[str, bool] = {}

    def forget(self, now_ms: int) -> None:
        """What is older than lately. A clock that was set back forgets nothing early."""
        while self.calls and next(iter(self.calls.values())) <= now_ms - WINDOW_MS:
            self.calls.popitem(last=False)
        while self.moved and self.moved[0][0] <= now_ms - WINDOW_MS:
            self.moved_bytes -= self.moved.popleft()[1]


class Memory:
    """See the module. Not shared between threads."""

    def __init__(self, keeper: Keeper, kept: Iterable[Kept]) -> None:
        self._keeper = keeper
        self._agents: dict[str, _Agent] = {}
        self._definitions: dict[str, tuple[str, int]] = {}
        self.learn(kept)

    def learn(self, kept: Iterable[Kept]) -> None:
        """What was kept before, or by another process meanwhile, in the order in which it was."""
        for each in kept:
            mine = self._agent(each.agent)
            match each.kind:
                case "tool":
                    mine.tools.add(each.name)
                case "host":
                    mine.hosts.add(each.name)
                case "label":
                    mine.labels[each.name] = each.at_ms
                case "met":
                    mine.met[each.name] = each.value == UNTRUSTED
                case "definition":
                    self._definitions[each.name] = (each.value, each.at_ms)
                case _:
                    continue

    def known(self, agent: str, assurance: str, use: Use, seen: Seen, now_ms: int) -> Known:
        """What is known as a call is looked at. The call counts from now on, whatever becomes of it; looked at again,
        it counts once."""
        mine = self._agent(agent)
        mine.forget(now_ms)
        calls = len(mine.calls) - (use.action in mine.calls)
        known = Known(
            now_ms=now_ms,
            assurance=assurance,
            labels=self.labels(agent, now_ms),
            calls=calls,
            bytes=min(mine.moved_bytes, BYTES_MAX),
            new_tool=use.name not in mine.tools,
            new_hosts=tuple(host for host in seen.hosts if host not in mine.hosts),
            changed=self._changed(use, now_ms),
            untrusted=tuple(sorted(each for each in seen.addresses if mine.met.get(each, mine.met.get(ANY, False)))),
        )
        mine.calls.setdefault(use.action, now_ms)
        while len(mine.calls) > CALLS_KEPT_MAX:
            mine.calls.popitem(last=False)
        return known

    def labels(self, agent: str, now_ms: int) -> tuple[str, ...]:
        """What its agent has read lately, by label."""
        found = self._agents.get(agent)
        return tuple(sorted(label for label, at in found.labels.items() if now_ms < at + LABELS_MS)) if found else ()

    def let_through(self, agent: str, use: Use, seen: Seen, labels: tuple[str, ...], now_ms: int) -> None:
        """A call is about to be sent: from now on it has used that tool, knows where it went, and has read what it
        answers. Raises what the keeper raises."""
        mine = self._agent(agent)
        for label in labels:
            # Kept anew once a part of its time is over, so that a busy agent does not write at each call.
            if now_ms >= mine.labels.get(label, -LABELS_MS) + LABELS_MS // 24:
                self._keeper.keep(Kept(agent, "label", label, "", now_ms))
                mine.labels[label] = now_ms
        self._acquainted(mine.tools, agent, "tool", use.name, now_ms)
        for host in seen.hosts:
            self._acquainted(mine.hosts, agent, "host", host, now_ms)
        self._moved(mine, seen.bytes, now_ms)
        self.met(agent, seen.addresses, untrusted=False, now_ms=now_ms)

    def met(self, agent: str, addresses: Iterable[str], *, untrusted: bool, now_ms: int, is_whole: bool = True) -> None:
        """An agent meets addresses, in what it sends or reads. Where it met one first is where it has it from: nothing
        that it does with it later makes it another's. Of what does not fit or could not be looked through, each address
        that is not known is taken as from there."""
        mine = self._agent(agent)
        new = [each for each in addresses if each not in mine.met]
        room = NAMES_KEPT_MAX - len(mine.met)
        if untrusted and (len(new) > room or not is_whole) and ANY not in mine.met:
            new, room = [ANY, *new], room + 1
        value = UNTRUSTED if untrusted else ""
        kept = [Kept(agent, "met", each, value, now_ms) for each in new[:room]]
        if kept:
            self._keeper.keep_all(kept)
            mine.met.update((each.name, untrusted) for each in kept)

    def returned(self, agent: str, size: int, now_ms: int) -> None:
        """So many bytes went to an agent."""
        self._moved(self._agent(agent), size, now_ms)

    def _moved(self, mine: _Agent, size: int, now_ms: int) -> None:
        mine.moved.append((now_ms, size))
        mine.moved_bytes += size
        if len(mine.moved) > CALLS_KEPT_MAX:  # the two oldest count as one, with the younger one's time
            (_, first), (at_ms, second) = mine.moved.popleft(), mine.moved.popleft()
            mine.moved.appendleft((at_ms, first + second))

    def _acquainted(self, names: set[str], agent: str, kind: str, name: str, now_ms: int) -> None:
        if name not in names and len(names) < NAMES_KEPT_MAX:
            self._keeper.keep(Kept(agent, kind, name, "", now_ms))
            names.add(name)

    def _changed(self, use: Use, now_ms: int) -> bool:
        """Whether the definition is another than it was, not long ago. The first one is taken as it comes."""
        if use.definition is None:
            return False
        digest, at_ms = self._definitions.get(use.name, ("", 0))
        if digest != use.definition:
            first = not digest
            if first and len(self._definitions) >= NAMES_KEPT_MAX:
                return True
            at_ms = -CHANGED_MS if first else now_ms
            self._keeper.keep(Kept("", "definition", use.name, use.definition, at_ms))
            self._definitions[use.name] = (use.definition, at_ms)
        return now_ms < at_ms + CHANGED_MS

    def _agent(self, name: str) -> _Agent:
        return self._agents.setdefault(name, _Agent())


class Use(Struct, frozen=True):
    """Which call: its Action's id, what it calls (connector and tool), and by which definition."""

    action: str
    name: str
    definition: str | None
