"""What reaches a server is what was permitted, for every method: the line may permit another Action than the one it was asked about."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, cast

import pytest

from interlock.gateway.catalogue import Catalogue
from interlock.gateway.conversation import Conversation
from interlock.gateway.methods import Methods
from interlock.gateway.operation import Prompts, Tool
from interlock.gateway.schema_checks import SchemaChecks
from interlock.gateway.state import StateSeal
from interlock.mcp.message import RpcRequest
from interlock.mcp.request_headers import Headers
from interlock.mediate.line import Line
from interlock.mediate.permit import Permit
from interlock.mediate.principal import Binding, Principal
from interlock.mediate.upstream import Exchange, Reply, Result
from interlock.vocabulary.decision import Allow, Decision, Obligations, Says
from interlock.vocabulary.facts import Facts

SCHEMA = {"type": "object"}
LISTS = {"tools": [{"name": name, "inputSchema": SCHEMA} for name in ("asked", "permitted")], "prompts": [{"name": "asked"}]}
#: A request, what is permitted in its place, and what the server is to be sent.
Case = tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]
CASES: list[Case] = [
    ("tools/call", {"name": "asked", "arguments": {"a": 1}}, {"arguments": {"a": 2}}, {"name": "permitted", "arguments": {"a": 2}}),
    ("prompts/get", {"name": "asked", "arguments": {"a": "1"}}, {"arguments": {"a": "2"}}, {"name": "permitted", "arguments": {"a": "2"}}),
    ("resources/read", {"uri": "asked"}, {}, {"uri": "permitted"}),
    ("resources/subscribe", {"uri": "asked"}, {}, {"uri": "permitted"}),
    ("resources/unsubscribe", {"uri": "asked"}, {}, {"uri": "permitted"}),
    (
        "completion/complete",
        {"ref": {"type": "ref/prompt", "name": "asked"}, "argument": {"name": "a", "value": "secret"}},
        {"arguments": {"ref": {"type": "ref/prompt", "name": "asked"}, "argument": {"name": "a", "value": ""}}},
        {"ref": {"type": "ref/prompt", "name": "permitted"}, "argument": {"name": "a", "value": ""}},
    ),
    (
        "completion/complete",
        {"ref": {"type": "ref/resource", "uri": "asked"}, "argument": {"name": "a", "value": "secret"}},
        {"arguments": {"ref": {"type": "ref/resource", "uri": "asked"}, "argument": {"name": "a", "value": ""}}},
        {"ref": {"type": "ref/resource", "uri": "permitted"}, "argument": {"name": "a", "value": ""}},
    ),
]  # fmt: skip


class Server:
    """One server that answers anything, and everything that stands behind the methods besides."""

    connector, trust_annotations, client_requests = "c", False, ()
    operations: Mapping[str, str] = {}
    observes = False

    def __init__(self, instead: dict[str, Any]) -> None:
        self.instead, self.sent = instead, cast("list[tuple[str, Any]]", [])

    modern = False

    def names(self) -> list[str]:
        return ["c"]

    def of(self, connector: str, agent: str) -> Any:
        return self

    def possible(self, action: Any) -> Decision:
        return Decision(Says.ALLOW, (), None, {})

    def capabilities(self) -> Any:
        return {}

    async def connect(self) -> None:
        return None

    def held(self, kind: str) -> Mapping[str, Any]:
        return {}

    async def definitions(self, kind: str) -> Any:
        return LISTS.get(kind, [])

    async def request(self, method: str, params: Any, exchange: Exchange) -> Reply:
        self.sent.append((method, params))
        return Result({"content": []})

    async def mediate(self, *, action: Any, enactor: Any, **_: Any) -> Any:
        """The line, as far as the methods see it: it permits something else."""
        definition = Tool("c", "permitted", cast(Any, LISTS["tools"][1])).digest
        target = {**action["target"], "tool": "permitted", "definition": definition, **self.instead}
        permit = Permit({**action, "target": target}, Allow(), Obligations(), Facts(), 1)
        return (await enactor.enact(permit)).outcome


@pytest.mark.parametrize(("method", "params", "instead", "wanted"), CASES, ids=[case[0] for case in CASES])
def test_a_server_is_sent_what_is_permitted_and_not_what_was_asked(
    method: str, params: dict[str, Any], instead: dict[str, Any], wanted: dict[str, Any]
) -> None:
    server = Server(instead)
    methods = Methods(
        line=cast(Line, server), engine=cast(Any, server), recorder=cast(Any, server), catalogue=Catalogue(server, cast(Any, server)),
        prompts=Prompts(cast(Any, server), lambda: "p-1"), seal=StateSeal(b"k" * 32, lambda: 0), checks=SchemaChecks(lambda: 0),
        tasks=cast(Any, server), session="s-20261121T120000-abcdef",
    )  # fmt: skip
    principal = Principal("coder", "t-1", Binding.USER, None, "authenticated")
    talk = Conversation(principal, "c", modern=False, headers=Headers([]), session=None, revalidate=lambda: None)
    status, answer = asyncio.run(methods.answered(talk, RpcRequest(1, method, params)))
    assert (status, "error" in answer) == (200, False), answer
    assert server.sent == [(method, wanted)]
