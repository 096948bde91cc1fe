"""On a terminal: the command has one of its own, the human's is given back as it was, keys and sizes go through."""

import os
import re
import shlex
import time

import pexpect

READY = "ready"


def test_all_three_are_a_terminal_of_its_own(cli):
    p = cli.terminal(
        "run", "--", "sh", "-c", "test -t 0 && test -t 1 && test -t 2 && tty && stty size", rows=31, columns=97
    )
    p.expect(pexpect.EOF)
    p.close()
    assert p.exitstatus == 0
    assert re.search(r"/dev/pts/\d+\s+31 97", p.before)


def test_only_terminals_become_the_terminal(cli):
    out = cli.root / "out"
    p = cli.terminal("run", "--", "sh", "-c", "test -t 0 && ! test -t 1 && test -t 2")
    p.expect(pexpect.EOF)
    p.close()
    assert p.exitstatus == 1
    command = " ".join(cli.command())
    shell = pexpect.spawn(
        "sh",
        ["-c", f"{command} run -- sh -c 'test -t 0 && ! test -t 1 && test -t 2' > {out}"],
        env=cli.environment,
        cwd=str(cli.workspace),
        timeout=20,
    )
    shell.expect(pexpect.EOF)
    shell.close()
    assert shell.exitstatus == 0


def test_the_terminal_is_given_back_as_it_was(cli):
    command = " ".join(cli.command())
    p = pexpect.spawn(
        "sh",
        [
            "-c",
            f"stty -a > before; {command} run -- true; stty -a > after; {command} run -- sh -c 'kill -9 $$'; stty -a > after2",
        ],
        env=cli.environment,
        cwd=str(cli.workspace),
        timeout=40,
    )
    p.expect(pexpect.EOF)
    before = (cli.workspace / "before").read_text()
    assert before and (cli.workspace / "after").read_text() == before == (cli.workspace / "after2").read_text()


def test_interrupt_reaches_the_command_alone(cli):
    p = cli.terminal("run", "--", "sh", "-c", "trap 'echo INT; exit 5' INT; echo ready; while :; do sleep 0.1; done")
    p.expect(READY)
    p.sendintr()
    p.expect("INT")
    p.expect(pexpect.EOF)
    p.close()
    assert p.exitstatus == 5


def test_interrupt_ends_a_command_that_does_not_care(cli):
    p = cli.terminal("run", "--", "sleep", "30")
    time.sleep(2)
    p.sendintr()
    p.expect(pexpect.EOF)
    p.close()
    assert p.exitstatus == 130


def test_a_storm_of_sizes_arrives_at_the_last(cli):
    p = cli.terminal(
        "run",
        "--",
        "sh",
        "-c",
        "trap 'stty size' WINCH; echo ready; i=0; while [ $i -lt 40 ]; do sleep 0.1; i=$((i+1)); done",
    )
    p.expect(READY)
    for rows in range(10, 60):
        p.setwinsize(rows, 100)
    p.expect("59 100")
    p.terminate(force=True)


def test_end_of_input(cli):
    p = cli.terminal("run", "--", "cat")
    time.sleep(1.5)
    p.send("word\r")
    p.expect("word\r\nword")
    p.sendeof()
    p.expect(pexpect.EOF)
    p.close()
    assert p.exitstatus == 0


def test_a_password_is_not_echoed(cli):
    p = cli.terminal("run", "--", "sh", "-c", "stty -echo; echo ready; read word; stty echo; echo got-$word")
    p.expect(READY)
    time.sleep(0.2)
    p.send("hidden\r")
    p.expect("got-hidden")
    assert "hidden" not in p.before


def test_suspend_and_continue(cli):
    """^Z stops the command and gives the shell its terminal; `fg` goes on."""
    p = pexpect.spawn(
        "bash",
        ["--norc", "-i"],
        env=cli.environment | {"PS1": "$ "},
        cwd=str(cli.workspace),
        timeout=20,
        encoding="utf-8",
    )
    p.expect(r"\$ ")
    p.sendline(" ".join(cli.command()) + " run -- sh -c 'echo rea''dy; read word; echo got-$word'")
    p.expect(READY)
    time.sleep(0.3)
    p.send("\x1a")
    p.expect("Stopped")
    p.sendline("fg")
    time.sleep(0.5)
    p.send("on\r")
    p.expect("got-on")
    p.terminate(force=True)


def test_a_flood_arrives_whole(cli):
    p = cli.terminal("run", "--", "sh", "-c", "seq 1 60000; echo end-of-flood", timeout=60)
    p.expect("end-of-flood")
    assert p.before.count("\n") >= 60000
    assert "59999\r\n60000" in p.before


def test_the_human_terminal_is_not_the_jails(cli):
    p = cli.terminal("run", "--", "sh", "-c", "tty")
    human = os.readlink(f"/proc/{p.pid}/fd/0")
    p.expect(pexpect.EOF)
    assert human.startswith("/dev/pts/") and human not in p.before.split()


def test_a_terminal_that_goes_away_ends_the_command(cli):
    p = cli.terminal("run", "--", "sh", "-c", "echo ready; sleep 60")
    p.expect(READY)
    os.close(p.child_fd)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and p.isalive():
        time.sleep(0.05)
    assert not p.isalive()
    p.closed = True


def test_keys_arrive_where_the_terminal_cannot_be_opened_by_its_name(cli):
    """As after `su` or `sudo -u`: the terminal is another user's. Root goes without what lets it open everything."""
    command = " ".join(cli.command())
    bare = "setpriv --bounding-set=-dac_override,-dac_read_search " if os.geteuid() == 0 else ""
    inner = f'chmod 0 "$(tty)"; (: < "$(tty)") 2>&1; {command} run -- sh -c "echo ready; read line; echo got-$line"'
    p = pexpect.spawn(
        "sh",
        ["-c", f"{bare}sh -c {shlex.quote(inner.replace('$line', chr(92) + '$line'))}"],
        env=cli.environment,
        cwd=str(cli.workspace),
        encoding="utf-8",
        timeout=20,
    )
    p.expect("ermission denied")
    p.expect(READY)
    p.sendline("hello")
    p.expect("got-hello")
    p.expect(pexpect.EOF)
    p.close()
    assert p.exitstatus == 0
