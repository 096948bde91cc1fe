"""A person answers for the session, on the terminal or elsewhere; sees which such yeses are in force; takes one back."""

import json
import os
import subprocess
import time

import pytest

from tests.cli.test_approvals import GRACE, pending
from tests.cli.test_hosts import REACH
from tests.kernel.world import OTHER, PUBLIC, in_world

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: makes a network of its own")
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
  - id: hosts
    approve: net.connect
    to: outside
    timeout: 20s
"""
ZONE = {"new.example.org": [PUBLIC], "other.example.org": [OTHER]}
PYTHON = "/usr/bin/python3"
HELD = "net.connect new.example.org:443/tcp at its public addresses"


@pytest.fixture
def asking(cli):
    policy = cli.write("asking.yaml", ASKING)
    os.chmod(policy, 0o644)
    return ["--policy", policy]


def test_a_yes_for_the_session_from_another_terminal_is_listed_and_taken_back(cli, asking):
    names = ["new.example.org", "new.example.org"]
    script = REACH + "sys.stdout.flush(); sys.stdin.readline()\n" + REACH.replace("import socket, sys", "")

    def act(world):
        running = cli.start(
            "run", *asking, "--", PYTHON, "-c", script, *names,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        [question] = pending(cli)
        told = cli("approvals", "approve", question["id"], "--session")
        assert told.stdout == "approved, for the session: net.connect new.example.org:443/tcp\n", told
        assert [running.stdout.readline().strip() for _ in names] == [PUBLIC, PUBLIC]
        held = cli("approvals", "held").stdout
        assert HELD in held and question["session"] in held and f"by uid:{os.getuid()}" in held
        [one] = [json.loads(line) for line in cli("approvals", "held", "--json").stdout.splitlines()]
        assert one["reach"]["host"] == "new.example.org" and one["id"] == f"g-{question['id'][2:]}"
        assert f"{HELD}  (taken back)" in cli("approvals", "revoke", one["id"]).stdout
        assert cli("approvals", "held").stdout == "no yes for a session is in force\n"
        again = cli("approvals", "revoke", one["id"])
        assert again.returncode == 120 and "is no yes for a session that is in force" in again.stderr
        running.stdin.write("\n")
        running.stdin.flush()
        [second] = pending(cli)
        cli("approvals", "deny", second["id"])
        out, err = running.communicate(timeout=30)
        assert out.split() == ["13", "13"] and world.reached == [PUBLIC, PUBLIC], err

    in_world(act, ZONE)


def test_an_s_on_the_terminal_is_a_yes_for_the_session(cli, asking):
    def act(world):
        p = cli.terminal("run", *asking, "--", PYTHON, "-c", REACH, "new.example.org", "new.example.org", "other.example.org")
        p.expect(r"covers net.connect\s+\|?\s*new.example.org:443/tcp at its public addresses")
        p.expect("for the session")
        time.sleep(GRACE)
        p.send("s\r")
        p.expect("approved, for the session")
        p.expect(f"{PUBLIC}\r\n{PUBLIC}")
        p.expect("other.example.org")
        p.expect("for the session")
        time.sleep(GRACE)
        p.send("n\r")
        p.expect("denied")
        p.expect("13")
        assert world.reached == [PUBLIC, PUBLIC]

    in_world(act, ZONE)


def test_an_act_that_goes_nowhere_is_approved_once_and_that_is_said(cli):
    from tests.cli.conftest import ASKING as TOUCHING

    policy = cli.write("touching.yaml", TOUCHING)
    running = cli.start(
        "run", "--preset", "coding-agent", "--policy", policy, "--", "touch", "made",
        stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    [question] = pending(cli)
    refused = cli("approvals", "approve", question["id"], "--session")
    assert refused.returncode == 120 and "is good once" in refused.stderr
    assert cli("approvals", "approve", question["id"]).returncode == 0
    assert running.wait(20) == 0


def test_a_session_neither_sees_nor_takes_back_what_was_answered(cli):
    inside = " ".join(cli.command())
    ran = cli("run", "--", "sh", "-c", f"{inside} approvals revoke g-1; {inside} approvals held")
    assert ran.returncode == 0 and "outside the session" in ran.stderr
    assert ran.stdout == "no yes for a session is in force\n"
