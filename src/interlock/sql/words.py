"""The words of a SQLite statement, as SQLite's own tokenizer parts them: which word begins it, whether a second
statement follows, whether an UPDATE or DELETE has a WHERE of its own.

Only what the authorizer does not tell is read here. What a statement touches is never read off its text
(`judged.py`). Source: the tokenizer of SQLite (sqlite.org/lang.html; `tokenize.c`): quotes are doubled to stand for
themselves, a block comment that is not closed ends with the text, comments do not nest.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_TOKEN: Final = re.compile(
    r"""(?P<space>[ \t\n\f\r]+|--[^\n]*|/\*(?:.*?\*/|.*\Z))
    |(?P<parameter>\?[0-9]*|[:@$\#][A-Za-z0-9_$:\x80-\U0010ffff]+(?:\([^)]*\))?)
    |(?P<quoted>'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])
    |(?P<word>[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]*)
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_AFTER_WITH: Final = frozenset({"select", "values", "insert", "replace", "update", "delete"})
_JOINS_PARTS: Final = frozenset({"union", "intersect", "except"})
_OPENS: Final = {"(": 1, ")": -1}


class Worded(NamedTuple):
    """What the words of a text say.

    Attributes:
        verb: the word that says what the statement does, in small letters: for `WITH …` the one after the tables.
        first: the word that it begins with.
        statements: how many there are.
        has_where: whether a WHERE stands outside of all brackets; where UNION and its like join parts, in each part.
    """

    verb: str
    first: str
    statements: int
    has_where: bool


def worded(text: str) -> Worded:
    """See the module."""
    depth, statements, begun, before = 0, 0, False, ""
    outer: list[tuple[str, str]] = []
    for token in _TOKEN.finditer(text):
        if token.lastgroup == "space":
            continue
        said = token[0]
        if said == ";" and token.lastgroup == "other":
            begun = False
            continue
        statements += not begun
        begun = True
        depth += _OPENS.get(said, 0)
        if token.lastgroup == "word" and depth == 0 and statements == 1:
            outer.append((before, said.lower()))
        before = said
    words = [word for _, word in outer]
    parts = 1 + sum(word in _JOINS_PARTS for word in words)
    return Worded(_verb(outer), words[0] if words else "", statements, words.count("where") >= parts)


def _verb(outer: list[tuple[str, str]]) -> str:
    """Each word with what stands before it. After the tables of a WITH, each of which ends with a bracket, comes the
    verb; `replace` names a table there as well."""
    if not outer or outer[0][1] != "with":
        return outer[0][1] if outer else ""
    return next((word for before, word in outer if before == ")" and word in _AFTER_WITH), "")
