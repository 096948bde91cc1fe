"""Every key of the table of rules is read into the rule: a key that was only known would be a rule that says less than it seems to."""

from __future__ import annotations

from dataclasses import fields

import pytest

from interlock.policy.faults import Fault, Place
from interlock.policy.fields import RULE
from interlock.policy.layer import Instead, Rule
from interlock.policy.origin import Origin
from interlock.policy.parse import parse_layer

#: Each key as it may be written, on a rule that it fits.
WRITTEN = {
    "because": ("deny: file.read", "no"),
    "path": ("deny: file.read", "/a"),
    "except": ("deny: file.read\n    path: /a/**", "/a/b"),
    "except_within": ("deny: file.read\n    path: '**/a'", "/a/b/**"),
    "keys": ("deny: file.change\n    path: /a", "{format: json, named: [hooks]}"),
    "address": ("deny: net.connect", "127.0.0.1"),
    "host": ("deny: net.connect", "example.com"),
    "private": ("allow: net.connect\n    host: example.com", "true"),
    "port": ("deny: net.connect", "443"),
    "user": ("deny: key.use", "git"),
    "protocol": ("deny: net.connect", "tcp"),
    "to": ("deny: process.signal", "outside"),
    "signal": ("deny: process.signal", "TERM"),
    "command": ("deny: process.exec", "{program: git}"),
    "connector": ("deny: tool.call", "crm"),
    "tool": ("deny: tool.call", "export"),
    "operation": ("deny: tool.call", "delete"),
    "arguments": ("deny: tool.call", "[{at: /to, equals: x}]"),
    "answers": ("deny: tool.call", "[{at: /to, equals: x}]"),
    "sql": ("deny: tool.call", "{tables: [orders], where: false}"),
    "timeout": ("approve: file.read", "7s"),
    "record": ("allow: file.read", "durable"),
    "when": ("deny: file.read", "{origin: before}"),
    "mask": ("allow: file.read\n    path: /a", "credentials"),
    "unless_allowed": ("approve: net.connect", "true"),
    "best_effort": ("deny: file.read", "true"),
}
ATTRIBUTES = {"except": "except_", "timeout": "timeout_ms"}


def parsed(text: str) -> Rule:
    faults: list[Fault] = []
    layer = parse_layer(f"interlock: 1\nname: mine\nrules:\n  - id: one\n    {text}\n".encode(), file="mine.yaml", origin=Origin.USER, faults=faults)
    assert layer is not None and not faults
    return layer.rules[0]


@pytest.mark.parametrize("key", [name for name, field in RULE.items() if name != "id" and not field.later])
def test_a_key_that_is_written_is_in_the_rule(key: str) -> None:
    decision, value = WRITTEN[key]
    with_it, without = parsed(f"{decision}\n    {key}: {value}"), parsed(decision)
    attribute = ATTRIBUTES.get(key, key)
    assert getattr(with_it, attribute) != getattr(without, attribute)


def test_a_rule_holds_nothing_that_no_key_says() -> None:
    said = {ATTRIBUTES.get(name, name) for name, field in RULE.items() if not field.later}
    assert {field.name for field in fields(Rule)} == said | {"decision", "verbs", "place", "steer"}


def test_to_says_what_is_done_instead_on_a_rule_that_steers() -> None:
    rule = parsed("steer: net.bind\n    to: this_machine")
    assert (rule.to, rule.steer) == (None, Instead("this_machine"))


def test_what_cannot_be_read_is_a_fault_and_not_left_out() -> None:
    faults: list[Fault] = []
    parse_layer(b"interlock: 1\nname: mine\nrules:\n  - {id: one, deny: net.connect, port: many}\n", file="mine.yaml", origin=Origin.USER, faults=faults)
    assert [fault.place for fault in faults] == [Place("mine.yaml", 4, 40)]
