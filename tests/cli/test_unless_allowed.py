"""A rule that asks about the hosts which nothing else allows: silent where any layer allows, a question elsewhere, and a rule for good after `interlock allow`."""

import json
import os
import re
import time

import pytest

from tests.cli.test_approvals import GRACE
from tests.cli.test_hosts import REACH
from tests.kernel.world import OTHER, PUBLIC, in_world

ASKING = """\
interlock: 1
name: asking
rules:
  - id: machine
    allow: [file.read, process.exec]
    path: ["/usr/**", "/bin/**", "/lib*/**", "/etc/**", "/", "/dev/**", "@python"]
  - id: known
    allow: net.connect
    host: git.example.com
    port: 443
    best_effort: true
  - id: others
    approve: net.connect
    unless_allowed: true
    to: outside
    port: [80, 443]
    timeout: 20s
"""
MORE = """\
interlock: 1
name: more
rules:
  - id: docs
    allow: net.connect
    host: docs.example.org
    best_effort: true
  - id: tracker
    deny: net.connect
    host: tracker.example.org
    best_effort: true
"""
CLOSED = """\
interlock: 1
name: shut
closed: true
rules:
  - id: others
    approve: net.connect
    unless_allowed: true
    port: 443
"""
ZONE = {"git.example.com": [PUBLIC], "new.example.org": [OTHER]}


@pytest.fixture
def asking(cli):
    policy = cli.write("asking.yaml", ASKING)
    os.chmod(policy, 0o644)
    return policy


def decided(cli, host, *policies, port=443):
    target = {"protocol": "tcp", "address": "203.0.113.7", "port": port, "to": "outside", "host": host}
    action = {"id": "s/0", "plane": "host", "verb": "net.connect", "target": target, "subject": {}}
    files = [word for policy in policies for word in ("--policy", policy)]
    answered = cli("policy", "decide", *files, input=json.dumps({"action": action}), stdin=None)
    assert answered.returncode == 0, answered
    decision = json.loads(answered.stdout)
    return decision["decision"], decision["rules"], decision["spoke"]


def test_it_asks_about_what_no_layer_allows_and_is_silent_elsewhere(cli, asking):
    more = cli.write("more.yaml", MORE)
    assert decided(cli, "git.example.com", asking) == ("allow", ["asking/known"], True)
    assert decided(cli, "docs.example.org", asking) == ("approve", ["asking/others"], False)
    assert decided(cli, "docs.example.org", asking, more) == ("allow", ["more/docs"], True)
    assert decided(cli, "tracker.example.org", asking, more) == ("deny", ["more/tracker"], True)
    assert decided(cli, "git.example.com", asking, port=22) == ("deny", [], False)


def test_in_a_closed_layer_it_asks_in_any_case(cli, asking):
    shut = cli.write("shut.yaml", CLOSED)
    assert decided(cli, "git.example.com", asking, shut) == ("approve", ["shut/others"], True)
    assert decided(cli, "git.example.com", asking, shut, port=80)[0] == "deny"


def test_explain_says_what_silences_it(cli, asking):
    page = " ".join(cli("policy", "explain", asking).stdout.split())
    assert "unless another rule allows it" in page
    told = json.loads(cli("policy", "explain", "--json", asking).stdout)
    [row] = [row for row in told["coverage"] if row["rule"] == "asking/others"]
    assert "asks only about what no rule of any layer lets through" in row["notes"]


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: makes a network of its own")


@needs_root
def test_after_a_question_without_a_yes_a_person_makes_a_rule_of_it(cli, asking):
    names = ("git.example.com", "new.example.org")

    def act(world):
        run = ("run", "--no-ask", "--policy", asking, "--", "/usr/bin/python3", "-c", REACH, *names)
        first = cli(*run)
        assert first.stdout.split() == [PUBLIC, "13"] and "new.example.org" not in world.asked, first
        said = cli("why", "last").stdout
        rule = ("allow: net.connect", "host: new.example.org", "port: 443", "protocol: tcp")
        assert all(line in said for line in rule) and "a person is asked, and there was no yes" in said, said
        [identity] = set(re.findall(r"interlock allow (s-\S+)$", said, re.M))
        adopted = cli("allow", identity, "--yes")
        assert adopted.returncode == 0, adopted
        again = cli(*run)
        assert again.stdout.split() == [PUBLIC, OTHER], again
        assert world.reached == [PUBLIC, PUBLIC, OTHER]

    in_world(act, ZONE)


@needs_root
def test_an_allowed_host_is_not_asked_about_and_another_is_once_for_the_session(cli, asking):
    names = ("git.example.com", "new.example.org", "new.example.org", "git.example.com")

    def act(world):
        p = cli.terminal("run", "--policy", asking, "--", "/usr/bin/python3", "-c", REACH, *names)
        p.expect(PUBLIC)
        p.expect(r"act\s+net.connect new.example.org:443/tcp")
        p.expect("for the session")
        time.sleep(GRACE)
        p.send("s\r")
        p.expect("approved, for the session")
        p.expect(f"{OTHER}\r\n{OTHER}\r\n{PUBLIC}")
        assert world.reached == [PUBLIC, OTHER, OTHER, PUBLIC]

    in_world(act, ZONE)


@needs_root
def test_what_it_asks_about_is_not_lifted_where_a_rule_denies_the_address(cli, asking):
    denying = cli.write("denying.yaml", f"interlock: 1\nname: no\nrules: [{{id: no, deny: net.connect, address: {OTHER}}}]\n")
    os.chmod(denying, 0o644)

    def act(world):
        p = cli.terminal("run", "--policy", asking, "--policy", denying, "--", "/usr/bin/python3", "-c", REACH, "new.example.org")
        p.expect("for the session")
        time.sleep(GRACE)
        p.send("s\r")
        p.expect("approved, for the session")
        p.expect("13\r\n")
        assert not world.reached

    in_world(act, ZONE)
