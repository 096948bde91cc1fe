"""A policy file as a tree of places and texts: YAML read by its events, strictly, with every oddity refused where it
stands.

Every scalar stays text (`no`, `22:30` and `0777` mean what they say); its field types it later. Refused: anchors,
aliases (hence no expansion bombs), tags, merge keys, duplicate keys, several documents, anything beyond the limits.
Left out: what keys and values mean (`parse.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from interlock.policy.faults import FAULTS_MAX, Fault, Place, quoted
from interlock.policy.limits import BYTES_MAX, DEPTH_MAX, NODES_MAX

#: Compiled when a file is read: compiling so wide a class costs every cached start 30 ms otherwise.
_FORBIDDEN_CHARACTER: Final = (
    "[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
#: A value that starts with what YAML keeps for itself: alias, anchor, tag, directive, reserved.
_MISREAD_VALUE: Final = re.compile(r"(?:^\s*-\s+|:\s+|[\[,]\s*)([*&!%@`][^\s,\]#]*)")
_NEEDS_QUOTES: Final = "a value that begins with `*`, `&`, `!`, `%`, `@`, a backtick, `{` or `[` must be quoted"


@dataclass(frozen=True, slots=True)
class Text:
    """A scalar, as written. `plain` when it stood without quotes."""

    place: Place
    value: str
    plain: bool


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list. `flow` when written `[…]`."""

    place: Place
    items: tuple[Node, ...]
    flow: bool


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys and values in the order written; no key twice. `flow` when written `{…}`."""

    place: Place
    entries: tuple[tuple[Text, Node], ...]
    flow: bool


Node = Text | Sequence | Mapping


def read_document(data: bytes, file: str, faults: list[Fault]) -> Node | None:
    """Read one YAML document.

    Arguments: `data`, the bytes of the file; `file`, its name for places; `faults`, to which every mistake is added.
    Returns the tree, or None when there is none to go on with (a fault then says why).
    """
    text = _decoded(data, file, faults)
    if text is None:
        return None
    return _Reader(text, file, faults).read()


def _decoded(data: bytes, file: str, faults: list[Fault]) -> str | None:
    if len(data) > BYTES_MAX:
        faults.append(Fault(Place(file), f"the file is larger than {BYTES_MAX} bytes", "split it into several layers"))
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        faults.append(Fault(Place(file, line, column), "the file is not UTF-8", "save it as UTF-8"))
        return None
    odd = re.search(_FORBIDDEN_CHARACTER, text)
    if odd is None:
        return text
    before = text[: odd.start()]
    place = Place(file, before.count("\n") + 1, odd.start() - (before.rfind("\n") + 1) + 1)
    name = f"U+{ord(odd.group()):04X}"
    faults.append(Fault(place, f"the character {name} may not stand here", "remove it"))
    return None


class _Reader:
    """Builds the tree from parser events with a stack of its own, so that depth is a limit and not a crash."""

    def __init__(self, text: str, file: str, faults: list[Fault]) -> None:
        self._text = text
        self._file = file
        self._faults = faults
        self._nodes = 0

    def read(self) -> Node | None:
        import yaml

        loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        try:
            return self._build(yaml.parse(self._text, Loader=loader), yaml)
        except yaml.MarkedYAMLError as error:
            self._syntax(error)
        except yaml.YAMLError as error:
            self._fault(Place(self._file), f"this is not YAML: {_first_line(str(error))}", None)
        return None

    def _build(self, events: Any, yaml: Any) -> Node | None:
        stack: list[tuple[Any, list[Node]]] = []
        root: Node | None = None
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._fault(
                        self._place(event), "a second document begins here", "one file is one layer: remove the `---`"
                    )
                    return root
                continue
            node: Node | None
            if isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
                self._check_node(event)
                stack.append((event, []))
                if len(stack) > DEPTH_MAX:
                    self._fault(
                        self._place(event), f"nested deeper than {DEPTH_MAX} levels", "a rule needs four at most"
                    )
                    return None
                continue
            if isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
                opened, children = stack.pop()
                node = self._closed(opened, children, yaml)
            elif isinstance(event, yaml.ScalarEvent):
                self._check_node(event)
                node = Text(self._place(event), event.value, event.style in (None, ""))
            elif isinstance(event, yaml.AliasEvent):
                node = self._alias(event)
            else:
                continue
            self._nodes += 1
            if len(self._faults) > FAULTS_MAX:
                return None
            if self._nodes > NODES_MAX:
                self._fault(
                    self._place(event), f"more than {NODES_MAX} values in one file", "split it into several layers"
                )
                return None
            if stack:
                stack[-1][1].append(node)
            else:
                root = node
        if root is None:
            self._fault(Place(self._file), "the file is empty", "start with `interlock: 1` and `name: …`")
        return root

    def _closed(self, opened: Any, children: list[Node], yaml: Any) -> Node:
        place = self._place(opened)
        if isinstance(opened, yaml.SequenceStartEvent):
            return Sequence(place, tuple(children), bool(opened.flow_style))
        entries: list[tuple[Text, Node]] = []
        seen: dict[str, Text] = {}
        for key, value in zip(children[::2], children[1::2], strict=True):
            if not isinstance(key, Text):
                self._fault(key.place, "a key must be plain text", _NEEDS_QUOTES)
            elif key.value == "<<":
                self._fault(key.place, "merge keys (`<<`) are refused", "write the keys out, or use a set")
            elif key.value in seen:
                where = seen[key.value].place
                self._fault(
                    key.place,
                    f"the key {quoted(key.value)} is given twice",
                    f"it stands at {where.line}:{where.column} already",
                )
            else:
                seen[key.value] = key
                entries.append((key, value))
        return Mapping(place, tuple(entries), bool(opened.flow_style))

    def _check_node(self, event: Any) -> None:
        place = self._place(event)
        if event.anchor is not None:
            written = f"&{event.anchor}"
            self._fault(
                place, f"YAML reads {quoted(written)} as an anchor, and anchors are refused", _quote_hint(written)
            )
        if event.tag is not None:
            written = _written_at(self._text, event.start_mark)
            self._fault(place, f"YAML reads {quoted(written)} as a tag, and tags are refused", _quote_hint(written))

    def _alias(self, event: Any) -> Text:
        written = _written_at(self._text, event.start_mark)
        self._fault(
            self._place(event),
            f"YAML reads {quoted(written)} as an alias, and aliases are refused",
            _quote_hint(written),
        )
        return Text(self._place(event), written, False)

    def _syntax(self, error: Any) -> None:
        """Name each value that YAML misreads; only when there is none, say what the YAML parser said."""
        found = [
            fault for number, line in enumerate(self._text.splitlines(), 1) for fault in self._misread(number, line)
        ]
        mark = error.problem_mark or error.context_mark
        place = Place(self._file) if mark is None else Place(self._file, mark.line + 1, mark.column + 1)
        known = {(fault.place.line, fault.place.column) for fault in self._faults}
        fresh = [fault for fault in found if (fault.place.line, fault.place.column) not in known]
        self._faults.extend(fresh)
        if any(fault.place.line == place.line for fault in found):
            return
        message, hint = _syntax_words(error, self._text, mark)
        self._fault(place, message, hint)

    def _misread(self, number: int, line: str) -> list[Fault]:
        if line.lstrip().startswith("#"):
            return []
        return [
            Fault(
                Place(self._file, number, match.start(1) + 1),
                f"YAML does not read {quoted(match.group(1))} as text",
                _quote_hint(match.group(1)),
            )
            for match in _MISREAD_VALUE.finditer(line)
            if line[: match.start(1)].count('"') % 2 == 0 and line[: match.start(1)].count("'") % 2 == 0
        ]

    def _place(self, event: Any) -> Place:
        return Place(self._file, event.start_mark.line + 1, event.start_mark.column + 1)

    def _fault(self, place: Place, message: str, hint: str | None) -> None:
        self._faults.append(Fault(place, message, hint))


def _syntax_words(error: Any, text: str, mark: Any) -> tuple[str, str]:
    lines = text.split("\n")
    line = lines[mark.line] if mark is not None and mark.line < len(lines) else ""
    indent = line[: len(line) - len(line.lstrip())]
    if "\t" in indent:
        return "a tab stands in the indentation", "YAML indents with spaces only"
    if "${" in line and ("[" in line or "{" in line):
        return (
            "YAML reads `{` inside `[…]` as a mapping",
            'quote each pattern that holds `${…}` or `{a,b}`: ["${workspace}/**"]',
        )
    return (
        f"this is not YAML: {_first_line(error.problem or str(error))}",
        "check quotes, indentation and colons near here",
    )


def _first_line(text: str) -> str:
    return (text.splitlines() or [""])[0]


def _quote_hint(written: str) -> str:
    return f"quote it: {quoted(chr(34) + written + chr(34))}"


def _written_at(text: str, mark: Any) -> str:
    """The word that stands at a mark."""
    match = re.match(r"[^\s,\]]+", text[mark.index : mark.index + 200])
    return match.group() if match else ""
