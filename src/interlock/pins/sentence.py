"""Sentences that tell a model what to do, found in a text by their words. A detector, never a boundary: it says where a
person should look, and what it misses is still held by policy, labels and pins.

Each form is groups of words with little between them, in one sentence. A word of its first line has to stand in the
text at all, which is cheap to find out, before a pattern looks. Patterns are linear in the length of the text.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

#: What may lie between two groups: no end of a sentence, and not much.
_GAP: Final = r"(?:[^.]|\.(?! )){0,40}"


class _Sentence(NamedTuple):
    needed: tuple[str, ...]
    form: re.Pattern[str]
    why: str


def _said(why: str, needed: str, *groups: str) -> _Sentence:
    """`groups` of words, each in one text, after one another."""
    form = _GAP.join(rf"\b(?:{'|'.join(group.split(', '))})" for group in groups)
    return _Sentence(tuple(needed.split(", ")), re.compile(form), why)


def _written(why: str, *forms: str) -> _Sentence:
    """What is written in one form, wherever it stands."""
    return _Sentence(("",), re.compile("|".join(forms)), why)


_SENTENCES: Final = (
    _said(
        "tells the model to leave its instructions",
        "ignore, disregard, forget, override",
        "ignore, disregard, forget, override",
        "instruction, prompt, rule, polic, guideline, previous, above, system",
    ),
    _written(
        "imitates the markup of a prompt",
        r"<\s*/?\s*(?:important|system|instructions?|secret|hidden)\b",
        r"\[/?inst\]",
        r"<\|im_(?:start|end)\|>",
    ),
    _said(
        "asks the model to keep something from the user",
        "user",
        "do not, don'?t, never, without",
        "tell, mention, inform, show, reveal, notify, ask, alert",
        "user",
    ),
    _said(
        "tells the model when to use which tool",
        "tool",
        "before, after, whenever, instead of",
        "us(?:e|ing)\\b, call, invok, run",
        "(?:this|any|other|another|every|all)\\b[^.]{0,20}\\btool",
    ),
    _said(
        "orders the model to hand something over",
        "must, always, required, make sure",
        "you must, must always, always, is required to, make sure to",
        "read, send, include, pass, append, forward, bcc, cc, upload, copy, add",
        "files?\\b, content, conversation, history, keys?\\b, token, password, credential, secret, e-?mail, message",
    ),
    _written(
        "names files that hold secrets",
        r"\.ssh/",
        r"\bid_(?:rsa|ed25519)\b",
        r"\.aws/",
        r"(?:^|[\s/`'\"])\.env\b",
        r"\bmcp\.json\b",
        r"\.netrc\b",
        r"/etc/(?:passwd|shadow)\b",
        r"\bcredentials\.json\b",
    ),
    _said("asks for a blind copy", "bcc", "add, include, set, put, with", "bcc"),
)


def sentence_in(text: str) -> str | None:
    """What a text tells a model to do, in our words; none if nothing."""
    folded = " ".join(text.casefold().split())
    for needed, form, why in _SENTENCES:
        if any(each in folded for each in needed) and form.search(folded) is not None:
            return why
    return None
