"""The escape closure names the rule that opens a route; the schema follows the parser's tables."""

from __future__ import annotations

from interlock.policy import Context, Source, load
from interlock.policy.closure import routes
from interlock.policy.fields import RULE
from interlock.policy.schema import schema

CONTEXT = Context(
    home="/home/ada", workspace="/home/ada/work", user="ada", state="/il/state", config="/il/config", cache="/il/cache", runtime="/il/run"
)


def document(rules: str) -> dict:
    text = f"interlock: 1\nname: mine\nrules:\n{rules}"
    return load([Source("mine.yaml", text.encode())], CONTEXT, workspace_layer=False, guard=False).document()


def openers(rules: str) -> list[tuple[str, str]]:
    return [(route.rule, route.opened_by) for route in routes(document(rules))]


WORK = '  - {id: work, allow: file.*, path: "${workspace}/**"}\n'


def test_a_deny_of_writing_is_open_to_a_rename() -> None:
    rules = WORK + '  - {id: keep, deny: [file.write, file.create], path: "${workspace}/keep/**"}\n'
    assert ("mine/keep", "mine/work") in openers(rules)


def test_a_deny_of_every_change_is_not() -> None:
    assert openers(WORK + '  - {id: keep, deny: file.change, path: "${workspace}/keep/**"}\n') == []


def test_a_denied_program_is_open_to_a_copy() -> None:
    rules = '  - {id: work, allow: [file.*, process.exec], path: "${workspace}/**"}\n'
    assert openers(rules + "  - {id: no-curl, deny: process.exec, command: {program: curl}}\n") == [("mine/no-curl", "mine/work")]
    assert openers(WORK + "  - {id: no-curl, deny: process.exec, command: {program: curl}}\n") == []


def test_a_socket_that_starts_programs_outside_is_named() -> None:
    assert openers('  - {id: sockets, allow: unix.connect, path: "/run/**"}\n') == [("mine/sockets", "mine/sockets")]
    assert openers("  - {id: sockets, allow: unix.connect, to: inside}\n") == []


def test_the_schema_knows_what_the_parser_knows_and_refuses_the_rest() -> None:
    rule = schema()["properties"]["rules"]["items"]
    assert set(rule["properties"]) == {name for name, field in RULE.items() if not field.later} | {"allow", "deny", "approve", "steer"}
    assert rule["additionalProperties"] is False
