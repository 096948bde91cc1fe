"""`@git-remotes`: what stood in a repository's configuration before any session; what a session adds counts after a person's yes."""

import json
import os
import shutil
import subprocess

import pytest

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
POLICY = """\
interlock: 1
name: mine
rules:
  - id: remotes
    allow: net.connect
    host: "@git-remotes"
    port: [22, 443]
    best_effort: true
"""
OPEN = '{"interlock": 1, "name": "open", "rules": [{"id": "all", "allow": ["file.*", "process.exec"], "path": "/**"}]}'


@pytest.fixture
def policy(cli):
    path = cli.write("mine.yaml", POLICY)
    os.chmod(path, 0o644)
    return path


def git(folder, *words):
    subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True)


def repository(folder, **remotes):
    folder.mkdir(exist_ok=True)
    git(folder, "init", "-q")
    for name, url in remotes.items():
        git(folder, "remote", "add", name, url)
    return folder


def allowed(cli, policy, host, folder=None):
    target = {"protocol": "tcp", "address": "203.0.113.7", "port": 443, "to": "outside", "host": host}
    action = {"id": "s/0", "plane": "host", "verb": "net.connect", "target": target, "subject": {}}
    answered = cli(
        "policy", "decide", "--policy", policy, input=json.dumps({"action": action}), stdin=None,
        cwd=folder or cli.workspace,
    )  # fmt: skip
    assert answered.returncode == 0, answered
    return json.loads(answered.stdout)["decision"] == "allow"


def test_a_session_adds_nothing_to_the_set_for_the_next_one(cli, policy):
    repository(cli.workspace, origin="git@one.example:r.git")
    assert allowed(cli, policy, "one.example") and not allowed(cli, policy, "two.example")
    adding = "git remote add evil https://evil.example/r && git remote set-url origin https://moved.example/r"
    ran = cli("run", "--", "sh", "-c", adding)
    assert ran.returncode == 0, ran
    assert "https://evil.example/r" in (cli.workspace / ".git/config").read_text()
    for host in ("evil.example", "moved.example", "one.example"):
        assert not allowed(cli, policy, host), host
    told = cli("run", "--preset", "coding-agent", "--policy", policy, "--", "true")
    assert "remotes that you did not say yes to: evil.example, moved.example; see: interlock allow --remotes" in told.stderr


def test_a_person_takes_up_what_was_added(cli, policy):
    repository(cli.workspace, origin="https://one.example/r")
    assert cli("run", "--", "true").returncode == 0
    git(cli.workspace, "remote", "add", "more", "https://two.example/r")
    assert allowed(cli, policy, "one.example") and not allowed(cli, policy, "two.example")
    shown = cli("allow", "--remotes")
    assert shown.returncode != 0 and "new   two.example" in shown.stdout and "not a terminal" in shown.stderr
    assert not allowed(cli, policy, "two.example")
    assert cli("allow", "--remotes", "--yes").returncode == 0
    assert allowed(cli, policy, "two.example") and allowed(cli, policy, "one.example")
    assert "no new remote" in cli("allow", "--remotes").stdout


def test_a_yes_on_the_terminal_is_asked_for(cli, policy):
    repository(cli.workspace, origin="https://one.example/r")
    assert cli("run", "--", "true").returncode == 0
    git(cli.workspace, "remote", "add", "more", "https://two.example/r")
    p = cli.terminal("allow", "--remotes")
    p.expect(r"write this\? \[y/N\]")
    p.sendline("n")
    p.expect("nothing was written")
    assert not allowed(cli, policy, "two.example")


def test_a_repository_that_a_session_made_is_not_believed(cli, policy):
    """In the workspace, and below it: a session that begins there finds what the other one wrote."""
    making = "git init -q . && git remote add o https://evil.example/r && git init -q sub && git -C sub remote add o https://evil.example/s"
    ran = cli("run", "--workspace", str(cli.workspace), "--", "sh", "-c", making)
    assert ran.returncode == 0, ran
    for folder in (cli.workspace, cli.workspace / "sub"):
        assert not allowed(cli, policy, "evil.example", folder)
        assert cli("run", "--", "true", cwd=folder).returncode == 0
        assert not allowed(cli, policy, "evil.example", folder), folder


@pytest.mark.parametrize("place", ["shared", "~/.cache", "~/.npm", "~/.claude"])
def test_a_repository_where_every_session_may_make_one_is_not_believed(cli, policy, place):
    """The workspace of another session lies elsewhere, and a person comes there later."""
    workspace = repository(cli.workspace, origin="https://one.example/r")
    folder = cli.root / "elsewhere" if place == "shared" else cli.human / place[2:] / "made"
    folder.parent.mkdir(exist_ok=True)
    repository(folder, origin="https://evil.example/r")
    assert allowed(cli, policy, "evil.example", folder), "nothing of a session could have been there"
    assert cli("run", "--", "true", cwd=workspace).returncode == 0
    assert not allowed(cli, policy, "evil.example", folder)
    assert cli("run", "--", "true", cwd=folder).returncode == 0
    assert not allowed(cli, policy, "evil.example", folder) and allowed(cli, policy, "one.example")
    assert cli("allow", "--remotes", "--yes", cwd=folder).returncode == 0
    assert allowed(cli, policy, "evil.example", folder)


def test_a_linked_worktree_knows_what_its_repository_knows(cli, policy):
    repository(cli.workspace, origin="https://one.example/r")
    git(cli.workspace, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x")
    assert cli("run", "--", "git", "remote", "add", "evil", "https://evil.example/r").returncode == 0
    linked = cli.root / "linked"
    git(cli.workspace, "worktree", "add", "-q", str(linked))
    assert allowed(cli, policy, "one.example", linked) and not allowed(cli, policy, "evil.example", linked)


@pytest.mark.parametrize("options", [(), ("--preset", "observe"), ("--policy", "open.json")])
def test_no_session_writes_what_is_known(cli, policy, options):
    cli.write("open.json", OPEN)
    options = [str(cli.root / word) if word == "open.json" else word for word in options]
    repository(cli.workspace, origin="https://one.example/r")
    assert cli("run", "--", "true").returncode == 0
    [known] = (cli.home / "state/remotes").iterdir()
    before = known.read_bytes()
    writing = f"git remote add evil https://evil.example/r; echo '{{\"hosts\": [\"evil.example\"]}}' > {known}; rm -f {known}; mv {known} {known}.x"
    cli("run", *options, "--", "sh", "-c", writing)
    assert known.read_bytes() == before and not allowed(cli, policy, "evil.example")
    inside = " ".join(cli.command())
    cli("run", *options, "--", "sh", "-c", f"{inside} allow --remotes --yes")
    assert known.read_bytes() == before


def test_what_is_known_and_cannot_be_read_stops_a_session_that_needs_it(cli, policy):
    repository(cli.workspace, origin="https://one.example/r")
    assert cli("run", "--", "true").returncode == 0
    [known] = (cli.home / "state/remotes").iterdir()
    known.write_text("[]")
    ran = cli("run", "--policy", policy, "--", "true")
    assert ran.returncode not in (0, 1) and "the remotes that you know cannot be read" in ran.stderr


def test_a_workspace_without_remotes_has_none(cli, policy):
    assert not allowed(cli, policy, "no-remotes.example")
    compiled = json.loads(cli("policy", "explain", "--compiled", policy).stdout)
    [layer] = [layer for layer in compiled["layers"] if layer["name"] == "mine"]
    assert layer["rules"][0]["match"]["host"] == ["no-remotes.invalid"]
