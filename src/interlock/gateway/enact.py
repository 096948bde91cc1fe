"""A denial → words that a model can use: what was refused, which rule said so, why, and what would be allowed.

Nothing in the words is taken from arguments or from a server's text beyond names, which are cut and escaped.
"""

from __future__ import annotations

from typing import Final

from interlock.mediate.json_text import JsonObject
from interlock.mediate.values import Refused
from interlock.vocabulary.printable import printable

NAME_CHARACTERS_MAX: Final = 120
_ANSWERS: Final = {
    "no": "a human was asked and said no",
    "timeout": "a human was asked and did not answer in time",
    "nobody": "nobody could be asked",
    "withdrawn": "the question was withdrawn",
}


def denied_result(what: str, refused: Refused) -> JsonObject:
    """The result of a denied `tools/call`."""
    return failure(denial_words(what, refused))


def failure(words: str) -> JsonObject:
    """A result that says it is an error."""
    return {"content": [{"type": "text", "text": words}], "isError": True}


def denial_words(what: str, refused: Refused) -> str:
    """The words, each sentence of use by itself."""
    lines = [f"Interlock refused {what}.", f"Why: {printable(refused.reason)}."]
    if refused.decision.rules:
        lines.append(f"Rule: {', '.join(refused.decision.rules)}.")
    elif refused.decision.document.get("spoke") is False and not refused.decision.document.get("errors"):
        lines.append("Rule: none; what no rule allows is denied.")
    lines.extend(_approval(refused))
    lines.append(_advice(refused))
    if refused.record is not None:
        lines.append(f"Recorded as {refused.record}.")
    return " ".join(lines)


def shown(name: str) -> str:
    """A name in backticks, safe to show."""
    return f"`{printable(name, NAME_CHARACTERS_MAX)}`"


def _approval(refused: Refused) -> list[str]:
    if refused.answer is None:
        return []
    said = _ANSWERS.get(refused.answer.answer)
    if said is None:
        return []
    return [f"This needs an approval: {said}."]


def _advice(refused: Refused) -> str:
    if refused.record is None and refused.decision.document.get("errors"):
        return "Nothing was done. The operator has to mend this before any call can pass."
    if refused.answer is not None and refused.answer.answer != "yes":
        return "Nothing was done. Ask the user whether it is wanted; calling again asks anew."
    return (
        "Nothing was done. Do not repeat the call as it is or look for a way around:"
        " use a listed tool, or other arguments, or tell the user which rule stands in the way."
    )
