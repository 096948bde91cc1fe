"""What this machine enforces of each rule and mechanism is one typed value: a load error where a rule does not say
`best_effort`, and shown by doctor, `policy explain`, the line of the start and the session's record where it does.
"""

import json
import os

import pexpect

POLICY = """\
interlock: 1
name: mine
rules:
  - id: machine
    allow: [file.read, process.exec]
    path: ["/usr/**", "/bin/**", "/lib*/**", "/etc/ld.so.*", "/", "@python"]
  - id: keep
    deny: file.change
    path: "${workspace}/**/keep"%s
    because: it stays as it is
"""
BEST_EFFORT = "\n    best_effort: true"
SPELLED = {"INTERLOCK_SIMULATE_MISSING": "exact-names"}
AROUND = "another spelling of the name is not matched"


def state(workspace):
    return {"state": "partially", "reason": f"`{workspace}` takes `A` for `a`", "around": AROUND}


def layer(place, best_effort=""):
    path = place.write("mine.yaml", POLICY % best_effort)
    os.chmod(path, 0o644)
    return path


def opened(place):
    ledger = place.home / "state/ledger/sessions"
    [session] = os.listdir(ledger)
    from interlock.ledger.reader import entries

    return next(each.event.document for each in entries(str(ledger / session)) if each.event.type == "session.opened")


def test_a_rule_that_is_not_enforced_fully_is_a_load_error_with_its_place(run, place):
    policy = layer(place)
    for command in (("run", "--policy", policy, "--", "touch", "ran"), ("policy", "check", policy)):
        refused = run(*command, **SPELLED)
        assert refused.returncode == 121
        assert f"{policy}:7:5: " in refused.stderr and "rule `mine/keep` is not enforced fully" in refused.stderr
        assert AROUND in refused.stderr and "`best_effort: true`" in refused.stderr
    assert not (place.workspace / "ran").exists()
    assert run("policy", "check", policy).returncode == 0


def test_with_best_effort_it_loads_and_is_said_everywhere_in_the_same_words(run, place):
    policy = layer(place, BEST_EFFORT)
    expected = state(place.workspace)
    started = run("run", "--policy", policy, "--", "true", **SPELLED)
    assert started.returncode == 0, started.stderr
    assert "PARTIAL: " in started.stderr and f"{expected['reason']}: {AROUND}" in started.stderr
    assert opened(place)["host"]["rules"]["mine/keep"] == expected
    explained = json.loads(run("policy", "explain", "--json", policy, **SPELLED).stdout)
    [row] = [row for row in explained["coverage"] if row["rule"] == "mine/keep"]
    assert row["enforcement"] == expected
    page = run("policy", "explain", policy, **SPELLED).stdout
    assert AROUND in " ".join(page.split("PARTIAL")[1].split())
    checked = json.loads(run("policy", "check", "--json", policy, **SPELLED).stdout)
    assert checked["enforcement"]["mine/keep"] == expected


def test_a_workspace_that_was_not_walked_is_said_everywhere(run, place):
    unwalked = {"INTERLOCK_SIMULATE_MISSING": "workspace-walk"}
    reason = "more lies in the workspace than is looked through"
    (place.workspace / "file").touch()
    refused = run("run", "--policy", layer(place), "--", "touch", "ran", **unwalked)
    assert refused.returncode == 121 and reason in refused.stderr
    policy = layer(place, BEST_EFFORT)
    started = run("run", "--policy", policy, "--", "true", **unwalked)
    assert started.returncode == 0
    assert "PARTIAL: " in started.stderr and "mine/keep" in started.stderr and reason in started.stderr
    recorded = opened(place)["host"]["rules"]["mine/keep"]
    assert recorded["state"] == "partially" and recorded["reason"].startswith(reason)
    page = run("policy", "explain", policy, **unwalked).stdout
    assert reason in " ".join(page.split())
    found = json.loads(run("doctor", "--json", **unwalked).stdout)["findings"]
    rules = {each["name"]: each["enforcement"] for each in found if each["area"] == "policy"}
    assert rules["coding-agent/runs-later"]["reason"].startswith(reason)


def test_doctor_says_it_of_the_default_policy(run, place):
    found = json.loads(run("doctor", "--json", **SPELLED).stdout)["findings"]
    rules = {each["name"]: each["enforcement"] for each in found if each["area"] == "policy"}
    assert rules["coding-agent/secrets"] == state(place.workspace)
    assert "  PARTIAL " in run("doctor", **SPELLED).stdout
    whole = json.loads(run("doctor", "--json").stdout)["findings"]
    assert [each["enforcement"] for each in whole if each["area"] == "policy"] == [{"state": "fully"}]


def test_files_that_nobody_looked_at_are_said(cli):
    folder = cli.human / ".aws"
    folder.mkdir()
    for number in range(4_200):
        (folder / str(number)).touch()
    policy = cli.write("mine.yaml", POLICY.replace("${workspace}/**/keep", str(folder) + "/**") % "")
    refused = cli("policy", "check", policy)
    assert refused.returncode == 121 and "more than 4096 files" in refused.stderr
    (cli.root / "mine.yaml").write_text(POLICY.replace("${workspace}/**/keep", str(folder) + "/**") % BEST_EFFORT)
    assert cli("run", "--policy", policy, "--", "true").returncode == 0
    assert "more than 4096 files" in opened(cli)["host"]["rules"]["mine/keep"]["reason"]
    assert "PARTIAL: mine/keep (more than 4096" in cli("policy", "check", policy).stderr


def test_letting_trace_is_not_enforced(cli):
    policy = cli.write("mine.yaml", POLICY % BEST_EFFORT + "  - id: trace\n    allow: process.ptrace\n    to: inside\n")
    refused = cli("policy", "check", policy)
    assert refused.returncode == 121 and "rule `mine/trace` is not enforced fully" in refused.stderr
    with open(policy, "a") as more:
        more.write("    best_effort: true\n")
    [row] = [
        row
        for row in json.loads(cli("policy", "explain", "--json", policy).stdout)["coverage"]
        if row["rule"] == "mine/trace"
    ]
    assert row["enforcement"]["state"] == "not enforced"


def test_mechanisms_have_the_same_state_in_doctor_and_record(run, user, place):
    found = json.loads(run("doctor", "--json").stdout)["findings"]
    said = {each["name"]: each["enforcement"] for each in found if each["area"] == "machine"}
    run("run", "--", "true")
    enforced = opened(place)["host"]["enforced"]
    mechanisms = {"landlock", "notification", "filter", "sentinel", "ipc-namespace", "unix-senders", "private-places"}
    assert set(enforced) == mechanisms | {"host-names"}
    assert {name: said[name] for name in enforced if name in said} == {
        name: state for name, state in enforced.items() if name in said
    }
    assert len(set(enforced) & set(said)) == 7
    if user is not None or os.geteuid() != 0:
        assert enforced["ipc-namespace"]["how"].startswith("by the door")


def test_the_line_of_the_start_names_it_on_a_terminal(cli):
    policy = cli.write("mine.yaml", POLICY % BEST_EFFORT)
    cli.environment |= SPELLED
    p = cli.terminal("run", "--policy", policy, "--", "true", columns=300)
    p.expect(pexpect.EOF)
    assert f"interlock: mine in {cli.workspace}; PARTIAL: " in p.before and "mine/keep (" in p.before
    p = cli.terminal("run", "--quiet", "--policy", policy, "--", "true")
    p.expect(pexpect.EOF)
    assert "PARTIAL" not in p.before


def test_a_large_workspace_and_a_large_home_start_under_every_preset_that_is_run(cli):
    for folder in (cli.workspace / "src", cli.human / ".vscode", cli.human / ".mozilla"):
        folder.mkdir()
        for number in range(4_200):
            (folder / str(number)).touch()
    for preset in ("coding-agent", "ci", "strict", "observe", "mcp-server"):
        assert cli("policy", "check", "--preset", preset).returncode == 0, preset
