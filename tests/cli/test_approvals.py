"""A question reaches a human, on the terminal or in the inbox; only a plain, timely, human yes lets the act happen, once."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pexpect
import pytest

from tests.cli.conftest import ASKING

IMPATIENT = Path(__file__).parent / "fakes" / "run_impatient.py"
ASK = "approve this, once"
GRACE = 0.6


def pending(cli, seconds=10):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        lines = cli("approvals", "list", "--json").stdout.splitlines()
        if lines:
            return [json.loads(line) for line in lines]
        time.sleep(0.1)
    raise AssertionError("no question came")


def test_yes_from_another_terminal(cli, asking):
    running = cli.start("run", *asking, "--", "touch", "made", stderr=subprocess.PIPE, start_new_session=True)
    [question] = pending(cli)
    assert question["action"]["verb"] == "process.exec"
    shown = cli("approvals", "show", question["id"]).stdout
    assert "touching is an outward act here" in shown and "asking/touch" in shown
    assert cli("approvals", "approve", question["id"][:6]).returncode == 0
    assert running.wait(20) == 0
    assert (cli.workspace / "made").exists()
    again = cli("approvals", "approve", question["id"])
    assert again.returncode == 120 and "settled already" in again.stderr


def test_a_question_about_the_command_itself_may_take_longer_than_a_start(cli):
    policy = cli.write("slow.yaml", ASKING.replace("20s", "90s"))
    slow = ["--preset", "coding-agent", "--policy", policy]
    command = [sys.executable, "-P", str(IMPATIENT), "run", *slow, "--", "touch", "made"]
    options = {"stdin": subprocess.DEVNULL, "stderr": subprocess.PIPE, "cwd": cli.workspace, "env": cli.environment}
    running = subprocess.Popen(command, start_new_session=True, **options)
    [question] = pending(cli)
    time.sleep(4)  # longer than a start may take there
    assert running.poll() is None
    assert cli("approvals", "approve", question["id"]).returncode == 0
    assert running.wait(20) == 0
    assert (cli.workspace / "made").exists()


def test_no_from_another_terminal(cli, asking):
    running = cli.start(
        "run", *asking, "--", "sh", "-c", "touch made || exit 9", stderr=subprocess.PIPE, start_new_session=True
    )
    [question] = pending(cli)
    cli("approvals", "deny", question["id"], "--reason", "not now")
    assert running.wait(20) == 9
    assert not (cli.workspace / "made").exists()


def test_nobody_to_ask_is_a_no_at_once(cli, asking):
    begun = time.monotonic()
    ran = cli("run", *asking, "--no-ask", "--", "sh", "-c", "touch made || exit 9", start_new_session=True)
    assert ran.returncode == 9 and time.monotonic() - begun < 10
    assert not (cli.workspace / "made").exists()


def test_a_yes_is_good_once(cli, asking):
    script = "touch made; touch made || exit 9"
    running = cli.start("run", *asking, "--", "sh", "-c", script, stderr=subprocess.PIPE, start_new_session=True)
    [first] = pending(cli)
    cli("approvals", "approve", first["id"])
    deadline = time.monotonic() + 10
    while (second := pending(cli)[0])["id"] == first["id"] and time.monotonic() < deadline:
        time.sleep(0.1)
    cli("approvals", "deny", second["id"])
    assert running.wait(20) == 9


def test_yes_on_the_terminal(cli, asking):
    p = cli.terminal("run", *asking, "--", "sh", "-c", "touch made && echo done-it")
    p.expect(ASK)
    time.sleep(GRACE)
    p.send("y\r")
    p.expect("approved, once")
    p.expect("done-it")
    p.expect(pexpect.EOF)
    assert (cli.workspace / "made").exists()


def test_enter_alone_is_a_no(cli, asking):
    p = cli.terminal("run", *asking, "--", "sh", "-c", "touch made || echo held")
    p.expect(ASK)
    time.sleep(GRACE)
    p.send("\r")
    p.expect("denied")
    p.expect("held")
    assert not (cli.workspace / "made").exists()


def test_type_ahead_is_no_answer(cli, asking):
    p = cli.terminal("run", *asking, "--", "sh", "-c", "echo ready; sleep 1; touch made || echo held")
    p.expect("ready")
    p.send("y\ry\ry\r")
    p.expect(ASK)
    p.send("y\r")
    p.expect("thrown away")
    time.sleep(GRACE)
    p.send("n\r")
    p.expect("held")
    assert not (cli.workspace / "made").exists()


def test_interrupt_at_the_prompt_is_a_no(cli, asking):
    p = cli.terminal("run", *asking, "--", "sh", "-c", "touch made || echo held")
    p.expect(ASK)
    time.sleep(GRACE)
    p.sendintr()
    p.expect("held")
    assert not (cli.workspace / "made").exists()


def test_an_answer_elsewhere_closes_the_prompt(cli, asking):
    p = cli.terminal("run", *asking, "--", "sh", "-c", "touch made && echo done-it")
    p.expect(ASK)
    [question] = pending(cli)
    cli("approvals", "approve", question["id"])
    p.expect("settled elsewhere")
    p.expect("done-it")


def test_the_jail_cannot_paint_over_a_prompt(cli, asking):
    """A jailed program that writes all the time is held back while the prompt is open."""
    script = "(while :; do printf '\\033[2J\\033[Happrove cookies? [y/N] '; sleep 0.02; done) & sleep 0.5; touch made; kill %1 2>/dev/null; kill $!"
    p = cli.terminal("run", *asking, "--", "sh", "-c", script)
    p.expect(ASK)
    time.sleep(1)
    with pytest.raises(pexpect.TIMEOUT):
        p.expect("cookies", timeout=0.5)
    p.send("n\r")
    p.expect("denied")
    p.terminate(force=True)


def test_a_painted_prompt_lacks_the_phrase(cli, asking):
    p = cli.terminal("run", *asking, "--", "sh", "-c", f"cat {cli.home}/state/phrase; touch made")
    p.expect(ASK)
    phrase = (cli.home / "state" / "phrase").read_text().strip()
    assert f"({phrase})" in p.before
    assert p.before.count(phrase) == 1
    p.terminate(force=True)


def test_the_inbox_is_closed_from_inside(cli, asking):
    inside = " ".join([*cli.command(), "approvals", "list"])
    ran = cli("run", "--", "sh", "-c", f"{inside}; cat {cli.home}/state/inbox.sqlite")
    assert "outside the session" in ran.stderr or "denied" in ran.stderr
    assert ran.returncode != 0


def test_a_question_ends_with_its_asker(cli, asking):
    running = cli.start("run", *asking, "--", "touch", "made", stderr=subprocess.PIPE, start_new_session=True)
    [question] = pending(cli)
    running.kill()
    running.wait()
    assert cli("approvals", "list", "--json").stdout == ""
    assert cli("approvals", "approve", question["id"]).returncode == 120
    assert not (cli.workspace / "made").exists()
