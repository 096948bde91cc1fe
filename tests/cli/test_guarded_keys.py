"""`keys:` for people: what the presets guard goes on working but for what starts something, and a question says which key and which value."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.cli.test_approvals import pending

STATE = {"numStartups": 1, "mcpServers": {"notes": {"command": "notes"}}, "projects": {}}

GIT_USES = [
    "git config user.name ada",
    "git remote add origin https://example.org/r.git",
    "git branch --set-upstream-to=origin/main",
    "git worktree add -q ../w/tree",
    "git clone -q . ../w/clone && git -C clone config user.name ada && rm -rf clone",
    "mkdir copy && cp -a .git file copy/ && cmp .git/config copy/.git/config && git -C copy status --short && rm -rf copy",
    "tar c --exclude=x.tar . > x.tar; mkdir -p t && tar x -C t < x.tar && cmp .git/config t/.git/config && rm -rf t",
    "git mv file other && git stash -q && git config --unset user.email; git config user.email a@b",
]
GIT_PLANTS = [
    "git config core.hooksPath ../evil",
    "git config core.fsmonitor ./evil",
    "git config alias.st '!./evil'",
    "git config include.path ../evil",
    "git config remote.origin.url 'ext::sh -c ./evil'",
    "git config remote.origin.uploadpack ./evil",
    "git config submodule.x.update '!./evil'",
    "git config credential.helper '!./evil'",
    "git config url.ssh://evil/.insteadOf https://",
    "git config protocol.ext.allow always",
    "printf '[core]\\n\\tpager = ./evil\\n' >> .git/config",
    "printf '[core]\\n\\tpager = ./evil\\n' > c; mv c .git/config",
    "rm .git/config; printf '[core]\\n\\tpager = ./evil\\n' > .git/config",
    "mv .git g; git config -f g/config core.pager ./evil; mv g .git",
    "cp -r .git g; git config -f g/config core.pager ./evil; rm -rf .git; mv g .git",
]


@pytest.fixture
def repository(cli):
    script = (
        "git init -q -b main . && git config user.name a && git config user.email a@b && echo x > file"
        " && git add file && git commit -q -m x && git update-ref refs/remotes/origin/main HEAD"
        " && git config remote.origin.url /nowhere && git config remote.origin.fetch '+refs/heads/*:refs/remotes/origin/*'"
    )
    subprocess.run(["sh", "-c", script], cwd=cli.workspace, env=cli.environment, check=True)
    return cli


@pytest.mark.parametrize("use", GIT_USES)
def test_git_goes_on(repository, use):
    ready = "git remote remove origin;" if "remote add" in use else ""
    ran = repository("run", "--preset", "coding-agent", "--no-ask", "--", "sh", "-ec", f"export GIT_ALLOW_PROTOCOL=file; {ready} {use}")
    assert ran.returncode == 0, ran.stderr
    assert "denied" not in ran.stderr


@pytest.mark.parametrize("plant", GIT_PLANTS)
def test_what_git_would_run_is_not_planted(repository, plant):
    config = repository.workspace / ".git" / "config"
    subprocess.run(["git", "config", "core.editor", "true"], cwd=repository.workspace, check=True)
    repository("run", "--preset", "coding-agent", "--no-ask", "--", "sh", "-c", plant)
    assert "evil" not in config.read_text() and "always" not in config.read_text() and "editor = true" in config.read_text()
    subprocess.run(["sh", "-c", plant], cwd=repository.workspace, env=repository.environment, capture_output=True)
    assert "evil" in config.read_text() or "always" in config.read_text(), "the control"


def test_an_agent_keeps_its_state_and_is_given_no_server(cli):
    """Beside and renamed, and in place; read back at once."""
    state = cli.human / ".claude.json"
    state.write_text(json.dumps(STATE))
    script = """
import json, os
path = os.path.expanduser("~/.claude.json")
state = json.load(open(path))
for number in range(7):
    state["numStartups"] = number
    json.dump(state, open(path + ".tmp", "w"))
    os.rename(path + ".tmp", path)
state["projects"] = {"/w": {"allowedTools": [], "mcpServers": {}, "history": ["x"], "hasTrustDialogAccepted": False}}
with open(path, "w") as file:
    json.dump(state, file)
assert json.load(open(path)) == state
state["projects"]["/w"]["mcpServers"] = {"evil": {"command": "evil"}}
try:
    json.dump(state, open(path + ".tmp", "w"))
    os.rename(path + ".tmp", path)
except PermissionError:
    print("refused")
"""
    ran = cli("run", "--preset", "coding-agent", "--no-ask", "--", sys.executable, "-c", script)
    assert ran.stdout == "refused\n", ran.stderr
    assert "which would set projects./w.mcpServers.evil.command" in ran.stderr
    now = json.loads(state.read_text())
    assert now["mcpServers"] == STATE["mcpServers"] and now["projects"]["/w"]["mcpServers"] == {} and now["numStartups"] == 6


@pytest.mark.parametrize("way", ["mv {0}.new {0}", "cat {0}.new > {0}"])
def test_a_yes_is_to_this_content(cli, way):
    """Renamed, and in place, where nobody waits for the answer."""
    state = cli.human / ".claude.json"
    state.write_text(json.dumps(STATE))
    wanted = STATE | {"mcpServers": {"web": {"command": "web", "args": ["--port", "1"]}}}
    (cli.human / ".claude.json.new").write_text(json.dumps(wanted))
    running = cli.start(
        "run", "--preset", "coding-agent", "--", "sh", "-c", way.format(state) + "; sleep 5", stderr=subprocess.PIPE, start_new_session=True
    )
    [question] = pending(cli)
    assert json.loads(state.read_text()) == STATE
    shown = cli("approvals", "show", question["id"]).stdout
    assert "mcpServers.web.command" in shown and "--port" in shown and "mcpServers.notes.command" in shown and "gone" in shown
    assert cli("approvals", "approve", question["id"]).returncode == 0
    assert running.wait(30) == 0
    assert json.loads(state.read_text()) == wanted


def test_settings_of_an_agent_change_but_for_what_starts_something(cli):
    (cli.human / ".claude").mkdir()
    (cli.human / ".codex").mkdir()
    settings, codex = cli.human / ".claude" / "settings.json", cli.human / ".codex" / "config.toml"
    settings.write_text('{"model": "a"}')
    codex.write_text('model = "a"\n')
    script = (
        f"echo '{{\"model\": \"b\"}}' > {settings}; sed -i s/a/b/ {codex};"
        f'echo \'{{"model": "c", "hooks": {{"Stop": []}}}}\' > {settings}.n; mv {settings}.n {settings};'
        f"printf 'model = \"c\"\\nnotify = [\"evil\"]\\n' > {codex}; printf 'model = \"c\"\\n[mcp_servers.e]\\ncommand=\"e\"\\n' > {codex}"
    )
    ran = cli("run", "--preset", "coding-agent", "--no-ask", "--", "sh", "-c", script)
    assert settings.read_text() == '{"model": "c", "hooks": {"Stop": []}}\n', ran.stderr  # an empty list starts nothing
    assert codex.read_text() == 'model = "b"\n', ran.stderr


def test_explain_and_why_say_it(repository):
    explained = " ".join(repository("policy", "explain", "--preset", "coding-agent").stdout.split())
    assert "@git-configuration, @repository-within, keys but @git-harmless-keys" in explained
    ran = repository("run", "--preset", "coding-agent", "--no-ask", "--", "sh", "-c", "git config core.fsmonitor ./evil; interlock why")
    assert "core.fsmonitor" in ran.stdout + ran.stderr


def test_a_rule_of_ones_own(cli):
    policy = cli.write(
        "own.yaml",
        "interlock: 1\nname: own\nrules:\n  - id: all\n    allow: [file.*, process.*]\n  - id: scripts\n    deny: file.change\n"
        '    path: ["${workspace}/package.json"]\n    keys: {format: json, named: [scripts]}\n    because: scripts are reviewed\n',
    )
    (cli.workspace / "package.json").write_text('{"version": "1", "scripts": {"test": "true"}}')
    script = "sed -i 's/\"1\"/\"2\"/' package.json; sed -i s/true/evil/ package.json; cat package.json"
    ran = cli("run", "--policy", policy, "--", "sh", "-c", script)
    assert ran.stdout == '{"version": "2", "scripts": {"test": "true"}}'
    assert "which would set scripts.test (own/scripts: scripts are reviewed)" in ran.stderr


@pytest.mark.parametrize("write", ["cat new > {0}", "mv new {0}"])
@pytest.mark.parametrize("bind", ["symlink", "hard link"])
def test_state_that_has_another_name_is_guarded_by_that_name_as_well(cli, bind, write):
    """As people keep dotfiles in a repository."""
    kept = cli.workspace / "claude.json"
    kept.write_text(json.dumps(STATE))
    if bind == "symlink":
        (cli.human / ".claude.json").symlink_to(kept)
    else:
        (cli.human / ".claude.json").hardlink_to(kept)
    (cli.workspace / "new").write_text(json.dumps(STATE | {"mcpServers": {"evil": {"command": "evil"}}}))
    cli("run", "--preset", "coding-agent", "--no-ask", "--", "sh", "-c", write.format("claude.json"))
    assert json.loads((cli.human / ".claude.json").read_text()) == STATE


LED = {
    "a git directory elsewhere": ("git init -q --bare g; git config -f g/config core.pager ./evil; mkdir sub; echo 'gitdir: ../g' > sub/.git", "g/config"),
    "a remote on this machine": ("git init -q --bare g; mkdir -p g/hooks; git remote set-url origin ../g || git config remote.origin.url ../g", ".git/config"),
}


@pytest.mark.parametrize("way", LED)
def test_what_leads_git_to_other_configuration_is_listed(repository, way):
    """Git makes such files itself. Where what leads there is denied, nothing is left of it, and what it would have led to is listed."""
    script, named = LED[way]
    ran = repository("run", "--preset", "coding-agent", "--no-ask", "--", "sh", "-c", script)
    told = repository("session", "changes").stdout
    assert named in told, (ran.stderr, told)
