"""Programs without a person: clients that an operator made known by the command line, with a secret or with a key."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from typing import Any

import pytest
from gateway_stage import call, connector, modern
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey
from login_stage import coded, exchanged, fetch, posted, proof, wish

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def command(stage: Any, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "INTERLOCK_HOME": str(stage.root / "home")}
    return subprocess.run([sys.executable, "-m", "interlock", *words], env=environment, capture_output=True, text=True, timeout=60)


@pytest.fixture
def stage(start: Any, tmp_path: Any) -> Any:
    """A gateway whose registry is the one that the command line writes."""
    for each in ("home", "home/state"):
        (tmp_path / each).mkdir(mode=0o700)
    stage = start(connector("notes", root=tmp_path), oauth=True, registry=tmp_path / "home/state/registry.sqlite")
    stage.token("robot")
    return stage


def made(stage: Any, agent: str, *words: str) -> dict[str, Any]:
    done = command(stage, "agent", "client", agent, "--json", *words)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def with_secret(stage: Any, client: dict[str, Any], **more: str) -> Any:
    basic = base64.b64encode(f"{client['client_id']}:{client['client_secret']}".encode()).decode()
    return posted(stage, "/token", **{"grant_type": "client_credentials", "Authorization": f"Basic {basic}", **more})


def assertion(stage: Any, client: str, key: Any, *, alg: str = "ES256", **claims: Any) -> str:
    now = int(time.time())
    said = {"iss": client, "sub": client, "aud": stage.url, "jti": os.urandom(8).hex(), "exp": now + 60, **claims}
    return jwt.encode({"alg": alg}, {name: value for name, value in said.items() if value is not None}, key)


def by_key(stage: Any, text: str, **more: str) -> Any:
    said = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION, "client_assertion": text, **more}
    return posted(stage, "/token", **said)


def keyed(stage: Any, tmp_path: Any, agent: str = "robot") -> tuple[str, Any]:
    key = ECKey.generate_key("P-256")
    (tmp_path / "public.json").write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    return str(made(stage, agent, "--keys", str(tmp_path / "public.json"))["client_id"]), key


def test_a_program_with_a_secret_has_its_own_agent(stage: Any) -> None:
    client = made(stage, "robot", "--secret")
    got = with_secret(stage, client, resource=f"{stage.url}/mcp", scope="mcp")
    assert got.status == 200 and "refresh_token" not in got.json and got.headers["Cache-Control"] == "no-store"
    assert call(stage, got.json["access_token"], "notes__echo", text="x")["content"][0]["text"] == "echo: x"
    decided = stage.decided("tool.call")[-1]
    assert decided["agent"]["name"] == "robot" and decided["agent"]["assurance"] == "authenticated"
    for wrong in ({"resource": "http://127.0.0.1:1/mcp"}, {"scope": "admin"}, {"client_id": "ilo-other"}):
        assert with_secret(stage, client, **wrong).status in (400, 401), wrong
    assert with_secret(stage, {**client, "client_secret": "ils_made-up"}).status == 401
    assert posted(stage, "/token", grant_type="client_credentials", **client | {"agent": "robot"}).status == 401


def test_a_program_with_a_key_proves_it_each_time_anew(stage: Any, tmp_path: Any) -> None:
    client, key = keyed(stage, tmp_path)
    text = assertion(stage, client, key)
    got = by_key(stage, text)
    assert got.status == 200 and modern(stage, got.json["access_token"], "tools/list")[0] == 200
    assert by_key(stage, text).json["error"] == "invalid_client", "an assertion is good once"
    now = int(time.time())
    for claims in (
        {"aud": "http://127.0.0.1:1"},
        {"aud": None},
        {"aud": [stage.url, "http://elsewhere.example"]},
        {"iss": "ilo-other"},
        {"sub": "ilo-other"},
        {"jti": None},
        {"jti": ""},
        {"exp": None},
        {"exp": now - 1},
        {"exp": now + 3_600},
        {"exp": True},
        {"exp": "soon"},
        {"nbf": now + 3_600},
        {"exp": 1e300},
    ):
        assert by_key(stage, assertion(stage, client, key, **claims)).status == 401, claims


def test_a_signature_is_by_its_own_key_and_by_no_weaker_way(stage: Any, tmp_path: Any) -> None:
    client, key = keyed(stage, tmp_path)
    other = ECKey.generate_key("P-256")
    public = json.dumps(key.as_dict(private=False))
    shared = jwt.encode({"alg": "HS256"}, {"iss": client, "sub": client, "aud": stage.url, "jti": "x", "exp": int(time.time()) + 60}, OctKey.import_key(public))  # fmt: skip
    head, body, _ = assertion(stage, client, key).split(".")
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    for text in (assertion(stage, client, other), shared, f"{unsigned}.{body}.", f"{head}.{body}.", "x", "x.y.z", f"{head}.{body}.AAAA", "." * 9_000):
        assert by_key(stage, text).status == 401, text
    assert by_key(stage, assertion(stage, client, key), client_assertion_type="other").status == 401
    assert posted(stage, "/token", grant_type="client_credentials", client_id=client).status == 401
    basic = base64.b64encode(f"{client}:x".encode()).decode()
    assert by_key(stage, assertion(stage, client, key), Authorization=f"Basic {basic}").json["error"] == "invalid_request"


def test_one_key_is_one_agents(stage: Any, tmp_path: Any) -> None:
    _, key = keyed(stage, tmp_path)
    stage.token("other")
    done = command(stage, "agent", "client", "other", "--keys", str(tmp_path / "public.json"))
    assert done.returncode == 120 and "`robot` has this key" in done.stderr
    (tmp_path / "private.json").write_text(json.dumps(key.as_dict(private=True)))
    done = command(stage, "agent", "client", "other", "--keys", str(tmp_path / "private.json"))
    assert done.returncode == 120 and "private key" in done.stderr and key.as_dict(private=True)["d"] not in done.stderr
    for words in (("nobody", "--secret"), ("robot",), ("robot", "--redirect", "javascript:alert(1)"), ("robot", "--keys", "/nowhere")):
        assert command(stage, "agent", "client", *words).returncode == 120, words


def test_revoking_the_agent_ends_its_programs(stage: Any) -> None:
    client = made(stage, "robot", "--secret")
    token = with_secret(stage, client).json["access_token"]
    stage.registry().revoke("robot", time.time_ns() // 1_000_000)
    assert modern(stage, token, "tools/list")[0] == 401
    assert with_secret(stage, client).json["error"] == "invalid_grant"


def test_a_client_of_the_operators_logs_in_as_the_agent_that_was_named(stage: Any) -> None:
    own = "cursor://editor/callback"
    client, secret = made(stage, "robot", "--redirect", own)["client_id"], proof()
    code = coded(stage, client, secret.challenge, redirect_uri=own)
    got = exchanged(stage, client, code, secret.verifier, redirect_uri=own)
    call(stage, got.json["access_token"], "notes__echo", text="x")
    assert stage.decided("tool.call")[-1]["agent"]["name"] == "robot"
    refused = posted(stage, "/token", grant_type="client_credentials", client_id=client)
    assert refused.json["error"] == "unauthorized_client"
    far = fetch(stage, "GET", wish(stage, client, secret.challenge, redirect_uri="cursor://other/callback"))
    assert far.status == 400 and "Location" not in far.headers
