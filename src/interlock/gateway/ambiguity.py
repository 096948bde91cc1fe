"""What a server could read otherwise than the policy does: keys that fold together, URIs that are not where they say.

Libraries take a key without regard to its case, and undo what a URI hides (`..`, `%2e`, `%65`, another case of its
scheme, a zero byte at which C ends it). What a server does is not known here, so it is not guessed: a request in such a
form is refused, and the same thing can be asked for in its plain form (RFC 3986, section 6.2.2). Pure.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final
from urllib.parse import unquote

from interlock.mediate.json_text import is_object
from interlock.vocabulary.printable import printable

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):", re.ASCII)
_NEEDLESS: Final = re.compile(r"%(?:2[dDeE]|3[0-9]|4[1-9a-fA-F]|5[0-9aAfF]|6[1-9a-fA-F]|7[0-9aAeE])", re.ASCII)
_UNSEEN: Final = re.compile(r"[\x00-\x20\x7f-\x9f\\]|%(?:0[0-9a-fA-F]|1[0-9a-fA-F]|5[cC]|7[fF])")
_SEPARATOR: Final = re.compile(r"[/\\]")
_END: Final = re.compile(r"[?#]")
#: A text may have been encoded twice, hardly more often.
_DECODINGS: Final = 4
_SHOWN_CHARACTERS: Final = 64


def of_keys(value: object) -> str | None:
    """Why arguments could be read in two ways, or none: two keys of one object that differ in their case alone."""
    pending = [value]
    while pending:
        each = pending.pop()
        if is_object(each):
            folded: dict[str, str] = {}
            for key in each:
                other = folded.setdefault(_folded(key), key)
                if other != key:
                    return f"the keys {_shown(other)} and {_shown(key)} are the same to some readers"
            pending.extend(each.values())
        elif isinstance(each, list):
            pending.extend(each)
    return None


def of_uri(uri: str) -> str | None:
    """Why a URI could be taken for another one, or none."""
    if _UNSEEN.search(uri):
        return "the URI holds a character that no URI may"
    if _NEEDLESS.search(uri):
        return "the URI writes a plain character as `%` and two digits"
    scheme = _SCHEME.match(uri)
    if scheme is not None and scheme[1] != scheme[1].lower():
        return "the URI's scheme is not in small letters"
    rest = uri[scheme.end() :] if scheme is not None else uri
    if scheme is not None and scheme[1] == "file" and not rest.startswith("///"):
        return "the URI of a file begins with something else than `file:///`"
    for _ in range(_DECODINGS):
        if _strays(rest):
            return "the URI holds `..`, `.` or nothing between two slashes"
        rest = unquote(rest, errors="replace")
    return None


def _strays(text: str) -> bool:
    if ".." in re.split(r"[/\\?#]", text):
        return True
    path = _END.split(text, maxsplit=1)[0].removeprefix("//")
    parts = _SEPARATOR.split(path)
    return "" in parts[1:-1] or (len(parts) > 1 and "." in parts)


def _folded(key: str) -> str:
    return unicodedata.normalize("NFKC", key).casefold()


def _shown(key: str) -> str:
    return f"`{printable(key, _SHOWN_CHARACTERS)}`"
