"""A denial or a failure → words that a model can use: what was refused or broke, why, how far it came, what to do.

Nothing in the words is taken from arguments, or from a server's text beyond names, which are cut and escaped; where a
server's own words help, they stand in quotation marks and are said to be its own.
"""

from __future__ import annotations

from typing import Final

from interlock.mediate.json_text import JsonObject, is_object
from interlock.mediate.upstream import Broken
from interlock.mediate.values import Effect, Refused
from interlock.vocabulary.printable import printable

NAME_CHARACTERS_MAX: Final = 120
_ANSWERS: Final = {
    "no": "a human was asked and said no",
    "timeout": "a human was asked and did not answer in time",
    "nobody": "nobody could be asked",
    "withdrawn": "the question was withdrawn",
}


#: Where a result's `_meta` or an error's `data` says how far the operation came, in the ledger's word.
EFFECT_KEY: Final = "interlock/effect"
_EFFECT: Final = {
    Effect.NOT_SENT: "It was not sent, so nothing was done.",
    Effect.DONE: "It was done.",
    Effect.UNKNOWN: "It was sent, and whether it took effect is unknown: find out before you repeat it.",
}


def denied_result(what: str, refused: Refused) -> JsonObject:
    """The result of a denied `tools/call`."""
    return failure(denial_words(what, refused), refused.effect)


def failure(words: str, effect: Effect) -> JsonObject:
    """A result that says it is an error, and how far the call came."""
    return {"content": [{"type": "text", "text": words}], "isError": True, "_meta": {EFFECT_KEY: effect.value}}


def broken_words(what: str, broken: Broken) -> str:
    """What an agent is told of a server that gave no answer of use."""
    lines = [f"Interlock could not complete {what}: {printable(broken.reason)}."]
    if broken.said is not None:
        lines.append(f"The server's own words, not Interlock's: “{broken.said.replace('”', '’')}”.")
    return " ".join([*lines, _EFFECT[broken.effect]])


def fault_words(what: str, message: str) -> str:
    """What an agent is told of a server that answered with an error."""
    quoted = printable(message, 2_000).replace("”", "’")
    return f"{what} was answered with an error. The server's own words, not Interlock's: “{quoted}”. {UNSURE}"


#: A server that says it failed may have done something before.
UNSURE: Final = "Whether something was done is unknown."


def effect_data(effect: Effect, data: object = None) -> JsonObject:
    """The `data` of an error: the server's, with the effect beside it."""
    own: JsonObject = {EFFECT_KEY: effect.value}
    if data is None:
        return own
    return {**data, **own} if is_object(data) else {"data": data, **own}


def denial_words(what: str, refused: Refused) -> str:
    """The words, each sentence of use by itself."""
    if refused.effect is not Effect.NOT_SENT:
        why = printable(refused.reason)
        return f"Interlock withheld the result of {what}: {why}. {_EFFECT[refused.effect]} {_MEND}"
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


_MEND: Final = "The operator has to mend this before any call can pass."


def _advice(refused: Refused) -> str:
    if refused.record is None and refused.decision.document.get("errors"):
        return f"Nothing was done. {_MEND}"
    if refused.answer is not None and refused.answer.answer != "yes":
        return "Nothing was done. Ask the user whether it is wanted; calling again asks anew."
    return (
        "Nothing was done. Do not repeat the call as it is or look for a way around:"
        " use a listed tool, or other arguments, or tell the user which rule stands in the way."
    )
