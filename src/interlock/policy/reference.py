"""The reference page of the policy language, as Markdown: made from the tables that parser and engine use, so that it
cannot say anything else.

Left out: what a policy is for, and how to write one (docs/policy.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from interlock.policy import flows
from interlock.policy.fields import DECISIONS, INSTEAD, RULE, TOP, Field
from interlock.policy.language import (
    COMMAND_KEYS,
    CONDITION_TESTS,
    FACTS,
    FORMATS,
    GATEWAY_VERBS,
    GROUPS,
    HOST_VERBS,
    MASKS,
    OPERATIONS,
    PROTOCOLS,
    RECORDS,
    SELECTORS,
    SIDES,
    SIGNALS,
    SQL_KEYS,
    STEERS,
    in_groups,
)
from interlock.policy.risk import POINTS
from interlock.policy.steers import LATER, MEANINGS
from interlock.vocabulary.label_places import LABEL_PLACES

if TYPE_CHECKING:
    from collections.abc import Sequence

_TAKES: Final[dict[str, str]] = {
    "version": "`1`",
    "name": "`a-z`, `0-9`, `-`",
    "text": "text",
    "folder": "an absolute path",
    "flag": "`true` or `false`",
    "variables": "names and texts",
    "sets": "names and lists",
    "rules": "a list of rules",
    "patterns": "one or more path patterns or `@sets`",
    "addresses": "one or more addresses, networks or `@sets`",
    "hosts": "one or more names or `@sets`",
    "ports": "one or more ports or ranges",
    "side": " or ".join(f"`{side}`" for side in SIDES),
    "protocols": ", ".join(f"`{protocol}`" for protocol in PROTOCOLS),
    "signals": f"`{next(iter(SIGNALS))}`, … or `0`",
    "command": ", ".join(f"`{key}`" for key in COMMAND_KEYS),
    "globs": "one or more names with `*`",
    "operations": ", ".join(f"`{operation}`" for operation in OPERATIONS),
    "conditions": f"a list of `at` and one of {', '.join(f'`{test}`' for test in CONDITION_TESTS)}",
    "sql": ", ".join(f"`{key}`" for key in SQL_KEYS),
    "keys": f"`format` ({', '.join(f'`{form}`' for form in FORMATS)}) and one of `named` and `except`",
    "duration": "`120s`, `5m`",
    "record": ", ".join(f"`{record}`" for record in RECORDS),
    "mask": " or ".join(f"`{mask}`" for mask in MASKS),
    "when": ", ".join(
        [
            *(f"`{fact}: {word}`" for fact, (words, _) in FACTS.items() for word in words),
            "`risk: {at_least: 60}`",
            *(f"`labels: {{{place}: [{words[0]}]}}`" for place, words in LABEL_PLACES.items()),
        ]
    ),
    "risk": "`{}`, or any of `mode`, `weights`, `targets`, `internal`, `known`, `volume`, `hours`, `zone`",
    "rego": "a list of `module` (one or more files, with `v0`) or `server` (with `timeout`), and `query`",
    "labels": "a list of `connector`, `tool`, and one or both of `integrity` and `confidentiality`",
    "flows": f"a list of {', '.join(f'`{key}`' for key in flows.KEYS)}",
}


def reference() -> str:
    """The page."""
    narrowing, other = ("key", "on", "takes", "meaning"), [name for name in RULE if _is_other(name)]
    later = {name: INSTEAD[name] for table in (TOP, RULE) for name, field in table.items() if field.later}
    later |= {f"steer … to: {kind}": instead for kind, instead in LATER.items()}
    planes = [("host", _quoted(HOST_VERBS)), ("gateway", _quoted(GATEWAY_VERBS))]
    keys = [_row(name, field) for name, field in TOP.items() if not field.later]
    parts = [
        "# The policy language, key by key",
        "",
        "`interlock policy language` prints this page from the tables that the parser and the engine use.",
        "[Policies](policy.md) explains how to write one.",
        *_section("A layer", ("key", "takes", "meaning"), keys),
        *_section("Decisions", ("decision",), [(f"`{word}`",) for word in DECISIONS]),
        *_section("What may be done instead (`steer`, `to`)", ("to", "on", "what is done"), _steers()),
        *_section("Verbs", ("plane", "verbs"), planes),
        *_section("Words for several verbs", ("word", "stands for"), [_several(name) for name in GROUPS]),
        *_section("What narrows a rule", narrowing, [_selector(name) for name in SELECTORS]),
        *_section("Other keys of a rule", narrowing, [_other(name) for name in other]),
        *_section("Signals of a call (`risk`, `weights`)", ("signal", "points by reading"), _signals()),
        *_section("Flows", ("key", "takes"), _flows()),
        *_section("What a flow carries (`carries`)", ("word", "what has to get there"), _carries()),
        *_section("Known, and not enforced yet", ("key", "what to do instead"), [*_instead(later)]),
    ]
    return "\n".join(parts) + "\n"


def _section(title: str, heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    lines = ["", f"## {title}", "", f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows)]


def _row(name: str, field: Field) -> tuple[str, ...]:
    return (f"`{name}`", _TAKES[field.kind], field.meaning)


def _several(name: str) -> tuple[str, ...]:
    return (f"`{name}`", _quoted(GROUPS[name]))


def _steers() -> list[tuple[str, ...]]:
    known = [(kind, meaning) for kind, meaning in MEANINGS.items() if kind not in LATER]
    return [(f"`{kind}`", _quoted(in_groups(STEERS[kind])), meaning) for kind, meaning in known]


def _signals() -> list[tuple[str, ...]]:
    shown = {signal: [f"`{reading}` {points}" for reading, points in each.items()] for signal, each in POINTS.items()}
    return [(f"`{signal}`", ", ".join(each)) for signal, each in shown.items()]


def _flows() -> list[tuple[str, ...]]:
    ends = {"from": flows.FROM_KEYS, "to": flows.TO_KEYS, "declassify": flows.DECLASSIFY_KEYS}
    return [(f"`{key}`", f"one or more of {_quoted(keys)}") for key, keys in ends.items()]


def _carries() -> list[tuple[str, ...]]:
    return [(f"`{word}`", meaning) for word, meaning in flows.CARRIES.items()]


def _instead(later: dict[str, str]) -> list[tuple[str, ...]]:
    return [(f"`{name}`", instead) for name, instead in later.items()]


def _selector(name: str) -> tuple[str, ...]:
    return (f"`{name}`", _quoted(in_groups(SELECTORS[name])), _TAKES[RULE[name].kind], RULE[name].meaning)


def _is_other(name: str) -> bool:
    return name not in SELECTORS and not RULE[name].later


def _other(name: str) -> tuple[str, ...]:
    field = RULE[name]
    decisions = "every rule" if field.decisions == DECISIONS else _quoted(field.decisions)
    return (f"`{name}`", decisions, _TAKES[field.kind], field.meaning)


def _quoted(words: tuple[str, ...] | list[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)
