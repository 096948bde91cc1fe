"""The sum: each signal changes a decision, hiding costs, nothing overflows, a further layer never lowers it."""

from __future__ import annotations

import json
import random
from typing import Any

import msgspec
import pytest

from interlock._native import Policy
from interlock.policy.document import read_document
from interlock.policy.risk import POINTS, risk
from interlock.risk.score import Known, Score, score, seen
from interlock.risk.settings import Scoring
from interlock.vocabulary.json_text import encode, parse

TEXT = """
targets:
  - {connector: crm, tool: "*", sensitivity: confidential, destination: /to}
  - {connector: vault, sensitivity: secret, outward: true, volume: /filter/limit}
  - {connector: wiki, sensitivity: public, reversible: true}
internal: [example.com, "*.example.com"]
known: [partner.test]
hours: "08:00-18:00"
zone: "+01:00"
"""
NOON_MS = 11 * 3_600_000


def scoring(text: str = TEXT, layer: str = "one") -> Scoring:
    faults: list[Any] = []
    node = read_document(text.encode(), "risk.yaml", faults)
    compiled = risk(node, "risk", faults)
    assert not faults, faults
    return Scoring(layer, json.loads(json.dumps(compiled)))


def action(connector: str = "wiki", tool: str = "page", operation: str = "read", **arguments: Any) -> dict[str, Any]:
    target = {"connector": connector, "tool": tool, "operation": operation, "arguments": arguments, "definition": None}
    subject = {"agent": "coder", "session": "s", "task": None, "process": None}
    return {"id": "s/1", "plane": "gateway", "verb": "tool.call", "target": target, "subject": subject}


def scored(act: dict[str, Any], known: Known | None = None, *scorings: Scoring) -> Score:
    known = known or Known(assurance="attested", now_ms=NOON_MS)
    return score(scorings or (scoring(),), act, seen(act), known)


def told(found: Score) -> set[str]:
    return {f"{each.signal}.{each.reading}" for each in found.signals}


CAUSES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "identity.authenticated": ({}, {"assurance": "authenticated"}),
    "identity.asserted": ({}, {"assurance": "asserted"}),
    "operation.write": ({"operation": "write"}, {}),
    "operation.delete": ({"operation": "delete"}, {}),
    "operation.export": ({"operation": "export"}, {}),
    "operation.execute": ({"operation": "execute"}, {}),
    "operation.admin": ({"operation": "admin"}, {}),
    "asked.much": ({"limit": 1_000}, {}),
    "lately.much": ({}, {"calls": 60}),
    "labels.untrusted": ({}, {"labels": ("untrusted",)}),
    "labels.private": ({}, {"labels": ("private",)}),
    "labels.secret": ({}, {"labels": ("secret",)}),
    "destination.known": ({"url": "https://partner.test/x"}, {}),
    "destination.new": ({"url": "https://elsewhere.test/x"}, {}),
    "novelty.tool": ({}, {"new_tool": True}),
    "novelty.destination": ({}, {"new_hosts": ("a.test",)}),
    "provenance.untrusted": ({}, {"untrusted": ("a@elsewhere.test",)}),
    "definition.changed": ({}, {"changed": True}),
    "hour.outside": ({}, {"now_ms": NOON_MS + 8 * 3_600_000}),
}
WITHOUT = {"sensitivity.undeclared": "other", "sensitivity.confidential": "crm", "sensitivity.secret": "vault"}


def decision(found: Score, bound: int) -> str:
    rules: list[dict[str, Any]] = [
        {"id": "calls", "decision": "allow", "verbs": ["tool.call"]},
        {"id": "risky", "decision": "deny", "verbs": ["tool.call"], "when": {"risk_at_least": bound}},
    ]
    policy = Policy(json.dumps({"interlock": 1, "layers": [{"name": "a", "origin": "user", "rules": rules}]}))
    said: str = json.loads(policy.decide(json.dumps(action()), json.dumps({"risk": found.score})))["decision"]
    return said


@pytest.mark.parametrize("name", CAUSES)
def test_taking_away_one_signal_changes_what_is_decided(name: str) -> None:
    arguments, more = CAUSES[name]
    signal, _, reading = name.partition(".")
    known = msgspec.structs.replace(Known(assurance="attested", now_ms=NOON_MS), **more)
    with_it = scored(action(**arguments), known)
    assert name in told(with_it) and with_it.score == POINTS[signal][reading]
    assert decision(with_it, with_it.score) == "deny"
    assert decision(scored(action()), with_it.score) == "allow", "without its cause"
    weightless = scoring(TEXT + f"weights: {{{signal}: {{{reading}: 0}}}}\n")
    assert decision(scored(action(**arguments), known, weightless), with_it.score) == "allow", "without its points"


@pytest.mark.parametrize("name", WITHOUT)
def test_what_is_known_of_a_target_counts(name: str) -> None:
    assert name in told(scored(action(WITHOUT[name])))
    assert not any(each.startswith("sensitivity") for each in told(scored(action("wiki"))))


def test_every_signal_of_the_table_is_tried() -> None:
    tried = {*CAUSES, *WITHOUT, "reversible.no", "destination.unseen", "sensitivity.internal"}
    counted = {f"{signal}.{reading}" for signal, each in POINTS.items() for reading, points in each.items() if points}
    assert counted == tried
    assert "reversible.no" in told(scored(action("crm", operation="delete", to="example.com")))
    assert "reversible.no" not in told(scored(action("wiki", operation="delete")))
    inside = scoring("targets: [{connector: a, sensitivity: internal}]")
    assert told(scored(action("a"), None, inside)) == {"sensitivity.internal"}


@pytest.mark.parametrize(
    "arguments",
    [
        {"limit": -1}, {"limit": 0}, {"limit": "all"}, {"limit": None}, {"limit": True}, {"limit": 1e15}, {"limit": 2**53 - 1},
        {"limit": "1000"}, {"LIMIT": 5_000}, {"page_size": "everything"}, {"options": {"max-results": 99_999}}, {"a": [{"rows": 10**15}]},
        {"limit": "١٠٠٠"}, {"limit": "1e3"}, {"limit": float("inf")}, {"limit": float("nan")}, {"first": 2_000}, {"text": "x" * 1_000_000},
        {"many": list(range(3_000))},
    ],
)  # fmt: skip
def test_hiding_how_much_is_asked_counts_as_much(arguments: dict[str, Any]) -> None:
    assert "asked.much" in told(scored(action(**arguments)))


@pytest.mark.parametrize(
    "arguments", [{"limit": 10}, {"limit": "10"}, {"last": "Smith"}, {"text": "limit"}, {"rows": 999.5}]
)
def test_a_little_is_little(arguments: dict[str, Any]) -> None:
    assert "asked.much" not in told(scored(action(**arguments)))


def test_a_place_that_says_how_much_has_to_say_it() -> None:
    assert "asked.much" in told(scored(action("vault", url="//example.com/")))
    assert "asked.much" in told(scored(action("vault", url="//example.com/", filter={"limit": "many"})))
    assert "asked.much" not in told(scored(action("vault", url="//example.com/", filter={"limit": 5})))


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("https://example.com/x", "internal"), ("see HTTPS://A.B.Example.COM./x", "internal"), ("mailto:a@example.com", "internal"),
        ("https://partner.test", "known"), ("https://example.com.evil.test/", "new"), ("https://example.com@evil.test/", "new"),
        (r"https://evil.test\@example.com/", "new"), (r"https://example.com\@evil.test/", "new"), ("//evil.test/x", "new"),
        ("https://notexample.com", "new"), ("https://[2001:db8::1]/", "new"), ("https://10.0.0.7/", "new"), ("a@example.com, b@evil.test", "new"),
        ("https://example.com%2eevil.test/", "new"), ("https://example.com:443/ https://evil.test:443/", "new"),
        ("https://exampl\u0435.com/", "new"), ("ftp://evil.test", "new"), ("https://user:pass@evil.test/", "new"), ("https:\\\\evil.test\\x", "new"),
    ],
)  # fmt: skip
def test_where_a_text_leads(text: str, reading: str) -> None:
    found = [each.reading for each in scored(action(deep=[{"note": text}])).signals if each.signal == "destination"]
    assert found == ([] if reading == "internal" else [reading])


def test_what_names_no_place_where_one_belongs_cannot_be_seen() -> None:
    for arguments in ({}, {"to": 7}, {"to": {"host": "example.com"}}, {"to": ["example.com", 7]}, {"to": " "}):
        assert "destination.unseen" in told(scored(action("crm", **arguments))), arguments
    assert "destination.new" in told(scored(action("crm", to="evil-bucket")))
    assert not any(
        each.startswith("destination") for each in told(scored(action("crm", to=["Example.com", "x@example.com"])))
    )
    assert "destination.unseen" in told(scored(action("vault")))
    hidden = {f"k{n}": f"https://h{n}.example.com" for n in range(40)}
    assert "destination.unseen" in told(scored(action(first="https://evil.test", **hidden)))


def test_a_resource_goes_where_its_uri_leads() -> None:
    act = {**action(tool="https://evil.test/x"), "verb": "resource.read"}
    assert "destination.new" in told(scored(act))


def test_a_client_s_answers_are_looked_at_too() -> None:
    act = action()
    act["target"]["beside"] = {"inputResponses": {"q": {"content": {"url": "https://evil.test"}}}}
    assert "destination.new" in told(scored(act))


def test_a_score_is_at_most_a_hundred_and_a_whole_number() -> None:
    worst = action("vault", operation="admin", limit=-1, url="https://evil.test")
    known = Known(
        assurance="unheard-of",
        labels=("untrusted", "private", "secret"),
        calls=2**53,
        bytes=2**60,
        new_tool=True,
        new_hosts=("x",),
        changed=True,
    )
    found = scored(worst, known)
    assert (found.score, type(found.score)) == (100, int)
    assert sum(each.points for each in found.signals) > 100
    assert "operation.admin" in told(scored(action(operation="something new"), known))


def test_a_further_layer_never_lowers_a_score() -> None:
    random_ = random.Random(13)
    texts = [
        TEXT, "{}", "weights: {operation: {export: 90}}", 'internal: ["*.test"]', "weights: {destination: {new: 0}, labels: {untrusted: 0}}",
        "volume: {rows: 5}", "targets: [{connector: crm, sensitivity: public, reversible: true}]", 'hours: "00:00-00:30"',
    ]  # fmt: skip
    layers = [scoring(text, f"l{n}") for n, text in enumerate(texts)]
    for _ in range(300):
        act = action(
            random_.choice(["crm", "vault", "x"]),
            operation=random_.choice(["read", "export"]),
            to="a.test",
            limit=random_.choice([1, 10, -1]),
        )
        known = Known(
            assurance=random_.choice(["attested", "asserted"]),
            labels=random_.choice([(), ("untrusted",)]),
            now_ms=random_.randrange(10**9),
        )
        some = random_.sample(layers, random_.randint(1, 4))
        before = scored(act, known, *some)
        after = scored(act, known, *some, random_.choice(layers))
        assert after.score >= before.score
        assert scored(act, known, *reversed(some)).score == before.score
        written = parse(encode({"action": act, "known": known, "score": before}))
        assert isinstance(written, dict)
        again = scored(written["action"], msgspec.convert(written["known"], Known), *some)
        assert json.loads(encode(again)) == written["score"], "from the record, the same"
