"""`interlock why` and `interlock allow`: the rule that would allow a denial, shown, asked for, written, and in force from then on;
and what no rule of another layer may loosen.
"""

import json
import os
import re
import shlex
import stat
import subprocess
import sys

import pexpect
import pytest

INTERLOCK = "interlock allow "


@pytest.fixture
def place(cli):
    """The command line, with a folder that no rule of the preset speaks of."""
    (cli.root / "t").mkdir()
    cli.environment = cli.environment | {"TMPDIR": str(cli.root / "t")}
    cli.outside = cli.root / "o" / "p"
    cli.outside.mkdir(parents=True)
    for number in range(4):
        (cli.outside / f"f{number}").write_text(f"content {number}\n")
    return cli


def read(cli, *names, workspace=None):
    """What `cat` of these files gives in a session."""
    options = {} if workspace is None else {"cwd": workspace}
    return cli("run", "--quiet", "--", "cat", *(str(cli.outside / name) for name in names), **options)


def why(cli, *arguments):
    return cli("why", *arguments).stdout


def commands(text):
    """The commands of `why` that add a rule."""
    return [shlex.split(match)[1:] for match in re.findall(r"interlock allow s-.*", text)]


def files(cli):
    return sorted(path for path in (cli.home / "config").rglob("*") if path.is_file())


def test_the_command_that_why_shows_allows_it_from_then_on(place):
    assert read(place, "f0").returncode == 1
    command = commands(why(place))[0]
    allowed = place(*command, "--yes")
    assert allowed.returncode == 0, allowed.stderr
    assert f'+    path: "{place.outside}/f0"' in allowed.stdout
    assert read(place, "f0").stdout == "content 0\n"
    assert read(place, "f1").returncode == 1
    [file] = files(place)
    assert file.parent.name == "projects" and stat.S_IMODE(file.stat().st_mode) == 0o600
    assert f'workspace: "{place.workspace}"' in file.read_text()


def test_the_rule_that_why_shows_can_be_pasted(place):
    read(place, "f0")
    rule = re.search(r"- id: allowed-1\n *allow: .*\n *path: .*", why(place))[0]
    lines = "".join(
        f"  {line.strip() if number == 0 else '  ' + line.strip()}\n" for number, line in enumerate(rule.splitlines())
    )
    pasted = place.write("pasted.yaml", f"interlock: 1\nname: pasted\nrules:\n{lines}")
    ran = place(
        "run", "--quiet", "--preset", "coding-agent", "--policy", pasted, "--", "cat", str(place.outside / "f0")
    )
    assert ran.stdout == "content 0\n"


def test_inside_and_outside_the_same_is_said(place):
    inside = place(
        "run", "--quiet", "--", "sh", "-c", f"cat {place.outside}/f0; {shlex.join(place.command())} why"
    ).stdout
    assert inside == why(place)
    assert "an agent cannot: it asks its human" in inside and "outside the session: interlock allow s-" in inside
    assert str(place.home / "config/policies/always.yaml") in inside and str(place.home / "config/projects") in inside


def test_equal_denials_are_told_once(place):
    read(place, "f0", "f1", "f0", "f0")
    told = why(place)
    assert told.count("/f0 (3 times)\n") == 1 and told.count("denied file.read") == 2, told
    assert len(place("why", "--json").stdout.splitlines()) == 4


def test_a_folder_that_several_denials_share_is_one_rule(place):
    read(place, "f0", "f1", "f2")
    told = why(place)
    assert f'path: "{place.outside}/**"' in told and told.count("as above") == 2
    command = commands(told)[0]
    assert command[-1] == "--folder"
    assert place(*command, "--yes").returncode == 0
    assert read(place, "f3").stdout == "content 3\n"


def test_a_project_is_one_workspace_and_always_is_every_one(place):
    other = place.root / "other"
    other.mkdir()
    read(place, "f0", "f1")
    first, second = place("why", "--json").stdout.splitlines()
    ids = [f"{told['session']}:{told['record']}" for told in map(json.loads, (first, second))]
    assert place("allow", ids[0], "--project", "--yes").returncode == 0
    assert place("allow", ids[1], "--always", "--yes").returncode == 0
    assert read(place, "f0", "f1").stdout == "content 0\ncontent 1\n"
    assert read(place, "f0", "f1", workspace=other).stdout == "content 1\n"


def test_every_policy_command_loads_what_run_loads(place):
    read(place, "f0")
    place("allow", "last", "--yes")
    place("allow", "last", "--always", "--yes")
    assert "this-project (1 rules)" in place("policy", "check").stdout
    assert "this-project/allowed-1" in place("policy", "explain", "--rules").stdout
    action = {
        "id": "s/0",
        "plane": "host",
        "verb": "file.read",
        "target": {"path": str(place.outside / "f0")},
        "subject": {},
    }
    decided = place("policy", "decide", input=json.dumps({"action": action}), stdin=None)
    assert json.loads(decided.stdout)["rules"] == ["this-project/allowed-1"]
    other = place(
        "policy", "decide", "--workspace", str(place.root / "t"), input=json.dumps({"action": action}), stdin=None
    )
    assert json.loads(other.stdout)["decision"] == "deny"
    opened = next(
        json.loads(line) for line in place("ledger", "query", "--json", "--type", "session.opened").stdout.splitlines()
    )
    assert opened["sources"] == [{"preset": "coding-agent"}]


def test_what_a_rule_denies_is_not_allowed_and_the_ways_are_told(place):
    (place.human / ".ssh").mkdir()
    (place.human / ".ssh/id_rsa").write_text("secret")
    place(
        "run", "--quiet", "--", "sh", "-c", f"cat {place.human}/.ssh/id_rsa; cat {place.home}/state/keys/ledger.ed25519"
    )
    told = why(place)
    assert "`coding-agent/secrets` denies it, and no other layer loosens what one denies" in told
    assert "interlock policy presets show coding-agent > mine.yaml" in told and "interlock allow" not in told
    assert "this protects Interlock itself, and no policy opens it" in told
    for denial in map(json.loads, place("why", "--json").stdout.splitlines()):
        refused = place("allow", f"{denial['session']}:{denial['record']}", "--always", "--yes")
        assert refused.returncode == 120 and "no other layer loosens that" in refused.stderr, refused
    assert files(place) == []


def test_an_unanswered_question_is_told_inside_and_outside_with_how_to_answer(cli, asking):
    ran = cli("run", "--quiet", "--no-ask", *asking, "--", "sh", "-c", f"touch x; {shlex.join(cli.command())} why")
    told = why(cli)
    assert ran.stdout == told and "asking/touch" in told
    assert "interlock approvals list" in told and "interlock allow" not in told
    assert cli("allow", "last", "--yes").returncode == 120 and files(cli) == []


def test_inside_a_session_it_is_refused_by_the_kernels_word(place):
    read(place, "f0")
    session = json.loads(place("why", "--json").stdout)["session"]
    allow = shlex.join([*place.command(), "allow", f"{session}:5", "--yes"])
    for clean in ("", "env -u INTERLOCK_SESSION -u INTERLOCK_INSIDE "):
        ran = place("run", "--quiet", "--preset", "observe", "--", "sh", "-c", f"{clean}{allow}")
        assert ran.returncode == 124 and "a session does not loosen its own policy" in ran.stderr, ran
    assert files(place) == []


def test_without_a_terminal_a_yes_is_said_by_option(place):
    read(place, "f0")
    refused = place("allow", "last")
    assert refused.returncode == 120 and "--yes" in refused.stderr and files(place) == []


@pytest.mark.parametrize(("typed", "written"), [("y", 1), ("n", 0), ("", 0), ("yess", 0)])
def test_on_a_terminal_it_shows_the_change_and_asks(place, typed, written):
    read(place, "f0")
    p = place.terminal("allow", "last")
    p.expect(re.escape("write this? [y/N] "))
    assert f'+    path: "{place.outside}/f0"' in p.before and files(place) == []
    p.sendline(typed)
    p.expect(pexpect.EOF)
    p.close()
    assert (len(files(place)), p.exitstatus) == (written, 0 if written else 1)


def test_what_was_edited_by_hand_stays_and_what_cannot_be_added_to_is_left_alone(place):
    read(place, "f0", "f1")
    ids = [
        f"{told['session']}:{told['record']}" for told in map(json.loads, place("why", "--json").stdout.splitlines())
    ]
    assert place("allow", ids[0], "--always", "--yes").returncode == 0
    [file] = files(place)
    edited = (
        file.read_text()
        .replace("rules:\n", "rules:  # mine\n  - id: own\n    deny: file.read\n    path: /srv/x\n")
        .rstrip("\n")
    )
    file.write_text(edited)
    assert place("allow", ids[1], "--always", "--yes").returncode == 0
    assert file.read_text().startswith(edited + "\n") and "allowed-2" in file.read_text()
    for odd in (
        "interlock: 1\nname: always\nrules: [{id: own, deny: file.read, path: /srv/x}]\n",
        "interlock: 1\nname: always\nrules:\n  - id: own\n    deny: file.read\n    path: /srv/x\nsets:\n  a: [/x]\n",
        "interlock: 1\nname: always\nrules:\n  - id: own\n    deny: file.read\n    path:\n      - /srv/x\n",
    ):
        file.write_text(odd)
        refused = place("allow", ids[1], "--always", "--yes")
        added = refused.returncode == 0 and file.read_text().startswith(odd)
        assert added or (refused.returncode in (120, 121) and file.read_text() == odd), refused
        if added:
            assert place("policy", "check").returncode == 0


def test_a_link_is_the_persons_own_to_edit(place):
    read(place, "f0")
    target = place.root / "dotfiles.yaml"
    (place.home / "config/policies").mkdir(parents=True, mode=0o700)
    os.chmod(place.home / "config/policies", 0o700)
    (place.home / "config/policies/always.yaml").symlink_to(target)
    target.write_text("interlock: 1\nname: always\nrules: [{id: own, deny: file.read, path: /srv/x}]\n")
    refused = place("allow", "last", "--always", "--yes")
    assert refused.returncode == 120 and "is not a plain file" in refused.stderr
    assert (place.home / "config/policies/always.yaml").is_symlink()


def test_a_layer_of_another_workspace_is_not_loaded_under_this_ones_name(place):
    other = place.root / "other"
    other.mkdir()
    read(place, "f0")
    place("allow", "last", "--yes")
    read(place, "f1", workspace=other)
    place("allow", "last", "--yes")
    first, second = files(place)
    content = first.read_text()
    first.write_text(second.read_text())
    second.write_text(content)
    ran = read(place, "f0")
    assert ran.returncode == 121 and "this layer is for the workspace" in ran.stderr


@pytest.mark.parametrize(
    "name", ["a*b", "{x,y}", "${home}", "n\nl", "esc\x1b[2J", "[a]?", "'\"\\", "rtl\u202etxt", "# x", " "]
)
def test_hostile_names_are_allowed_exactly_or_not_at_all(place, name):
    (place.outside / name).write_text("hostile\n")
    (place.outside / "ab").write_text("beside\n")
    assert read(place, name).returncode == 1
    allowed = place("allow", "last", "--yes")
    assert allowed.returncode == 0, allowed.stderr
    assert not set("\x1b\u202e\r") & set(allowed.stdout)
    assert read(place, name).stdout == "hostile\n"
    assert read(place, "ab").returncode == 1


def test_a_name_that_is_not_utf8_has_no_rule(place):
    name = os.fsencode(place.outside) + b"/\xff\xfe"
    with open(name, "w") as opened:
        opened.write("x")
    place("run", "--quiet", "--", "cat", os.fsdecode(name))
    refused = place("allow", "last", "--yes")
    assert refused.returncode == 120 and "not UTF-8" in refused.stderr and files(place) == []
    assert "no rule can allow exactly this" in why(place)


def test_a_rule_that_would_not_do_is_not_written(place):
    """The act is of one layer unruled, but a closed layer, loaded since, says no."""
    closed = place.write(
        "closed.yaml", "interlock: 1\nname: closed\nrules:\n  - id: w\n    allow: file.*\n    path: /srv/none/**\n"
    )
    ran = ["run", "--quiet", "--preset", "coding-agent", "--policy", closed, "--", "cat", str(place.outside / "f0")]
    place(*ran)
    place.write(
        "closed.yaml",
        "interlock: 1\nname: closed\nclosed: true\nrules:\n  - id: w\n    allow: file.*\n    path: /srv/none/**\n",
    )
    refused = place("allow", "last", "--yes")
    assert refused.returncode == 120 and "with this rule it would still be: deny" in refused.stderr, refused
    assert files(place) == []


def test_what_is_allowed_by_now_is_said(place):
    read(place, "f0")
    place("allow", "last", "--yes")
    again = place("allow", "last", "--yes")
    assert again.returncode == 120 and "it is allowed by now (this-project/allowed-1)" in again.stderr


@pytest.mark.parametrize("identity", ["0", "s-20260101T000000-000000:1", "x", "last:1", "1:1", ":"])
def test_what_names_no_denial_is_refused(place, identity):
    read(place, "f0")
    refused = place("allow", identity, "--yes")
    assert refused.returncode == 120 and "internal error" not in refused.stderr and files(place) == []


PUSHING = """\
interlock: 1
name: pushing
rules:
  - id: machine
    allow: [file.read, process.exec]
    path: ["@system", "@toolchains", "~/.gitconfig"]
  - id: work
    allow: [file.*, process.exec]
    path: "${workspace}/**"
  - id: bare
    allow: file.read
    path: ["%s/**"]
"""


def test_a_name_for_one_time_is_allowed_by_its_folder(place):
    """What `git push` writes in a repository beside: a rule for its temporary names would never match again."""
    bare = place.outside / "bare.git"
    who = ["-c", "user.name=x", "-c", "user.email=x@y"]
    for command in (
        ["git", "init", "-q", "--bare", bare],
        ["git", "init", "-q", place.workspace],
        ["git", *who, "commit", "-q", "--allow-empty", "-m", "one"],
    ):
        subprocess.run(command, check=True, cwd=place.workspace)
    policy = place.write("pushing.yaml", PUSHING % bare)
    ran = place("run", "--policy", policy, "--", "git", "push", "-q", str(bare), "HEAD:refs/heads/main")
    assert ran.returncode != 0
    said = [line for line in why(place).splitlines() if "incoming-" in line]
    assert said and said[0].startswith("denied file.create "), said
    assert f'path: "{bare}/objects/**"' in why(place)
    added = place("allow", "last", "--yes")
    assert added.returncode == 0 and f'+    path: "{bare}/objects/**"' in added.stdout, added.stderr + added.stdout


def test_one_denial_by_its_record_and_the_last(place):
    read(place, "f0", "f1", "f2")
    every = [json.loads(line) for line in why(place, "--json").splitlines()]
    session, numbers = every[0]["session"], [denial["record"] for denial in every]
    assert len(numbers) == 3
    for name, expected in (
        ("last", numbers[-1:]),
        (f"{session}:{numbers[1]}", [numbers[1]]),
        (f":{numbers[0]}", [numbers[0]]),
        (session, numbers),
        (session[:-2], numbers),
    ):
        assert [json.loads(line)["record"] for line in why(place, name, "--json").splitlines()] == expected, name
    for wrong in ("nothing", f"{session}:x", f"{session}:1"):
        assert place("why", wrong).returncode == 120, wrong
    assert "named twice" in place("why", "--session", "last", session).stderr


def test_inside_only_ones_own_session_is_told(place):
    script = 'cat {0}/f0 {0}/f1; interlock why last; echo =; interlock why "$INTERLOCK_SESSION"; echo =; interlock why s-2020'
    path = os.path.dirname(sys.executable)
    place.environment["PATH"] = f"{path}:{place.environment['PATH']}"
    ran = place("run", "--quiet", "--", "sh", "-c", script.format(place.outside))
    last, own, other = ran.stdout.split("=\n")
    assert last.count("denied ") == 1 and f"{place.outside}/f1" in last
    assert own.count("denied file.read") == 2 and other == ""
    assert "another session" in ran.stderr


def test_a_start_in_a_subdirectory_of_a_repository_denies_git_nothing(place):
    subprocess.run(["git", "init", "-q", place.workspace], check=True)
    below = place.workspace / "a/b"
    below.mkdir(parents=True)
    ran = place("run", "--", "git", "status", "--short", cwd=below)
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stderr
    assert "nothing was denied" in why(place)
