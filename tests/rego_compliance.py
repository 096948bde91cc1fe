"""OPA's own cases asked of the evaluator: what it answers as OPA does, what it refuses or errs about, and what it answers otherwise.

    python -m tests.rego_compliance DIRECTORY [--page]     DIRECTORY: v1/test/cases/testdata/v1 of OPA's source (`make opa` brings it)

Each case runs in a process of its own, with the bounds that a call has. Asked is what a policy can ask: the value of one rule
(`data.a.p = x`); cases about other queries are counted apart. Ends with 1 where more is answered otherwise than `OTHERWISE_MAX` allows.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from interlock._rego import Rego, RegoError
from interlock.rego.builtins import refused
from interlock.rego.evaluator import CPU_S_MAX

OTHERWISE_MAX = 12
UNDEFINED = "undefined"
ERROR = "error"


def main(words: list[str]) -> int:
    found: dict[str, Counter[str]] = {}
    otherwise = []
    for file in sorted(Path(words[0]).rglob("*.yaml")):
        kind = file.parent.name
        for case in yaml.load(file.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)).get("cases") or []:
            outcome, detail = judged(case)
            found.setdefault(kind, Counter())[outcome] += 1
            if outcome == "otherwise":
                otherwise.append((str(case["note"]), detail))
    total = sum(found.values(), Counter())
    print(f"{sum(total.values())} cases: " + ", ".join(f"{count} {outcome}" for outcome, count in total.most_common()))
    for kind, counts in found.items():
        if set(counts) - {"same", "not asked"}:
            print(f"  {kind}: " + ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common()))
    for note, detail in otherwise:
        print(f"otherwise: {note}: {detail}")
    return 1 if len(otherwise) > OTHERWISE_MAX else 0


def judged(case: dict[str, Any]) -> tuple[str, str]:
    """How the answer to a case compares: `same`, `loud` (an error, which denies), `undefined` (which denies
    where the rule itself is asked), `otherwise`, or `not asked`."""
    query, _, bound = str(case.get("query", "")).partition("=")
    query, bound = query.strip(), bound.strip()
    if not query.startswith("data.") or not query.replace(".", "").replace("_", "").isalnum() or not bound.isidentifier() or "input_term" in case:
        return "not asked", ""
    wanted = _wanted(case, bound)
    got = evaluated(case, query)
    if got == wanted or (wanted == ERROR and got in (ERROR, UNDEFINED)) or (wanted == UNDEFINED and got == ERROR):
        return ("same", "") if got == wanted else ("loud", "")
    if got == ERROR:
        return "loud", ""
    if got == UNDEFINED:
        return "undefined", ""
    return "otherwise", f"{json.dumps(got)[:80]} for {json.dumps(wanted)[:80]}"


def _wanted(case: dict[str, Any], bound: str) -> Any:
    if "want_error" in case or "want_error_code" in case:
        return ERROR
    results = case.get("want_result")
    if not results:
        return UNDEFINED
    return results[0].get(bound) if len(results) == 1 else [each.get(bound) for each in results]


def evaluated(case: dict[str, Any], query: str) -> Any:
    """The value of the rule; `undefined`, or `error` for whatever else becomes of it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
        signal.setitimer(signal.ITIMER_PROF, 5 * CPU_S_MAX)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        with os.fdopen(writing, "w") as out:
            out.write(json.dumps(_in_the_child(case, query)))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else ERROR


def _in_the_child(case: dict[str, Any], query: str) -> Any:
    modules = [(f"m{number}", str(text)) for number, text in enumerate(case.get("modules") or [])]
    try:
        rego = Rego(modules, data=json.dumps(case.get("data") or {}), time_ms=1_000, v0=False)
        if refused(json.loads(rego.trees()), [text for _, text in modules]):
            return ERROR
        value = rego.value(query, json.dumps(case.get("input", {})))
    except (RegoError, TypeError, ValueError):
        return ERROR
    return UNDEFINED if value is None else json.loads(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
