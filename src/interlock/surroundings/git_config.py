"""Git's configuration, read as text: what it sets, in order. Nothing is run and nothing is followed.

Source: git-config(1), "Syntax". What git itself would refuse is left out here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD: Final = re.compile(r'\[\s*([\w.-]+)\s*(?:"((?:[^"\\]|\\.)*)")?\s*\]')
_ESCAPES: Final = {"n": "\n", "t": "\t", "b": "\b"}


class Setting(NamedTuple):
    """One setting. `section` and `key` are in lower case, `subsection` is as written, empty for none."""

    section: str
    subsection: str
    key: str
    value: str


def settings(text: str) -> Iterator[Setting]:
    """The settings of a file's text. A key without `=` is `true`."""
    section = subsection = ""
    for line in _lines(text):
        rest = line.strip()
        if head := _HEAD.match(rest):
            section, subsection = head[1].lower(), re.sub(r"\\(.)", r"\1", head[2] or "")
            rest = rest[head.end() :].strip()
        key, mark, value = rest.partition("=")
        if key.strip() and key[0] not in "#;[":
            yield Setting(section, subsection, key.strip().lower(), _value(value) if mark else "true")


def _lines(text: str) -> Iterator[str]:
    """The lines, those that end in a backslash joined to the next."""
    held = ""
    for line in text.splitlines():
        odd = (len(line) - len(line.rstrip("\\"))) % 2
        if odd:
            held += line[:-1]
            continue
        yield held + line
        held = ""
    yield held


def _value(text: str) -> str:
    """A value without its quotes, escapes and comment."""
    found, quoted, end = "", False, 0
    characters = iter(text.strip())
    for character in characters:
        if character in "#;" and not quoted:
            break
        if character == '"':
            quoted = not quoted
        elif character == "\\":
            escaped = next(characters, "")
            found += _ESCAPES.get(escaped, escaped)
        else:
            found += character
        if quoted or not character.isspace():
            end = len(found)
    return found[:end]
