"""Denial notices: one printable line, limited, never inside the command's own output. The supervisor is scripted here."""

import json
import time

import pexpect


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
