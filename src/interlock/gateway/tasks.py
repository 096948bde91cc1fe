"""Tasks: a server answers a call with a handle, and says later what came of it (extension `io.modelcontextprotocol/
tasks`, SEP-2663; between modern clients and servers only, as it says).

The agent gets a handle of ours, on disk before it is handed out. Each request about a task is authorized by itself: its
agent, its endpoint, and the policy on the very call that it came of. To ask how it stands is no new act, so no human is
asked again. An answer to the server's question reaches the server with words of the client, so it is decided as that
call is, shown and recorded. What a task ends with is held to what a result has to be, and recorded before it is handed
on. Left out: when a server tells of a task by itself (`telling.py`), and the experimental tasks of 2025-11-25, which
this gateway never says it has.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from msgspec import structs

from interlock.gateway.enact import Enactor, ends_wrong, error_of, meta_passed
from interlock.gateway.failures import broken, effect_data, failure
from interlock.gateway.limits import TASK_KEPT_MS_MAX, TASK_KEPT_MS_MIN, TASK_NAME_CHARACTERS_MAX
from interlock.gateway.operation import Operation, Tool, answer_to_task, keys_in_doubt, tool_call
from interlock.gateway.results import as_seen
from interlock.mcp.client_request import TASKS, declares, unaskable
from interlock.mcp.message import RpcError
from interlock.mcp.revision import INTERNAL, INVALID_PARAMS, META, MISSING_CAPABILITY, UPSTREAM_BROKEN
from interlock.mediate.permit import Refused
from interlock.mediate.ports import RecordFailed
from interlock.mediate.task import KeptTask
from interlock.mediate.upstream import Broken, Exchange, Fault, Result, Upstream
from interlock.vocabulary import words
from interlock.vocabulary.effect import Effect
from interlock.vocabulary.errors import HostError
from interlock.vocabulary.json_text import JsonObject, is_object, measure, object_at, text_at
from interlock.vocabulary.json_value import number_at

if TYPE_CHECKING:
    from interlock.gateway.conversation import Conversation
    from interlock.gateway.methods import Methods

_STATUSES: Final = frozenset({"working", "input_required", "completed", "failed", "cancelled"})
_ENDED: Final = frozenset({"completed", "failed", "cancelled"})
#: What a task says of itself, whatever its status; nothing else of a server's is handed on.
_TEXTS: Final = ("statusMessage", "createdAt", "lastUpdatedAt")
_TIMES: Final = ("ttlMs", "pollIntervalMs")


@dataclass(frozen=True, slots=True)
class Found:
    """A task that an agent has, where it is, and the tool it came of."""

    handle: str
    kept: KeptTask
    upstream: Upstream
    tool: Tool


async def handed_out(
    methods: Methods, conversation: Conversation, operation: Operation, outcome: JsonObject, params: JsonObject
) -> JsonObject:
    """A server's new task, as it goes to the agent: on disk first, under a handle of ours."""
    tool, own, task = operation.tool, text_at(outcome, "taskId"), _task(outcome)
    if tool is None or not conversation.modern or not declares(params, TASKS):
        return _lost("which this client did not say it takes")
    if task is None or own is None or len(own) > TASK_NAME_CHARACTERS_MAX:
        return _lost("in a form that is not a task's")
    handle, now_ms = secrets.token_urlsafe(32), methods.line.clock.steady_ms()
    kept = KeptTask(
        agent=conversation.principal.agent,
        connector=operation.upstream.connector,
        tool=tool.name,
        arguments=object_at(object_at(operation.action, "target"), "arguments"),
        own=own,
        action=str(operation.action["id"]),
        until_ms=now_ms + _kept_ms(outcome.get("ttlMs")),
    )
    try:
        await methods.tasks.keep(handle, kept, now_ms)
    except HostError as error:
        return _lost(f"and it could not be kept ({error})")
    return {"resultType": "task", "taskId": handle, **task}


async def get(methods: Methods, conversation: Conversation, params: JsonObject) -> JsonObject:
    """`tasks/get`: how it stands, and once it has ended what came of it."""
    found = await task_of(methods, conversation, params)
    about = _call(methods, conversation, found)
    await _check_still(methods, conversation, about, params)
    said = await _asked(conversation, found, "tasks/get")
    task = _task(said)
    if task is None or said.get("taskId") != found.kept.own:
        raise _unusable("the server's answer does not say how this task stands")
    if task["status"] == "input_required":
        allowed = found.upstream.client_requests
        if unaskable(said.get("inputRequests", {}), allowed, conversation.capabilities):
            raise _unusable(
                "the server asks for what this client does not take, or the operator does not forward"
            )
        task["inputRequests"] = object_at(said, "inputRequests")
    if task["status"] in _ENDED:
        task |= await _end(methods, conversation, about, found, said)
    return {"taskId": found.handle, **task}


async def update(methods: Methods, conversation: Conversation, params: JsonObject) -> JsonObject:
    """`tasks/update`: the client's answers to what the server asks, decided as the call is that the task came of."""
    found = await task_of(methods, conversation, params)
    answers, allowed = params.get("inputResponses"), found.upstream.client_requests
    if not is_object(answers) or not allowed:
        raise RpcError(INVALID_PARAMS, "`inputResponses` answers nothing that this server may ask")
    beside: JsonObject = {"taskId": found.kept.own, "inputResponses": answers}
    beside["_meta"] = meta_passed(conversation, params, allowed)
    answer = answer_to_task(_call(methods, conversation, found), beside)
    await methods.walked(conversation, answer, params, keys_in_doubt(answers))
    return {}


async def cancel(methods: Methods, conversation: Conversation, params: JsonObject) -> JsonObject:
    """`tasks/cancel`: the agent wants no more of it, which no policy keeps it from."""
    found = await task_of(methods, conversation, params)
    await _record(methods, {"type": "task.cancelled", "action": found.kept.action, "agent": found.kept.agent})
    await _asked(conversation, found, "tasks/cancel")
    return {}


def undeclared() -> RpcError:
    """The answer to a client that does not say that it knows tasks."""
    data: JsonObject = {"requiredCapabilities": {"extensions": {TASKS: {}}}}
    return RpcError(MISSING_CAPABILITY, "Missing required client capability", data=data, status=400)


async def task_of(methods: Methods, conversation: Conversation, params: JsonObject) -> Found:
    """The task of a handle. Raises `RpcError`: a handle that is another agent's, or of a connector that is not at this
    endpoint, is as unknown as any other text."""
    if not declares(params, TASKS):
        raise undeclared()
    handle, kept = text_at(params, "taskId"), None
    try:
        if handle is not None and len(handle) <= TASK_NAME_CHARACTERS_MAX:
            kept = await methods.tasks.find(handle, conversation.principal.agent, methods.line.clock.steady_ms())
    except HostError as error:
        raise RpcError(INTERNAL, f"the task could not be looked for ({error})") from error
    if handle is None or kept is None or conversation.connector not in (None, kept.connector):
        raise RpcError(INVALID_PARAMS, "Unknown task")
    upstream, tool = await methods.catalogue.tool_of(conversation, kept.connector, kept.tool)
    return Found(handle, kept, upstream, tool)


def _call(methods: Methods, conversation: Conversation, found: Found) -> Operation:
    """The call that a task came of, as it would be decided now."""
    return tool_call(
        found.upstream,
        found.tool,
        found.kept.arguments,
        beside={},
        identity=methods.identity(),
        subject=methods.subject(conversation),
    )


async def _check_still(methods: Methods, conversation: Conversation, about: Operation, params: JsonObject) -> None:
    """Raises `RpcError` where policy would not let that call pass any more, and has it recorded."""
    asked = structs.replace(about, tool=None)  # a denial of what is not a call is an error
    enactor = Enactor(methods.catalogue, conversation, asked, Exchange(), methods.checks)
    attribution = await methods.attribution(conversation, params)
    refused: Refused | None
    if isinstance(attribution, Refused):
        refused = attribution
    else:
        refused = await methods.line.still(action=about.action, attribution=attribution, honours=enactor.honours)
    if refused is not None:
        enactor.denied(refused)


async def _asked(conversation: Conversation, found: Found, method: str) -> JsonObject:
    """What a server answers about a task of its own. It is asked in our words alone: no Action stands for the agent's,
    so none of them is sent. Raises `RpcError`."""
    upstream = found.upstream
    claims: JsonObject = {**{kind: {} for kind in upstream.client_requests}, "extensions": {TASKS: {}}}
    sent: JsonObject = {"taskId": found.kept.own, "_meta": {f"{META}clientCapabilities": claims}}
    reply = await upstream.request(method, sent, Exchange(revalidate=conversation.revalidate))
    what = words.use(method, found.tool.name, upstream.connector)
    match reply:
        case Result():
            return reply.value
        case Fault():
            raise error_of(what, reply)
        case Broken():
            raise RpcError(UPSTREAM_BROKEN, broken(what, reply), data=effect_data(reply.effect))


async def _end(
    methods: Methods, conversation: Conversation, about: Operation, found: Found, said: JsonObject
) -> JsonObject:
    """What a task ended with, once that is recorded."""
    record: JsonObject = {"type": "task.ended", "action": found.kept.action, "status": said["status"], "result": None}
    ended: JsonObject = {}
    if said["status"] == "completed":
        result = object_at(said, "result")
        record["result"] = measure(result)
        ended["result"], noted = as_seen(methods.catalogue.renamed(conversation, found.kept.connector, result))
        record |= noted
        withheld = await ends_wrong(found.tool, result, methods.checks)
        if withheld is not None:
            record["withheld"] = withheld
            text = f"Interlock withheld the result of {about.what}: {withheld}. The call itself was made."
            ended["result"] = failure(text, Effect.DONE)
    elif said["status"] == "failed":
        ended["error"] = _error(about.what, object_at(said, "error"))
    await _record(methods, record)
    try:
        size = number_at(object_at(record, "result"), "bytes") or 0
        methods.line.scoring.returned(about.action, size, ended.get("result", ended.get("error")))
    except HostError as error:
        raise _unusable(f"what it says could not be kept in mind ({error})") from error
    return ended


def _error(what: str, error: JsonObject) -> JsonObject:
    code = error.get("code")
    known = code if isinstance(code, int) and not isinstance(code, bool) else UPSTREAM_BROKEN
    fault = error_of(what, Fault(known, text_at(error, "message") or "it says nothing", error.get("data")))
    return {"code": fault.code, "message": fault.message, "data": fault.data}


async def _record(methods: Methods, record: JsonObject) -> None:
    """Raises `RpcError` where it could not be written: then nothing is sent or handed on."""
    try:
        await methods.recorder.ordered(record)
    except RecordFailed as failed:
        raise _unusable(f"the record of this could not be written ({failed})") from failed


def _task(said: JsonObject) -> JsonObject | None:
    """What a server says of a task, as far as the extension knows it; none where it is in another form."""
    if said.get("status") not in _STATUSES or text_at(said, "taskId") is None:
        return None
    times = [said[key] for key in _TIMES if said.get(key) is not None]
    if not all(isinstance(each, int) and not isinstance(each, bool) and each >= 0 for each in times):
        return None
    if not all(isinstance(said.get(key, ""), str) for key in _TEXTS):
        return None
    return {key: said[key] for key in ("status", *_TEXTS, *_TIMES) if key in said}


def _kept_ms(ttl_ms: object) -> int:
    """As long as the server keeps it, within bounds; what it keeps without a limit is kept here for the longest."""
    if isinstance(ttl_ms, bool) or not isinstance(ttl_ms, int):
        return TASK_KEPT_MS_MAX
    return max(TASK_KEPT_MS_MIN, min(ttl_ms, TASK_KEPT_MS_MAX))


def _lost(how: str) -> JsonObject:
    return failure(f"The server made a task of the call, {how}. {words.UNSURE}", Effect.UNKNOWN)


def _unusable(why: str) -> RpcError:
    return RpcError(UPSTREAM_BROKEN, why, data=effect_data(Effect.UNKNOWN))
