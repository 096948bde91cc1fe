"""Rego about calls, through the whole gateway: what is refused, what is asked, what goes wrong; and a real OPA server.

`opa` is built from its source by `tests/opa.sh`, or found on the path; without it those tests say so and are skipped.
"""

from __future__ import annotations

import http.server
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.gateway.gateway_stage import Stage, Start, call, connector, modern
from tests.gateway.gateway_stage import start as start  # the fixture
from tests.gateway.rego_modules import DENIES, REFUSED
from tests.gateway.test_scored import EXPORT, OFFICE, compiled

from interlock.app.gateway_rego import check
from interlock.policy import PolicyError

ROOT = Path(__file__).resolve().parents[2]
OPA = os.environ.get("INTERLOCK_TEST_OPA") or shutil.which("opa") or str(ROOT / "build/opa/opa")
needs_opa = pytest.mark.skipif(
    not os.access(OPA, os.X_OK), reason="needs the OPA server: bash tests/opa.sh builds it, with Go and its modules"
)
LAYER = """
interlock: 1
name: office
rego:
{rego}
rules:
  - {{id: calls, allow: [tool.call, resource.read]}}
"""
SEED = """package interlock

import rego.v1

findings contains {{"id": "bulk-after-mail", "because": "a bulk export after mail from outside"}} if {{
	input.operation == "export"
	"untrusted" in input.labels
	input.risk.score >= 80
}}

findings contains {{"decision": "approve", "id": "deletes", "because": "a person looks at deletions", "timeout_ms": 20000}} if {{
	input.operation == "delete"
}}
""".replace("{{", "{").replace("}}", "}")


def layer(*entries: str) -> str:
    return LAYER.format(rego="\n".join(f"  - {entry}" for entry in entries))


@pytest.fixture
def begun(start: Start, tmp_path: Path) -> Any:
    def begin(text: str, module: str | bytes = SEED, **more: str) -> Stage:
        folder = tmp_path / "policy"
        folder.mkdir(exist_ok=True)
        for name, written in {"mcp.rego": module, **more}.items():
            (folder / name).write_bytes(written if isinstance(written, bytes) else written.encode())
        found = compiled(folder, text, path=str(folder / "office.yaml"))
        check(found)
        crm = connector("crm", "crm", root=tmp_path, operations={"export": "export", "read": "read", "wipe": "delete"})
        mail = connector("mail", "mail", root=tmp_path, operations={"read": "read"})
        return start(crm, mail, compiled=found)

    return begin


def said(result: dict[str, Any]) -> str | None:
    return result["content"][0]["text"] if result.get("isError") else None


def by_rules() -> str:
    return OFFICE


def by_rego(entry: str) -> str:
    head, _, _ = OFFICE.partition("rules:")
    return f"{head}rego:\n  - {entry}\nrules:\n  - {{id: calls, allow: tool.call}}\n"


def seed(stage: Stage) -> list[str]:
    """What is decided: an export, mail that is read, the same export by another agent after mail."""
    one, other = stage.token(), stage.token("other")
    call(stage, one, "crm__export", **EXPORT)
    call(stage, other, "mail__read")
    call(stage, other, "crm__export", **EXPORT)
    return [each["decision"]["decision"] for each in stage.decided("tool.call")]


def test_the_example_by_rego_is_decided_as_by_rules(begun: Any) -> None:
    stage = begun(by_rego("{module: mcp.rego}"))
    assert seed(stage) == ["allow", "allow", "deny"]
    last = stage.decided("tool.call")[-1]
    assert last["decision"]["rules"] == ["office/bulk-after-mail"]
    assert last["decision"]["because"] == "a bulk export after mail from outside"
    assert last["facts"]["findings"]["office"] == [
        {
            "finds": "deny",
            "id": "bulk-after-mail",
            "because": "a bulk export after mail from outside",
            "timeout_ms": None,
        }
    ]
    assert last["risk"]["score"] == 95


def test_the_example_by_rules(begun: Any) -> None:
    assert seed(begun(by_rules())) == ["allow", "allow", "deny"]


def test_what_rego_wants_asked_is_asked(begun: Any) -> None:
    stage = begun(by_rego("{module: mcp.rego}"))
    token = stage.token()
    human = threading.Thread(target=stage.answer_next, kwargs={"yes": True})
    human.start()
    assert said(call(stage, token, "crm__wipe")) is None
    human.join()
    asked, done = stage.decided("tool.call")
    assert (asked["decision"]["decision"], asked["decision"]["rules"]) == ("approve", ["office/deletes"])
    assert done["decision"]["decision"] == "allow" and "office/calls" in done["decision"]["rules"]


def test_rego_opens_nothing(begun: Any) -> None:
    text = layer("{module: mcp.rego, query: data.authz.allow}").replace(
        "allow: [tool.call, resource.read]", "allow: resource.read"
    )
    stage = begun(text, "package authz\nallow := true\n")
    assert "no rule allows it" in (said(call(stage, stage.token(), "crm__read")) or "")


@pytest.mark.parametrize(
    ("module", "query", "passes"),
    [
        ("package authz\ndefault allow := false\nallow if input.agent.name == \"coder\"\n", "data.authz.allow", True),
        ("package authz\ndefault allow := false\nallow if input.agent.name == \"somebody\"\n", "data.authz.allow", False),
        ("package authz\nallow if input.agent.name == \"somebody\"\n", "data.authz.allow", False),
        ("package mcp\nimport rego.v1\ndeny contains msg if { input.tool == \"wipe\"; msg := sprintf(\"%s is not for agents\", [input.tool]) }\n", "data.mcp.deny", True),
        ("package mcp\nimport rego.v1\ndeny contains msg if { input.tool == \"read\"; msg := sprintf(\"%s is not for agents\", [input.tool]) }\n", "data.mcp.deny", False),
        ("package envoy.authz\nresult := {\"allow\": input.operation == \"read\", \"reason\": \"only reading\"}\n", "data.envoy.authz.result", True),
        ("package envoy.authz\nresult := {\"allow\": input.operation == \"write\", \"reason\": \"only writing\"}\n", "data.envoy.authz.result", False),
    ],
)  # fmt: skip
def test_policies_as_they_are_written_for_opa(begun: Any, module: str, query: str, passes: bool) -> None:
    stage = begun(layer(f"{{module: mcp.rego, query: {query}}}"), module)
    assert (said(call(stage, stage.token(), "crm__read")) is None) is passes


def test_v0_modules_are_read_as_such(begun: Any) -> None:
    stage = begun(
        layer("{module: mcp.rego, query: data.a.deny, v0: true}"),
        'package a\ndeny[msg] { input.tool == "read"; msg := "no" }\n',
    )
    assert "no" in (said(call(stage, stage.token(), "crm__read")) or "")


def test_several_modules_and_entries_are_heard_together(begun: Any) -> None:
    stage = begun(
        layer("{module: [mcp.rego, lib.rego], query: data.a.deny}", "{module: other.rego, query: data.a.allow}"),
        'package a\nimport rego.v1\nimport data.lib\ndeny contains "by the library" if lib.small(input.arguments.n)\n',
        **{
            "lib.rego": "package lib\nsmall(n) if n < 5\n",
            "other.rego": "package a\nallow if input.arguments.n != 7\n",
        },
    )
    token = stage.token()
    assert [said(call(stage, token, "crm__read", n=n)) is None for n in (9, 3, 7)] == [True, False, False]


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_evaluated_soundly_is_not_loaded(begun: Any, name: str) -> None:
    began = time.monotonic()
    with pytest.raises(PolicyError) as refused:
        begun(layer("{module: mcp.rego}"), REFUSED[name])
    assert "cannot be used" in refused.value.text() and "OPA server" in refused.value.text()
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("name", DENIES)
def test_what_goes_wrong_denies_and_others_are_answered_meanwhile(begun: Any, name: str) -> None:
    try:
        stage = begun(layer("{module: mcp.rego}"), DENIES[name])
    except PolicyError:
        return  # refused sooner
    token = stage.token()
    results: list[Any] = []
    harmed = threading.Thread(target=lambda: results.append(call(stage, token, "crm__read", list=["x" * 20] * 300)))
    harmed.start()
    for _ in range(3):
        assert modern(stage, token, "tools/list")[0] == 200
    harmed.join(30)
    assert results and said(results[0]), "denied, and within the bound"
    assert stage.effects == []
    (record,) = stage.decided("tool.call")
    assert record["decision"]["decision"] == "deny"


def test_a_process_that_was_ended_is_replaced(begun: Any) -> None:
    module = 'package interlock\nimport rego.v1\nf(n) := f(n + 1)\nfindings contains "x" if { input.arguments.bad; f(1) == 1 }\n'
    stage = begun(layer("{module: mcp.rego}"), module)
    token = stage.token()
    assert said(call(stage, token, "crm__read")) is None
    assert said(call(stage, token, "crm__read", bad=True))
    assert said(call(stage, token, "crm__read")) is None


def test_large_numbers_and_odd_texts_reach_rego_as_they_are(begun: Any) -> None:
    module = 'package interlock\nimport rego.v1\nfindings contains "same" if input.arguments.a == input.arguments.b\n'
    stage = begun(layer("{module: mcp.rego}"), module)
    token = stage.token()
    assert said(call(stage, token, "crm__read", a=2**53 - 1, b=2**53 - 2)) is None
    assert said(call(stage, token, "crm__read", a="ﬀ\u0000", b="ﬀ\u0000"))
    body = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"crm__read","arguments":{"a":%d,"b":%d},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}'
    from tests.gateway.gateway_stage import post

    status, _, answer = post(
        stage,
        token,
        body % (10**20, 10**20 + 1),
        **{"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "crm__read"},
    )
    assert status == 400 and "error" in answer, "a number that readers disagree about comes to no policy"


# --- a server of its own --------------------------------------------------------------------------------------------


class Odd(http.server.BaseHTTPRequestHandler):
    """Answers whatever it is told to, as no OPA server would."""

    body, status, wait_s = b"{}", 200, 0.0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(self.wait_s)
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.mark.parametrize(
    ("body", "status", "wait_s"),
    [
        (b"{}", 200, 0), (b'{"result":null}', 200, 0), (b'{"result":1}', 200, 0), (b'{"result":true}', 500, 0), (b'{"result":true}', 302, 0),
        (b"true", 200, 0), (b"not JSON", 200, 0), (b'{"result":false,"result":true}', 200, 0), (b'{"result":true}', 200, 3),
        (b'{"result":[' + b'"x",' * 400_000 + b'"x"]}', 200, 0), (b"[" * 10_000, 200, 0), (b'{"result":"true"}', 200, 0),
    ],
)  # fmt: skip
def test_a_server_that_does_not_answer_as_one_denies(begun: Any, body: bytes, status: int, wait_s: float) -> None:
    handler = type("Told", (Odd,), {"body": body, "status": status, "wait_s": wait_s})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        stage = begun(layer(f'{{server: "http://127.0.0.1:{server.server_port}", query: data.a.allow, timeout: 1s}}'))
        assert "could not be evaluated" in (said(call(stage, stage.token(), "crm__read")) or "")
        assert stage.effects == []
    finally:
        server.shutdown()


def test_a_server_that_is_not_there_denies(begun: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    stage = begun(layer(f'{{server: "http://127.0.0.1:{port}"}}'))
    assert said(call(stage, stage.token(), "crm__read"))


@pytest.fixture
def opa(tmp_path: Path) -> Iterator[Any]:
    """Starts OPA servers with modules: `opa({"a.rego": text})` gives the URL and what each decision log says."""
    running: list[subprocess.Popen[bytes]] = []

    def begin(modules: dict[str, str]) -> tuple[str, Path]:
        folder = tmp_path / "opa"
        folder.mkdir()
        for name, text in modules.items():
            (folder / name).write_text(text)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        log = tmp_path / "opa.log"
        command = [
            OPA,
            "run",
            "--server",
            "--addr",
            f"127.0.0.1:{port}",
            "--set",
            "decision_logs.console=true",
            "--disable-telemetry",
            str(folder),
        ]
        running.append(
            subprocess.Popen(
                command,
                stdout=log.open("wb"),
                stderr=subprocess.STDOUT,
                env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
            )
        )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                return f"http://127.0.0.1:{port}", log
            except OSError:
                time.sleep(0.05)
        raise AssertionError(log.read_text())

    yield begin
    for each in running:
        each.kill()
        each.wait()


@needs_opa
def test_the_example_by_a_real_opa_server_is_decided_the_same(begun: Any, opa: Any) -> None:
    url, log = opa({"mcp.rego": SEED})
    stage = begun(by_rego(f'{{server: "{url}", timeout: 4s}}'))
    assert seed(stage) == ["allow", "allow", "deny"]
    last = stage.decided("tool.call")[-1]
    assert last["decision"]["rules"] == ["office/bulk-after-mail"]
    logged = [json.loads(line) for line in log.read_text().splitlines() if '"decision_id"' in line]
    assert [each["path"] for each in logged] == ["interlock/findings"] * 3
    assert logged[-1]["input"]["labels"] == ["private", "untrusted"] and logged[-1]["input"]["risk"]["score"] == 95


@needs_opa
def test_what_the_evaluator_lacks_a_real_server_has(begun: Any, opa: Any) -> None:
    module = 'package a\nimport rego.v1\ndefault allow := false\nallow if crypto.sha256(input.tool) == crypto.sha256("read")\n'
    url, _ = opa({"a.rego": module})
    stage = begun(layer(f'{{server: "{url}", query: data.a.allow, timeout: 4s}}'))
    token = stage.token()
    assert said(call(stage, token, "crm__read")) is None
    assert said(call(stage, token, "crm__export"))


# --- people ---------------------------------------------------------------------------------------------------------

CASES = """interlock-cases: 1
cases:
  - {name: after mail, verb: tool.call, connector: crm, tool: export, operation: export, risk: 90, labels: [untrusted], expect: deny, rule: office/bulk-after-mail}
  - {name: before it, verb: tool.call, connector: crm, tool: export, operation: export, risk: 90, expect: allow}
  - {name: deletes, verb: tool.call, connector: crm, tool: wipe, operation: delete, expect: approve, rule: office/deletes}
"""
TESTS = """package interlock_test
import rego.v1
import data.interlock
test_mail if count(interlock.findings) == 1 with input as {"operation": "export", "labels": ["untrusted"], "risk": {"score": 80}}
test_no_mail if count(interlock.findings) == 0 with input as {"operation": "export", "labels": [], "risk": {"score": 80}}
"""


def interlock(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "INTERLOCK_HOME": str(home / "operator")}
    return subprocess.run([sys.executable, "-m", "interlock", *words], env=environment, cwd=home, capture_output=True, text=True, timeout=120)


def test_a_person_tries_a_policy_with_rego(tmp_path: Path) -> None:
    (tmp_path / "office.yaml").write_text(by_rego("{module: mcp.rego}").lstrip())
    (tmp_path / "mcp.rego").write_text(SEED)
    (tmp_path / "cases.yaml").write_text(CASES)
    (tmp_path / "mcp_test.rego").write_text(TESTS)
    checked = interlock(tmp_path, "policy", "check", "./office.yaml")
    assert checked.returncode == 0, checked.stderr
    cases = interlock(tmp_path, "policy", "test", "cases.yaml", "./office.yaml")
    assert (cases.returncode, "3 of 3 cases hold" in cases.stdout) == (0, True), cases.stdout + cases.stderr
    tests = interlock(tmp_path, "policy", "test", "mcp_test.rego", "./office.yaml")
    assert (tests.returncode, "2 of 2 tests hold" in tests.stdout) == (0, True), tests.stdout + tests.stderr
    (tmp_path / "mcp.rego").write_text(SEED.replace("input.risk.score >= 80", "input.risk.score >= 95"))
    assert interlock(tmp_path, "policy", "test", "mcp_test.rego", "./office.yaml").returncode == 1
    assert interlock(tmp_path, "policy", "test", "cases.yaml", "./office.yaml").returncode == 1
    (tmp_path / "mcp.rego").write_text("package interlock\nfindings := numbers.range(1, 10)\n")
    refused = interlock(tmp_path, "policy", "check", "./office.yaml")
    assert refused.returncode == 121 and "numbers.range" in refused.stderr + refused.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "is a list"),
        ("[{module: missing.rego}]", "cannot be read"),
        ("[{module: a.rego, server: 'http://127.0.0.1:1'}]", "one of `module` and `server`"),
        ("[{server: 'http://example.com:80'}]", "is not such a server"),
        ("[{server: 'https://127.0.0.1:80'}]", "is not such a server"),
        ("[{server: 'http://127.0.0.1'}]", "is not such a server"),
        ("[{server: 'http://127.0.0.1:8181/v1'}]", "is not such a server"),
        ("[{server: 'http://127.0.0.1:8181', timeout: 10s}]", "is over 4 s"),
        ("[{module: a.rego, query: 'data'}]", "does not name a rule"),
        ("[{module: a.rego, query: 'data.a; true'}]", "does not name a rule"),
        ("[{module: a.rego, qeury: data.a.b}]", "did you mean `query`?"),
        ("[{module: a.rego, timeout: 1s}]", "belongs to a `server`"),
    ],
)
def test_what_is_written_wrong_is_said(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(PolicyError) as refused:
        compiled(tmp_path, f"interlock: 1\nname: a\nrego: {text}\nrules: []\n", path=str(tmp_path / "a.yaml"))
    assert said in refused.value.text()


def test_a_layer_of_the_workspace_has_no_rego(tmp_path: Path) -> None:
    from interlock.policy.origin import Origin
    from interlock.policy.parse import parse_layer

    faults: list[Any] = []
    parse_layer(b"interlock: 1\nname: a\nrego: [{module: a.rego}]\nrules: []\n", file="p", origin=Origin.WORKSPACE, faults=faults)
    assert any("found in the workspace" in each.message for each in faults)
