"""What a score costs: reading a call, what is known of its agent, the sum; and one evaluation of Rego. `python -m bench score`."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator

from bench.row import Row
from interlock.policy.document import read_document
from interlock.policy.risk import risk
from interlock.rego.evaluator import Evaluator
from interlock.risk.memory import Kept, Memory, Use
from interlock.risk.score import Known, score, seen
from interlock.risk.settings import Scoring

POLICY = b"""
targets:
  - {connector: crm, tool: "export*", sensitivity: confidential, volume: /limit, destination: /to}
  - {connector: mail, sensitivity: internal}
internal: [example.com, "*.example.com"]
hours: "08:00-18:00"
"""
ACTION = {
    "id": "s/1", "plane": "gateway", "verb": "tool.call", "subject": {"agent": "coder", "session": "s"},
    "target": {
        "connector": "crm", "tool": "export", "operation": "export", "definition": "sha256:0",
        "arguments": {"segment": "all", "limit": 5_000, "to": "https://reports.example.com/in", "fields": ["name", "mail"], "format": "csv"},
    },
}  # fmt: skip
TURNS, TIMES = 7, 2_000


class Nowhere:
    def keep(self, kept: Kept) -> None:
        pass


def best_us(work: Callable[[int], object], times: int = TIMES) -> float:
    """The best of several turns: what else the machine does only ever adds."""
    found = []
    for turn in range(TURNS):
        began_ns = time.thread_time_ns()  # nothing here waits, so what others do on the machine does not count
        for number in range(times):
            work(turn * times + number)
        found.append((time.thread_time_ns() - began_ns) / times / 1_000)
    return min(found)


def rows() -> Iterator[Row]:
    """See the module."""
    compiled = risk(read_document(POLICY, "bench.yaml", []), "risk", [])  # type: ignore[arg-type]
    assert compiled is not None
    scorings = (Scoring("bench", compiled),)
    read, known, memory = seen(ACTION), Known(assurance="attested", labels=("private", "untrusted")), Memory(Nowhere(), ())
    yield Row("score of a call: reading it", "us", 0, best_us(lambda _: seen(ACTION)))
    yield Row("score of a call: the sum", "us", 0, best_us(lambda _: score(scorings, ACTION, read, known)))
    use = "crm/export"
    yield Row("score of a call: what is known", "us", 0, best_us(lambda n: memory.known("coder", "attested", Use(f"s/{n}", use, "d"), read, n)))
    yield Row("30 rules of Rego", "us", 0, asyncio.run(_rego_us()))


async def _rego_us() -> float:
    """One evaluation, the way to the other process and back with it."""
    rules = "\n".join(f'findings contains "r{n}" if {{ input.tool == "t{n}"; input.arguments.limit > {n} }}' for n in range(30))
    evaluator = Evaluator({"query": "data.interlock.findings", "modules": [{"name": "m", "text": f"package interlock\n{rules}\n"}]})
    document, found = json.dumps({**ACTION["target"], "labels": []}).encode(), []
    try:
        for _ in range(TURNS):
            began_ns = time.perf_counter_ns()
            for _ in range(200):
                assert await evaluator.findings(document) == ()
            found.append((time.perf_counter_ns() - began_ns) / 200 / 1_000)
    finally:
        evaluator.close()
    return min(found)
