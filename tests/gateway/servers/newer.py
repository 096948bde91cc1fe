"""An MCP server of revision 2026-07-28 over HTTP in plain Python, with all that the official conformance suite calls at one: what every
revision has (`suite.py`), tasks (`tasks.py`), and here what is this revision's: questions in results, sealed states, hints for caches, parameters
in headers, lists that change, reports and logs on a call's stream.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets

from servers import suite
from servers.suite import Json, form, messages, text, tool
from servers.tasks import META, Fault, Handler, Tasks

CACHED: Json = {"ttlMs": 1_000, "cacheScope": "public"}
MARKED: Json = {
    "type": "object",
    "properties": {"region": {"type": "string", "x-mcp-header": "Region"}},
    "required": ["region"],
}
ANSWERED_BY = {"elicitation/create": "action", "sampling/createMessage": "content", "roots/list": "roots"}
KEY = secrets.token_bytes(32)


def _named(message: str, name: str = "name") -> Json:
    return {
        "method": "elicitation/create",
        "params": {"mode": "form", **form(message, {name: {"type": "string"}}, [name])},
    }


def _sampled(words: str, tokens: int = 100) -> Json:
    return {"method": "sampling/createMessage", "params": messages(words, tokens)}


ROOTS: Json = {"method": "roots/list", "params": {}}
PREFIX = "test_input_required_result_"
#: What each tool or prompt asks, round after round.
ASKS: dict[str, list[dict[str, Json]]] = {
    "elicitation": [{"user_name": _named("What is your name?")}],
    "sampling": [{"capital_question": _sampled("What is the capital of France?")}],
    "list_roots": [{"client_roots": ROOTS}],
    "request_state": [{"confirm": _named("Confirm?", "ok")}],
    "multiple_inputs": [
        {
            "user_name": _named("What is your name?"),
            "greeting": _sampled("Generate a greeting", 50),
            "client_roots": ROOTS,
        }
    ],
    "multi_round": [
        {"step1": _named("Step 1: What is your name?")},
        {"step2": _named("Step 2: What is your favorite color?", "color")},
    ],
    "tampered_state": [{"confirm": _named("Confirm?", "ok")}],
    "capabilities": [{"user_name": _named("What is your name?"), "greeting": _sampled("Generate a greeting", 50)}],
    "prompt": [{"user_context": _named("What context should the prompt use?", "context")}],
}
#: Which of them keep a state with the client.
SEALED = ("request_state", "multiple_inputs", "multi_round", "tampered_state")
#: The suite calls the tool that is listed first, without claiming anything; the gateway lists by name.
FIRST = "a_plain_tool"
TOOLS = [
    tool(FIRST),
    *suite.TOOLS,
    *(tool(f"{PREFIX}{name}") for name in ASKS if name != "prompt"),
    *(
        tool(f"test_{name}")
        for name in ("streaming_elicitation", "logging_tool", "trigger_tool_change", "trigger_prompt_change")
    ),
    tool("test_custom_headers", MARKED),
    tool("test_missing_capability"),
]
PROMPTS = [*suite.PROMPTS, {"name": f"{PREFIX}prompt", "description": "A prompt that asks first."}]


def _seal(number: int) -> str:
    """A state that says which round is over, and that this server said it."""
    return f"{number}.{hmac.new(KEY, str(number).encode(), hashlib.sha256).hexdigest()}"


def _round(params: Json) -> int:
    """Which round a state belongs to. Raises `Fault` of one that is not this server's."""
    state = params.get("requestState")
    if state is None:
        return 0
    number = str(state).partition(".")[0]
    if not number.isdigit() or not hmac.compare_digest(str(state).encode(), _seal(int(number)).encode()):
        raise Fault(-32602, "the state is not this server's", status=400)
    return int(number)


def asked(name: str, params: Json) -> Json | None:
    """What a call or a prompt has to ask still; None once it has been answered."""
    claims = params["_meta"][f"{META}clientCapabilities"]
    rounds, number = ASKS[name], _round(params)
    wanted = rounds[number]
    if name == "capabilities":
        wanted = {key: each for key, each in wanted.items() if each["method"].partition("/")[0] in claims}
    given = params.get("inputResponses")
    given = given if isinstance(given, dict) else {}
    if all(
        isinstance(given.get(key), dict) and ANSWERED_BY[each["method"]] in given[key] for key, each in wanted.items()
    ):
        number += 1
        if number == len(rounds):
            return None
        wanted = rounds[number]
    state = {"requestState": _seal(number)} if name in SEALED else {}
    return {"resultType": "input_required", "inputRequests": wanted, **state}


class Newer(Tasks):
    lists = ("toolsListChanged", "promptsListChanged")

    def handler(self) -> type[Handler]:
        return NewerHandler

    def answer(self, method: str, params: Json) -> Json:
        name = str(params.get("name", ""))
        asking = name.removeprefix(PREFIX)
        if asking != name and asking in ASKS and (question := asked(asking, params)) is not None:
            return question
        if method == "server/discover":
            found = super().answer(method, params)
            more = {"prompts": {"listChanged": True}, "resources": {}, "completions": {}, "logging": {}}
            return {
                **found,
                "capabilities": {**found["capabilities"], **more},
                "_meta": {f"{META}serverInfo": {"name": "newer", "version": "1"}},
            }
        if method == "tools/list":
            tasks = super().answer(method, params)["tools"]
            known = {each["name"] for each in TOOLS}
            return {
                "tools": [*TOOLS, *(each | {"description": "A task."} for each in tasks if each["name"] not in known)],
                **CACHED,
            }
        fixed: dict[str, Json] = {
            "prompts/list": {"prompts": PROMPTS, **CACHED}, "resources/list": {"resources": suite.RESOURCES, **CACHED},
            "resources/templates/list": {"resourceTemplates": suite.TEMPLATES, **CACHED}, "completion/complete": suite.COMPLETION,
        }  # fmt: skip
        if method in fixed:
            return fixed[method]
        if method == "prompts/get":
            return self.prompt(name, params)
        if method == "resources/read":
            found = suite.contents(params["uri"])
            if found is None:
                raise Fault(-32602, "Resource not found", {"uri": params["uri"]})
            return {**found, **CACHED}
        return super().answer(method, params)

    def prompt(self, name: str, params: Json) -> Json:
        if name == f"{PREFIX}prompt":
            context = params["inputResponses"]["user_context"].get("content", {}).get("context")
            return {"messages": [{"role": "user", "content": text(f"Within {context}")}]}
        found = suite.prompt(name, params.get("arguments", {}))
        if found is None:
            raise Fault(-32602, f"Unknown prompt: {name}")
        return found

    def call(self, name: str, arguments: Json, params: Json, declared: bool) -> Json:
        if name in suite.SAID:
            return suite.SAID[name]
        if name == "test_streaming_elicitation":
            return {"resultType": "input_required", "inputRequests": {"user_name": _named("What is your name?")}}
        if name in ("test_trigger_tool_change", "test_trigger_prompt_change"):
            self.changed("tools" if "tool" in name else "prompts")
        if name in {each["name"] for each in TOOLS} - {"test_missing_capability"}:
            return {"content": [text(f"{name}: {json.dumps(arguments)}")]}
        return super().call(name, arguments, params, declared)


class NewerHandler(Handler):
    def do_POST(self) -> None:
        if suite.is_foreign(self.headers, self.server.server_port):
            self.send_error(403)
            return
        super().do_POST()

    def check(self, method: str, params: Json) -> None:
        super().check(method, params)
        if method == "tools/call" and params.get("name") == "test_custom_headers":
            region = params.get("arguments", {}).get("region")
            if _unwrapped(self.headers["Mcp-Param-Region"]) != region:
                raise Fault(-32020, "Header mismatch: Mcp-Param-Region", status=400)

    def say(self, message: Json, status: int, said: Json) -> None:
        """On a stream, after what the call tells on its way, where it tells something."""
        told = _told(message) if status == 200 and message["method"] == "tools/call" else []
        if not told:
            self.send(status, said)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        for each in (*told, said):
            self.wfile.write(b"data: " + json.dumps(each).encode() + b"\n\n")
            self.wfile.flush()


def _told(message: Json) -> list[Json]:
    """What a call says before its answer: how far it is, to who gave a token; what it logs, to who asked for a level."""
    meta, name = message["params"]["_meta"], message["params"]["name"]
    token = meta.get("progressToken")
    steps = (
        (0, 50, 100) if name in ("test_tool_with_progress", "test_streaming_elicitation") and token is not None else ()
    )
    reports = [("progress", {"progressToken": token, "progress": step, "total": 100}) for step in steps]
    logs = (
        [("message", {"level": "info", "data": "said while it works"})]
        if name == "test_logging_tool" and f"{META}logLevel" in meta
        else []
    )
    return [
        {"jsonrpc": "2.0", "method": f"notifications/{kind}", "params": params} for kind, params in (*reports, *logs)
    ]


def _unwrapped(header: str | None) -> str | None:
    """A parameter as its header says it. Raises `Fault` where it is wrapped and cannot be read."""
    value = None if header is None else header.strip()
    if value is None or not (value.startswith("=?base64?") and value.endswith("?=")):
        return value
    try:
        return base64.b64decode(value[9:-2], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise Fault(-32020, "Header mismatch: a value that cannot be read", status=400) from None
