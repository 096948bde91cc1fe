"""Characters that a model reads and a person does not see, found and taken out: tags (which spell ASCII unseen),
controls of direction, zero width, variation selectors in a row, fillers, and what a terminal obeys (ECMA-48).

Writing that needs such a character keeps it: a selector behind the sign that it varies, joiners between letters of
scripts that join and between emoji, marks of direction in a text that is written from the right, the tags of a flag.
Taken out and not escaped: what spells a message spells it in any form. Deciding never uses this; what a person is
shown is escaped (`printable.py`).
"""

from __future__ import annotations

import re
from typing import Final, TypeVar, cast

T = TypeVar("T")

#: Sequences that a terminal obeys: controls with parameters, strings to the device, single shifts (ECMA-48, 5.3-5.6).
_SEQUENCE: Final = (
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d\x9e\x9f])[^\x07\x1b\x9c]{0,4096}(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]{0,4}[0-~]?"
)
#: What may be unseen by itself; `\t`, `\n` and `\r` are not.
_UNSEEN: Final = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
#: The flags of England, Scotland and Wales are spelled in tags (UTS 51, annex C).
_FLAG: Final = (
    "\U0001f3f4(?:"
    + "|".join(
        "".join(chr(0xE0000 + ord(each)) for each in name) + "\U000e007f" for name in ("gbeng", "gbsct", "gbwls")
    )
    + ")"
)
_FOUND: Final = re.compile(f"{_FLAG}|{_SEQUENCE}|[{_UNSEEN}]")
_MAY_HOLD: Final = re.compile(f"[{_UNSEEN}]")
_ONE: Final = re.compile(f"[{_UNSEEN}]")
_FROM_THE_RIGHT: Final = re.compile(
    "[\u0590-\u061b\u061d-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
_MARKS: Final = frozenset("\u200e\u200f\u061c")
_JOINERS: Final = frozenset("\u200c\u200d")
#: Below this no script joins its letters by a sign of its own, and no emoji stands.
_JOINED_FROM: Final = 0x0590
_IDEOGRAPHS: Final = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


def unseen_in(text: str) -> int:
    """How many characters of a text are read and not seen."""
    return 0 if _MAY_HOLD.search(text) is None else len(text) - len(seen(text))


def seen(text: str) -> str:
    """A text as a person sees it."""
    if _MAY_HOLD.search(text) is None:
        return text
    from_the_right = _FROM_THE_RIGHT.search(text) is not None

    def kept(match: re.Match[str]) -> str:
        found = match[0]
        if len(found) > 1:
            return found if found[0] == "\U0001f3f4" else ""
        return found if _belongs(text, match.start(), from_the_right=from_the_right) else ""

    return _FOUND.sub(kept, text)


def without_unseen(value: T) -> tuple[T, int]:
    """A JSON value whose texts, keys too, are as a person sees them, and how many characters that took out. The value
    itself where there are none."""
    count = _count(value)
    return (cast("T", _seen_value(value)), count) if count else (value, 0)


def _count(value: object) -> int:
    count, waiting = 0, [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            count += unseen_in(each)
        elif isinstance(each, dict):
            waiting.extend(each.keys())
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)
    return count


def _seen_value(value: object) -> object:
    """As deep as JSON is read (`json_text.py` has the bound)."""
    if isinstance(value, str):
        return seen(value)
    if isinstance(value, dict):
        return {seen(key): _seen_value(each) for key, each in value.items()}
    return [_seen_value(each) for each in value] if isinstance(value, list) else value


def _belongs(text: str, at: int, *, from_the_right: bool) -> bool:
    """Whether the character there is part of how something is written."""
    character = text[at]
    before, after = text[at - 1 : at], text[at + 1 : at + 2]
    if character in _MARKS:
        return from_the_right
    if "\ufe00" <= character <= "\ufe0f":
        keycap = before in "0123456789#*" and after == "\u20e3"
        return bool(before) and (keycap or (not before.isascii() and _ONE.match(before) is None))
    if "\U000e0100" <= character <= "\U000e01ef":
        return _IDEOGRAPHS.match(before) is not None
    if character in _JOINERS:
        return _joins(before, varied=True) and _joins(after, varied=False)
    return character == "\ufeff" and at == 0


def _joins(beside: str, *, varied: bool) -> bool:
    if not beside or ord(beside) < _JOINED_FROM:
        return False
    return _ONE.match(beside) is None or (varied and beside == "\ufe0f")
