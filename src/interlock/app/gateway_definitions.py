"""What servers say that their tools are, for people: what waits, with what differs, and a yes to it. And what a gateway
holds it by, joined."""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from interlock.app.run import outer_session
from interlock.gateway.definitions import Book, Rules, pinned_text
from interlock.gateway.pinned import PinnedUpstreams
from interlock.pins.difference import difference
from interlock.storage.definitions import DefinitionStore
from interlock.storage.home import Home
from interlock.vocabulary.errors import EXIT_REFUSED, OperatorError
from interlock.vocabulary.printable import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from interlock.connectors.configuration import Connector, Stdio
    from interlock.connectors.pool import Pool
    from interlock.mediate.ports import Clock, Inbox, Recorder
    from interlock.storage.definitions import Definition


@dataclass(frozen=True)
class HeldTo:
    """The parts of a gateway that hold its servers to their definitions."""

    store: DefinitionStore
    book: Book
    upstreams: PinnedUpstreams

    async def close(self) -> None:
        """Withdraw what was asked, and let go of the file."""
        await self.book.close()
        self.store.close()


@dataclass(frozen=True, kw_only=True)
class Around:
    """What they need of the rest."""

    pool: Pool
    recorder: Recorder
    inbox: Inbox
    clock: Clock
    session: str


def held_to(path: str, connectors: Mapping[str, Connector], around: Around, *, alone: Stdio | None = None) -> HeldTo:
    """Join them. `path`: the database. `alone`: the one server of `interlock mcp`, whose name is no connector's: its
    definitions are kept by its command as well. Raises `HostError`."""
    store = DefinitionStore(path)
    asked_first = [name for name, each in connectors.items() if each.definitions == "approve"]
    known_as = str if alone is None else partial("{1}@{0}".format, _digest(alone))
    rules = Rules(connectors=list(connectors), asked_first=asked_first, known_as=known_as)
    book = Book(store, rules, recorder=around.recorder, inbox=around.inbox, clock=around.clock, session=around.session)
    return HeldTo(store, book, PinnedUpstreams(around.pool, book))


def _digest(server: Stdio) -> str:
    whole = json.dumps([list(server.command), server.workspace])
    return hashlib.sha256(whole.encode("utf-8", "surrogateescape")).hexdigest()[:8]


class Change(NamedTuple):
    """A definition that waits, as a person is shown it."""

    connector: str
    kind: str
    name: str
    id: str
    digest: str
    why: str
    held_ms: int
    difference: list[str]


def changes(home: Home, connector: str | None) -> list[Change]:
    """What waits, of one connector if named. Raises `HostError`."""
    if not os.path.lexists(home.definitions):
        return []
    store = _open(home)
    try:
        return [_change(store, each) for each in store.held() if connector in (None, each.connector)]
    finally:
        store.close()


def approve(home: Home, connector: str, ids: Sequence[str], *, every: bool, beside: bool) -> list[Change]:
    """Take what waits of a connector: by ids or their beginnings, or all that waits now. All of it, or nothing where an
    id means none or several. Raises `OperatorError` inside a session, and `HostError`."""
    if outer_session() is not None:
        raise OperatorError(
            "definitions are approved outside of any session",
            hint="use another terminal, one that no `interlock run` holds",
            exit_code=EXIT_REFUSED,
        )
    home.ensure(home.state)
    store = _open(home)
    try:
        with store.whole():
            waiting = [each for each in store.held() if each.connector == connector]
            wanted = waiting if every else [_meant(waiting, connector, each) for each in dict.fromkeys(ids)]
            told = [_change(store, each) for each in wanted]
            for each in wanted:
                store.approve(each, by=f"uid:{os.getuid()}", at_ms=time.time_ns() // 1_000_000, beside=beside)
        return told
    finally:
        store.close()


def forget(home: Home, connector: str) -> None:
    """The connector was taken away: another of its name is seen for the first time. Raises `HostError`."""
    if os.path.lexists(home.definitions):
        store = _open(home)
        store.forget(connector)
        store.close()


def _open(home: Home) -> DefinitionStore:
    for path in (home.definitions, f"{home.definitions}-wal", f"{home.definitions}-shm"):
        home.check_file(path)
    return DefinitionStore(home.definitions)


def _meant(waiting: list[Definition], connector: str, begun: str) -> Definition:
    found = [each for each in waiting if each.id.startswith(begun)]
    if len(found) != 1 or not begun:
        what = "means several definitions" if found else "is not a definition that waits"
        hint = f"see: interlock connector changes {printable(connector)}"
        raise OperatorError(f"`{printable(begun)}` {what} of `{printable(connector)}`", hint=hint)
    return found[0]


def _change(store: DefinitionStore, one: Definition) -> Change:
    was = pinned_text(store.of(one.connector, one.kind), one)
    lines = difference(was, json.loads(one.text))
    return Change(one.connector, one.kind, one.name, one.id, one.digest, one.why, one.at_ms, lines)
