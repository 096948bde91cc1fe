"""The type of each field: a node in, a frozen value out, or None and a fault that says what was expected.

Addresses, path patterns and sets are only collected here; `expand.py` checks them once variables are known.
"""

# mypy: disable-error-code="func-returns-value"
from __future__ import annotations

import re
from typing import Final

from interlock.policy.document import Mapping, Node, Sequence, Text
from interlock.policy.faults import Fault, meant, quoted
from interlock.policy.fields import (
    FOLDER_CHARACTERS_MAX,
    NAME,
    NAME_CHARACTERS_MAX,
    TEXT_CHARACTERS_MAX,
    TIMEOUT_MS_MAX,
)
from interlock.policy.language import (
    COMMAND_KEYS,
    CONDITION_TESTS,
    FORMATS,
    MASKS,
    OPERATIONS,
    PROTOCOLS,
    RECORDS,
    SIDES,
    SIGNALS,
)
from interlock.policy.layer import Command, Condition, Item, Keys
from interlock.policy.limits import PATTERNS_MAX

Faults = list[Fault]

_NAME: Final = re.compile(NAME + r"\Z")
_PORT: Final = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?\Z")
_DURATION: Final = re.compile(r"([0-9]{1,6})(ms|s|m|h)\Z")
_UNIT_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}
_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,14})\Z")
_EMPTY_HINT: Final = "a `#` begins a comment; quote a value that starts with one"


def text(node: Node, field: str, faults: Faults) -> str | None:
    """Any text that is not empty."""
    if not isinstance(node, Text):
        kind = "a list" if isinstance(node, Sequence) else "a mapping"
        return _wrong(faults, node, f"`{field}` is a text, not {kind}", _shape_hint(node))
    if not node.value:
        hint = _EMPTY_HINT if node.plain else "write something, or leave the key out"
        return _wrong(faults, node, f"`{field}` is empty", hint)
    if len(node.value) > TEXT_CHARACTERS_MAX:
        return _wrong(faults, node, f"`{field}` is longer than {TEXT_CHARACTERS_MAX} characters", "shorten it")
    return node.value


def name(node: Node, field: str, faults: Faults) -> str | None:
    """A name: `[a-z0-9][a-z0-9-]*`."""
    value = text(node, field, faults)
    if value is None:
        return None
    if _NAME.match(value) and len(value) <= NAME_CHARACTERS_MAX:
        return value
    if not value.isascii():
        return _wrong(faults, node, f"the {field} {quoted(value)} is not plain ASCII", meant(value, (), ""))
    hint = (
        f"lowercase letters, digits and `-`, at most {NAME_CHARACTERS_MAX} characters, for example `{_tidied(value)}`"
    )
    what = "a name" if field == "name" else f"a name ({field})"
    return _wrong(faults, node, f"{quoted(value)} cannot be {what}", hint)


def version(node: Node, faults: Faults) -> None:
    """The version of the language: 1."""
    value = text(node, "interlock", faults)
    if value is not None and value != "1":
        message = f"{quoted('interlock: ' + value)} is a version of the language that this Interlock does not know"
        _wrong(faults, node, message, "write `interlock: 1`")


def flag(node: Node, field: str, faults: Faults) -> bool | None:
    """`true` or `false`, nothing else."""
    value = text(node, field, faults)
    if value is None:
        return None
    if value in ("true", "false"):
        return value == "true"
    return _wrong(faults, node, f"`{field}` is `true` or `false`, not {quoted(value)}", None)


def folder(node: Node, field: str, faults: Faults) -> Item | None:
    """An absolute path, taken as it is: no pattern, no variable."""
    value = node.value if isinstance(node, Text) else None
    if value is None or not value.startswith("/") or len(value) > FOLDER_CHARACTERS_MAX:
        return _wrong(faults, node, f"`{field}` is not an absolute path", "write the folder out: `/home/you/project`")
    return Item(value, node.place)


def items(node: Node, field: str, faults: Faults) -> tuple[Item, ...] | None:
    """One text or a list of texts; an empty list is a fault, for it would match nothing."""
    nodes = node.items if isinstance(node, Sequence) else (node,)
    if not nodes:
        return _wrong(
            faults, node, f"`{field}` is an empty list", "it would match nothing; leave the key out or fill it"
        )
    if len(nodes) > PATTERNS_MAX:
        return _wrong(
            faults, node, f"`{field}` lists more than {PATTERNS_MAX} values", "use wider patterns or two rules"
        )
    found = [Item(value, each.place) for each in nodes if (value := text(each, field, faults)) is not None]
    return tuple(found) if len(found) == len(nodes) else None


def choices(node: Node, field: str, faults: Faults, known: tuple[str, ...]) -> tuple[str, ...] | None:
    """One or several of a few words."""
    listed = items(node, field, faults)
    if listed is None:
        return None
    bad = [item for item in listed if item.text not in known]
    for item in bad:
        hint = meant(item.text, known, f"one of {', '.join(known)}")
        faults.append(Fault(item.place, f"unknown {field} {quoted(item.text)}", hint))
    return None if bad else tuple(dict.fromkeys(item.text for item in listed))


def choice(node: Node, field: str, faults: Faults, known: tuple[str, ...]) -> str | None:
    """One of a few words."""
    value = text(node, field, faults)
    if value is None or value in known:
        return value
    shown = " or ".join(f"`{word}`" for word in known)
    return _wrong(faults, node, f"`{field}` is {shown}, not {quoted(value)}", meant(value, known, "") or None)


def ports(node: Node, field: str, faults: Faults) -> tuple[tuple[int, int], ...] | None:
    """Ports and ranges of ports, ends included."""
    listed = items(node, field, faults)
    if listed is None:
        return None
    ranges = [_port(item, faults) for item in listed]
    return None if None in ranges else tuple(sorted({each for each in ranges if each is not None}))


def _port(item: Item, faults: Faults) -> tuple[int, int] | None:
    match = _PORT.match(item.text)
    low, high = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
    if match and low <= high <= 65_535:
        return low, high
    hint = "a number from 0 to 65535, or a range such as `8000-8999`"
    faults.append(Fault(item.place, f"{quoted(item.text)} is not a port", hint))
    return None


def signals(node: Node, field: str, faults: Faults) -> tuple[int, ...] | None:
    """Signal names, with or without `SIG`; `0` is the probe that sends nothing."""
    listed = items(node, field, faults)
    if listed is None:
        return None
    numbers = []
    for item in listed:
        number = 0 if item.text == "0" else SIGNALS.get(item.text.removeprefix("SIG"))
        if number is None:
            hint = meant(item.text.removeprefix("SIG"), SIGNALS, "names as kill(1) lists them, for example TERM")
            faults.append(Fault(item.place, f"unknown signal {quoted(item.text)}", hint))
        else:
            numbers.append(number)
    return tuple(sorted(set(numbers))) if len(numbers) == len(listed) else None


def duration(node: Node, field: str, faults: Faults) -> int | None:
    """A duration in milliseconds, from `500ms`, `120s`, `5m` or `1h`."""
    value = text(node, field, faults)
    if value is None:
        return None
    match = _DURATION.match(value)
    duration_ms = int(match[1]) * _UNIT_MS[match[2]] if match else 0
    if 0 < duration_ms <= TIMEOUT_MS_MAX:
        return duration_ms
    return _wrong(
        faults, node, f"{quoted(value)} is not a duration", "write `500ms`, `120s`, `5m` or `1h`; at most 24h"
    )


def command(node: Node, field: str, faults: Faults) -> Command | None:
    """`{program, words, any_flag}`, at least one of them."""
    if not isinstance(node, Mapping):
        return _wrong(faults, node, f"`{field}` is a mapping", "write `command: {program: git, words: [push]}`")
    found: dict[str, tuple[Item, ...]] = {}
    bad = False
    for key, value in node.entries:
        if key.value not in COMMAND_KEYS:
            bad = True
            hint = meant(key.value, COMMAND_KEYS, f"known here: {', '.join(COMMAND_KEYS)}")
            faults.append(Fault(key.place, f"unknown key {quoted(key.value)} in `command`", hint))
            continue
        listed = items(value, key.value, faults)
        bad = bad or listed is None or not _command_fits(key.value, listed, faults)
        found[key.value] = listed or ()
    if not found and not bad:
        return _wrong(faults, node, "`command` says nothing", "name a `program`, `words` or `any_flag`")
    if bad:
        return None
    words = tuple(item.text for item in found.get("words", ()))
    flags = tuple(item.text for item in found.get("any_flag", ()))
    return Command(found.get("program", ()), words, flags)


def _command_fits(key: str, listed: tuple[Item, ...], faults: Faults) -> bool:
    before = len(faults)
    for item in listed:
        if key == "any_flag" and (not item.text.startswith("-") or item.text in ("-", "--")):
            hint = "flags begin with `-`; other words go under `words`"
            faults.append(Fault(item.place, f"{quoted(item.text)} is not a flag", hint))
        if key == "any_flag" and "=" in item.text:
            hint = "name the flag alone; it matches `--flag=value` too"
            faults.append(Fault(item.place, f"{quoted(item.text)} holds a value", hint))
        if key == "program" and "/" not in item.text and any(character in item.text for character in "*?[]{}\\"):
            hint = "write the program's name as it is, or a path pattern with a `/`"
            faults.append(Fault(item.place, f"the program {quoted(item.text)} is a pattern without `/`", hint))
    return len(faults) == before


def keys(node: Node, field: str, faults: Faults) -> Keys | None:
    """`{format: json, named: [...]}` or `{format: git, except: [...]}`."""
    example = "write `keys: {format: json, named: [mcpServers, hooks]}`"
    if not isinstance(node, Mapping):
        return _wrong(faults, node, f"`{field}` is a mapping", example)
    before, form = len(faults), None
    found: dict[str, tuple[Item, ...] | None] = {}
    for key, value in node.entries:
        if key.value == "format":
            form = choice(value, "format", faults, FORMATS)
        elif key.value in ("named", "except"):
            found[key.value] = items(value, key.value, faults)
        else:
            hint = meant(key.value, _KEYS_KEYS, f"known here: {', '.join(_KEYS_KEYS)}")
            _wrong(faults, key, f"unknown key {quoted(key.value)} in `{field}`", hint)
    if len(faults) > before:
        return None
    if form is None:
        return _wrong(faults, node, f"`{field}` has no `format`", f"one of {', '.join(FORMATS)}; {example}")
    if len(found) != 1:
        return _wrong(faults, node, f"`{field}` has one of `named` and `except`", example)
    return Keys(form, found.get("named") or (), found.get("except") or ())


_KEYS_KEYS: Final = ("format", "named", "except")


def conditions(node: Node, field: str, faults: Faults) -> tuple[Condition, ...] | None:
    """Conditions on arguments or answers: a list of `{at: /pointer, <test>: value}`."""
    if not isinstance(node, Sequence) or not node.items:
        return _wrong(faults, node, f"`{field}` is a list of conditions", f"write `{field}: [{{at: /to, equals: x}}]`")
    found = [condition(item, faults) for item in node.items]
    return None if None in found else tuple(each for each in found if each is not None)


def condition(node: Node, faults: Faults) -> Condition | None:
    """One condition: a JSON pointer (RFC 6901) and exactly one test."""
    if not isinstance(node, Mapping):
        return _wrong(faults, node, "a condition is a mapping", "write `{at: /to, equals: x}`")
    entries = {key.value: (key, value) for key, value in node.entries}
    for key, _ in node.entries:
        if key.value != "at" and key.value not in CONDITION_TESTS:
            hint = meant(key.value, CONDITION_TESTS, f"tests: {', '.join(CONDITION_TESTS)}")
            return _wrong(faults, key, f"unknown test {quoted(key.value)}", hint)
    tests = [key for key in entries if key != "at"]
    if "at" not in entries or len(tests) != 1:
        return _wrong(faults, node, "a condition has `at` and exactly one test", "write `{at: /to, equals: x}`")
    at_node = entries["at"][1]
    at = at_node.value if isinstance(at_node, Text) else None
    if at is None or (at and not at.startswith("/")):
        return _wrong(faults, at_node, "`at` is a JSON pointer", "it begins with `/`, as in `/items/0/id` (RFC 6901)")
    before = len(faults)
    value = _condition_value(tests[0], entries[tests[0]][1], faults)
    return Condition(at, tests[0], value) if len(faults) == before else None


def _condition_value(test: str, node: Node, faults: Faults) -> object:
    if test == "in":
        if not isinstance(node, Sequence) or not node.items:
            return _wrong(faults, node, "`in` takes a list", "write `in: [a, b]`")
        return [json_scalar(item, faults) for item in node.items]
    if test == "present":
        return flag(node, "present", faults)
    if test in ("at_most", "at_least"):
        value = json_scalar(node, faults)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        return _wrong(faults, node, f"`{test}` takes an integer", None)
    return text(node, test, faults) if test == "matches" else json_scalar(node, faults)


def json_scalar(node: Node, faults: Faults) -> object:
    """A scalar of JSON: quoted is text; plain `true`, `false`, `null` and integers are what they look like."""
    if not isinstance(node, Text):
        return _wrong(faults, node, "a condition compares texts, integers, `true`, `false` and `null`", None)
    if not node.plain:
        return node.value
    if node.value in _JSON_WORDS:
        return _JSON_WORDS[node.value]
    return int(node.value) if _INTEGER.match(node.value) else node.value


_JSON_WORDS: Final[dict[str, object]] = {"true": True, "false": False, "null": None}


def globs(node: Node, field: str, faults: Faults) -> tuple[str, ...] | None:
    """Patterns without `/` meaning: connectors and tools."""
    from interlock.policy.pattern import problem_of_glob

    listed = items(node, field, faults)
    if listed is None:
        return None
    before = len(faults)
    for item in listed:
        problem = problem_of_glob(item.text)
        if problem is not None:
            faults.append(Fault(item.place, f"{problem[0]} in {quoted(item.text)}", problem[1]))
    return tuple(dict.fromkeys(item.text for item in listed)) if len(faults) == before else None


def protocols(node: Node, field: str, faults: Faults) -> tuple[str, ...] | None:
    """Protocols of the network."""
    return choices(node, field, faults, PROTOCOLS)


def operations(node: Node, field: str, faults: Faults) -> tuple[str, ...] | None:
    """Classes of operation of a tool."""
    return choices(node, field, faults, OPERATIONS)


def side(node: Node, field: str, faults: Faults) -> str | None:
    """`inside` or `outside`."""
    return choice(node, field, faults, SIDES)


def record(node: Node, field: str, faults: Faults) -> str | None:
    """How surely an act is recorded."""
    return choice(node, field, faults, RECORDS)


def mask(node: Node, field: str, faults: Faults) -> str | None:
    """What is left out of a configuration that is read."""
    if isinstance(node, Sequence):
        return _wrong(faults, node, f"`{field}` of a list of fields is not enforced yet", "leave it out of such rules")
    return choice(node, field, faults, MASKS)


def _wrong(faults: Faults, node: Node, message: str, hint: str | None) -> None:
    """Add the fault; the reader that found it answers with the same None."""
    faults.append(Fault(node.place, message, hint))


def _shape_hint(node: Node) -> str:
    if isinstance(node, Mapping) and node.flow:
        return "YAML reads `{…}` as a mapping; quote a pattern that begins with `{`"
    return "write it on the same line, in quotes if it holds special characters"


def _tidied(value: str) -> str:
    tidy = re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-")[:40]
    return tidy or "my-rule"
