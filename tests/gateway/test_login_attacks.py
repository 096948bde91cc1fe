"""Attacks on logging in, each over the wire: what must not be got by it, and what is on record."""

from __future__ import annotations

import base64
import json
import os
import time
from typing import Any

import pytest
from gateway_stage import call, connector, modern
from login_stage import (
    REDIRECT,
    Browser,
    coded,
    exchanged,
    fetch,
    logged_in,
    next_page,
    person,
    posted,
    proof,
    refreshed,
    registered,
    wish,
)
from test_tokens import attested


@pytest.fixture
def stage(start: Any, tmp_path: Any) -> Any:
    return start(connector("notes", root=tmp_path), oauth=True)


def types(stage: Any) -> list[str]:
    return [each["type"] for each in stage.records()]


def works(stage: Any, token: str) -> bool:
    return modern(stage, token, "tools/list")[0] == 200


# The resource


def test_who_is_nobody_is_told_where_to_log_in(stage: Any) -> None:
    for path in ("/mcp", "/mcp/notes", "/brief"):
        got = fetch(stage, "POST", path, b"{}", Content_Type="application/json")
        place = f'resource_metadata="{stage.url}/.well-known/oauth-protected-resource{path}"'
        challenge = got.headers["WWW-Authenticate"]
        assert got.status == 401 and place in challenge and 'scope="mcp"' in challenge and "error=" not in challenge
        described = fetch(stage, "GET", f"/.well-known/oauth-protected-resource{path}").json
        assert described["resource"] == f"{stage.url}{path}" and described["authorization_servers"] == [stage.url]
    got = fetch(stage, "POST", "/mcp", b"{}", Content_Type="application/json", Authorization="Bearer x")
    assert 'error="invalid_token"' in got.headers["WWW-Authenticate"]
    assert fetch(stage, "GET", "/.well-known/oauth-protected-resource/other").status == 404


def test_metadata_says_what_is_held_to(stage: Any) -> None:
    found = fetch(stage, "GET", "/.well-known/oauth-authorization-server").json
    assert found["issuer"] == stage.url and found["code_challenge_methods_supported"] == ["S256"]
    assert found["authorization_response_iss_parameter_supported"] is True
    assert "client_secret_post" not in found["token_endpoint_auth_methods_supported"]


def test_without_being_asked_for_nothing_of_it_is_there(start: Any, tmp_path: Any) -> None:
    stage = start(connector("notes", root=tmp_path))
    for path in ("/authorize", "/token", "/register", "/.well-known/oauth-authorization-server"):
        assert fetch(stage, "GET", path).status == 404
    assert "resource_metadata" not in fetch(stage, "POST", "/mcp", b"{}").headers["WWW-Authenticate"]
    assert works(stage, stage.token())


def test_an_agents_own_token_goes_on_working(stage: Any) -> None:
    assert call(stage, stage.token(), "notes__echo", text="x")["content"][0]["text"] == "echo: x"


def test_a_token_for_another_audience_or_of_another_kind_is_none(stage: Any) -> None:
    found = logged_in(stage)
    assert works(stage, found.access)
    for other in (found.refresh, found.client, f"{found.access}x", "eyJhbGciOiJub25lIn0.e30."):
        assert not works(stage, other)
    other = stage.token("elsewhere", audience="http://127.0.0.1:1")
    assert not works(stage, other)


def test_a_token_is_not_passed_on_to_the_server_behind(stage: Any) -> None:
    found = logged_in(stage)
    call(stage, found.access, "notes__echo", text="x")
    seen = (stage.root / "seen").read_text() + json.dumps(stage.records())
    assert found.access not in seen and found.refresh not in seen


def test_a_token_expires(stage: Any) -> None:
    found = logged_in(stage)
    import sqlite3

    with sqlite3.connect(stage.registry_path) as database:
        database.execute("UPDATE token SET expires_ms = 1 WHERE binding = 'user'")
    assert not works(stage, found.access)
    assert refreshed(stage, found.client, found.refresh).status == 200


def test_a_token_given_back_ends_its_calls_within_a_second(stage: Any) -> None:
    import threading

    found = logged_in(stage)
    answers: list[Any] = []
    params = {"name": "notes__slow", "arguments": {"text": "2.5"}}
    caller = threading.Thread(target=lambda: answers.append(modern(stage, found.access, "tools/call", params)))
    caller.start()
    deadline = time.monotonic() + 10
    while not stage.decided("tool.call"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert posted(stage, "/revoke", client_id=found.client, token=found.refresh).status == 200
    caller.join()
    assert answers[0][0] == 401 and not works(stage, found.access)
    assert refreshed(stage, found.client, found.refresh).json["error"] == "invalid_grant"
    assert "login.ended" in types(stage)


def test_revoking_the_agent_ends_its_logins(stage: Any) -> None:
    found = logged_in(stage)
    [agent] = [each["agent"] for each in stage.records() if each["type"] == "login.granted"]
    stage.registry().revoke(agent, time.time_ns() // 1_000_000)
    assert not works(stage, found.access)
    assert refreshed(stage, found.client, found.refresh).json["error"] == "invalid_grant"
    again = fetch(stage, "GET", wish(stage, found.client, proof().challenge))
    assert again.status == 302 and again.location["error"] == "access_denied"


# Codes


def test_a_code_is_good_once_and_its_copy_ends_the_login(stage: Any) -> None:
    client, secret = registered(stage)["client_id"], proof()
    code = coded(stage, client, secret.challenge)
    first = exchanged(stage, client, code, secret.verifier).json
    assert works(stage, first["access_token"])
    assert exchanged(stage, client, code, secret.verifier).json["error"] == "invalid_grant"
    assert not works(stage, first["access_token"])
    assert refreshed(stage, client, first["refresh_token"]).json["error"] == "invalid_grant"
    assert {"credential.copied", "login.ended"} <= set(types(stage))


def test_a_code_is_worth_nothing_to_another_client(stage: Any) -> None:
    client, thief, secret = registered(stage)["client_id"], registered(stage)["client_id"], proof()
    code = coded(stage, client, secret.challenge)
    assert exchanged(stage, thief, code, secret.verifier).json["error"] == "invalid_grant"
    for _ in range(3):
        assert exchanged(stage, client, code, secret.verifier).json["error"] == "invalid_grant", "it is burnt"
    assert types(stage).count("credential.copied") == 1, "told once, however often it is shown"


CHANGES: list[dict[str, str]] = [
    {"verifier": ""},
    {"verifier": "x" * 43},
    {"verifier": "short"},
    {"redirect_uri": ""},
    {"redirect_uri": "http://127.0.0.1:3031/callback"},
    {"resource": "http://127.0.0.1:1/mcp"},
    {"code": "ilc_made-up"},
    {"grant_type": "password"},
    {"grant_type": "implicit"},
    {"scope": "admin"},
]


def test_a_code_comes_with_all_that_it_was_asked_for_with(stage: Any) -> None:
    client, secret = registered(stage)["client_id"], proof()
    for change in CHANGES:
        said = {"code": coded(stage, client, secret.challenge), "verifier": secret.verifier, **change}
        got = exchanged(stage, client, said.pop("code"), said.pop("verifier"), **said)
        assert got.status == 400 and "access_token" not in got.json, change


def test_a_code_that_another_login_was_injected_with_does_not_fit_its_verifier(stage: Any) -> None:
    """RFC 9700, 4.5: the attacker's code in the victim's answer."""
    client, victims, attackers = registered(stage)["client_id"], proof(), proof()
    code = coded(stage, client, attackers.challenge)
    assert exchanged(stage, client, code, victims.verifier).json["error"] == "invalid_grant"


def test_a_code_that_waited_too_long_is_none(stage: Any) -> None:
    import sqlite3

    client, secret = registered(stage)["client_id"], proof()
    code = coded(stage, client, secret.challenge)
    with sqlite3.connect(stage.registry_path) as database:
        [(expires_ms,)] = database.execute("SELECT expires_ms FROM code").fetchall()
        assert expires_ms <= time.time() * 1_000 + 60_000
        database.execute("UPDATE code SET expires_ms = 1")
    assert exchanged(stage, client, code, secret.verifier).json["error"] == "invalid_grant"


# The request to log in


WISHES: list[tuple[dict[str, Any], str]] = [
    ({"code_challenge": None}, "invalid_request"),
    ({"code_challenge_method": None}, "invalid_request"),
    ({"code_challenge_method": "plain"}, "invalid_request"),
    ({"code_challenge_method": "s256"}, "invalid_request"),
    ({"code_challenge": "x" * 42}, "invalid_request"),
    ({"code_challenge": "x" * 44}, "invalid_request"),
    ({"response_type": "token"}, "unsupported_response_type"),
    ({"response_type": None}, "unsupported_response_type"),
    ({"response_mode": "fragment"}, "invalid_request"),
    ({"resource": "https://mcp.example.com/mcp"}, "invalid_target"),
    ({"resource": "http://127.0.0.1:1/mcp"}, "invalid_target"),
    ({"resource": "http://127.0.0.1@evil.example/mcp"}, "invalid_target"),
    ({"scope": "admin"}, "invalid_scope"),
    ({"prompt": "none"}, "interaction_required"),
    ({"request_uri": "http://127.0.0.1/x"}, "request_not_supported"),
    ({"state": "s" * 1_025}, "invalid_request"),
]


def test_a_wish_that_asks_for_less_safety_is_refused(stage: Any) -> None:
    client = registered(stage)["client_id"]
    for change, error in WISHES:
        got = fetch(stage, "GET", wish(stage, client, proof().challenge, **change))
        assert got.status == 302 and got.location["error"] == error and got.location["iss"] == stage.url, change
    assert "approval.asked" not in types(stage)


ELSEWHERE: list[str] = [
    "http://127.0.0.1:3030/callback/",
    "http://127.0.0.1:3030/callback/../x",
    "http://127.0.0.1:3030/callback%2f..%2fx",
    "http://127.0.0.1:3030/callback?x=1",
    "http://127.0.0.1:3030/callback#x",
    "http://127.0.0.1:3030/Callback",
    "http://127.0.0.1.evil.example:3030/callback",
    "http://127.0.0.1:3030@evil.example/callback",
    "http://evil.example/callback",
    "http://localhost:3030/callback",
    "http://[::1]:3030/callback",
    "https://127.0.0.1:3030/callback",
    "//127.0.0.1:3030/callback",
    "javascript:alert(1)",
    "http://127.0.0.1:3030\\@evil.example/callback",
    "http://127.0.0.1:99999/callback",
    " http://127.0.0.1:3030/callback",
    "",
]


def test_a_browser_is_never_led_elsewhere(stage: Any) -> None:
    client = registered(stage)["client_id"]
    for redirect in ELSEWHERE:
        got = fetch(stage, "GET", wish(stage, client, proof().challenge, redirect_uri=redirect))
        assert got.status == 400 and "Location" not in got.headers and b"evil" not in got.body, redirect


def test_the_port_of_a_program_on_this_machine_is_its_own_choice(stage: Any) -> None:
    """RFC 8252, 7.3."""
    client, secret, moved = registered(stage)["client_id"], proof(), "http://127.0.0.1:45678/callback"
    code = coded(stage, client, secret.challenge, redirect_uri=moved)
    assert exchanged(stage, client, code, secret.verifier).json["error"] == "invalid_grant", "another place than asked for"
    code = coded(stage, client, secret.challenge, redirect_uri=moved)
    assert exchanged(stage, client, code, secret.verifier, redirect_uri=moved).status == 200


def test_a_fault_leads_no_browser_to_another_machine(stage: Any) -> None:
    """RFC 9700, 4.11.2: an open redirector by errors."""
    far = "https://evil.example/callback"
    client = registered(stage, redirect_uris=[far])["client_id"]
    got = fetch(stage, "GET", wish(stage, client, proof().challenge, redirect_uri=far, scope="admin"))
    assert got.status == 400 and "Location" not in got.headers


def test_a_parameter_twice_is_refused(stage: Any) -> None:
    client = registered(stage)["client_id"]
    path = wish(stage, client, proof().challenge)
    got = fetch(stage, "GET", f"{path}&redirect_uri=http%3A%2F%2F127.0.0.1%3A3030%2Fcallback")
    assert got.status == 400 and "Location" not in got.headers


def test_the_answer_says_who_gives_it(stage: Any) -> None:
    """Mix-up (RFC 9207)."""
    client = registered(stage)["client_id"]
    for yes in (True, False):
        browser = Browser(stage)
        first = browser.open(wish(stage, client, proof().challenge))
        person(stage, yes=yes)
        told = browser.log_in(next_page(first))
        assert told["iss"] == stage.url and told["state"] == "st" and ("code" in told) == yes


# The page and the person


def test_nothing_in_a_browser_gives_consent(stage: Any) -> None:
    """Framing, CSRF: no form, no script, no frame, and a post is refused."""
    client = registered(stage, client_name="<b>Nice</b>\u202e\"&'")["client_id"]
    path = wish(stage, client, proof().challenge)
    got = Browser(stage).open(path)
    policy = got.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy and "default-src 'none'" in policy and "form-action 'none'" in policy
    assert got.headers["X-Frame-Options"] == "DENY" and got.headers["Referrer-Policy"] == "no-referrer"
    page = got.body.decode().lower()
    assert not [each for each in ("<form", "<script", "<button", "<input", "<b>", "\u202e") if each in page]
    cookie = got.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
    assert fetch(stage, "POST", path, b"", Content_Type="application/x-www-form-urlencoded").status == 405
    assert fetch(stage, "GET", path, Origin="http://evil.example").status == 403
    assert fetch(stage, "GET", path, Host="evil.example").status == 403
    for part in ("iframe", "image", "script", "empty"):
        assert fetch(stage, "GET", path, Sec_Fetch_Dest=part).status == 403
    assert person(stage, yes=False).action["target"]["arguments"]["on the page"] in got.body.decode()


def test_the_person_sees_who_asks_for_what(stage: Any) -> None:
    client = registered(stage)["client_id"]
    page = Browser(stage).open(wish(stage, client, proof().challenge)).body.decode()
    question = person(stage, yes=False)
    shown = question.action["target"]["arguments"]
    for value in (shown["client"], shown["agent"], shown["on the page"], question.id, "a program on this machine (127.0.0.1:3030)"):
        assert value in page
    assert "login.granted" not in types(stage)


def test_a_login_is_its_browsers_alone(stage: Any) -> None:
    """Session fixation: who has the page's address, and not its cookie, gets nothing; nor does it come a second time."""
    client = registered(stage)["client_id"]
    browser = Browser(stage)
    at = next_page(browser.open(wish(stage, client, proof().challenge)))
    person(stage)
    stranger = Browser(stage)
    stranger.cookies = dict.fromkeys(browser.cookies, "made-up")
    assert stranger.open(at).status == 400 and Browser(stage).open(at).status == 400
    assert "code" in browser.log_in(at)
    assert browser.open(at).status == 400


def test_from_inside_a_session_nobody_logs_in_or_is_asked_about(stage: Any) -> None:
    client = registered(stage)["client_id"]
    inside = attested(stage, "s-20261121T130000-aaaaaa")
    inside.request("GET", wish(stage, client, proof().challenge))
    answer = inside.getresponse()
    assert answer.status == 403 and b"INTERLOCK_TOKEN" in answer.read()
    assert "approval.asked" not in types(stage)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
def test_another_user_neither_registers_nor_logs_in(stage: Any) -> None:
    client = registered(stage)["client_id"]
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.setuid(65534)
        found = [
            fetch(stage, "POST", "/register", b"{}", Content_Type="application/json").status,
            fetch(stage, "GET", wish(stage, client, proof().challenge)).status,
            posted(stage, "/token", grant_type="refresh_token", client_id=client, refresh_token="x").status,
        ]
        os.write(writing, json.dumps(found).encode())
        os._exit(0)
    os.wait()
    assert json.loads(os.read(reading, 100)) == [403, 403, 403]


# Refresh tokens


def test_a_refresh_token_used_twice_ends_everything_of_its_login(stage: Any) -> None:
    found = logged_in(stage)
    other = logged_in(stage, found.client)
    second = refreshed(stage, found.client, found.refresh).json
    assert works(stage, second["access_token"]) and works(stage, found.access)
    assert refreshed(stage, found.client, found.refresh).json["error"] == "invalid_grant"
    assert not works(stage, second["access_token"]) and not works(stage, found.access)
    assert refreshed(stage, found.client, second["refresh_token"]).json["error"] == "invalid_grant"
    assert works(stage, other.access), "another login of the same client goes on"
    ended = [each for each in stage.records() if each["type"] == "login.ended"]
    assert len(ended) == 1 and "used before" in ended[0]["reason"]


def test_a_refresh_token_is_worth_nothing_to_another_client(stage: Any) -> None:
    found, thief = logged_in(stage), registered(stage)["client_id"]
    assert refreshed(stage, thief, found.refresh).json["error"] == "invalid_grant"
    assert not works(stage, found.access)
    [copied] = [each for each in stage.records() if each["type"] == "credential.copied"]
    assert copied["client"] == thief and copied["agent"].startswith("a-client-")


def test_of_two_at_once_one_refreshes(stage: Any) -> None:
    from concurrent.futures import ThreadPoolExecutor

    found = logged_in(stage)
    with ThreadPoolExecutor(8) as many:
        got = list(many.map(lambda _: refreshed(stage, found.client, found.refresh).status, range(8)))
    assert sorted(got) == [200] + [400] * 7


def test_another_clients_token_cannot_be_given_back(stage: Any) -> None:
    found, other = logged_in(stage), registered(stage)["client_id"]
    assert posted(stage, "/revoke", client_id=other, token=found.access).status == 400
    assert posted(stage, "/revoke", client_id=other, token="made-up").status == 200


# Clients


NO_CLIENTS: list[Any] = [
    {},
    {"redirect_uris": []},
    {"redirect_uris": ["http://evil.example/x"]},
    {"redirect_uris": ["javascript:alert(1)"]},
    {"redirect_uris": ["cursor://x/y"]},
    {"redirect_uris": ["https://user@evil.example/x"]},
    {"redirect_uris": ["https://evil.example/x#y"]},
    {"redirect_uris": ["https://evil.example/*/../x"]},
    {"redirect_uris": [REDIRECT] * 9},
    {"redirect_uris": REDIRECT},
    {"redirect_uris": [REDIRECT], "client_name": "x" * 65},
    {"redirect_uris": [REDIRECT], "client_name": 7},
    {"redirect_uris": [REDIRECT], "grant_types": ["client_credentials"]},
    {"redirect_uris": [REDIRECT], "response_types": ["token"]},
    {"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "private_key_jwt"},
    [],
    None,
]


def test_a_client_that_may_not_be_is_not_registered(stage: Any) -> None:
    for value in NO_CLIENTS:
        got = fetch(stage, "POST", "/register", json.dumps(value).encode(), Content_Type="application/json")
        assert got.status == 400 and got.json["error"].startswith("invalid_"), value
    assert "client.registered" not in types(stage)


def test_a_flood_of_registrations_ends(stage: Any) -> None:
    value = json.dumps({"redirect_uris": [REDIRECT]}).encode()
    found = [fetch(stage, "POST", "/register", value, Content_Type="application/json").status for _ in range(30)]
    assert found.count(201) == 20 and found[-1] == 429


def test_a_page_of_another_origin_registers_nothing(stage: Any) -> None:
    value = json.dumps({"redirect_uris": [REDIRECT]}).encode()
    assert fetch(stage, "POST", "/register", value, Content_Type="text/plain").status == 400
    assert fetch(stage, "POST", "/register", value, Content_Type="application/json", Origin="http://evil.example").status == 403
    assert fetch(stage, "OPTIONS", "/register", Origin=stage.url).status == 405


def test_a_flood_of_refreshing_ends(stage: Any) -> None:
    found = logged_in(stage)
    token, statuses = found.refresh, []
    for _ in range(31):
        got = refreshed(stage, found.client, token)
        statuses.append(got.status)
        token = got.json.get("refresh_token", token)
    assert statuses == [200] * 29 + [429] * 2
    assert works(stage, found.access)


def test_a_flood_of_wishes_ends(stage: Any) -> None:
    client = registered(stage)["client_id"]
    found = [fetch(stage, "GET", wish(stage, client, proof().challenge)).status for _ in range(10)]
    assert found == [200] * 8 + [302] * 2
    assert works(stage, stage.token())


def test_a_huge_body_is_not_read(stage: Any) -> None:
    for path in ("/register", "/token", "/revoke"):
        got = fetch(stage, "POST", path, b"x" * 20_000, Content_Type="application/x-www-form-urlencoded")
        assert got.status == 413


def test_a_form_that_is_none_is_refused(stage: Any) -> None:
    for body in [b"%ff=%ff", b"a=1&a=2", b"=", b"\xff", b"&".join(b"a%d=1" % n for n in range(40))]:
        got = fetch(stage, "POST", "/token", body, Content_Type="application/x-www-form-urlencoded")
        assert got.status == 400 and got.json["error"] in ("invalid_request", "unsupported_grant_type")
        assert fetch(stage, "POST", "/token", body, Content_Type="application/json").status == 400


def test_a_client_with_a_secret_proves_it(stage: Any) -> None:
    made = registered(stage, token_endpoint_auth_method="client_secret_basic")
    client, secret = made["client_id"], proof()
    basic = base64.b64encode(f"{client}:{made['client_secret']}".encode()).decode()
    for header in ({}, {"Authorization": f"Basic {base64.b64encode(f'{client}:wrong'.encode()).decode()}"}, {"Authorization": "Basic !"}):
        got = exchanged(stage, client, coded(stage, client, secret.challenge), secret.verifier, **header)
        assert got.status == 401 and got.json["error"] == "invalid_client" and "Basic" in got.headers["WWW-Authenticate"]
    code = coded(stage, client, secret.challenge)
    assert exchanged(stage, client, code, secret.verifier, Authorization=f"Basic {basic}").status == 200
    kept = b"".join(each.read_bytes() for each in stage.root.rglob("*") if each.is_file())
    assert made["client_secret"].encode() not in kept


def test_nothing_secret_is_stored(stage: Any) -> None:
    found = logged_in(stage)
    kept = b"".join(each.read_bytes() for each in stage.root.rglob("*") if each.is_file())
    for secret in (found.access, found.refresh):
        assert secret.encode() not in kept
