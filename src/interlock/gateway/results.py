"""A result as its agent gets it: without the characters that a model reads and a person does not see, and marked where
a text of it tells a model what to do.

A mark is a hint for people and clients. Nothing is decided by it: a detector is what an attacker gets around, and what
an agent has read is known from where it came (labels, `docs/risk.md`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from interlock.pins.sentence import sentence_in
from interlock.vocabulary.json_text import JsonObject, is_object, object_at, text_at
from interlock.vocabulary.unseen_text import without_unseen

#: Of each text, in characters, looked at for sentences.
LOOKED_AT_MAX: Final = 65_536
_NOTHING: Final[JsonObject] = {}


def as_seen(result: JsonObject) -> tuple[JsonObject, JsonObject]:
    """The result as it is handed on, and what its record says of that: how many characters were taken out (`unseen`),
    what a text of it tells a model (`marked`)."""
    shown, unseen = without_unseen(result)
    marked = next((why for text in _texts(shown) if (why := _told(text)) is not None), None)
    if not unseen and marked is None:
        return result, _NOTHING
    noted: JsonObject = {**({"unseen": unseen} if unseen else {}), **({"marked": marked} if marked else {})}
    meta = {**object_at(shown, "_meta"), **{f"interlock/{key}": each for key, each in noted.items()}}
    return {**shown, "_meta": meta}, noted


def _told(text: str) -> str | None:
    why = sentence_in(text[:LOOKED_AT_MAX])
    return f"a text of it {why}" if why is not None else None


def _texts(result: JsonObject) -> Iterator[str]:
    """What a model reads of a result: texts of its blocks, of the resources in them, and of what was read."""
    for key in ("content", "contents", "messages"):
        blocks = result.get(key)
        for block in blocks if isinstance(blocks, list) else ():
            if not is_object(block):
                continue
            for each in (block, object_at(block, "resource"), object_at(block, "content")):
                text = text_at(each, "text")
                if text is not None:
                    yield text
