"""What is fuzzed: each parser that a peer reaches, with the texts to begin from and what must hold of every text.

A target raises `AssertionError`, or anything at all but the errors that its parser is documented to raise. Oracles: the
standard library's JSON, the parser itself on what it wrote, the same text cut otherwise.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import tempfile
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from interlock.app.client_servers import servers_of
from interlock.app.package_command import wanted_of
from interlock.connectors.configuration import Connector, Http
from interlock.connectors.configuration import parse as parse_connector
from interlock.connectors.cookies import Cookies
from interlock.connectors.http_client import HttpClient, Unanswered
from interlock.connectors.listening import Listening
from interlock.gateway.batch import begun as together_of
from interlock.gateway.batch import check as check_batch
from interlock.gateway.catalogue import own_uri, public_uri
from interlock.gateway.operation import keys_in_doubt, uri_in_doubt
from interlock.gateway.outlet import Backlogs, Streams
from interlock.gateway.schema_checks import Foreign, UnusableSchema
from interlock.gateway.state import StateSeal
from interlock.mcp import definition, server_message
from interlock.mcp.event_stream import EventReader, EventTooLarge
from interlock.mcp.message import RpcError, RpcNotification, RpcRequest, RpcResponse, read
from interlock.mcp.request_headers import (
    Headers,
    check_modern,
    check_parameters,
    decoded,
    is_modern,
    mirrored,
    safe_header,
)
from interlock.vocabulary.errors import OperatorError
from interlock.vocabulary.json_text import MalformedJson, canonical, encode, measure, parse, parse_answer

from .mutation import Mutation

_META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
REQUESTS = [json.dumps(each).encode() for each in (
    {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "a__b", "arguments": {"text": "é", "n": 1.5, "m": [1, -2, None]}, "_meta": _META}},
    {"jsonrpc": "2.0", "id": "x", "method": "initialize", "params": {"protocolVersion": "2025-11-25", "capabilities": {"roots": {}}}},
    {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}},
    {"jsonrpc": "2.0", "id": 7, "result": {"action": "accept", "content": {"a": True}}},
    {"jsonrpc": "2.0", "id": 7, "error": {"code": -32601, "message": "no", "data": [1e300]}},
    [1, 2.25, "\u2028", {"a": {"b": {"c": []}}}],
)]  # fmt: skip
ANSWERS = [json.dumps(each).encode() for each in (
    {"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": "x"}], "structuredContent": {"n": 2**63}}},
    {"jsonrpc": "2.0", "id": 1, "result": {"resultType": "input_required", "inputRequests": {"a": {"method": "elicitation/create"}}, "requestState": "s"}},
    {"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": "no"}},
    {"jsonrpc": "2.0", "id": 3, "method": "sampling/createMessage", "params": {"messages": []}},
    {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 1, "progress": 0.1}},
)]  # fmt: skip
LISTS = [json.dumps(each).encode() for each in (
    [{"name": "a", "inputSchema": {"type": "object", "properties": {"x": {"type": "string", "x-mcp-header": "X"}}}, "annotations": {"readOnlyHint": True}}],
    [{"uri": "file:///a", "name": "a", "icons": [{"src": "data:,"}], "_meta": {"a": 1}}, {"uriTemplate": "x://{a}", "name": "b", "title": None}],
    [{"name": "p", "arguments": [{"name": "x", "required": True}]}, {"name": "p"}],
)]  # fmt: skip


@dataclass(frozen=True)
class Target:
    """One parser: texts to begin from, and what is done with each text."""

    corpus: list[bytes]
    check: Callable[[bytes, Mutation], None]


def json_of_an_agent(text: bytes, _: Mutation) -> None:
    try:
        value = parse(text)
    except MalformedJson:
        return
    assert json.loads(text, object_pairs_hook=_once) == value, "the standard library reads it otherwise"
    assert parse(encode(value)) == value and json.loads(canonical(value)) == value
    measure(value)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len({key for key, _ in pairs}) == len(pairs), "a key stands twice in what was taken"
    return dict(pairs)


def json_of_a_server(text: bytes, _: Mutation) -> None:
    try:
        value = parse_answer(text)
    except MalformedJson:
        return
    written = encode(value)
    assert json.loads(text, object_pairs_hook=_once) == json.loads(written), "what is handed on is not what came"
    assert encode(parse_answer(written)) == written


def message_of_an_agent(text: bytes, _: Mutation) -> None:
    with contextlib.suppress(MalformedJson, RpcError):
        said = read(parse(text))
        assert isinstance(said, RpcRequest | RpcNotification | RpcResponse)


def message_of_a_server(text: bytes, _: Mutation) -> None:
    took = server_message.take(text)
    if isinstance(took, server_message.Response):
        assert took.id is None or (isinstance(took.id, int | str) and not isinstance(took.id, bool))
    server_message.oversized(text[-200:], len(text))


def headers_of_an_agent(text: bytes, _: Mutation) -> None:
    lines = [line.partition(b":")[::2] for line in text.split(b"\n")[:-1]]
    headers = Headers(lines)
    for plain in (text.decode("latin-1"), text.decode("utf-8", "replace")):
        with contextlib.suppress(RpcError):
            wrapped = safe_header(plain)
            assert decoded(wrapped) == plain and "\n" not in wrapped and "\r" not in wrapped
        with contextlib.suppress(RpcError):
            decoded(plain)
    with contextlib.suppress(MalformedJson, RpcError):
        said = read(parse(text.split(b"\n")[-1]))
        if isinstance(said, RpcRequest) and is_modern(headers, said.params):
            check_modern(headers, said)
            schema = {"properties": {"text": {"type": "string", "x-mcp-header": "Text"}}}
            arguments = said.params.get("arguments")
            check_parameters(headers, mirrored(schema), arguments if isinstance(arguments, dict) else {})


def events_of_a_server(text: bytes, mutation: Mutation) -> None:
    whole, parts = EventReader(), EventReader()
    with contextlib.suppress(EventTooLarge):
        one = whole.feed(text)
        many = [event for part in mutation.cuts(text) for event in parts.feed(part)]
        assert one == many, "events depend on how the stream is cut"


def cookies_of_a_server(text: bytes, _: Mutation) -> None:
    cookies = Cookies("/mcp", secure=False)
    cookies.take(text.decode("latin-1").split("\n"))
    assert cookies.header.isascii() and not set(cookies.header) & set("\r\n\0")


_SEAL = StateSeal(b"k" * 32, lambda: 0)
_SEALED = _SEAL.seal("the server's own", binding={"to": "coder"})


def sealed_state(text: bytes, _: Mutation) -> None:
    given = text.decode("latin-1")
    if given != _SEALED:
        assert _SEAL.open(given, binding={"to": "coder"}) is None, "what nobody sealed was opened"
    assert _SEAL.open(_SEALED, binding={"to": given}) is None or given == "coder"


def lists_of_a_server(text: bytes, _: Mutation) -> None:
    try:
        entries = parse_answer(text)
    except MalformedJson:
        return
    objects = [each for each in entries if isinstance(each, dict)] if isinstance(entries, list) else []
    for kind in ("tools", "resources", "resourceTemplates", "prompts"):
        taken, left = definition.usable(kind, objects)
        assert len(taken) + len(left) == len(objects)


def names_at_the_gateway(text: bytes, _: Mutation) -> None:
    name = text.decode("utf-8", "replace")
    if name:
        assert own_uri(public_uri("conn-1", name)) in (("conn-1", name), None)
    own_uri(name)


def http_of_a_server(text: bytes, mutation: Mutation) -> None:
    """The gateway's own client, over a connection whose other end says this."""
    asyncio.run(asyncio.wait_for(_http(text, mutation), 20))


async def _http(text: bytes, mutation: Mutation) -> None:
    async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await reader.readuntil(b"\r\n\r\n")
            for part in mutation.cuts(text)[:50]:
                writer.write(part)
            await writer.drain()
            writer.close()

    server = await asyncio.start_server(answers, "127.0.0.1", 0)
    async with server:
        client = HttpClient(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp")
        try:
            response = await client.send("GET", {"accept": "*/*"}, b"")
            with response:
                assert 200 <= response.status <= 999
                await response.whole(100_000)
        except (Unanswered, OSError):
            pass  # it says that there is no answer
        finally:
            client.close()


def batch_of_an_agent(text: bytes, _: Mutation) -> None:
    with contextlib.suppress(MalformedJson, RpcError):
        values = parse(text)
        if isinstance(values, list):
            check_batch(values, "2025-03-26")
            begun: list[RpcRequest] = []

            def begin(said: RpcRequest) -> Any:
                begun.append(said)
                raise RpcError(-32601, "not here")

            answers = together_of(values, begin=begin, hear=lambda _: None)
            assert len(answers) >= len(begun) and all(each.method != "initialize" for each in begun)


def uris_of_an_agent(text: bytes, _: Mutation) -> None:
    uri = text.decode("utf-8", "replace")
    if uri_in_doubt(uri) is None:
        path = unquote(uri).partition("://")[2]
        assert not {"..", "."} & set(path.replace("\\", "/").split("/")), "a URI that climbs is taken for one thing"
        assert " " not in uri and uri.isprintable(), "a URI is not what is seen of it"


def keys_of_an_agent(text: bytes, _: Mutation) -> None:
    with contextlib.suppress(MalformedJson):
        value = parse(text)
        if keys_in_doubt(value) is None:
            assert not _folds(value), "keys that fold together are taken apart"


def _folds(value: object) -> bool:
    if isinstance(value, list):
        return any(_folds(each) for each in value)
    if not isinstance(value, dict):
        return False
    return len({unicodedata.normalize("NFKC", key).casefold() for key in value}) < len(value) or any(_folds(each) for each in value.values())


def events_that_a_client_names(text: bytes, _: Mutation) -> None:
    streams = Streams(Backlogs().allowance("coder"), lambda: 0, primes=True)
    stream = streams.open()
    streams.begins(stream)
    found = streams.find(text.decode("latin-1"))
    assert found is None or (found[0] is stream and 0 <= found[1] <= stream.last)


def schema_of_a_server(text: bytes, _: Mutation) -> None:
    try:
        schema = parse_answer(text)
    except MalformedJson:
        return
    foreign = Foreign(schema)
    if foreign.unusable is None and foreign.is_cheap(100):
        with contextlib.suppress(UnusableSchema):
            foreign.validator.faults({"x": ["y", 1, None], "z": {"x": 0.5}})


def places_of_a_server(text: bytes, _: Mutation) -> None:
    asyncio.run(_places(text.decode("latin-1")))


async def _places(location: str) -> None:
    client = HttpClient("http://127.0.0.1:9/mcp")
    with contextlib.suppress(Unanswered):
        if client.retarget(location) is None:
            request = client._text("GET", {}, b"").decode("latin-1")
            assert request.split("\r\n")[0].count(" ") == 2 and "Host: 127.0.0.1:9" in request, "a place leads to another server"
    client.close()


def acknowledgements_of_a_server(text: bytes, _: Mutation) -> None:
    listening = Listening(Connector("up", Http("http://127.0.0.1:9/mcp")))
    took = server_message.take(text)
    if isinstance(took, server_message.Told):
        listening.acknowledged(took.params)
    assert listening.missed() == [], "a server puts words into what was asked of it"


def configuration_of_a_client(client: str, text: bytes, _: Mutation) -> None:
    with tempfile.TemporaryDirectory() as home:
        names = {"claude-code": ".claude.json", "codex": ".codex/config.toml", "cursor": ".cursor/mcp.json", "vscode": ".config/Code/User/mcp.json"}
        file = Path(home, names[client])
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text)
        with contextlib.suppress(OperatorError):
            for server in servers_of(client, {}, home=home, directory=home):
                assert server.fault is not None or server.command or server.url


def commands_that_fetch(text: bytes, _: Mutation) -> None:
    with contextlib.suppress(OperatorError):
        found = wanted_of(text.decode("utf-8", "replace").split(" "))
        if found is not None:
            assert not found.asked.startswith("-") and "/" not in found.name.removeprefix(found.name.partition("/")[0] + "/")
            assert not set(found.asked) & set(" \n\0:\\$`;")


def file_of_a_connector(text: bytes, _: Mutation) -> None:
    with contextlib.suppress(OperatorError):
        parse_connector(text.decode("utf-8", "replace"), name="a", file="a.yaml")


_HTTP = [
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nSet-Cookie: a=b; Path=/\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\nConnection: close\r\n\r\nrest",
]
_HEADERS = [b"Mcp-Method: tools/call\nMcp-Name: a__b\nMCP-Protocol-Version: 2026-07-28\nMcp-Param-Text: =?base64?w6k=?=\n" + REQUESTS[0]]
_CLIENT = b'{"mcpServers": {"a": {"command": "npx", "args": ["-y", "x"], "env": {"T": "${T:-x}"}}, "b": {"url": "http://x/", "headers": {"A": "${env:B}"}}}} // c'
_TOML = b'[mcp_servers.a]\ncommand = "x"\nargs = ["y"]\nenv_vars = ["T"]\nstartup_timeout_sec = 3\n[mcp_servers.b]\nurl = "http://x/"\nbearer_token_env_var = "T"\n'
_FILES = [b"interlock: 1\nstdio:\n  command: [a, b]\n  environment: {A: b}\n  limits: {memory: 1GiB}\nper: call\n", b'interlock: 1\nhttp: {url: "http://x/", headers: {A: b}}\n']

SCHEMAS = [json.dumps(each).encode() for each in (
    {"type": "object", "properties": {"x": {"type": "array", "items": {"anyOf": [{"type": "string", "minLength": 1}, {"enum": [1, None]}]}}}, "required": ["x"]},
    {"type": "object", "properties": {"z": {"additionalProperties": {"type": "number", "multipleOf": 0.5}, "not": {"maxProperties": 0}}}},
)]  # fmt: skip
_ACKNOWLEDGED = json.dumps(
    {"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged",
     "params": {"notifications": {"resourceSubscriptions": ["file:///a"], "taskIds": ["t"]}, "_meta": {"io.modelcontextprotocol/subscriptionId": 1}}}
).encode()  # fmt: skip

TARGETS: dict[str, Target] = {
    "json-of-an-agent": Target([*REQUESTS, *ANSWERS], json_of_an_agent),
    "json-of-a-server": Target([*REQUESTS, *ANSWERS], json_of_a_server),
    "message-of-an-agent": Target(REQUESTS, message_of_an_agent),
    "message-of-a-server": Target([*ANSWERS, *REQUESTS], message_of_a_server),
    "headers-of-an-agent": Target(_HEADERS, headers_of_an_agent),
    "events-of-a-server": Target([b"id: 1\nevent: message\ndata: {}\n\n", b"\xef\xbb\xbfdata: a\r\ndata: b\r\n\r\n: c\rdata:d\r\r"], events_of_a_server),
    "cookies-of-a-server": Target([b"a=b; Path=/mcp; HttpOnly\nc=d; Max-Age=0; Secure"], cookies_of_a_server),
    "sealed-state": Target([_SEALED.encode()], sealed_state),
    "lists-of-a-server": Target(LISTS, lists_of_a_server),
    "names-at-the-gateway": Target([b"file:///a/b", b"ui://x/y", b"a+b://c", b"a__b"], names_at_the_gateway),
    "batch-of-an-agent": Target([b"[" + b",".join(REQUESTS[:3]) + b"]", b"[]"], batch_of_an_agent),
    "uris-of-an-agent": Target([b"file:///a/b", b"https://a.example/x?y=%20z#w", b"ui://x/y", b"file:///a/%2e%2e/b"], uris_of_an_agent),
    "keys-of-an-agent": Target([b'{"path": 1, "Path": 2}', '{"ﬁ": {"fi": 1, "ſ": [{"s": 2}]}}'.encode()], keys_of_an_agent),
    "events-that-a-client-names": Target([b"1.0", b"1.1", b"01.0", b"1"], events_that_a_client_names),
    "schema-of-a-server": Target(SCHEMAS, schema_of_a_server),
    "places-of-a-server": Target([b"/other?a=b", b"http://127.0.0.1:9/x", b"//evil.example/x", b"http://u@127.0.0.1:9/"], places_of_a_server),
    "acknowledgements-of-a-server": Target([_ACKNOWLEDGED], acknowledgements_of_a_server),
    "http-of-a-server": Target(_HTTP, http_of_a_server),
    "claude-code": Target([_CLIENT], functools.partial(configuration_of_a_client, "claude-code")),
    "cursor": Target([_CLIENT], functools.partial(configuration_of_a_client, "cursor")),
    "vscode": Target([_CLIENT.replace(b"mcpServers", b"servers")], functools.partial(configuration_of_a_client, "vscode")),
    "codex": Target([_TOML], functools.partial(configuration_of_a_client, "codex")),
    "commands-that-fetch": Target([b"npx -y @a/b@1 x", b"uvx --from a[b]>=1 c d", b"uv tool run a"], commands_that_fetch),
    "file-of-a-connector": Target(_FILES, file_of_a_connector),
}
#: Of those that make a connection or a file for each text.
SLOW = frozenset({"http-of-a-server", "claude-code", "cursor", "vscode", "codex"})
