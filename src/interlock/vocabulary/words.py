"""An act, a question and a denial in words: the same ones for notices, prompts, listings, trees and agents. One
line each; pure.

Everything from outside is made printable. Nothing in the words for an agent is taken from arguments, or from a
server's text beyond names, which are cut and escaped; where a server's own words help, they stand in quotation
marks and are said to be its own.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Final

from interlock.vocabulary.action import (
    CallTarget,
    FileTarget,
    KeyTarget,
    NetTarget,
    ProcessTarget,
    ProgramTarget,
    SocketTarget,
    Target,
    ToolTarget,
    stands_for_a_name,
    target_of,
    verb_of,
)
from interlock.vocabulary.printable import SHOWN_CHARACTERS_MAX, marked, printable, shell_words, text_of

if TYPE_CHECKING:
    from interlock.vocabulary.decision import Decision
    from interlock.vocabulary.effect import Effect
    from interlock.vocabulary.json_value import JsonObject
    from interlock.vocabulary.question import Answer, Question

#: The decision's own words where no rule of any layer speaks (`spec/action.md`).
NO_RULE: Final = "no rule allows it"
NAME_CHARACTERS_MAX: Final = 120
#: Keys of a file that one line names.
KEYS_SHOWN_MAX: Final = 3
_COMMAND_CHARACTERS_MAX: Final = 120
#: The longest value that a prompt shows whole; an act that needs more cannot be approved from the prompt.
WHOLE_CHARACTERS_MAX: Final = 3000
_SERVER_CHARACTERS_MAX: Final = 2_000

# An act


def act(action: object) -> str:
    """Verb and resolved target in one line, for any verb."""
    if not isinstance(action, dict):
        return "(unknown act)"
    return f"{printable(verb_of(action))} {target(target_of(action))}".rstrip()


def target(of: Target | None) -> str:
    """A target for a line: the home as `~`, a program with its arguments, long values without their middle."""
    match of:
        case ProgramTarget(path, arguments):
            return f"{short(path)} {shell_words(list(arguments[1:]), _COMMAND_CHARACTERS_MAX)}".rstrip()
        case FileTarget(path, to):
            named = f"{short(path)} to {short(to)}" if to is not None else short(path)
            return f"{named}, which would {_changed(of)}" if of.changes else named
        case _:
            return whole(of, SHOWN_CHARACTERS_MAX)


def whole(of: Target | None, limit: int) -> str:
    """A target by its full names, each whole if it has at most `limit` characters; a program without its arguments."""
    match of:
        case ProgramTarget(path):
            return printable(path, limit)
        case FileTarget(path, to):
            return f"{printable(path, limit)} to {printable(to, limit)}" if to is not None else printable(path, limit)
        case NetTarget(address, port, protocol, None):
            host = f"[{address}]" if ":" in address else address
            return printable(f"{host}:{port}/{protocol}", limit)
        case NetTarget(address, port, protocol, host):
            led = "" if stands_for_a_name(address) else f" ({address})"
            return printable(f"{host}:{port}/{protocol}{led}", limit)
        case SocketTarget(name):
            return printable(f"@{name}", limit)
        case KeyTarget():
            return printable(_key_use(of), limit)
        case ProcessTarget(process, signal, to):
            number = f"signal {signal} " if signal is not None else ""
            return printable(f"{number}to process {process} ({to})", limit)
        case ToolTarget(connector, name):
            return printable(f"{connector}/{name}", limit)
        case CallTarget(call):
            return printable(call, limit)
        case None:
            return ""


def _key_use(of: KeyTarget) -> str:
    """`SHA256:… to log in as git at example.com:22`; what is bound to no host says so."""
    purposes = {"login": f"to log in as {of.user}", "unknown": "to sign what is not understood"}
    purpose = purposes.get(of.purpose, f"to sign for `{of.purpose}`")
    where = f"at {of.host}:{of.port}" if of.host is not None else "bound to no host"
    return f"{of.key} {purpose} {where}"


def _changed(of: FileTarget) -> str:
    """`set mcpServers.evil.command and 2 more`, `take away hooks`: the first keys of what would change in a file."""
    set_, gone = ([each.key for each in of.changes if (each.value is None) is gone] for gone in (False, True))
    parts = [f"{word} {_few(keys)}" for word, keys in (("set", set_), ("take away", gone)) if keys]
    return " and ".join(parts)


def _few(keys: list[str]) -> str:
    first = ", ".join(printable(key, NAME_CHARACTERS_MAX) for key in keys[:KEYS_SHOWN_MAX])
    return f"{first} and {len(keys) - KEYS_SHOWN_MAX} more" if len(keys) > KEYS_SHOWN_MAX else first


def short(path: str) -> str:
    """A path for a line: the home as `~`, made printable."""
    home = os.environ.get("HOME", "")
    if len(home) > 1 and (path == home or path.startswith(f"{home}/")):
        path = f"~{path[len(home) :]}"
    return printable(path)


# A denial, to a person


def reason(rules: object, because: object) -> str:
    """Which rules said it and why; that no rule allows it, where none did."""
    named = ", ".join(map(str, rules)) if isinstance(rules, (list, tuple)) else ""
    return printable(": ".join(part for part in (named, str(because or "")) if part) or NO_RULE)


def denial(action: object, decision: object) -> str:
    """`denied VERB TARGET (RULE: because)`."""
    said = decision if isinstance(decision, dict) else {}
    return f"denied {act(action)} ({reason(said.get('rules'), said.get('because'))})"


def steering(action: object, decision: object) -> str:
    """`VERB TARGET: WHAT WAS DONE INSTEAD (RULE: because)`."""
    said = decision if isinstance(decision, dict) else {}
    return f"{act(action)}: {instead(said.get('steer'))} ({reason(said.get('rules'), said.get('because'))})"


def instead(steer: object) -> str:
    """What a steer has done in the place of an act."""
    match steer:
        case "this_machine":
            return "on this machine only"
        case "trash":
            return "kept for `interlock session restore`"
        case "masked":
            return "shown without its credentials"
        case {"replace_flag": {"flags": list(flags), "with": flag}}:
            gone = ", ".join(printable(text_of(each), NAME_CHARACTERS_MAX) for each in flags)
            return f"with {printable(text_of(flag), NAME_CHARACTERS_MAX)} in place of {gone}"
        case {"add_flag": {"flag": flag}}:
            return f"with {printable(text_of(flag), NAME_CHARACTERS_MAX)}"
        case {"tool": tool}:
            return f"by the tool {printable(str(tool), NAME_CHARACTERS_MAX)} instead"
        case {"arguments": list(changes)}:
            return f"with {', '.join(map(_argument, changes))}"
        case _:
            return "something else instead"


def _argument(change: object) -> str:
    said = change if isinstance(change, dict) else {}
    at, value = printable(str(said.get("at")), NAME_CHARACTERS_MAX), json.dumps(said.get("value"), ensure_ascii=False)
    how = {"set": "", "default": "", "at_most": "at most ", "at_least": "at least "}.get(str(said.get("change")), "")
    return f"{at}: {how}{printable(value, NAME_CHARACTERS_MAX)}"


#: Of a score, in words.
_SIGNALS_SHOWN_MAX: Final = 4

# A question, to a person


def rows(question: Question, *, now_ms: int, limit: int = WHOLE_CHARACTERS_MAX) -> list[tuple[str, str]]:
    """Label and value, in the order a person judges by. Values longer than `limit` characters lose their middle."""
    of = target_of(question.action)
    found = [("act", f"{printable(verb_of(question.action))} {whole(of, limit)}".strip())]
    found += _details(of, limit)
    found += [
        ("rule", printable(", ".join(question.rules or ("(none)",)))),
        ("because", printable(question.because, 1000)),
        ("risk", score(question.decision.get("risk"))),
        ("who", _who(question)),
        ("waits", _deadline(question, now_ms)),
    ]
    return [(label, value) for label, value in found if value]


def score(risk: object) -> str:
    """How a call was scored: the sum, and what counted most; nothing where it was not."""
    said = risk if isinstance(risk, dict) else {}
    signals = [each for each in said.get("signals") or () if isinstance(each, dict)]
    most = sorted(signals, key=lambda each: -(each.get("points") or 0))[:_SIGNALS_SHOWN_MAX]
    why = "; ".join(f"{printable(str(each.get('because')))} ({each.get('points')})" for each in most)
    shadow = ", which counts nothing yet" if said.get("mode") == "shadow" else ""
    return f"{said['score']} of 100{shadow}: {why}" if "score" in said else ""


def place(reach: JsonObject) -> str:
    """What a yes for the session is about (spec/action.md)."""
    of = target_of({"target": reach})
    led = ""
    if isinstance(of, NetTarget) and of.host is not None:
        led = " at its public addresses" if stands_for_a_name(of.address) else " and its other public addresses"
    return f"{printable(verb_of(reach))} {whole(of, SHOWN_CHARACTERS_MAX)}{led}"


def is_whole(question: Question) -> bool:
    """Whether nothing is cut in what `rows` shows."""
    return (
        all("more)…" not in value for _, value in rows(question, now_ms=0))
        and len(str(question.action)) < 4 * WHOLE_CHARACTERS_MAX
    )


def _details(of: Target | None, limit: int) -> list[tuple[str, str]]:
    match of:
        case ProgramTarget(_, arguments, directory):
            where = printable(directory, limit) if directory is not None else ""
            return [("arguments", shell_words(list(arguments), limit)), ("in", where)]
        case KeyTarget(connected=connected):
            return [("connected", printable(", ".join(connected) or "to nobody", limit))]
        case ToolTarget(_, _, operation, arguments, beside) if arguments is not None:
            text = printable(json.dumps(arguments, ensure_ascii=False), limit)
            more = printable(json.dumps(beside, ensure_ascii=False), limit) if beside else ""
            return [("operation", printable(operation)), ("arguments", text), ("beside", more)]
        case FileTarget(_, _, aliases, changes) if aliases or changes:
            # A value that says `gone` stands in quotation marks, as one that could be read as another key does.
            keys = "; ".join(f"{printable(key, limit)}: {_value(value, limit)}" for key, value in changes)
            return [("also known", ", ".join(printable(marked(alias), limit) for alias in aliases)), ("keys", keys)]
        case _:
            return []


def _value(value: str | None, limit: int) -> str:
    if value is None or value == "gone":
        return "gone" if value is None else '"gone"'
    return printable(marked(value), limit)


def _who(question: Question) -> str:
    subject = question.action.get("subject")
    process = subject.get("process") if isinstance(subject, dict) else None
    parts = [f"agent {question.agent}" if question.agent else "", f"session {question.session}"]
    if isinstance(process, dict):
        parts.append(f"process {process.get('id')} ({text_of(process.get('program'))})")
    return printable(", ".join(part for part in parts if part))


def _deadline(question: Question, now_ms: int) -> str:
    left = max(0, question.expires_ms - now_ms) // 1000
    clock = time.strftime("%H:%M:%S", time.localtime(question.expires_ms / 1000))
    return f"until {clock} ({left} s); no answer is a no"


# An operation, to an agent

_ANSWERS: Final = {
    "no": "a human was asked and said no",
    "timeout": "a human was asked and did not answer in time",
    "nobody": "nobody could be asked",
    "withdrawn": "the question was withdrawn",
}
#: By the ledger's word for how far it came.
_EFFECT: Final = {
    "not sent": "It was not sent, so nothing was done.",
    "done": "It was done.",
    "unknown": "It was sent, and whether it took effect is unknown: find out before you repeat it.",
}
#: A server that says it failed may have done something before.
UNSURE: Final = "Whether something was done is unknown."
_MEND: Final = "The operator has to mend this before any call can pass."


def shown(name: str) -> str:
    """A name in backticks, safe to show."""
    return f"`{printable(name, NAME_CHARACTERS_MAX)}`"


def call(tool: str, connector: str | None = None) -> str:
    """The call of a tool."""
    return f"the call of {shown(tool)}" if connector is None else f"the call of {shown(tool)} at {shown(connector)}"


def use(method: str, name: str, connector: str) -> str:
    """A request of this method about one named thing."""
    return f"{shown(method)} of {shown(name)} at {shown(connector)}"


def broken(what: str, why: str, said: str | None, effect: Effect) -> str:
    """What an agent is told of a server that gave no answer of use. `said` is the server's own word."""
    lines = [f"Interlock could not complete {what}: {printable(why)}."]
    if said is not None:
        lines.append(f"The server's own words, not Interlock's: “{said.replace('”', '’')}”.")
    return " ".join([*lines, _EFFECT[effect]])


def fault(what: str, message: str) -> str:
    """What an agent is told of a server that answered with an error."""
    quoted = printable(message, _SERVER_CHARACTERS_MAX).replace("”", "’")
    return f"{what} was answered with an error. The server's own words, not Interlock's: “{quoted}”. {UNSURE}"


def refusal(
    what: str,
    decision: Decision,
    why: str,
    answer: Answer | None,
    *,
    effect: Effect,
    record: int | None,
    risk: JsonObject | None = None,
) -> str:
    """What an agent is told of a denial, each sentence of use by itself: what was refused, why, by which rule, what to
    do. `record` is the number under which it stands in the log, `effect` how far it had come when it was refused,
    `risk` its score where a rule asked for it."""
    if effect != "not sent":
        return f"Interlock withheld the result of {what}: {printable(why)}. {_EFFECT[effect]} {_MEND}"
    lines = [f"Interlock refused {what}.", f"Why: {printable(why)}."]
    if decision.rules:
        lines.append(f"Rule: {', '.join(decision.rules)}.")
    elif not decision.spoke and not decision.errors:
        lines.append("Rule: none; what no rule allows is denied.")
    if risk is not None:
        lines.append(f"Risk: {score(risk)}.")
    if answer is not None and answer.word in _ANSWERS:
        lines.append(f"This needs an approval: {_ANSWERS[answer.word]}.")
    lines.append(_advice(decision, answer, record))
    if record is not None:
        lines.append(f"Recorded as {record}.")
    return " ".join(lines)


def _advice(decision: Decision, answer: Answer | None, record: int | None) -> str:
    if record is None and decision.errors:
        return f"Nothing was done. {_MEND}"
    if answer is not None and answer.word != "yes":
        return "Nothing was done. Ask the user whether it is wanted; calling again asks anew."
    return (
        "Nothing was done. Do not repeat the call as it is or look for a way around:"
        " use a listed tool, or other arguments, or tell the user which rule stands in the way."
    )
