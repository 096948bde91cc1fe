"""The presets by host, through the public face: what is in the sets goes on, another host is asked about once, a no is kept, `ci` refuses; and what
happens where names cannot be answered.
"""

import os
import re
import time

import pexpect
import pytest

from tests.cli.test_approvals import GRACE
from tests.cli.test_hosts import REACH, recorded
from tests.kernel.world import METADATA, OTHER, PRIVATE, PUBLIC, SIX, in_world

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: makes a network of its own")
PYTHON = "/usr/bin/python3"
ZONE = {
    "pypi.org": [PUBLIC],
    "api.anthropic.com": [PUBLIC],
    "mirror.corp.example": [PRIVATE],
    "git.example.com": [OTHER],
    "docs.example.org": [OTHER],
    "web.example.org": [SIX],
    "inward.example.org": [PRIVATE],
    "registry.npmjs.org": [METADATA],
}
MISSING = {"INTERLOCK_SIMULATE_MISSING": "host-names"}
REMOTE = '[remote "origin"]\n\turl = https://git.example.com/a.git\n'


def reaching(*names):
    return ["--", PYTHON, "-c", REACH, *names]


@pytest.fixture
def desk(cli):
    (cli.human / ".npmrc").write_text("@corp:registry=https://mirror.corp.example/\n")
    (cli.workspace / ".git").mkdir()
    (cli.workspace / ".git/HEAD").write_text("ref: refs/heads/main\n")
    (cli.workspace / ".git/objects").mkdir()
    (cli.workspace / ".git/refs").mkdir()
    (cli.workspace / ".git/config").write_text(f"[core]\n\trepositoryformatversion = 0\n{REMOTE}")
    return cli


@needs_root
@pytest.mark.parametrize("preset", ["coding-agent", "ci"])
def test_the_sets_go_on_and_another_host_is_refused_with_the_rule_to_add(desk, preset):
    def act(world):
        known = ("pypi.org", "api.anthropic.com", "mirror.corp.example", "git.example.com")
        ran = desk("run", "--no-ask", "--preset", preset, *reaching(*known, "docs.example.org", "registry.npmjs.org"))
        assert ran.stdout.split() == [PUBLIC, PUBLIC, PRIVATE, OTHER, "13", "13"], ran
        assert "denied net.connect docs.example.org:443/tcp" in ran.stderr and "docs.example.org" not in world.asked
        said = desk("why", "--last", "2").stdout
        for line in ("allow: net.connect", "host: docs.example.org", "port: 443", "protocol: tcp"):
            assert line in said, said
        assert f"{preset}/metadata" in said
        [command] = set(re.findall(r"interlock allow (s-\S+)$", said, re.M))
        assert desk("allow", command, "--yes").returncode == 0
        again = desk("run", "--no-ask", "--preset", preset, *reaching("docs.example.org"))
        assert again.stdout.split() == [OTHER], again

    in_world(act, ZONE)


@needs_root
def test_a_yes_holds_for_the_session_and_a_no_is_not_asked_again(desk):
    names = ("docs.example.org", "docs.example.org", "inward.example.org", "inward.example.org")

    def act(world):
        p = desk.terminal("run", *reaching(*names), columns=200)
        p.expect("docs.example.org:443/tcp")
        p.expect("no rule knows this host")
        p.expect("approve")
        time.sleep(GRACE)
        p.send("s\r")
        p.expect("approved, for the session")
        p.expect(f"{OTHER}\r\n{OTHER}\r\n")
        p.expect("inward.example.org:443/tcp")
        p.expect("approve")
        time.sleep(GRACE)
        p.send("n\r")
        p.expect("denied")
        p.expect("13\r\n")
        p.expect("13\r\n")
        p.expect(pexpect.EOF)
        assert len(recorded(desk, "approval.asked")) == 3 and world.reached == [OTHER, OTHER]
        answers = [event["answer"] for event in recorded(desk, "approval.answered")]
        assert answers == ["yes", "no", "no"], answers

    in_world(act, ZONE)


@needs_root
def test_open_web_takes_the_questions_away_and_nothing_else(desk):
    def act(world):
        ran = desk(
            "run", "--no-ask", "--preset", "coding-agent", "--policy", "open-web",
            *reaching("web.example.org", "pypi.org", "inward.example.org", "registry.npmjs.org"),
        )  # fmt: skip
        assert ran.stdout.split() == [SIX, PUBLIC, "13", "13"], ran

    in_world(act, ZONE)


@needs_root
def test_where_names_cannot_be_answered_coding_agent_opens_the_web_and_ci_stays_shut(desk):
    desk.environment |= MISSING

    def act(world):
        ran = desk("run", "--no-ask", *reaching("web.example.org", "inward.example.org"))
        assert ran.stdout.split() == [SIX, "13"], ran
        [warned] = [line for line in ran.stderr.splitlines() if "names of hosts cannot be answered" in line]
        assert "ports 80 and 443 of every public address are open (layer open-web)" in warned
        assert "PARTIAL" not in ran.stderr and ran.stderr.count("cannot be answered") == 1
        [opened] = recorded(desk, "session.opened")
        assert {"preset": "open-web"} in opened["sources"], opened
        shut = desk("run", "--preset", "ci", *reaching("web.example.org"))
        assert shut.stdout.split() != [SIX] and "registries and remotes are out of reach" in shut.stderr, shut
        opened = desk("run", "--preset", "ci", "--policy", "open-web", *reaching("web.example.org"))
        assert opened.stdout.split() == [SIX], opened

    in_world(act, ZONE)


def test_every_page_says_the_same_where_names_cannot_be_answered(desk):
    desk.environment |= MISSING
    assert "layer open-web" in desk("policy", "check").stderr + desk("policy", "check").stdout
    page = desk("policy", "explain").stdout
    assert (
        "open-web in" in page and "coding-agent/known" in page and "a network namespace of its own is refused" in page
    )


def test_that_names_are_answered_is_kept_for_the_boot_and_forgotten_after_a_start_that_failed(desk):
    assert desk("run", "--", "/usr/bin/true").returncode == 0
    [kept] = list((desk.home / "cache").rglob("host-names.json"))
    before = kept.read_text()
    assert '"state": "fully"' in before
    assert desk("run", "--", "/usr/bin/true").returncode == 0 and kept.read_text() == before
    kept.write_text(before.replace("fully", "nonsense"))
    assert desk("run", "--", "/usr/bin/true").returncode == 0 and kept.read_text() == before
