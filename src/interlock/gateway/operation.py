"""One request about one named thing of a server: its Action (spec/action.md), its words, and what is sent of it.

INVARIANT: what is decided is what is sent. Method and parameters of a request are made of an Action's target, and of
nothing else (`sent`); so whatever reaches a server is in the Action.

A server could read some requests otherwise than the policy does: libraries take a key without regard to its case, and
undo what a URI hides (`..`, `%2e`, `%65`, another case of its scheme, a zero byte at which C ends it). What a server
does is not known here, so it is not guessed: a request in such a form is refused, and the same thing can be asked for
in its plain form (RFC 3986, section 6.2.2).

The prompt above a call is known as far as somebody tells us: an agent's hook, or `_meta` of the call. Such a reference
is asserted by the agent's side, never proof; only digest and size are kept of a prompt, and for each principal the last
one seen is the one that later calls refer to. Left out: tools' schemas, which are kept and held to elsewhere
(`schema_checks.py`).
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeVar
from urllib.parse import unquote

from msgspec import Struct, structs

from interlock.gateway.limits import PROMPTS_KEPT_MAX, UPSTREAM_NAME_CHARACTERS_MAX
from interlock.gateway.parking import ParkedCall
from interlock.gateway.schema_checks import Foreign
from interlock.mcp.request_headers import mirrored
from interlock.mediate.ports import Recorder
from interlock.mediate.principal import Principal
from interlock.mediate.upstream import STATEMENT, Upstream
from interlock.vocabulary import words
from interlock.vocabulary.json_text import JsonObject, canonical, is_object, object_at, text_at
from interlock.vocabulary.printable import printable

#: The method that each verb is named for; another one is named in the target.
METHODS: Final = {
    "tool.call": "tools/call",
    "resource.read": "resources/read",
    "prompt.get": "prompts/get",
    "log.level": "logging/setLevel",
}
READ: Final = "read"
WRITE: Final = "write"
DELETE: Final = "delete"
#: Stand where an Action is only looked at for a list, and never decided for an act.
NO_SESSION: Final = "s-00000000T000000-000000"
LISTING: Final = f"{NO_SESSION}/0"
META_KEY: Final = "interlock/prompt"
REFERENCE_CHARACTERS_MAX: Final = 256
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)
K = TypeVar("K")
Key = tuple[str, str, str | None]
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):", re.ASCII)
_NEEDLESS: Final = re.compile(r"%(?:2[dDeE]|3[0-9]|4[1-9a-fA-F]|5[0-9aAfF]|6[1-9a-fA-F]|7[0-9aAeE])", re.ASCII)
_UNSEEN: Final = re.compile(r"[\x00-\x20\x7f-\x9f\\]|%(?:0[0-9a-fA-F]|1[0-9a-fA-F]|5[cC]|7[fF])")
_SEPARATOR: Final = re.compile(r"[/\\]")
_END: Final = re.compile(r"[?#]")
#: A text may have been encoded twice, hardly more often.
_DECODINGS: Final = 4
_SHOWN_CHARACTERS: Final = 64


class Operation(Struct, frozen=True):
    """See the module. `tool` is there for the call of a tool, whose denial is a result and not an error, `parked` for
    what may wait at its server for the client's answers, or has (`parking.py`), `parent` for one that goes on with what
    another began: the id of that one's Action."""

    upstream: Upstream
    action: JsonObject
    tool: Tool | None = None
    parked: ParkedCall | None = None
    parent: str | None = None

    def waiting(self, parked: ParkedCall | None) -> Operation:
        """The same, as what may wait in this call at its server, or goes on with it."""
        if parked is None:
            return self
        begun = parked.begun
        parked.begun = begun or str(self.action["id"])
        return structs.replace(self, parked=parked, parent=begun)

    @property
    def what(self) -> str:
        """The operation in words."""
        target = object_at(self.action, "target")
        name = str(target["tool"])
        if self.tool is not None:
            return words.call(name, self.upstream.connector)
        return words.use(sent(self.action)[0], name, self.upstream.connector)


class Use(Struct, frozen=True):
    """What is asked about one named thing of a server, and as the use of what it is decided."""

    verb: str
    name: str
    arguments: JsonObject
    method: str
    #: Why it may not be used, if so.
    held: str | None = None


def tool_call(
    upstream: Upstream,
    tool: Tool,
    arguments: JsonObject,
    *,
    beside: JsonObject,
    identity: str,
    subject: JsonObject,
    observed: JsonObject | None = None,
) -> Operation:
    """The call of a tool; `observed` is what its server said that this call would do."""
    action = call_action(identity=identity, subject=subject, tool=tool, upstream=upstream, arguments=arguments)
    if observed is not None:
        does = {key: value for key, value in observed.items() if key != "operation"}
        said: JsonObject = {"operation": observed["operation"], **({"sql": does} if does else {})}
        action = {**action, "target": {**object_at(action, "target"), **said}}
    return Operation(upstream, _with(action, beside, None), tool)


def use_of(upstream: Upstream, use: Use, *, beside: JsonObject, identity: str, subject: JsonObject) -> Operation:
    """Anything asked about one named thing that is not a tool."""
    action = named_action(
        identity=identity,
        verb=use.verb,
        subject=subject,
        connector=upstream.connector,
        name=use.name,
        arguments=use.arguments,
    )
    return Operation(upstream, _with(action, beside, None if METHODS[use.verb] == use.method else use.method))


def answer_to_task(call: Operation, beside: JsonObject) -> Operation:
    """A client's answers to what a task asks, as part of the call that the task came of."""
    return Operation(call.upstream, _with(call.action, beside, "tasks/update"))


def _with(action: JsonObject, beside: JsonObject, method: str | None) -> JsonObject:
    if not beside and not method:
        return action
    more: JsonObject = {**({"beside": beside} if beside else {}), **({"method": method} if method else {})}
    return {**action, "target": {**object_at(action, "target"), **more}}


def sent(action: JsonObject) -> tuple[str, JsonObject]:
    """Method and parameters of the request that an Action is. Raises `ValueError` for what is not about one named
    thing."""
    target = object_at(action, "target")
    method = text_at(target, "method") or METHODS.get(str(action["verb"]), "")
    return method, {**_parameters(method, target), **_beside(target)}


def _beside(target: JsonObject) -> JsonObject:
    """What goes along: what was decided of a statement, too, which is all that its server runs."""
    along, does = object_at(target, "beside"), object_at(target, "sql")
    if not does:
        return along
    return {**along, "_meta": {**object_at(along, "_meta"), STATEMENT: {"operation": target["operation"], **does}}}


def _parameters(method: str, target: JsonObject) -> JsonObject:
    name, arguments = target["tool"], object_at(target, "arguments")
    match method:
        case "tools/call" | "prompts/get":
            return {"name": name, "arguments": arguments}
        case "tasks/update":
            return {}
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


def operation_class(tool: Tool, upstream: Upstream) -> str:
    """What a call does. The operator's word first; a server's own word may raise the class, and lower it only if it
    is trusted."""
    configured = upstream.operations.get(tool.name)
    if configured is not None:
        return configured
    hints = object_at(tool.definition, "annotations")
    if hints.get("destructiveHint") is True:
        return DELETE
    if hints.get("readOnlyHint") is True and upstream.trust_annotations:
        return READ
    return WRITE


def call_action(
    *, identity: str, subject: JsonObject, tool: Tool, upstream: Upstream, arguments: JsonObject
) -> JsonObject:
    """The Action of one call; its arguments are the very ones that are forwarded."""
    target: JsonObject = {
        "connector": tool.connector,
        "tool": tool.name,
        "operation": operation_class(tool, upstream),
        "arguments": arguments,
        "definition": tool.digest,
    }
    return _action(identity, "tool.call", target, subject)


def named_action(
    *, identity: str, verb: str, subject: JsonObject, connector: str, name: str, arguments: JsonObject
) -> JsonObject:
    """The Action of `resource.read` (its `tool` is the URI) or `prompt.get` (the name)."""
    target: JsonObject = {"connector": connector, "tool": name, "operation": READ, "arguments": arguments}
    return _action(identity, verb, target, subject)


def _action(identity: str, verb: str, target: JsonObject, subject: JsonObject) -> JsonObject:
    return {"id": identity, "plane": "gateway", "verb": verb, "target": target, "subject": subject}


def subject_of(agent: str, session: str) -> JsonObject:
    """Who acts."""
    return {"agent": agent, "session": session, "task": None, "process": None}


@dataclass(frozen=True)
class Tool:
    """One tool as its server defines it. Its validators are compiled at first use."""

    connector: str
    name: str
    definition: JsonObject
    #: Why it may not be called by this definition, if it may not (`definitions.py`).
    held: str | None = None

    @cached_property
    def digest(self) -> str:
        """Of the whole definition: description, schemas, annotations, icons, everything."""
        return f"sha256:{hashlib.sha256(canonical(self.definition)).hexdigest()}"

    @cached_property
    def arguments(self) -> Foreign:
        """What its arguments must be."""
        return Foreign(self.definition.get("inputSchema"))

    @cached_property
    def mirrored(self) -> list[tuple[str, tuple[str, ...]]]:
        """Which of its arguments a client repeats in headers."""
        return mirrored(object_at(self.definition, "inputSchema"))

    @cached_property
    def result(self) -> Foreign | None:
        """What its structured result must be, if it says so."""
        return Foreign(self.definition["outputSchema"]) if "outputSchema" in self.definition else None


def tools_of(connector: str, definitions: list[JsonObject]) -> dict[str, Tool]:
    """The usable tools of a list, by their own names. A name that stands there twice is nobody's; nor is one out of
    bounds."""
    found: dict[str, Tool] = {}
    doubled: set[str] = set()
    for definition in definitions:
        name = text_at(definition, "name")
        if name is None or not 0 < len(name) <= UPSTREAM_NAME_CHARACTERS_MAX or not name.isprintable():
            continue
        if name in found:
            doubled.add(name)
        found[name] = Tool(connector, name, definition)
    return {name: tool for name, tool in found.items() if name not in doubled}


class Prompts:
    """What was seen last, by principal."""

    def __init__(self, recorder: Recorder, new_id: Callable[[], str]) -> None:
        self._recorder = recorder
        self._new_id = new_id
        self._current: OrderedDict[Key, str] = OrderedDict()
        self._by_reference: OrderedDict[tuple[Key, str], str] = OrderedDict()

    async def seen(self, principal: Principal, prompt: bytes) -> str:
        """A hook saw a prompt: record it, and refer to it from now on. Raises `RecordFailed`."""
        digest = f"sha256:{hashlib.sha256(prompt).hexdigest()}"
        identity = await self._record(principal, source="hook", digest=digest, size=len(prompt))
        _keep(self._current, _key(principal), identity)
        return identity

    async def reference(self, principal: Principal, params: JsonObject) -> str | None:
        """The prompt that a call refers to: its own `_meta` first, else the last one seen. Raises `RecordFailed`."""
        text = text_at(object_at(params, "_meta"), META_KEY)
        if text is None or len(text) > REFERENCE_CHARACTERS_MAX:
            return self._current.get(_key(principal))
        known = self._by_reference.get((_key(principal), text))
        if known is not None:
            return known
        digest = text if _DIGEST.fullmatch(text) else f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
        identity = await self._record(principal, source="meta", digest=digest, size=len(text.encode()))
        _keep(self._by_reference, (_key(principal), text), identity)
        return identity

    async def _record(self, principal: Principal, *, source: str, digest: str, size: int) -> str:
        identity = self._new_id()
        await self._recorder.ordered(
            {
                "type": "prompt.seen",
                "id": identity,
                "source": source,
                "digest": digest,
                "bytes": size,
                "agent": {"name": principal.agent, "assurance": principal.assurance},
                "seen_in": principal.session,
            }
        )
        return identity


def trace_of(params: JsonObject) -> JsonObject | None:
    """The trace context of a call (W3C Trace Context), if it is well formed."""
    text = text_at(object_at(params, "_meta"), "traceparent")
    return {"traceparent": text} if text is not None and _TRACEPARENT.fullmatch(text) else None


def _key(principal: Principal) -> Key:
    return principal.agent, principal.token, principal.session


def _keep(kept: OrderedDict[K, str], key: K, identity: str) -> None:
    kept[key] = identity
    kept.move_to_end(key)
    while len(kept) > PROMPTS_KEPT_MAX:
        kept.popitem(last=False)


def keys_in_doubt(value: object) -> str | None:
    """Why arguments could be read in two ways, or none: two keys of one object that differ in their case alone."""
    pending = [value]
    while pending:
        each = pending.pop()
        if is_object(each):
            folded: dict[str, str] = {}
            for key in each:
                other = folded.setdefault(_folded(key), key)
                if other != key:
                    return f"the keys {_shown(other)} and {_shown(key)} are the same to some readers"
            pending.extend(each.values())
        elif isinstance(each, list):
            pending.extend(each)
    return None


def uri_in_doubt(uri: str) -> str | None:
    """Why a URI could be taken for another one, or none."""
    if _UNSEEN.search(uri) or not uri.isprintable():
        return "the URI holds a character that no URI may"
    if _NEEDLESS.search(uri):
        return "the URI writes a plain character as `%` and two digits"
    scheme = _SCHEME.match(uri)
    if scheme is not None and scheme[1] != scheme[1].lower():
        return "the URI's scheme is not in small letters"
    rest = uri[scheme.end() :] if scheme is not None else uri
    if scheme is not None and scheme[1] == "file" and not rest.startswith("///"):
        return "the URI of a file begins with something else than `file:///`"
    for _ in range(_DECODINGS):
        if _strays(rest):
            return "the URI holds `..`, `.` or nothing between two slashes"
        rest = unquote(rest, errors="replace")
    return None


def _strays(text: str) -> bool:
    if ".." in re.split(r"[/\\?#]", text):
        return True
    path = _END.split(text, maxsplit=1)[0].removeprefix("//")
    parts = _SEPARATOR.split(path)
    return "" in parts[1:-1] or (len(parts) > 1 and "." in parts)


def _folded(key: str) -> str:
    if key.isascii():
        return key.lower()
    return unicodedata.normalize("NFKC", key).casefold()


def _shown(key: str) -> str:
    return f"`{printable(key, _SHOWN_CHARACTERS)}`"
