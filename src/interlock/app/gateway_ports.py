"""What the gateway's line is given: the engine, the Facts, the log, the inbox and the clock of this machine, each
behind its port.

Conversions only; nothing here decides. Implements `mediate.ports`.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from interlock._native import LedgerError, LedgerFull, Log, Policy, action_digest
from interlock.approvals.inbox import Inbox
from interlock.mediate.ports import Clock, RecordFailed, RecordFull
from interlock.vocabulary.decision import APPROVAL_TIMEOUT_MS_DEFAULT, Decision, Obligations, Says, Steer
from interlock.vocabulary.facts import Facts, Needs
from interlock.vocabulary.json_text import JsonObject, encode, is_object, text_at
from interlock.vocabulary.question import Answer, Question

if TYPE_CHECKING:
    from interlock.policy.compiled_form import CompiledLayer, CompiledPolicy, CompiledRule, Match

#: The writer answers within milliseconds; a disk that hangs must not hold a call for ever.
WAIT_S_MAX: Final = 30.0
LOOK_EVERY_S: Final = 1.0
#: What a policy says of one act it mostly says of many.
DECISIONS_KEPT_MAX: Final = 256
#: What the engine takes for granted where it is told no Facts.
_UNKNOWN: Final = Facts()
_OBLIGATIONS: Final = frozenset({"record", "limit", "mask", "inject"})


class SystemClock:
    """The machine's own time and chance."""

    def __init__(self) -> None:
        self._ahead_ns = 0

    def now_ms(self) -> int:
        """See `Clock`."""
        return time.time_ns() // 1_000_000

    def monotonic_ns(self) -> int:
        """See `Clock`."""
        return time.monotonic_ns()

    def monotonic_ms(self) -> int:
        """The same in milliseconds, for who counts in those."""
        return time.monotonic_ns() // 1_000_000

    def steady_ms(self) -> int:
        """See `Clock`: the time since the boot, sleep too, and how far ahead of that the wall clock ever was. So a wall
        clock that is set back lengthens nothing, and one that is set forward shortens what is good for a time."""
        since_boot_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        self._ahead_ns = max(self._ahead_ns, time.time_ns() - since_boot_ns)
        return (since_boot_ns + self._ahead_ns) // 1_000_000

    def nonce(self) -> str:
        """See `Clock`."""
        return secrets.token_hex(16)


class NativeEngine:
    """The native Policy, and the same policy relaxed for lists.

    The relaxed policy answers "could this ever be allowed?": conditions that only a call decides (arguments, `when`)
    are taken from what allows, and rules that deny under such conditions are left out. It is never asked about an act.
    """

    def __init__(self, compiled: CompiledPolicy) -> None:
        """`compiled`: spec/policy.md. Raises `interlock._native.PolicyError` for what is not a compiled policy."""
        self._policy = Policy(json.dumps(compiled))
        self._relaxed = Policy(json.dumps(relaxed(compiled)))

    @property
    def policy(self) -> str:
        """See `Engine`."""
        return self._policy.digest

    def answer(self, action: JsonObject) -> Decision | None:
        """See `Engine`."""
        text = self._policy.plan_answer(encode(action).decode())
        return read_decision(text) if text is not None else None

    def needs(self, action: JsonObject) -> Needs:
        """See `Engine`."""
        grants, risk, labels, origin, findings = self._policy.needs(encode(action).decode())
        return Needs(grants, risk, frozenset(labels), origin, tuple(findings))

    def decide(self, action: JsonObject, facts: Facts) -> Decision:
        """See `Engine`."""
        known = None if facts == _UNKNOWN else encode(facts).decode()
        return read_decision(self._policy.decide(encode(action).decode(), known))

    def possible(self, action: JsonObject) -> Decision:
        """See `Engine`."""
        return read_decision(self._relaxed.decide(encode(action).decode(), None))

    def digest(self, action: JsonObject) -> str:
        """See `Engine`."""
        try:
            return action_digest(encode(action).decode())
        except Exception as error:  # the native module's errors share no root with ours
            raise ValueError(str(error)) from error


def relaxed(compiled: CompiledPolicy) -> CompiledPolicy:
    """The compiled policy with every condition of the call resolved in favour of allowing. It has no digest."""
    return {"interlock": compiled["interlock"], "layers": [_relaxed_layer(layer) for layer in compiled["layers"]]}


def _relaxed_layer(layer: CompiledLayer) -> CompiledLayer:
    rules = [relaxed_rule for rule in layer["rules"] if (relaxed_rule := _relaxed_rule(rule)) is not None]
    found: CompiledLayer = {**layer, "rules": rules}
    found.pop("digest", None)
    found.pop("rego", None)
    found.pop("flows", None)
    return found


def _relaxed_rule(rule: CompiledRule) -> CompiledRule | None:
    match: Match = {**rule.get("match", {})}
    conditions = match.pop("arguments", None), match.pop("answers", None), match.pop("sql", None), rule.get("when")
    decided_at_the_call = any(each is not None for each in conditions)
    if not decided_at_the_call:
        return rule
    return None if rule["decision"] == "deny" else {**rule, "when": None, "match": match}


@lru_cache(DECISIONS_KEPT_MAX)
def read_decision(text: str) -> Decision:
    """Read spec/action.md's Decision, which is a frozen value: the same text is the same one. Raises `ValueError` for
    anything that is not one (msgspec's errors are such): the caller denies."""
    document: object = msgspec.json.decode(text)  # the engine's own writing: nothing that two readers could read apart
    if not is_object(document):
        raise ValueError("the engine's answer is not an object")
    timeout_ms, rules, errors = document.get("timeout_ms"), document.get("rules"), document.get("errors")
    if not isinstance(rules, list) or not all(isinstance(rule, str) for rule in rules):
        raise ValueError("a decision without its rules")
    return Decision(
        says=Says(text_at(document, "decision") or ""),
        rules=tuple(rules),
        because=text_at(document, "because"),
        document=document,
        timeout_ms=timeout_ms if isinstance(timeout_ms, int) else APPROVAL_TIMEOUT_MS_DEFAULT,
        steer=_steer(document.get("steer")),
        obligations=_obligations(document.get("obligations")),
        spoke=document.get("spoke") is True,
        errors=tuple(map(str, errors)) if isinstance(errors, list) else (),
    )


def _steer(value: object) -> Steer | None:
    """A kind by its name, or by its name with what it needs to know."""
    if value is None:
        return None
    if isinstance(value, str):
        return Steer(value)
    if not is_object(value) or len(value) != 1:
        raise ValueError("a steer that says not one thing to do instead")
    kind, detail = next(iter(value.items()))
    return Steer(kind, detail)


def _obligations(value: object) -> Obligations:
    if not is_object(value):
        raise ValueError("a decision without its obligations")
    unknown = sorted(set(value) - _OBLIGATIONS)
    if unknown:
        raise ValueError(f"an obligation that is not known here: `{unknown[0]}`")
    if len(value) == 1 and "record" in value:
        return Obligations(text_at(value, "record") or "durable")
    limit, mask, inject = value.get("limit", {}), value.get("mask", []), value.get("inject")
    if not is_object(limit) or not isinstance(mask, list) or not isinstance(inject, str | None):
        raise ValueError("an obligation that cannot be read")
    bounds = {name: bound for name, bound in limit.items() if isinstance(bound, int)}
    if len(bounds) != len(limit):
        raise ValueError("a limit that is not a number")
    return Obligations(text_at(value, "record") or "durable", bounds, tuple(map(str, mask)), inject)


class KnownFacts:
    """The Facts that this version can know of a tool call: the clock. Risk, labels and origin stay not known, so that a
    rule which asks for them denies."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def gather(self, needs: Needs, action: JsonObject) -> Facts:
        """See `Gathering`."""
        return Facts(now_ms=self._clock.now_ms() if needs.grants else 0)


class LogRecorder:
    """One open log: the records of one turn of the loop are queued together, and an eventfd wakes the loop when they
    are on disk. Belongs to the running loop."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._turn: list[tuple[bytes, str, asyncio.Future[int]]] = []
        self._waiting: dict[int, _Waiting] = {}
        self._look: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(log.fileno(), self._completed)

    def durable(self, record: JsonObject) -> asyncio.Future[int]:
        """See `Recorder`."""
        return self._write(record, "durable")

    def ordered(self, record: JsonObject) -> asyncio.Future[int]:
        """See `Recorder`."""
        return self._write(record, "ordered")

    def close(self, reason: str) -> None:
        """Close the log with its last record."""
        self._hand_over()
        self._loop.remove_reader(self._log.fileno())
        if self._look is not None:
            self._look.cancel()
        self._log.close(encode({"type": "session.closed", "reason": reason}).decode())

    def _write(self, record: JsonObject, class_name: str) -> asyncio.Future[int]:
        text = encode(record)
        waiting: asyncio.Future[int] = self._loop.create_future()
        if not self._turn:
            self._loop.call_soon(self._hand_over)
        self._turn.append((text, class_name, waiting))
        return waiting

    def _hand_over(self) -> None:
        """Queue what this turn wrote."""
        turn, self._turn = self._turn, []
        if not turn:
            return
        try:
            ticket = self._log.submit([(text, class_name) for text, class_name, _ in turn])
        except LedgerError as error:
            for _, _, waiting in turn:
                _fail(waiting, RecordFailed(str(error)))
            return
        until_s = self._loop.time() + WAIT_S_MAX
        self._waiting.update((ticket + at, _Waiting(each[2], until_s)) for at, each in enumerate(turn))
        if self._look is None:
            self._look = self._loop.call_later(LOOK_EVERY_S, self._give_up)

    def _give_up(self) -> None:
        """Nobody waits for ever. Looked at now and then, so that no record needs a timer of its own."""
        now_s = self._loop.time()
        for ticket, (waiting, until_s) in tuple(self._waiting.items()):
            if now_s >= until_s:
                del self._waiting[ticket]
                _fail(waiting, RecordFailed(f"the log did not answer within {WAIT_S_MAX:g} s"))
        self._look = self._loop.call_later(LOOK_EVERY_S, self._give_up) if self._waiting else None

    def _completed(self) -> None:
        for ticket, outcome in self._log.completed():
            entry = self._waiting.pop(ticket, None)
            if entry is None or entry.record.done():
                continue
            if isinstance(outcome, int):
                entry.record.set_result(outcome)
            else:
                failure = RecordFull if isinstance(outcome, LedgerFull) else RecordFailed
                entry.record.set_exception(failure(str(outcome)))


def _fail(waiting: asyncio.Future[int], failure: RecordFailed) -> None:
    if not waiting.done():
        waiting.set_exception(failure)


class _Waiting(NamedTuple):
    """A record that is waited for, and until when, by the loop's clock."""

    record: asyncio.Future[int]
    until_s: float


class SharedInbox:
    """`state/inbox.sqlite`, which `interlock approvals` and the terminal share."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    async def ask(self, question: Question) -> Answer:
        """See `Inbox`. The question is withdrawn when the wait is cancelled or this process ends."""
        asked = self._inbox.ask(question)
        return await self._inbox.wait(asked.id)
