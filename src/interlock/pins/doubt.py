"""What in a definition lets a person look before a model does: characters that nobody sees, sentences to a model, names
that stand for or look like another server's.

A detector, and no boundary: what it misses is pinned at first sight like any other definition, and can do what policy
lets its server's tools do. It only ever keeps something from being taken unseen. Left out: what servers answer, whose
labels come from where it came (`docs/risk.md`).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from interlock.pins.sentence import sentence_in
from interlock.vocabulary.json_value import JsonObject
from interlock.vocabulary.unseen_text import seen, unseen_in

#: Of all texts of a definition together, in characters; what is longer is in doubt for that.
TEXT_CHARACTERS_MAX: Final = 65_536
#: Shorter names of tools are words that any text may hold.
NAMED_CHARACTERS_MIN: Final = 6
_SEPARATORS: Final = ("__", ".", ":", "/")
#: What is drawn alike, of small letters and figures, Cyrillic and Greek → the Latin letter that stands for all of it.
_ALIKE: Final = {
    "a": "аɑα", "b": "вβ", "c": "сϲ", "d": "ԁ", "e": "еҽε", "g": "ɡց", "h": "нһհη", "k": "кκ", "l": "1|iіιɩıӏ",
    "m": "мμ", "n": "ոν", "o": "0оοօσ", "p": "рρ", "q": "ԛ", "r": "г", "s": "ѕ", "t": "тτ", "u": "սυ", "w": "ԝω",
    "x": "хχ", "y": "уү", "z": "ζ", "j": "ј",
}  # fmt: skip
_DRAWN_LIKE: Final = {ord(each): letter for letter, many in _ALIKE.items() for each in many}


def doubts(entry: JsonObject, others: Mapping[str, Iterable[str]]) -> str | None:
    """Why a person should look at an entry of a connector's list first, in our words; none if nothing speaks for it.
    `others`: the other connectors, with the names of their tools as far as these are known."""
    texts = list(_texts(entry))
    if sum(map(len, texts)) > TEXT_CHARACTERS_MAX:
        return f"it holds more than {TEXT_CHARACTERS_MAX} characters"
    unseen = sum(map(unseen_in, texts))
    if unseen:
        return f"it holds {unseen} characters that nobody sees"
    name = entry.get("name")
    why = _stands_for(name, others) if isinstance(name, str) else None
    return why or _told(texts, others)


def _texts(value: object) -> Iterator[str]:
    """Every text of it, keys as well."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, dict):
            yield from (key for key in each if isinstance(key, str))
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)


def _stands_for(name: str, others: Mapping[str, Iterable[str]]) -> str | None:
    """A name that leads with another connector's, or is drawn like a name of its tools and is not the same."""
    folded = name.casefold()
    if any(each.isascii() and each.isalpha() for each in name) and any(
        ord(each) > 0x7F and ord(each) in _DRAWN_LIKE for each in folded
    ):
        return "its name mixes letters with others that look like such"
    for other, tools in others.items():
        if folded.startswith(other) and folded[len(other) :].startswith(_SEPARATORS):
            return f"its name begins like those of the connector `{other}`"
        for tool in tools:
            if tool != name and drawn(tool) == drawn(name):
                return f"its name looks like that of a tool of the connector `{other}`"
            if drawn(name) in (drawn(f"{other}_{tool}"), drawn(f"{other}-{tool}")):
                return f"its name stands for a tool of the connector `{other}`"
    return None


def drawn(name: str) -> str:
    """How a name looks: without what nobody sees, without case and accents, look-alikes as one letter."""
    plain = unicodedata.normalize("NFKD", seen(name))
    bare = "".join(each for each in plain if unicodedata.category(each) not in ("Mn", "Me", "Cf"))
    return bare.casefold().translate(_DRAWN_LIKE)


def _told(texts: list[str], others: Mapping[str, Iterable[str]]) -> str | None:
    """A sentence to the model in one of the texts, or another server's tool by its name."""
    for text in texts:
        folded = " ".join(text.casefold().split())
        why = sentence_in(text)
        if why is not None:
            return f"a text of it {why}"
        for other, tools in others.items():
            if f"{other}__" in folded or any(_names(folded, each) for each in tools):
                return f"a text of it names a tool of the connector `{other}`"
    return None


def _names(folded: str, tool: str) -> bool:
    """Whether a text holds a name that is no word of any language."""
    if len(tool) < NAMED_CHARACTERS_MIN or not ("_" in tool or "-" in tool or (tool != tool.lower())):
        return False
    at = folded.find(tool.casefold())
    beside = folded[at - 1 : at] + folded[at + len(tool) : at + len(tool) + 1] if at >= 0 else ""
    return at >= 0 and not any(each.isalnum() or each in "_-" for each in beside)
