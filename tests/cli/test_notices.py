"""Denial notices: one printable line, limited, between the command's own lines; what no rule speaks of is counted. The supervisor is scripted here,
where no real one is named.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pexpect
import pytest


def denied(path, verb="file.read", rule="coding-agent/secrets", because="credentials stay with their owner"):
    decision = {"decision": "deny", "rules": [rule], "because": because}
    return {"type": "denied", "action": {"verb": verb, "target": {"path": path}}, "decision": decision, "record": 1}


def test_one_line_with_rule_reason_and_what_to_do(cli):
    ran = cli("run", "--", "sleep", "0.2", fake=[denied(f"{cli.human}/.ssh/id_rsa")])
    line = "interlock: denied file.read ~/.ssh/id_rsa (coding-agent/secrets: credentials stay with their owner); interlock why"
    assert line in ran.stderr.splitlines()


def test_control_and_bidi_characters_are_neutralised(cli):
    hostile = "/w/\x1b[2J\x1b]0;x\x07\r\u202etxt.exe\u2028"
    ran = cli("run", "--", "sleep", "0.2", fake=[denied(hostile, because=hostile)])
    assert "\\x1b[2J" in ran.stderr and "\\u{202e}" in ran.stderr
    assert not set("\x1b\x07\r\u202e\u2028") & set(ran.stderr)


def test_a_flood_of_denials_is_a_few_lines_and_a_count(cli):
    ran = cli(
        "run",
        "--",
        "sleep",
        "0.3",
        fake=[denied(f"/w/{number}") for number in range(500)] + [{"type": "suppressed", "count": 70}],
    )
    lines = [line for line in ran.stderr.splitlines() if line.startswith("interlock: denied")]
    assert 1 <= len(lines) <= 12
    assert "570 denials in all" in ran.stderr


def test_quiet_says_nothing_but_counts(cli):
    ran = cli("run", "--quiet", "--json", "--", "sleep", "0.2", fake=[denied("/w/x")])
    assert "denied file.read" not in ran.stderr
    assert json.loads(ran.stdout)["denied"] == 1


def test_a_notice_never_lands_inside_an_escape_sequence(cli):
    script = "i=0; while [ $i -lt 40 ]; do printf '\\033[3'; sleep 0.02; printf '1mX'; i=$((i+1)); done; printf '\\n'"
    steps = [step for number in range(5) for step in ({"do": "sleep", "seconds": 0.1}, denied(f"/w/{number}"))]
    p = cli.terminal("run", "--", "sh", "-c", script, fake=steps)
    p.expect(pexpect.EOF)
    assert "\x1b[3\r" not in p.before and "\x1b[3i" not in p.before
    assert "denied file.read /w/0" in p.before


def test_a_full_screen_program_is_not_drawn_over(cli):
    script = "printf '\\033[?1049hFULL'; sleep 0.8; printf 'STILL\\033[?1049l\\n'; echo left"
    p = cli.terminal("run", "--", "sh", "-c", script, fake=[{"do": "sleep", "seconds": 0.3}, denied("/w/secret")])
    p.expect(pexpect.EOF)
    inside = p.before[p.before.index("FULL") : p.before.index("STILL")]
    assert "denied" not in inside
    assert "denied file.read /w/secret" in p.before


def test_a_lying_supervisor_is_123(cli):
    for script in ([{"do": "garbage"}], [{"type": "dance"}], [{"do": "die"}], [{"type": 7}]):
        ran = cli("run", "--", "sleep", "5", fake=script)
        assert ran.returncode == 123, script
        assert "interlock: the supervisor" in ran.stderr
        assert "Traceback" not in ran.stderr


def test_a_failure_before_start_has_its_code_and_hint(cli):
    ran = cli(
        "run",
        "--",
        "true",
        fake=[{"type": "failed", "code": 122, "message": "no seccomp here", "hint": "a newer kernel"}],
    )
    assert ran.returncode == 122
    assert "no seccomp here" in ran.stderr and "hint: a newer kernel" in ran.stderr


def test_a_question_that_is_withdrawn_closes_the_prompt(cli):
    question = {
        "type": "question",
        "id": "7",
        "action": {"verb": "file.write", "target": {"path": "/w/x"}},
        "digest": "d",
        "decision": {"rules": ["a/b"]},
        "timeout_ms": 9000,
    }
    p = cli.terminal(
        "run",
        "--",
        "sh",
        "-c",
        "sleep 2; echo end",
        fake=[question, {"do": "sleep", "seconds": 1}, {"type": "withdrawn", "id": "7", "reason": "the caller died"}],
    )
    p.expect("approve this, once")
    p.expect("settled elsewhere, or too late")
    p.expect("end")
    time.sleep(0.1)
    assert cli("approvals", "list", "--json").stdout == ""


def unruled(path, verb="file.read", **target):
    decision = {"decision": "deny", "rules": [], "because": "no rule allows it"}
    return {"type": "denied", "action": {"verb": verb, "target": target or {"path": path}}, "decision": decision, "record": 1}


def group(verb, count, folder, cause="no-rule"):
    return {"verb": verb, "cause": cause, "place": {"folder": folder}, "count": count, "first": {"path": f"{folder}/first"}}


def told(ran):
    return [line for line in ran.stderr.splitlines() if line.startswith("interlock: denied")]


def test_reading_that_no_rule_speaks_of_is_told_once_at_the_end_by_folder(cli):
    home = cli.human
    script = [unruled(f"{home}/.cache/foo/{number}") for number in range(7)]
    script += [{"type": "suppressed", "count": 30, "groups": [group("file.read", 30, f"{home}/.cache/foo")]}]
    ran = cli("run", "--", "sleep", "0.2", fake=script)
    assert told(ran) == ["interlock: denied by no rule: file.read in ~/.cache/foo (37); interlock why"]
    assert "denials in all" not in ran.stderr


def test_several_places_are_lines_and_the_rest_a_number(cli):
    groups = [group("file.read", 10 - number, f"/p{number}/d") for number in range(8)]
    ran = cli("run", "--", "sleep", "0.2", fake=[{"type": "suppressed", "count": 52, "groups": groups}])
    lines = ran.stderr.splitlines()
    start = lines.index("interlock: denied by no rule; interlock why")
    assert lines[start + 1 : start + 7] == [
        *(f"  file.read in /p{number}/d ({10 - number})" for number in range(5)),
        f"  and {5 + 4 + 3} more elsewhere",
    ]


def test_the_first_program_connection_and_change_that_no_rule_allows_are_announced(cli):
    net = {"protocol": "tcp", "address": "10.0.0.5", "port": 5432, "to": "outside"}
    script = [unruled("/opt/x", verb="process.exec"), unruled("/opt/y", verb="process.exec")]
    script += [unruled(None, verb="net.connect", **net)] * 3
    script += [unruled("/etc/a", verb="file.create"), unruled("/etc/b", verb="file.write"), unruled("/etc/c")]
    ran = cli("run", "--", "sleep", "0.3", fake=script)
    assert told(ran)[:3] == [
        f"interlock: denied {act} (no rule allows it); interlock why"
        for act in ("process.exec /opt/x", "net.connect 10.0.0.5:5432/tcp", "file.create /etc/a")
    ]
    end = ran.stderr[ran.stderr.index("denied by no rule") :]
    assert "net.connect 10.0.0.5:5432/tcp (2)" in end and "process.exec /opt/y" in end
    assert "file.write /etc/b" in end and "file.read /etc/c" in end and "/etc/a" not in end


def test_quiet_tells_nothing_of_what_no_rule_allows(cli):
    ran = cli("run", "--quiet", "--preset", "ci", "--", "sleep", "0.2", fake=[unruled("/a/b"), unruled("/a/c", verb="file.write")])
    assert told(ran) == [] and "denied by no rule" not in ran.stderr and "interlock: ci" not in ran.stderr


def test_what_permissions_refuse_as_well_is_not_announced_and_not_a_line(cli):
    ran = cli(
        "run", "--json", "--", "sleep", "0.2",
        fake=[{"type": "suppressed", "count": 4, "groups": [group("file.read", 4, "/etc", cause="permissions")]}],
    )  # fmt: skip
    assert ran.stderr == ""
    assert json.loads(ran.stdout)["denied"] == 4


@pytest.fixture
def place(user):
    root = Path(tempfile.mkdtemp(prefix="iln-"))
    for name in ("w", "h"):
        (root / name).mkdir()
    for path in (root, root / "w", root / "h"):
        shutil.chown(path, user or "root")
    yield root
    shutil.rmtree(root, ignore_errors=True)


def test_a_file_that_its_user_may_not_read_anyway_is_recorded_and_not_announced(installed, user, place):
    """`/etc/shadow` is denied by a rule to both; only for root is that the rule's doing."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(place / "h")}
    options = {} if user is None else {"user": user, "extra_groups": []}
    ran = subprocess.run(
        [str(installed.interlock), "run", "--json", "--", "sh", "-c", "cat /etc/shadow; echo > /etc/il-x; echo x > .mcp.json"],
        env=environment, cwd=place / "w", capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, **options,
    )  # fmt: skip
    denials = json.loads(ran.stdout.splitlines()[-1])["denials"]
    assert [denial["target"]["path"] for denial in denials] == ["/etc/shadow", "/etc/il-x", str(place / "w/.mcp.json")]
    # A notice may stand behind half a line of the program's own, which shares standard error with it.
    shadow, other, later = (f"interlock: denied {act}" in ran.stderr for act in (
        "file.read /etc/shadow", "file.create /etc/il-x", f"file.create {place}/w/.mcp.json"
    ))  # fmt: skip
    assert (shadow, other) == (user is None, user is None), ran.stderr
    assert later, ran.stderr


def test_json_has_every_denial_announced_or_not(cli):
    (cli.root / "t").mkdir()
    (cli.root / "o").mkdir()
    environment = cli.environment | {"TMPDIR": str(cli.root / "t")}
    for number in range(150):
        (cli.root / "o" / str(number)).write_text("x")
    ran = cli("run", "--json", "--", "sh", "-c", f"for i in $(seq 0 149); do read x < {cli.root}/o/$i; done 2>/dev/null", env=environment)
    report = json.loads(ran.stdout.splitlines()[-1])
    assert (report["denied"], len(report["denials"])) == (150, 150)
    assert told(ran) == [f"interlock: denied by no rule: file.read in {cli.root}/o (150); interlock why"]


START = "interlock: coding-agent in "


def test_the_start_says_what_holds_the_command(cli):
    p = cli.terminal("run", "--", "sh", "-c", "sleep 0.2; echo work")
    p.expect(pexpect.EOF)
    assert p.before.index(f"{START}{cli.workspace}\r\n") < p.before.index("work")
    p = cli.terminal("run", "--quiet", "--", "true")
    p.expect(pexpect.EOF)
    assert "interlock" not in p.before


def test_in_a_log_only_headless_runs_say_it(cli):
    assert cli("run", "--", "true").stderr == ""
    assert cli("run", "--preset", "ci", "--", "true").stderr == f"interlock: ci in {cli.workspace}\n"


def test_what_is_enforced_in_part_is_said(cli):
    enforced = {
        "notify": {"state": "fully"},
        "ipc": {"state": "fully", "how": "by the door"},
        "scopes": {"state": "partially", "reason": "signals only", "around": "abstract sockets"},
        "new": {"state": "splendid"},
    }
    script = [{"type": "started", "process": 1, "enforced": enforced}]
    p = cli.terminal("run", "--", "sleep", "0.3", fake=script, columns=200)
    p.expect(pexpect.EOF)
    lacking = "; PARTIAL: scopes (signals only: abstract sockets); new (not enforced: its state is not understood)\r\n"
    assert lacking in p.before


def test_a_line_that_a_program_has_begun_stays_whole(cli):
    script = "printf 'Down'; sleep 0.6; printf 'loading 5%%\\r'; sleep 0.6; printf 'Downloading 10%%\\n'; echo end"
    steps = [{"do": "sleep", "seconds": 0.25}, denied("/w/one"), {"do": "sleep", "seconds": 0.6}, denied("/w/two")]
    p = cli.terminal("run", "--", "sh", "-c", script, fake=steps)
    p.expect(pexpect.EOF)
    shown = screen(p.before)
    assert "Downloading 10%" in shown and "end" in shown, shown
    for name in ("one", "two"):
        assert any(line.startswith(f"interlock: denied file.read /w/{name} (") for line in shown), shown


def test_a_prompt_is_written_again_below(cli):
    p = cli.terminal(
        "run", "--", "sh", "-c", "printf 'name? '; read name; echo got $name",
        fake=[{"do": "sleep", "seconds": 0.3}, denied("/w/secret"), {"do": "sleep", "seconds": 1}],
    )  # fmt: skip
    p.expect(r"interlock why\r\nname\? ")
    p.sendline("ada")
    p.expect("got ada")
    p.expect(pexpect.EOF)


def test_in_a_file_a_notice_is_not_put_behind_half_a_line(cli):
    log = cli.root / "log"
    with log.open("ab") as opened:
        cli(
            "run", "--", "sh", "-c", "printf half >&2; sleep 0.5; printf 'line\\n' >&2; sleep 0.3",
            fake=[{"do": "sleep", "seconds": 0.25}, denied("/w/x")], capture_output=False, stdout=opened, stderr=opened,
        )  # fmt: skip
    lines = log.read_text().splitlines()
    assert "halfline" in lines and any(line.startswith("interlock: denied file.read /w/x") for line in lines), lines


def screen(text, columns=80):
    """What the last rows show: carriage returns, erased lines and line feeds, no more."""
    rows, row, column = [], "", 0
    for piece in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|[^\x1b]", text):
        if piece == "\x1b[K":
            row = row[:column]
        elif piece == "\r":
            column = 0
        elif piece == "\n":
            rows, row = [*rows, row], ""
        elif len(piece) == 1:
            row, column = row[:column] + piece + row[column + 1 :], column + 1
    joined, last = [], ""
    for line in [*rows, row]:
        last += line
        joined, last = [*joined, last], ""
    return joined
