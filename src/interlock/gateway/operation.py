"""One request about one named thing of a server: its Action, its words, and what is sent of it. A frozen value, and
pure.

INVARIANT: what is decided is what is sent. Method and parameters of a request are made of an Action's target, and of
nothing else (`sent`); so whatever reaches a server is in the Action.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from interlock.gateway import observe
from interlock.gateway.observe import Tool
from interlock.mediate.json_text import JsonObject, object_at, text_at
from interlock.mediate.upstream import Upstream
from interlock.vocabulary import words

#: The method that each verb is named for; another one is named in the target.
METHODS: Final = {
    "tool.call": "tools/call",
    "resource.read": "resources/read",
    "prompt.get": "prompts/get",
    "log.level": "logging/setLevel",
}


@dataclass(frozen=True, slots=True)
class Operation:
    """See the module. `tool` is there for the call of a tool, whose denial is a result and not an error."""

    upstream: Upstream
    action: JsonObject
    tool: Tool | None = None

    @property
    def what(self) -> str:
        """The operation in words."""
        target = object_at(self.action, "target")
        name = str(target["tool"])
        if self.tool is not None:
            return words.call(name, self.upstream.connector)
        return words.use(sent(self.action)[0], name, self.upstream.connector)


@dataclass(frozen=True, slots=True)
class Use:
    """What is asked about one named thing of a server, and as the use of what it is decided."""

    verb: str
    name: str
    arguments: JsonObject
    method: str


def tool_call(
    upstream: Upstream, tool: Tool, arguments: JsonObject, *, beside: JsonObject, identity: str, subject: JsonObject
) -> Operation:
    """The call of a tool."""
    action = observe.tool_call(identity=identity, subject=subject, tool=tool, upstream=upstream, arguments=arguments)
    return Operation(upstream, _with(action, beside, None), tool)


def use_of(upstream: Upstream, use: Use, *, beside: JsonObject, identity: str, subject: JsonObject) -> Operation:
    """Anything asked about one named thing that is not a tool."""
    action = observe.named(
        identity=identity,
        verb=use.verb,
        subject=subject,
        connector=upstream.connector,
        name=use.name,
        arguments=use.arguments,
    )
    return Operation(upstream, _with(action, beside, None if METHODS[use.verb] == use.method else use.method))


def _with(action: JsonObject, beside: JsonObject, method: str | None) -> JsonObject:
    target = object_at(action, "target")
    more: JsonObject = {**({"beside": beside} if beside else {}), **({"method": method} if method else {})}
    return {**action, "target": {**target, **more}}


def sent(action: JsonObject) -> tuple[str, JsonObject]:
    """Method and parameters of the request that an Action is. Raises `ValueError` for what is not about one named
    thing."""
    target = object_at(action, "target")
    method = text_at(target, "method") or METHODS.get(str(action["verb"]), "")
    return method, {**_parameters(method, target), **object_at(target, "beside")}


def _parameters(method: str, target: JsonObject) -> JsonObject:
    name, arguments = target["tool"], object_at(target, "arguments")
    match method:
        case "tools/call" | "prompts/get":
            return {"name": name, "arguments": arguments}
        case "resources/read" | "resources/subscribe" | "resources/unsubscribe":
            return {"uri": name}
        case "logging/setLevel":
            return {"level": name}
        case "completion/complete":
            reference = object_at(arguments, "ref")
            key = "name" if reference.get("type") == "ref/prompt" else "uri"
            return {**arguments, "ref": {**reference, key: name}}
        case _:
            raise ValueError(f"`{method}` is not about one named thing")
