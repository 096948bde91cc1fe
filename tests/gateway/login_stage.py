"""A browser, a client and a person for tests of logging in: over the wire, with nothing of the gateway's own."""

from __future__ import annotations

import base64
import hashlib
import html
import http.client
import json
import re
import secrets
import time
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

from interlock.approvals.inbox import Inbox

REDIRECT = "http://127.0.0.1:3030/callback"


class Got(NamedTuple):
    """One answer."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def location(self) -> dict[str, str]:
        """What the place it leads to is told."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.headers["Location"]).query).items()}


def fetch(stage: Any, method: str, path: str, body: bytes | None = None, **headers: str) -> Got:
    """One request on a connection of its own; header names with `_` for `-`."""
    connection = http.client.HTTPConnection("127.0.0.1", stage.port, timeout=30)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    got = Got(response.status, response.headers, response.read())
    connection.close()
    return got


def posted(stage: Any, path: str, **said: str) -> Got:
    headers = {name: said.pop(name) for name in ("Authorization", "Origin") if name in said}
    return fetch(stage, "POST", path, urlencode(said).encode(), Content_Type="application/x-www-form-urlencoded", **headers)


def registered(stage: Any, **more: Any) -> dict[str, Any]:
    value = {"client_name": "A client", "redirect_uris": [REDIRECT], **more}
    got = fetch(stage, "POST", "/register", json.dumps(value).encode(), Content_Type="application/json")
    assert got.status == 201, got.body
    found: dict[str, Any] = got.json
    return found


def clients_agent(words: str, client: str) -> str:
    """The agent that a client of this name and id acts as."""
    return f"{words}-{client.removeprefix('ilo-')[:8]}"


class Proof(NamedTuple):
    """A verifier and its challenge."""

    verifier: str
    challenge: str


def proof() -> Proof:
    verifier = secrets.token_urlsafe(48)
    hashed = hashlib.sha256(verifier.encode()).digest()
    return Proof(verifier, base64.urlsafe_b64encode(hashed).rstrip(b"=").decode())


def wish(stage: Any, client: str, challenge: str, **more: str | None) -> str:
    """The path of a request to log in; what is `None` in `more` is left out."""
    said = {
        "response_type": "code", "client_id": client, "redirect_uri": REDIRECT, "state": "st", "code_challenge": challenge,
        "code_challenge_method": "S256", "resource": f"{stage.url}/mcp", **more,
    }  # fmt: skip
    return f"/authorize?{urlencode({name: value for name, value in said.items() if value is not None})}"


class Browser:
    """One browser: its cookies, and pages that refresh by themselves."""

    def __init__(self, stage: Any) -> None:
        self.stage = stage
        self.cookies: dict[str, str] = {}

    def open(self, path: str) -> Got:
        sent = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        got = fetch(self.stage, "GET", path, **({"Cookie": sent} if sent else {}))
        for each in got.headers.get_all("Set-Cookie") or []:
            name, _, value = each.partition(";")[0].partition("=")
            self.cookies[name] = value
        return got

    def log_in(self, url: str, within_s: float = 30.0) -> dict[str, str]:
        """Follow the page until it leads back to the client; what the client is told."""
        parts = urlsplit(url)
        got = self.open(f"{parts.path}?{parts.query}")
        deadline = time.monotonic() + within_s
        while got.status == 200 and time.monotonic() < deadline:
            time.sleep(0.05)
            got = self.open(next_page(got))
        assert got.status == 302, got.body
        return got.location


def next_page(got: Got) -> str:
    """Where a page goes on by itself."""
    found = re.search(rb'http-equiv="refresh" content="\d+; url=([^"]+)"', got.body)
    assert found is not None, got.body
    return html.unescape(found[1].decode())


def person(stage: Any, *, yes: bool = True) -> Any:
    """A person answers the one question that waits."""
    inbox = Inbox(str(stage.root / "inbox.sqlite"))
    deadline = time.monotonic() + 15
    while not (waiting := inbox.pending()):
        assert time.monotonic() < deadline, "no question came"
        time.sleep(0.02)
    [question] = waiting
    inbox.answer(question.id, meant="once" if yes else "no", approver="uid:0")
    inbox.close()
    return question


class LoggedIn(NamedTuple):
    """A client that is logged in."""

    client: str
    tokens: dict[str, Any]

    @property
    def access(self) -> str:
        return str(self.tokens["access_token"])

    @property
    def refresh(self) -> str:
        return str(self.tokens["refresh_token"])


def coded(stage: Any, client: str, challenge: str, **more: str | None) -> str:
    """A code that a person said yes to."""
    browser = Browser(stage)
    first = browser.open(wish(stage, client, challenge, **more))
    assert first.status == 200, first.body
    person(stage)
    return browser.log_in(next_page(first))["code"]


def exchanged(stage: Any, client: str, code: str, verifier: str, **more: str) -> Got:
    said = {"grant_type": "authorization_code", "client_id": client, "code": code, "redirect_uri": REDIRECT}
    return posted(stage, "/token", **{**said, "code_verifier": verifier, **more})


def logged_in(stage: Any, client: str | None = None) -> LoggedIn:
    """A client that was let in, with tokens."""
    identity = client or registered(stage)["client_id"]
    secret = proof()
    got = exchanged(stage, identity, coded(stage, identity, secret.challenge), secret.verifier)
    assert got.status == 200, got.body
    return LoggedIn(identity, got.json)


def refreshed(stage: Any, client: str, token: str, **more: str) -> Got:
    return posted(stage, "/token", grant_type="refresh_token", client_id=client, refresh_token=token, **more)
