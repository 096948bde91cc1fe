"""What servers say that their tools are, taken once and held from then on.

The tools and prompts of a connector, and its server's instructions, are pinned whole by digest (description, schemas,
hints, icons, `_meta`: all of an entry) when they are first seen, or once a person has approved them where the operator
asks for that. Whatever else is listed later waits: it is not shown to an agent, a call of it is refused with the words
that say how it is approved, and the former definition does not stand in for it. Pins belong to the connector, so a
server that tells one agent otherwise than another is found out; they outlive the gateway, and are shared by all
processes of its home.

INVARIANT: nothing is shown or called by a definition whose taking is not in the log.

A person approves on the command line, which shows what differs, or in the inbox, where all that waits of one connector
is one question. Either is good for the very texts that were shown. Left out: resources, which are data and come and go;
what a server does behind a definition that stays the same.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

from interlock.mcp.definition import KEYS
from interlock.mediate.line import WAIT_MS_MAX, contained
from interlock.mediate.ports import Clock, Inbox, Recorder
from interlock.mediate.upstream import Held
from interlock.pins.difference import difference
from interlock.pins.doubt import doubts
from interlock.storage.definitions import Definition, DefinitionStore
from interlock.vocabulary.decision import Decision
from interlock.vocabulary.errors import InterlockError
from interlock.vocabulary.json_text import JsonObject, canonical, text_at
from interlock.vocabulary.question import Answer, Question

INSTRUCTIONS: Final = "instructions"
#: The kinds of lists that are pinned.
PINNED: Final = frozenset({"tools", "prompts"})
FIRST_USE: Final = "first use"
#: Questions about definitions that wait at once; the rest wait for the command line, and leave the inbox to calls.
QUESTIONS_MAX: Final = 8
SHOWN_IN_A_QUESTION_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A list as it was held against what was taken: what may be used, what waits by its name, and as of when."""

    version: tuple[int, int]
    made_of: list[JsonObject]
    served: list[JsonObject]
    held: Mapping[str, Held]
    ids: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the operator says: the connectors that there are, those whose definitions a person approves before their
    first use, and under which name a connector's definitions are kept."""

    connectors: Collection[str]
    asked_first: Collection[str] = ()
    known_as: Callable[[str], str] = str


class Book:
    """See the module. Belongs to the running loop. Methods raise `HostError` and `RecordFailed`."""

    def __init__(
        self, store: DefinitionStore, rules: Rules, *, recorder: Recorder, inbox: Inbox, clock: Clock, session: str
    ) -> None:
        self._store, self._rules = store, rules
        self._recorder, self._inbox, self._clock, self._session = recorder, inbox, clock, session
        self._own = 0
        self._turn = asyncio.Lock()
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._shown: dict[str, frozenset[str]] = {}
        self._refused: set[str] = set()

    @property
    def version(self) -> tuple[int, int]:
        """Differs when anything was taken, held or approved since, by whatever process."""
        return self._store.version, self._own

    def waiting(self) -> frozenset[str]:
        """The ids of all that is held."""
        return frozenset(each.id for each in self._store.held())

    async def review(self, connector: str, kind: str, entries: list[JsonObject]) -> Reviewed:
        """Hold a list against what was taken. What is seen for the first time is taken or held here, on record
        first."""
        key = self._rules.known_as(connector)
        async with self._turn:
            written = self._store.version
            found = [(entry, _row(key, kind, entry)) for entry in entries]
            while not await self._noted(key, kind, found):
                pass  # another process was first: by what it has taken
            version = (written, self._own)
            rows = {(row.name, row.digest): row for row in self._store.of(key, kind)}
            for row in rows.values():
                if row.state == "pinned" and not row.told:
                    await self._tell_approved(row)
            pairs = [(entry, rows[row.name, row.digest]) for entry, row in found if (row.name, row.digest) in rows]
        served = [entry for entry, row in pairs if row.state == "pinned"]
        held = {row.name: Held(entry, _words(row)) for entry, row in pairs if row.state == "held"}
        if held:
            self._ask(key)
        return Reviewed(version, entries, served, held, frozenset(row.id for _, row in pairs if row.state == "held"))

    def settled(self, waiting: frozenset[str]) -> None:
        """Withdraw questions of which something waits no more: it was approved on the command line."""
        for key, task in self._asking.items():
            if self._shown.get(key, frozenset()) - waiting:
                task.cancel()

    async def close(self) -> None:
        """Withdraw what was asked."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _noted(self, key: str, kind: str, found: list[tuple[JsonObject, Definition]]) -> bool:
        """Take or hold what is new; false where another process took its own first list meanwhile."""
        rows = self._store.of(key, kind)
        known = {(row.name, row.digest) for row in rows}
        begun = self._store.has_begun(key, kind)
        new = [(entry, row) for entry, row in found if (row.name, row.digest) not in known]
        if not new:
            return True
        others = self._others(key, {row.name for _, row in found})
        judged = [self._judged(row, rows, doubts(entry, others), first=not begun) for entry, row in new]
        taken = [row for row in judged if row.state == "pinned"]
        held = [row for row in judged if row.state == "held"]
        if taken:
            await self._record("definition.pinned", taken, by=FIRST_USE)
        if held:
            await self._record("definition.held", held)
        with self._store.whole():
            if not begun and self._store.has_begun(key, kind):
                return False
            self._store.begin(key, kind)
            self._store.put(judged)
        self._own += 1
        return True

    def _judged(self, row: Definition, rows: list[Definition], doubt: str | None, *, first: bool) -> Definition:
        """What becomes of an entry that was never seen in this form."""
        if not first:
            pinned = any(each.name == row.name and each.state == "pinned" for each in rows)
            why = "its definition changed" if pinned else f"it was not there when its server's {row.kind} were taken"
            why = f"{why}, and {doubt}" if doubt else why
        elif row.connector in map(self._rules.known_as, self._rules.asked_first):
            why = "the operator approves definitions of its server before their first use"
            why = f"{why}, and {doubt}" if doubt else why
        else:
            why = doubt or ""
        return row._replace(
            state="held" if why else "pinned",
            why=why,
            by=None if why else FIRST_USE,
            at_ms=self._clock.now_ms(),
            told=1,
        )

    def _others(self, key: str, own: Collection[str]) -> dict[str, list[str]]:
        """The other connectors, with their tools as far as these were taken and are not called as its own are: two
        connectors may have the same server."""
        others: dict[str, list[str]] = {
            each: [] for each in self._rules.connectors if self._rules.known_as(each) != key
        }
        for connector, name in self._store.names("tools"):
            if connector in others and name not in own:
                others[connector].append(name)
        return others

    async def _tell_approved(self, row: Definition) -> None:
        """An approval that no log has yet is recorded before anything follows from it."""
        await self._record("definition.approved", [row], by=row.by)
        self._store.note_told(row)

    async def _record(self, type_name: str, rows: list[Definition], by: str | None = None) -> None:
        named = [{"name": row.name, "digest": row.digest, **({"why": row.why} if row.why else {})} for row in rows]
        record: JsonObject = {"type": type_name, "connector": rows[0].connector, "kind": rows[0].kind}
        record["definitions"] = named
        await self._recorder.durable({**record, "by": by} if by is not None else record)

    def _ask(self, key: str) -> None:
        """Have a person asked about all that waits of a connector, unless one is being asked."""
        asking = self._asking.get(key)
        open_now = sum(not task.done() for task in self._asking.values())
        if (asking is None or asking.done()) and open_now < QUESTIONS_MAX:
            self._asking[key] = asyncio.create_task(contained(self._asked(key), lambda _: None))

    async def _asked(self, key: str) -> None:
        """One question after the other, as long as they are answered. An inbox or a log that fails ends it, and the
        command line is left."""
        while True:
            rows = [row for row in self._store.held() if row.connector == key and row.id not in self._refused]
            rows = rows[:SHOWN_IN_A_QUESTION_MAX]
            if not rows:
                return
            question = self._question(key, rows)
            about: JsonObject = {"action": question.action["id"], "digest": question.digest}
            await self._recorder.ordered({"type": "approval.asked", **about, "question": question.id})
            self._shown[key] = frozenset(row.id for row in rows)
            answer = Answer("withdrawn")
            try:
                answer = await self._inbox.ask(question)
            except InterlockError:
                answer = Answer("nobody")
            finally:
                self._shown.pop(key, None)
                told: JsonObject = {"answer": answer.word, "approver": answer.approver, "grant": None}
                await asyncio.shield(self._recorder.durable({"type": "approval.answered", **about, **told}))
            if not self._take(rows, answer):
                return

    def _take(self, rows: list[Definition], answer: Answer) -> bool:
        """What was shown is approved, where the answer is a person's yes. Whether more may be asked."""
        if answer.word == "no":
            self._refused.update(row.id for row in rows)
        if answer.word != "yes" or answer.approver is None:
            return answer.word == "no"
        now_ms = self._clock.now_ms()
        with self._store.whole():
            for row in rows:
                self._store.approve(row, by=answer.approver, at_ms=now_ms)
        self._own += 1
        return True

    def _question(self, key: str, rows: list[Definition]) -> Question:
        nonce, now_ms = self._clock.nonce(), self._clock.now_ms()
        changes: list[JsonObject] = []
        for row in rows:
            pinned = pinned_text(self._store.of(key, row.kind), row)
            change: JsonObject = {"kind": row.kind, "name": row.name, "id": row.id, "digest": row.digest}
            changes.append({**change, "why": row.why, "difference": difference(pinned, json.loads(row.text))})
        target: JsonObject = {"connector": key, "tool": "its definitions", "operation": "admin"}
        action: JsonObject = {
            "id": f"{self._session}/d-{nonce[:8]}",
            "nonce": nonce,
            "plane": "gateway",
            "verb": "definition.approve",
            "target": {**target, "arguments": {"changes": changes}},
            "subject": {"agent": None, "session": self._session, "task": None, "process": None},
        }
        because = f"`{key}` lists something else than what was taken"
        return Question(
            id=f"q-{nonce[:8]}",
            session=self._session,
            asker="gateway",
            agent=None,
            digest=hashlib.sha256(canonical(action)).hexdigest(),
            action=action,
            decision={**Decision.own_denial(because).document, "decision": "approve"},
            asked_ms=now_ms,
            expires_ms=now_ms + WAIT_MS_MAX,
        )


def pinned_text(rows: Collection[Definition], one: Definition) -> JsonObject | None:
    """What was taken of the entry that `one` is a definition of; none where nothing was."""
    texts = [row.text for row in rows if row.state == "pinned" and row.name == one.name]
    found: JsonObject | None = json.loads(texts[-1]) if texts else None
    return found


def _row(key: str, kind: str, entry: JsonObject) -> Definition:
    text = canonical(entry)
    name = text_at(entry, KEYS.get(kind, "name")) or ""
    digest = f"sha256:{hashlib.sha256(text).hexdigest()}"
    return Definition(key, kind, name, digest, text.decode(), "held", "", None, 0)


def _words(row: Definition) -> str:
    """Why it may not be used, and what a person does about it."""
    return (
        f"{row.why}, and it waits for a person: `interlock connector changes {row.connector}` shows it, "
        f"`interlock connector approve {row.connector} {row.id}` approves it"
    )
