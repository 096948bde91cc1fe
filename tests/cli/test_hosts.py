"""Rules that name hosts: refused before the start where nothing in a session could answer questions for names; decided by
`policy decide` and `policy test` with the name and the address, which may not be one that the name must not lead to.
"""

import json
import os
import re

import pytest

from tests.kernel.world import OTHER, PRIVATE, PUBLIC, in_world

POLICY = """\
interlock: 1
name: mine
sets:
  forges: ["Git.Example.COM.", "*.pages.example.com"]
rules:
  - id: machine
    allow: [file.read, process.exec]
    path: ["/usr/**", "/bin/**", "/lib*/**", "/etc/**", "/", "@python"]
  - id: forge
    allow: net.connect
    host: "@forges"
    port: 443%s
  - id: database
    allow: net.connect
    host: db.example.com
    private: true%s
  - id: asked
    approve: net.connect
    host: "**.asked.example.com"%s
  - id: tracker
    deny: net.connect
    host: tracker.pages.example.com%s
  - id: lan
    allow: net.connect
    address: 10.0.0.0/8
    port: 22
"""
LACKING = "a network namespace of its own is refused here: rules that name hosts are refused too"
MISSING = {"INTERLOCK_SIMULATE_MISSING": "host-names"}
NAMED = ("forge", "database", "asked", "tracker")


def layer(place, best_effort=""):
    path = place.write("mine.yaml", POLICY % ((best_effort,) * 4))
    os.chmod(path, 0o644)
    return path


@pytest.fixture
def policy(cli):
    return layer(cli, "\n    best_effort: true")


def test_a_rule_that_names_hosts_is_refused_before_the_start_where_names_cannot_be_answered(cli):
    policy = layer(cli)
    cli.environment |= MISSING
    for command in (("run", "--policy", policy, "--", "touch", "ran"), ("policy", "check", policy)):
        refused = cli(*command)
        assert refused.returncode == 121
        assert f"{policy}:9:5: " in refused.stderr and LACKING in refused.stderr
        assert "name addresses under `address`" in refused.stderr
    assert all(f"`mine/{name}`" in cli("policy", "check", policy).stderr for name in NAMED)
    assert not (cli.workspace / "ran").exists()


def coverage_of(cli, policy):
    return json.loads(cli("policy", "explain", "--json", policy).stdout)["coverage"]


def test_with_best_effort_every_page_says_that_they_are_not_enforced_there(cli, policy):
    assert json.loads(cli("policy", "check", "--json", policy).stdout)["enforcement"] == {}
    way = "by sockets of a network namespace of its own, exchanged when they ask"
    [row] = [row for row in coverage_of(cli, policy) if row["rule"] == "mine/forge"]
    assert row["enforcement"] == {"state": "fully", "how": way}
    assert f"by door, {way}" in " ".join(cli("policy", "explain", "--rules", policy).stdout.split())
    cli.environment |= MISSING
    checked = json.loads(cli("policy", "check", "--json", policy).stdout)["enforcement"]
    assert {checked[f"mine/{name}"]["state"] for name in NAMED} == {"not enforced"}
    [row] = [row for row in coverage_of(cli, policy) if row["rule"] == "mine/forge"]
    assert row["enforcement"] == {"state": "not enforced", "reason": LACKING}
    assert any("the address reached; the session answers names itself" in note for note in row["notes"])
    page = " ".join(cli("policy", "explain", policy).stdout.split())
    assert "db.example.com, private addresses as well" in page and LACKING in page


@pytest.mark.parametrize(
    ("host", "address", "port", "said"),
    [
        ("git.example.com", "203.0.113.7", 443, ("allow", ["mine/forge"])),
        ("git.example.com", "203.0.113.7", 22, ("deny", [])),
        ("git.example.com", "10.1.2.3", 443, ("deny", [])),
        ("git.example.com", "10.1.2.3", 22, ("allow", ["mine/lan"])),
        ("git.example.com", "127.0.0.1", 443, ("deny", [])),
        ("git.example.com", "169.254.169.254", 443, ("deny", [])),
        ("git.example.com", "64:ff9b::a9fe:a9fe", 443, ("deny", [])),
        ("git.example.com", "fd00:ec2::254", 443, ("deny", [])),
        ("a.pages.example.com", "2606:4700::1", 443, ("allow", ["mine/forge"])),
        ("a.b.pages.example.com", "203.0.113.7", 443, ("deny", [])),
        ("pages.example.com", "203.0.113.7", 443, ("deny", [])),
        ("xpages.example.com", "203.0.113.7", 443, ("deny", [])),
        ("tracker.pages.example.com", "203.0.113.7", 443, ("deny", ["mine/tracker"])),
        ("tracker.pages.example.com", "10.1.2.3", 22, ("deny", ["mine/tracker"])),
        ("db.example.com", "10.1.2.3", 5432, ("allow", ["mine/database"])),
        ("db.example.com", "169.254.169.254", 80, ("deny", [])),
        ("a.b.asked.example.com", "203.0.113.7", 80, ("approve", ["mine/asked"])),
        ("a.asked.example.com", "10.1.2.3", 22, ("deny", ["mine/asked"])),
        (None, "203.0.113.7", 443, ("deny", [])),
    ],
)
def test_a_name_is_decided_with_the_address_it_led_to(cli, host, address, port, said):
    policy = layer(cli, "\n    best_effort: true")
    target = {"protocol": "tcp", "address": address, "port": port, "to": "outside"} | ({"host": host} if host else {})
    action = {"id": "s/0", "plane": "host", "verb": "net.connect", "target": target, "subject": {}}
    answered = cli("policy", "decide", "--policy", policy, input=json.dumps({"action": action}), stdin=None)
    decision = json.loads(answered.stdout)
    assert (decision["decision"], decision["rules"]) == said


@pytest.mark.parametrize(
    "spelling",
    ["Git.Example.com", "git.example.com.", "git.example.com\0", "gıt.example.com", "127.1", "fe80::1%lo", ""],
)
def test_an_act_has_its_name_in_one_spelling_or_is_not_decided(cli, policy, spelling):
    target = {"protocol": "tcp", "address": "203.0.113.7", "port": 443, "to": "outside", "host": spelling}
    action = {"id": "s/0", "plane": "host", "verb": "net.connect", "target": target, "subject": {}}
    answered = cli("policy", "decide", "--policy", policy, input=json.dumps({"action": action}), stdin=None)
    assert answered.returncode != 0 and "the host `" in answered.stderr and '"allow"' not in answered.stdout


def test_a_case_names_a_host_in_any_spelling(cli, policy):
    case = "interlock-cases: 1\ncases:\n  - verb: net.connect\n    host: GIT.example.com.\n    address: 203.0.113.7\n"
    cases = cli.write("cases.yaml", case + "    port: 443\n    expect: allow\n    rule: mine/forge\n")
    assert cli("policy", "test", cases, "--policy", policy).returncode == 0
    wrong = cli.write("wrong.yaml", case.replace("GIT.", "127.0.0.1 ") + "    port: 443\n    expect: allow\n")
    told = cli("policy", "test", wrong, "--policy", policy)
    assert told.returncode == 121 and "the host `127.0.0.1 example.com.` holds something else" in told.stderr


def recorded(cli, kind):
    """The records of a type, of all sessions."""
    from interlock.ledger.reader import entries

    ledger = cli.home / "state/ledger/sessions"
    events = [each.event for session in sorted(os.listdir(ledger)) for each in entries(str(ledger / session))]
    return [event.document for event in events if event.type == kind]


REACH = """
import socket, sys
for name in sys.argv[1:]:
    try:
        with socket.create_connection((name, 443), 20) as peer:
            print(peer.recv(200).decode().split()[-1])
    except OSError as error:
        print(error.errno)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: makes a network of its own")
def test_a_session_reaches_hosts_by_name_and_why_gives_the_rule_for_another(cli, policy):
    """The whole way of a person: a policy with hosts, a refused host, its reason, the rule, and the host reached."""
    zone = {"git.example.com": [PUBLIC], "new.example.org": [OTHER], "inward.pages.example.com": [PRIVATE]}

    def act(world):
        names = ("git.example.com", "new.example.org", "inward.pages.example.com")
        first = cli("run", "--policy", policy, "--", "/usr/bin/python3", "-c", REACH, *names)
        assert first.stdout.split() == [PUBLIC, "13", "13"], first
        assert "new.example.org:443/tcp" in first.stderr and "198.19." not in first.stderr
        assert "new.example.org" not in world.asked and world.reached == [PUBLIC]
        said = cli("why", "--last", "2").stdout
        rule = ("allow: net.connect", "host: new.example.org", "port: 443", "protocol: tcp")
        assert all(line in said for line in rule), said
        assert f"inward.pages.example.com:443/tcp ({PRIVATE})" in said and "private: true" in said
        for command in set(re.findall(r"interlock allow (s-\S+)", said)):
            assert cli("allow", command, "--yes").returncode == 0
        again = cli("run", "--policy", policy, "--", "/usr/bin/python3", "-c", REACH, *names)
        assert again.stdout.split() == [PUBLIC, OTHER, PRIVATE], again
        asked = {event["host"]: event["outside"] for event in recorded(cli, "name.asked")}
        assert asked == {"git.example.com": True, "new.example.org": True, "inward.pages.example.com": True}
        assert {event["host"]["enforced"]["host-names"]["state"] for event in recorded(cli, "session.opened")} == {"fully"}

    in_world(act, zone)


REGISTRIES = """\
interlock: 1
name: registries
rules:
  - id: registries
    allow: net.connect
    host: "@package-registries"
    private: true
    port: 443
  - id: models
    allow: net.connect
    host: "@model-api"
    port: 443
"""


@pytest.mark.parametrize(
    ("host", "address", "said"),
    [
        ("mirror.corp.example", "10.1.2.3", "allow"),
        ("pypi.org", "203.0.113.7", "deny"),
        ("registry.npmjs.org", "203.0.113.7", "allow"),
        ("npm.corp.example", "203.0.113.7", "deny"),
        ("api.anthropic.com", "203.0.113.7", "allow"),
        ("api.anthropic.com.evil.org", "203.0.113.7", "deny"),
    ],
)
def test_sets_of_hosts_are_what_the_persons_own_clients_are_configured_for(cli, host, address, said):
    policy = cli.write("registries.yaml", REGISTRIES)
    os.chmod(policy, 0o644)
    (cli.human / ".pip").mkdir()
    (cli.human / ".pip/pip.conf").write_text("[global]\nindex-url = https://mirror.corp.example/simple\n")
    (cli.workspace / ".npmrc").write_text("registry=https://npm.corp.example/\n")
    target = {"protocol": "tcp", "address": address, "port": 443, "to": "outside", "host": host}
    action = {"id": "s/0", "plane": "host", "verb": "net.connect", "target": target, "subject": {}}
    answered = cli("policy", "decide", "--policy", policy, input=json.dumps({"action": action}), stdin=None)
    assert json.loads(answered.stdout)["decision"] == said, answered


def test_with_best_effort_a_session_starts_where_names_cannot_be_answered_and_says_so(cli, policy):
    cli.environment |= MISSING
    ran = cli("run", "--policy", policy, "--", "/usr/bin/true")
    assert ran.returncode == 0, ran
    [opened] = recorded(cli, "session.opened")
    assert set(opened["host"]["rules"]) == {f"mine/{name}" for name in NAMED}
    assert "host-names" not in opened["host"]["enforced"]
    [found] = [
        each for each in json.loads(cli("doctor", "--json").stdout)["findings"] if each["name"] == "host-names"
    ]
    assert found["enforcement"]["state"] == "partially" and "CAP_SYS_ADMIN" in found["advice"]
