"""Where something could be sent, found in texts: addresses of mail, hosts, and account numbers (ISO 13616), exact and
as text is commonly encoded. Pure, and bounded.

For what came from where (`memory.py`): so a text that was read may give too much, and one that is sent only what stands
there plainly. Left out: names of channels, users and files, which look like any word.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
from typing import Final
from urllib.parse import unquote

#: Texts of one value together, in characters, and what is found in it.
TEXT_CHARACTERS_MAX: Final = 262_144
ADDRESSES_MAX: Final = 2_000
#: Parts of one text that may be base64.
ENCODED_MAX: Final = 64
#: What an address is made of, without spaces; and an account number, in groups or not.
_WORD: Final = re.compile(r"[\w.@+-]{4,320}")
_ACCOUNT: Final = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b", re.ASCII)
_LABEL_CHARACTERS_MAX: Final = 63
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")
#: As people write an address so that it is not found.
_SPELLED: Final = (
    (re.compile(r"\s*[\[({]\s*at\s*[\])}]\s*", re.I), "@"),
    (re.compile(r"\s*[\[({]\s*dot\s*[\])}]\s*", re.I), "."),
)


def addresses_in(value: object, *, decoded: bool) -> tuple[frozenset[str], bool]:
    """What a JSON value names, in one spelling, and whether all of it was looked at. `decoded`: also what its texts
    name once they are decoded."""
    found: set[str] = set()
    left, waiting = TEXT_CHARACTERS_MAX, [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            left -= len(each)
            if left < 0 or len(found) > ADDRESSES_MAX:
                return frozenset(found), False
            _add(found, each)
            if decoded:
                for text in decoded_forms(each):
                    _add(found, text)
        elif isinstance(each, dict):
            waiting.extend(each.values())
            waiting.extend(each.keys())
        elif isinstance(each, list):
            waiting.extend(each)
    return frozenset(found), len(found) <= ADDRESSES_MAX


def _add(found: set[str], text: str) -> None:
    if "." in text:
        found.update(named for word in _WORD.findall(text) if (named := _address(word.strip(".-"))) is not None)
    found.update(each.replace(" ", "") for each in _ACCOUNT.findall(text))


def _address(word: str) -> str | None:
    """An address of mail or a host, in small letters; none for another word."""
    local, at, host = word.rpartition("@")
    labels = host.split(".")
    if len(labels) < 2 or not all(0 < len(each) <= _LABEL_CHARACTERS_MAX for each in labels):
        return None
    numbers = len(labels) == 4 and all(each.isdigit() and len(each) <= 3 for each in labels)
    if not numbers and not (len(labels[-1]) > 1 and labels[-1].replace("-", "").isalnum() and labels[-1][0].isalpha()):
        return None
    return f"{local}@{host}".lower() if at and local else host.lower()


def decoded_forms(text: str) -> list[str]:
    """What a text says once what hides it is undone; where nothing does, nothing."""
    plain = unquote(html.unescape(text), errors="replace")
    for form, sign in _SPELLED:
        plain = form.sub(sign, plain)
    found = [plain] if plain != text else []
    for part in _BASE64.findall(text)[:ENCODED_MAX]:
        try:
            raw = base64.b64decode(
                part + "=" * (-len(part) % 4), altchars=b"-_" if "-" in part or "_" in part else None
            )
            found.append(raw.decode("utf-8"))
        except (binascii.Error, ValueError):
            continue
    return found
