"""What a server's result is, before it goes to an agent: whether it is what its tool and the protocol say it is, and
what its record says of it."""

from __future__ import annotations

from interlock.gateway.observe import Tool
from interlock.gateway.schema import UnusableSchema
from interlock.gateway.schema_checks import SchemaChecks
from interlock.mediate.json_text import JsonObject, is_object
from interlock.vocabulary.effect import Effect


def effect_of(result: JsonObject) -> Effect:
    """A server that asks for more input has answered, but not said that it did anything."""
    return Effect.UNKNOWN if asks_for_more(result) else Effect.DONE


def status_of(result: JsonObject) -> str | None:
    """In the word of the record."""
    if asks_for_more(result):
        return "input required"
    return "error" if result.get("isError") is True else None


def asks_for_more(result: JsonObject) -> bool:
    """Whether the server wants something of the client before it goes on (2026-07-28, multi round-trip requests)."""
    return result.get("resultType") == "input_required"


def lie(tool: Tool, result: JsonObject) -> str | None:
    """How a result is not what its tool's definition and the protocol say it is."""
    if asks_for_more(result):
        return None
    content = result.get("content")
    if not isinstance(content, list) or not all(is_object(each) for each in content):
        return "its content is not a list of blocks"
    if not isinstance(result.get("isError", False), bool):
        return "its isError is neither true nor false"
    if tool.result is not None and result.get("isError") is not True and "structuredContent" not in result:
        return "the tool promises a structured result and gave none"
    return None


async def mismatch(tool: Tool, result: JsonObject, checks: SchemaChecks) -> str | None:
    """How a structured result is not what the tool's schema promises."""
    if tool.result is None or result.get("isError") is True or asks_for_more(result):
        return None
    try:
        faults = await checks.faults(tool.connector, tool.result, result.get("structuredContent"))
    except UnusableSchema as error:
        return f"it cannot be held to the tool's output schema ({error})"
    return f"it does not match the tool's output schema ({'; '.join(faults)})" if faults else None
