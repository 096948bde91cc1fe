"""`POST /hook`: what an agent's own hooks tell (Claude Code's UserPromptSubmit and PreToolUse events, as JSON).

A prompt is recorded by digest and size, never by its text, and is what later tool calls of the same principal refer
to; what it names may lift a flow (docs/flows.md). The answer never decides anything: a hook is the agent's own word,
the gate is elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from interlock.gateway.limits import PROMPT_BYTES_MAX
from interlock.gateway.operation import Prompts
from interlock.gateway.outlet import Receive, Send, send_json
from interlock.gateway.refusals import Rejected
from interlock.mediate.ports import RecordFailed
from interlock.mediate.principal import Principal
from interlock.vocabulary.errors import HostError
from interlock.vocabulary.json_text import JsonObject, MalformedJson, is_object, parse, text_at

if TYPE_CHECKING:
    from interlock.gateway.serve import Incoming

PROMPT_EVENT: Final = "UserPromptSubmit"


class Hook:
    """See the module."""

    def __init__(self, prompts: Prompts, prompted: Callable[[str, str], None]) -> None:
        """`prompted`: is told an agent and what its person wrote, once that is on record."""
        self._prompts = prompts
        self._prompted = prompted

    async def serve(self, incoming: Incoming, method: str, receive: Receive, send: Send) -> None:
        """One request. Raises `Rejected`."""
        if method != "POST":
            raise Rejected(405, "a hook is posted", [(b"allow", b"POST")])
        incoming.head.check_content_type()
        status, value = await self.take(incoming.principal, await incoming.whole(receive))
        await send_json(send, status, value)

    async def take(self, principal: Principal, body: bytes) -> tuple[int, JsonObject]:
        """Status and answer for one event."""
        try:
            event = parse(body, bytes_max=PROMPT_BYTES_MAX)
        except MalformedJson as error:
            return 400, {"error": str(error)}
        name = text_at(event, "hook_event_name") if is_object(event) else None
        if not is_object(event) or name is None:
            return 400, {"error": "not a hook event: `hook_event_name` is missing"}
        prompt = text_at(event, "prompt")
        if name != PROMPT_EVENT or prompt is None:
            return 200, {}
        try:
            identity = await self._prompts.seen(principal, prompt.encode())
            self._prompted(principal.agent, prompt)
            return 200, {"interlock": {"prompt": identity}}
        except RecordFailed as failure:
            return 503, {"error": f"the prompt could not be recorded ({failure})"}
        except HostError as failure:
            return 503, {"error": f"the prompt could not be kept in mind ({failure})"}
