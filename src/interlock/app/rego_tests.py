"""`interlock policy test` where layers have Rego or flows: cases are decided with what they find, and Rego tests are
run."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from interlock.app.gateway_flows import finding_of, flows_of
from interlock.app.gateway_rego import Layers
from interlock.mediate.permit import Attribution
from interlock.mediate.scoring import Scored
from interlock.rego.evaluator import Child, Unheard
from interlock.vocabulary.errors import OperatorError
from interlock.vocabulary.json_text import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from interlock.policy.cases import Case
    from interlock.policy.compiled_form import CompiledPolicy
    from interlock.policy.rego import CompiledModule, CompiledRego
    from interlock.vocabulary.facts import Finding

_PACKAGE: Final = re.compile(r"^[ \t]*package[ \t]+([A-Za-z_][\w.]*)", re.ASCII | re.MULTILINE)
_TEST: Final = re.compile(r"^(test_\w+)\b", re.ASCII | re.MULTILINE)
#: OPA's default of `opa test --timeout` is longer; one evaluation has its own bound here.
TESTS_MAX: Final = 500


class RegoTest(NamedTuple):
    """One test rule and whether it is true; `why` it is not, where that is known."""

    name: str
    holds: bool
    why: str = ""


def with_findings(
    policy: CompiledPolicy, cases: list[Case], decide: Callable[[str, str], str]
) -> Callable[[str, str], str]:
    """`decide`, with the findings of the layers' Rego and flows about each case among its Facts. Raises
    `OperatorError` for a flow that is none of the policy's."""
    known = {f"{layer['name']}/{flow['id']}" for layer in policy["layers"] for flow in layer.get("flows", ())}
    unknown = [(case, flow) for case in cases for flow in case.flows if flow not in known]
    if unknown:
        case, flow = unknown[0]
        hint = f"known here: {', '.join(sorted(known)) or 'none, since no layer has `flows`'}"
        raise OperatorError(f"{case.place}: no flow is called `{flow}`", hint=hint)
    if not _consulted(policy):
        return decide
    found = asyncio.run(_findings(policy, cases))

    def decided(action: str, facts: str) -> str:
        findings = found.get(json.loads(action)["id"])
        more = {} if findings is None else {"findings": findings}
        return decide(action, encode({**json.loads(facts), **more}).decode())

    return decided


async def _findings(policy: CompiledPolicy, cases: list[Case]) -> dict[str, Mapping[str, tuple[Finding, ...]]]:
    layers = Layers(policy, lambda: 0)
    names = _consulted(policy)
    try:
        return {
            str(case.action["id"]): await layers.findings(
                names,
                case.action,
                Attribution({"name": None, "assurance": "attested"}),
                Scored(
                    case.risk,
                    {"context": case.labels},
                    {"score": case.risk, "signals": [], "mode": "enforce"},
                    flows=_carried(policy, case.flows),
                ),
            )
            for case in cases
            if case.action["plane"] == "gateway"
        }
    finally:
        layers.close()


def _consulted(policy: CompiledPolicy) -> list[str]:
    return [layer["name"] for layer in policy["layers"] if "rego" in layer or "flows" in layer]


def _carried(policy: CompiledPolicy, flows: tuple[str, ...]) -> dict[str, tuple[Finding, ...]]:
    """What the layers with flows find where these are what a call would be."""
    found: dict[str, tuple[Finding, ...]] = {}
    for flow in flows_of(policy):
        found.setdefault(flow.layer, ())
        if flow.name in flows:
            found[flow.layer] += (finding_of(flow, flow.compiled["because"] or "the case says so"),)
    return found


def rego_tests(policy: CompiledPolicy, name: str, text: str) -> list[RegoTest]:
    """Every `test_` rule of a module, beside the modules of the layers. Raises `OperatorError` where there is none."""
    package, rules = _PACKAGE.search(text), list(dict.fromkeys(_TEST.findall(text)))
    if package is None or not rules or len(rules) > TESTS_MAX:
        raise OperatorError(f"`{name}` has no tests", hint="tests are rules whose names begin with `test_`")
    entries = [entry for layer in policy["layers"] for entry in layer.get("rego", ())]
    modules: dict[str, CompiledModule] = {each["name"]: each for entry in entries for each in entry.get("modules", ())}
    modules[name] = {"name": name, "text": text}
    v0 = any(entry.get("v0", False) for entry in entries)
    return [
        _tested({"query": f"data.{package[1]}.{rule}", "modules": list(modules.values()), "v0": v0}) for rule in rules
    ]


def _tested(compiled: CompiledRego) -> RegoTest:
    name = compiled["query"].removeprefix("data.")
    try:
        child = Child(compiled)
    except Unheard as unheard:
        return RegoTest(name, False, str(unheard))
    try:
        answer = asyncio.run(child.value(b"{}"))
    except (OSError, EOFError):
        return RegoTest(name, False, "evaluating it took too long, or too much")
    finally:
        child.end()
    if "fault" in answer:
        return RegoTest(name, False, str(answer["fault"]))
    return RegoTest(name, answer.get("value") is True, "it is undefined" if "undefined" in answer else "it is not true")
