"""A login by the commands that a person has: `interlock gateway --oauth`, `approvals`, `agent list`; and over a restart."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from command_stage import CommandStage
from gateway_stage import modern
from login_stage import Browser, clients_agent, exchanged, next_page, proof, refreshed, registered, wish


class Commands(CommandStage):
    """The same, as `login_stage` needs one."""

    @property
    def port(self) -> int:
        return int(urlsplit(self.url).port or 0)


@pytest.fixture
def stage() -> Iterator[Commands]:
    stage = Commands()
    stage.serve(None, "--oauth")
    yield stage
    stage.close()


def waits(stage: Commands) -> dict[str, Any]:
    """The one question in the inbox."""
    deadline = time.monotonic() + 30
    while not (listed := stage.run("approvals", "list", "--json")):
        assert time.monotonic() < deadline
    found: dict[str, Any] = json.loads(listed)
    return found


def test_a_person_says_yes_by_the_command_and_a_restart_loses_nothing(stage: Commands) -> None:
    client, secret, browser = registered(stage, client_name="My Editor")["client_id"], proof(), Browser(stage)
    agent = clients_agent("my-editor", client)
    page = browser.open(wish(stage, client, secret.challenge))
    question = waits(stage)
    assert agent in stage.run("approvals", "list") and "client.login" in stage.run("approvals", "list")
    shown = stage.run("approvals", "show", question["id"])
    letters = question["action"]["target"]["arguments"]["on the page"]
    assert letters in shown and "My Editor" in shown and letters in page.body.decode() and agent in shown
    stage.run("approvals", "approve", question["id"])
    code = browser.log_in(next_page(page))["code"]
    port = stage.port
    stage.close_gateway()
    stage.serve(None, "--oauth", port=port)
    tokens = exchanged(stage, client, code, secret.verifier).json
    assert modern(stage, tokens["access_token"], "tools/list")[0] == 200
    assert f"{agent}" in stage.run("agent", "list")
    stage.close_gateway()
    stage.serve(None, port=port)
    assert modern(stage, tokens["access_token"], "tools/list")[0] == 200, "tokens outlive the offer of logins"
    stage.close_gateway()
    stage.serve(None, "--oauth", port=port)
    later = refreshed(stage, client, tokens["refresh_token"]).json
    stage.run("agent", "revoke", agent)
    assert modern(stage, later["access_token"], "tools/list")[0] == 401
    stage.run("ledger", "verify")


def test_a_login_ends_with_the_gateway_that_asked(stage: Commands) -> None:
    client, browser, port = registered(stage)["client_id"], Browser(stage), stage.port
    page = browser.open(wish(stage, client, proof().challenge))
    waits(stage)
    stage.close_gateway()
    stage.serve(None, "--oauth", port=port)
    assert stage.run("approvals", "list").strip() == "nothing waits for approval"
    told = browser.log_in(next_page(page))
    assert told["error"] == "access_denied" and told["iss"] == stage.url
