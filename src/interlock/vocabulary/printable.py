"""Text from outside made safe to show to a person: no character may move the cursor, reorder, hide or imitate.

What is escaped is written `\\x1b` or `\\u{202e}`; a backslash that could be mistaken for such an escape is doubled,
so that two different texts never look the same. Deciding never uses this; it is for prompts, notices and listings.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

#: What a notice or prompt shows of one value, in characters.
SHOWN_CHARACTERS_MAX: Final = 300
#: Letters by Unicode's category that nevertheless show as nothing (fillers, blank Braille).
_BLANK: Final = frozenset("\u115f\u1160\u3164\uffa0\u2800\u17b4\u17b5\u034f")
_ESCAPED_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Me"})
_MISTAKABLE_BACKSLASH: Final = re.compile(r"\\(?=[\\xu])")
_SAFE_WORD: Final = re.compile(r"[A-Za-z0-9@%+=:,./_~-]+\Z")
#: One part of a dotted name that is not taken for several, nor for anything else than a name.
_SAFE_PART: Final = re.compile(r"[A-Za-z0-9@%+=:,/~_-]+\Z")


def printable(text: str, limit: int = SHOWN_CHARACTERS_MAX) -> str:
    """Escape what could deceive. A text of more than `limit` characters loses its middle, and says how much."""
    if len(text) > limit:
        kept = limit // 2
        return f"{_escape(text[:kept])}…({len(text) - 2 * kept} more)…{_escape(text[-kept:])}"
    return _escape(text)


def text_of(value: object) -> str:
    """A path or argument of spec/action.md (a string, or `{"base64": …}`) as text; bytes that are no UTF-8 become
    surrogates.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and isinstance(value.get("base64"), str):
        import base64  # here, since nearly every text is UTF-8 and every start would pay

        try:
            return base64.b64decode(value["base64"], validate=True).decode("utf-8", "surrogateescape")
        except ValueError:
            return "(not base64)"
    return "(not text)"


def marked(text: str) -> str:
    """One of several in a row, not yet made printable: in quotation marks unless it is a plain word, so that none can
    be read as two.
    """
    return text if _SAFE_WORD.match(text) else _in_marks(text)


def dotted(parts: list[str]) -> str:
    """The names of a key, outermost first: each that is not plain stands in quotation marks."""
    return ".".join(part if _SAFE_PART.match(part) else _in_marks(part) for part in parts)


def _in_marks(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def shell_words(words: list[str], limit: int = SHOWN_CHARACTERS_MAX) -> str:
    """A command line as a person would type it, each word quoted where it needs to be, then made printable as a
    whole.
    """
    return printable(" ".join(word if _SAFE_WORD.match(word) else _quote(word) for word in words), limit)


def _quote(word: str) -> str:
    return "'" + word.replace("'", "'\"'\"'") + "'"


def _escape(text: str) -> str:
    if text.isascii() and text.isprintable() and "\\" not in text:
        return text
    from unicodedata import category  # here, since most texts never need it and every start would pay

    text = _MISTAKABLE_BACKSLASH.sub(r"\\\\", text)
    return "".join(_escape_one(character, category) for character in text)


def _escape_one(character: str, category_of: Callable[[str], str]) -> str:
    code = ord(character)
    if 0x20 <= code < 0x7F:
        return character
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"  # a byte that was no UTF-8 (PEP 383)
    category = category_of(character)
    if category in _ESCAPED_CATEGORIES or category == "Zs" or character in _BLANK:
        return f"\\x{code:02x}" if code < 0x80 else f"\\u{{{code:x}}}"
    return character
