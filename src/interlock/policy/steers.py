"""What a rule that steers has done instead (`to`): one table of the kinds, and their reader.

A kind that nothing follows is a fault where it is written, with what to write meanwhile: a steer that is not followed
would be a denial that looks like help. Left out: which acts each kind fits (the engine's table, `language.py`).
"""

# mypy: disable-error-code="func-returns-value"
from __future__ import annotations

from typing import Final

from interlock.policy.document import Mapping, Node, Sequence, Text
from interlock.policy.faults import Fault, meant, quoted
from interlock.policy.language import CHANGES, STEERS
from interlock.policy.layer import Change, Instead
from interlock.policy.values import json_scalar, text

#: Kinds that stand alone, and kinds that say to what.
ALONE: Final = ("this_machine", "trash", "masked")
SAYING: Final = ("replace_flag", "add_flag", "tool", "arguments")
#: Kind → what is done, for people.
MEANINGS: Final[dict[str, str]] = {
    "this_machine": "the socket takes its port on this machine's loopback device alone, whatever address it names",
    "trash": "what was there before goes where `interlock session restore` brings it back from, or the act is not done",
    "masked": "the file is read without its credentials; it is not changed, replaced, moved, linked or run",
    "replace_flag": "the command runs with this flag in the place of each that `any_flag` names",
    "add_flag": "the command runs with this flag more, behind the last of its `words`",
    "tool": "another tool of the same connector is called with the same arguments",
    "arguments": "the tool is called with other arguments: a list of `at` (a JSON pointer) and one change",
}
#: Kinds that the engine knows and nothing follows yet → what to write meanwhile.
LATER: Final[dict[str, str]] = {
    "path": "use `deny`, and have the program told another path",
    "address": "use `deny`, and have the program told another address",
    "program": "use `deny`, and start the other program by its name",
    "signal": "use `deny` or `approve`",
}
EXAMPLE: Final = "write `to: this_machine`, or `to: {replace_flag: --force-with-lease}`"
_CHANGES_MAX: Final = 64


def steer(node: Node, verbs: tuple[str, ...], faults: list[Fault]) -> Instead | None:
    """`this_machine`, or a mapping of one kind to what it needs; a fault where it fits not all of the verbs."""
    read = _alone(node, faults) if isinstance(node, Text) else _saying(node, faults)
    if read is None:
        return None
    misfits = [verb for verb in verbs if verb not in STEERS[read.kind]]
    if misfits:
        able = ", ".join(sorted(STEERS[read.kind]))
        message = f"a steer to `{read.kind}` cannot stand in for `{misfits[0]}`"
        return _wrong(faults, node, message, f"`{read.kind}` is for {able}")
    return read


def _alone(node: Text, faults: list[Fault]) -> Instead | None:
    if node.value in ALONE:
        return Instead(node.value)
    if node.value in SAYING:
        return _wrong(faults, node, f"`to: {node.value}` does not say to what", f"write `to: {{{node.value}: …}}`")
    return _unknown(node, node.value, faults)


def _saying(node: Node, faults: list[Fault]) -> Instead | None:
    if not isinstance(node, Mapping) or len(node.entries) != 1:
        return _wrong(faults, node, "`to` says one thing to do instead", EXAMPLE)
    [(key, value)] = node.entries
    if key.value in ALONE:
        return _wrong(faults, key, f"`{key.value}` takes nothing", f"write `to: {key.value}`")
    if key.value not in SAYING:
        return _unknown(key, key.value, faults)
    if key.value == "arguments":
        changes = _changes(value, faults)
        return Instead("arguments", changes) if changes is not None else None
    said = text(value, key.value, faults)
    if said is None:
        return None
    if key.value in ("replace_flag", "add_flag") and (not said.startswith("-") or said in ("-", "--")):
        return _wrong(faults, value, f"{quoted(said)} is not a flag", "flags begin with `-`")
    return Instead(key.value, said)


def _unknown(node: Node, word: str, faults: list[Fault]) -> None:
    instead = LATER.get(word)
    if instead is not None:
        return _wrong(faults, node, f"a steer to `{word}` is not enforced yet", instead)
    known = [*ALONE, *SAYING]
    return _wrong(
        faults, node, f"nothing is steered to {quoted(word)}", meant(word, known, f"known: {', '.join(known)}")
    )


def _changes(node: Node, faults: list[Fault]) -> tuple[Change, ...] | None:
    """A list of `{at: /pointer, <change>: value}`."""
    if not isinstance(node, Sequence) or not node.items:
        example = "write `arguments: [{at: /limit, at_most: 100}]`"
        return _wrong(faults, node, "`arguments` is a list of changes", example)
    if len(node.items) > _CHANGES_MAX:
        return _wrong(faults, node, f"more than {_CHANGES_MAX} changes of arguments", "use fewer")
    found = [_change(item, faults) for item in node.items]
    return None if None in found else tuple(each for each in found if each is not None)


def _change(node: Node, faults: list[Fault]) -> Change | None:
    entries = {key.value: (key, value) for key, value in node.entries} if isinstance(node, Mapping) else {}
    said = [name for name in entries if name != "at"]
    unknown = next((entries[name][0] for name in said if name not in CHANGES), None)
    if unknown is not None:
        hint = meant(unknown.value, CHANGES, f"known here: {', '.join(CHANGES)}")
        return _wrong(faults, unknown, f"unknown change {quoted(unknown.value)}", hint)
    if "at" not in entries or len(said) != 1:
        return _wrong(faults, node, "a change has `at` and one thing to do", "write `{at: /limit, at_most: 100}`")
    at_node = entries["at"][1]
    at = at_node.value if isinstance(at_node, Text) else ""
    problem = _problem_of(at)
    if problem is not None:
        return _wrong(faults, at_node, f"{quoted(at)} {problem[0]}", problem[1])
    before = len(faults)
    value_node = entries[said[0]][1]
    value = json_scalar(value_node, faults)
    if len(faults) > before:
        return None
    if said[0] in ("at_most", "at_least") and (not isinstance(value, int) or isinstance(value, bool)):
        return _wrong(faults, value_node, f"`{said[0]}` takes an integer", None)
    return Change(at, said[0], value)


def _problem_of(at: str) -> tuple[str, str] | None:
    """Why a pointer names no argument, and what to write."""
    steps = at.split("/")
    if steps[0] or len(steps) < 2:
        return "is not the JSON pointer of an argument", "it begins with `/`, as in `/limit` (RFC 6901)"
    if any(not rest.startswith(("0", "1")) for step in steps for rest in step.split("~")[1:]):
        return "is not a JSON pointer", "`~` is written `~0`, and `/` in a name `~1` (RFC 6901)"
    if any(step == "-" or step == "" or (step.isascii() and step.isdigit()) for step in steps[1:]):
        return "names an item of a list, or nothing", "change the whole argument"
    return None


def _wrong(faults: list[Fault], node: Node, message: str, hint: str | None) -> None:
    faults.append(Fault(node.place, message, hint))
