"""What a text names, in one spelling: addresses (`addresses.py`), and words as names of channels, people, files and
hosts are written. For what came from where, so a text that was read may give too much. Pure, and bounded.

Left out, since they choose nothing: dates, short numbers, and how an address begins (`https`).
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from interlock.risk.addresses import TEXT_CHARACTERS_MAX, addresses_in, decoded_forms

WORDS_MAX: Final = 20_000
_WORD: Final = re.compile(r"[\w.@+-]{2,200}")
_PLAIN: Final = re.compile(r"\d{1,4}|\d{4}-\d{2}-\d{2}|\d{2}[.]\d{2}[.]\d{4}", re.ASCII)
_BEGINNINGS: Final = frozenset({"http", "https", "www", "mailto", "ftp", "file"})


def names_in(value: object, *, words: bool) -> tuple[frozenset[str], bool]:
    """What a JSON value names, decoded as well, and whether all of it was looked at. `words`: each word counts, not
    only what has an address's form."""
    found, is_whole = addresses_in(value, decoded=True)
    if not words:
        return found, is_whole
    named, left, waiting = set(found), TEXT_CHARACTERS_MAX, [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            left -= len(each)
            if left < 0 or len(named) > WORDS_MAX:
                return frozenset(named), False
            for text in (each, *decoded_forms(each)):
                named.update(words_of(text))
        elif isinstance(each, dict):
            waiting.extend(each.values())
            waiting.extend(each.keys())
        elif isinstance(each, list):
            waiting.extend(each)
        elif isinstance(each, int | float) and not isinstance(each, bool):
            named.update(words_of(str(each)))
    return frozenset(named), is_whole and len(named) <= WORDS_MAX


def words_of(text: str) -> set[str]:
    """The words of a text, in one spelling."""
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    found = {word.strip(".-+@") for word in _WORD.findall(plain.casefold())}
    return {word for word in found if len(word) > 1 and word not in _BEGINNINGS and not _PLAIN.fullmatch(word)}
