"""What a call of a tool is steered to: another tool of its connector, or other arguments; and how its agent is told.

What is sent is what was decided again (`mediate/line.py`), and fits the schema of the tool that it goes to. A change
that means nothing for the arguments at hand (a bound for a text, a place below one) leads nowhere, and what leads
nowhere is a denial. Left out: dry runs have no kind of their own, they are an argument that is set.
"""

from __future__ import annotations

from typing import Final

from interlock.gateway.operation import Tool, operation_class
from interlock.gateway.schema_checks import SchemaChecks, UnusableSchema
from interlock.mediate.upstream import Upstream
from interlock.vocabulary import words
from interlock.vocabulary.decision import Steer
from interlock.vocabulary.json_text import JsonObject, is_object, object_at

#: Kinds that a call of a tool follows (`spec/policy.md`).
KINDS: Final = frozenset({"tool", "arguments"})
META_STEERED: Final = "interlock/steered"


async def instead(action: JsonObject, steer: Steer, upstream: Upstream, tool: Tool, checks: SchemaChecks) -> JsonObject:
    """The Action that a call comes to. `tool` is the one that it goes to. Raises `ValueError` where there is none."""
    target = object_at(action, "target")
    arguments = object_at(target, "arguments")
    if steer.kind == "arguments":
        arguments = changed(arguments, steer.value)
    try:
        faults = await checks.faults(tool.connector, tool.arguments, arguments)
    except UnusableSchema as error:
        raise ValueError(f"the schema of the tool's arguments is of no use ({error})") from error
    if faults:
        raise ValueError(f"its arguments would not match the tool's schema: {'; '.join(faults)}")
    goes_to: JsonObject = {"tool": tool.name, "operation": operation_class(tool, upstream), "definition": tool.digest}
    return {**action, "target": {**target, **goes_to, "arguments": arguments}}


def changed(arguments: JsonObject, changes: object) -> JsonObject:
    """Arguments with the changes of `{"arguments": […]}` made in turn; those given stay as they are. Raises
    `ValueError` where a change means nothing for them."""
    made = arguments
    for each in changes if isinstance(changes, list) else [None]:
        if not is_object(each):
            raise ValueError("the changes cannot be read")
        made = _with(made, _steps(str(each["at"])), str(each["change"]), each["value"], str(each["at"]))
    return made


def _steps(at: str) -> list[str]:
    """The names on the way of a JSON pointer (RFC 6901)."""
    return [step.replace("~1", "/").replace("~0", "~") for step in at.split("/")[1:]]


def _with(inside: JsonObject, steps: list[str], change: str, value: object, at: str) -> JsonObject:
    name, *rest = steps
    if not rest:
        kept, made = _value(inside.get(name), name in inside, change, value, at)
        return {**inside, name: made} if kept else inside
    below = inside.get(name, {})
    if not is_object(below):
        raise ValueError(f"there is nothing at {at!r}: what it lies in is not an object")
    if name not in inside and change in ("at_most", "at_least"):
        return inside
    return {**inside, name: _with(below, rest, change, value, at)}


def _value(found: object, is_there: bool, change: str, value: object, at: str) -> tuple[bool, object]:
    """Whether a value stands there afterwards that has to be written, and which."""
    match change:
        case "set":
            return True, value
        case "default":
            return not is_there or found is None, value
        case "at_most" | "at_least" if not is_there:
            return False, None
        case "at_most" | "at_least":
            if isinstance(found, bool) or not isinstance(found, int | float) or not isinstance(value, int | float):
                raise ValueError(f"what is at {at!r} is not a number")
            return True, min(found, value) if change == "at_most" else max(found, value)
        case _:
            raise ValueError(f"`{change}` is not a change of an argument")


def told(result: JsonObject, steer: Steer, record: int) -> JsonObject:
    """The result, with what was done instead: in words for the model, and as the record says it for programs."""
    document: object = steer.kind if steer.value is None else {steer.kind: steer.value}
    block: JsonObject = {"type": "text", "text": f"Interlock: the call was made {words.instead(document)}, by policy."}
    content = result.get("content")
    blocks = [*content, block] if isinstance(content, list) else [block]
    meta: JsonObject = {**object_at(result, "_meta"), META_STEERED: {"to": document, "record": record}}
    return {**result, "content": blocks, "_meta": meta}
