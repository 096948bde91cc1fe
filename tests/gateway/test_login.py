"""A client logs in by itself: the official SDK's, through discovery, registration, a person's yes at the inbox, and a call."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from gateway_stage import connector
from login_stage import Browser, clients_agent

mcp = pytest.importorskip("mcp", reason="needs the MCP SDK for Python: pip install 'mcp>=2'")


class Kept:
    """The SDK's storage, in memory."""

    def __init__(self) -> None:
        self.tokens: Any = None
        self.client: Any = None

    async def get_tokens(self) -> Any:
        return self.tokens

    async def set_tokens(self, tokens: Any) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> Any:
        return self.client

    async def set_client_info(self, client_info: Any) -> None:
        self.client = client_info


def provider(stage: Any, kept: Kept, url: str) -> Any:
    from mcp.client.auth import OAuthClientProvider
    from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata

    browser = Browser(stage)
    opened: list[str] = []

    async def redirect(to: str) -> None:
        opened.append(to)

    async def callback() -> Any:
        answered = await asyncio.to_thread(browser.log_in, opened[-1])
        return AuthorizationCodeResult(code=answered["code"], state=answered["state"], iss=answered["iss"])

    metadata = OAuthClientMetadata(client_name="The SDK", redirect_uris=["http://127.0.0.1:3030/callback"])
    return OAuthClientProvider(url, metadata, kept, redirect, callback)


async def called(stage: Any, kept: Kept, url: str, mode: str) -> Any:
    from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

    async with (
        create_mcp_http_client(auth=provider(stage, kept, url)) as http,
        mcp.Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        return await client.call_tool("echo" if url.endswith("/notes") else "notes__echo", {"text": "hi"})


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
@pytest.mark.parametrize("place", ["/mcp", "/mcp/notes", "localhost"])
def test_the_sdk_logs_in_by_itself_and_calls(start: Any, tmp_path: Any, mode: str, place: str) -> None:
    stage = start(connector("notes", root=tmp_path), oauth=True)
    url = f"http://localhost:{stage.port}/mcp" if place == "localhost" else f"{stage.url}{place}"
    kept = Kept()
    human = threading.Thread(target=stage.answer_next, kwargs={"yes": True, "within_s": 60})
    human.start()
    found = asyncio.run(called(stage, kept, url, mode))
    assert found.content[0].text == "echo: hi"
    decided = stage.decided("tool.call")[-1]
    agent = clients_agent("the-sdk", kept.client.client_id)
    assert decided["agent"]["name"] == agent and decided["agent"]["assurance"] == "authenticated"
    human.join()
    assert kept.tokens.refresh_token and kept.client.token_endpoint_auth_method == "none"
    types = [each["type"] for each in stage.records()]
    chain = ["client.registered", "approval.asked", "approval.answered", "login.granted", "token.issued"]
    assert [each for each in types if each in chain] == chain
    assert kept.tokens.access_token not in str(stage.records()) and kept.tokens.refresh_token not in str(stage.records())


def test_the_sdk_refreshes_and_goes_on(start: Any, tmp_path: Any) -> None:
    stage = start(connector("notes", root=tmp_path), oauth=True)
    url, kept = f"{stage.url}/mcp", Kept()
    human = threading.Thread(target=stage.answer_next, kwargs={"yes": True, "within_s": 60})
    human.start()
    asyncio.run(called(stage, kept, url, "legacy"))
    human.join()
    first = kept.tokens

    async def later() -> Any:
        from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

        auth = provider(stage, kept, url)
        await auth._initialize()
        auth.context.token_expiry_time = 1.0  # long ago
        async with (
            create_mcp_http_client(auth=auth) as http,
            mcp.Client(streamable_http_client(url, http_client=http), mode="legacy") as client,
        ):
            return await client.call_tool("notes__echo", {"text": "again"})

    assert asyncio.run(later()).content[0].text == "echo: again"
    assert kept.tokens.refresh_token != first.refresh_token and kept.tokens.access_token != first.access_token
