"""What scripts read: the command's own status, Interlock's documented codes, streams passed through untouched."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import time

import pytest


@pytest.mark.parametrize("status", [0, 1, 3, 119, 255])
def test_the_status_is_passed_on(cli, status):
    assert cli("run", "--", "sh", "-c", f"exit {status}").returncode == status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV])
def test_a_signal_is_128_and_its_number(cli, number):
    assert cli("run", "--", "sh", "-c", f"kill -{int(number)} $$").returncode == 128 + number


def test_an_unknown_program_is_127_and_says_so(cli):
    ran = cli("run", "--", "no-such-program")
    assert ran.returncode == 127
    assert "program `no-such-program` not found" in ran.stderr


def test_a_file_that_cannot_be_executed_is_126(cli):
    (cli.workspace / "data").write_text("x")
    ran = cli("run", "--", "./data")
    assert ran.returncode == 126
    assert "chmod +x" in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run"], "no command given"),
        (["run", "true"], "put `--` before the command"),
        (["run", "--polcy", "x", "--", "true"], "polcy"),
        (["run", "--end", "never", "--", "true"], "invalid choice"),
        (["rnu"], "did you mean `interlock run`"),
        (["run", "--workspace", "/", "--", "true"], "the whole machine"),
        (["run", "--workspace", "/nowhere", "--", "true"], "is not a directory"),
    ],
)
def test_wrong_usage_is_120_and_teaches(cli, arguments, said):
    ran = cli(*arguments)
    assert ran.returncode == 120
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_bad_policy_is_121_with_its_place(cli):
    path = cli.write("bad.yaml", "interlock: 1\nname: bad\nrules:\n  - id: x\n    alow: file.read\n")
    ran = cli("run", "--policy", path, "--", "true")
    assert ran.returncode == 121
    assert f"{path}:4:5" in ran.stderr


def test_an_unknown_preset_is_121(cli):
    ran = cli("run", "--preset", "codign-agent", "--", "true")
    assert ran.returncode == 121
    assert "codign-agent" in ran.stderr


def test_an_open_state_directory_is_refused_with_the_mending_command(cli):
    cli("run", "--", "true")
    os.chmod(cli.home / "state", 0o755)
    ran = cli("run", "--", "true")
    assert ran.returncode == 120
    assert f"chmod 700 {cli.home}/state" in ran.stderr


def test_a_command_that_policy_denies_is_124(cli):
    closed = cli.write(
        "closed.yaml",
        "interlock: 1\nname: no-true\nrules:\n  - id: t\n    deny: process.exec\n    command: {program: 'true'}\n",
    )
    ran = cli("run", "--preset", "coding-agent", "--policy", closed, "--", "true")
    assert ran.returncode == 124, ran.stderr


def test_pipes_carry_every_byte_both_ways(cli):
    data = os.urandom(300_000)
    ran = cli("run", "--", "cat", stdin=None, input=data, text=False)
    assert ran.stdout == data


def test_standard_error_stays_apart(cli):
    ran = cli("run", "--", "sh", "-c", "echo out; echo err >&2")
    assert (ran.stdout, ran.stderr) == ("out\n", "err\n")


def test_a_reader_that_goes_away_ends_the_command_as_outside(cli):
    script = f"{' '.join(cli.command())} run -- yes | head -n 1"
    ran = subprocess.run(
        ["bash", "-c", f"{script}; echo ${{PIPESTATUS[0]}}"],
        env=cli.environment,
        cwd=cli.workspace,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.stdout.split() == ["y", "141"]


#: What a program finds at 0, 1 and 2, told in a file: a kind of file, or nothing; and what its own next file gets.
FOUND = """
import os, stat
def kind(number):
    try: return oct(stat.S_IFMT(os.fstat(number).st_mode))
    except OSError: return None
found = [kind(number) for number in (0, 1, 2)]
number = os.open("found", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
os.write(number, repr((found, number)).encode())
os._exit(4)
"""
SHUT = ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", "</dev/null >&- 2>/dev/null"]


@pytest.mark.parametrize("shut", SHUT)
@pytest.mark.parametrize("options", [[], ["--json"]], ids=["plain", "json"])
def test_what_is_closed_is_closed_for_the_command_too_and_its_status_is_passed_on(installed, user, cli, options, shut):
    where = {"cwd": cli.workspace, "env": cli.environment, "timeout": 60}
    if user is not None:
        where |= {"user": user, "extra_groups": []}
        for path in (cli.root, *cli.root.iterdir()):
            shutil.chown(path, user)
    command = [str(installed.python), "-c", FOUND]
    given = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    natively = subprocess.run(["sh", "-c", f"{shlex.join(command)} {shut}"], **where, **given)
    assert natively.returncode == 4
    expected = (cli.workspace / "found").read_text()
    (cli.workspace / "found").unlink()
    held = shlex.join([str(installed.interlock), "run", *options, "--", *command])
    ran = subprocess.run(["sh", "-c", f"{held} {shut}"], **where, **given)
    assert ran.returncode == 4, ran.stderr
    assert (cli.workspace / "found").read_text() == expected
    assert (cli.workspace / "found").stat().st_size > 0


@pytest.mark.parametrize("lost", ["2>/dev/full", "2>&1 | true", "> /dev/full", "| true", "2>&-", ">&- 2>&-"])
def test_what_interlock_cannot_say_changes_no_status(cli, lost):
    """Notices and the report go where nobody hears them: the command's status is still the command's."""
    # The reader is gone before anything is said.
    program = "sleep 0.3; (echo x > .mcp.json) 2>/dev/null; exit 7"
    held = shlex.join([*cli.command(), "run", "--json", "--", "sh", "-c", program])
    ran = subprocess.run(
        ["bash", "-c", f"{held} {lost}; echo ${{PIPESTATUS[0]}} > {cli.root}/status"], env=cli.environment,
        cwd=cli.workspace, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (cli.root / "status").read_text().strip() == "7", ran.stderr
    assert not (cli.workspace / ".mcp.json").exists()


def test_three_hundred_pipelines(cli):
    script = "i=0; while [ $i -lt 300 ]; do echo $i | cat | cat > /dev/null || exit 9; i=$((i+1)); done; echo all"
    ran = cli("run", "--", "sh", "-c", script, timeout=200)
    assert (ran.returncode, ran.stdout) == (0, "all\n")


def test_json_is_one_object_on_the_last_line(cli):
    ran = cli("run", "--json", "--quiet", "--", "sh", "-c", "echo first; echo x > .mcp.json; exit 7")
    first, last = ran.stdout.splitlines()
    report = json.loads(last)
    assert first == "first"
    assert (report["code"], report["denied"]) == (7, 1)
    assert report["denials"][0]["rules"] == ["coding-agent/runs-later"]
    assert set(report) >= {"session", "signal", "counts", "runs_later", "running", "enforced", "checkpoint", "trouble"}
    assert not (cli.workspace / ".mcp.json").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_signals_reach_the_command(cli, number):
    name = signal.Signals(number).name[3:]
    running = cli.start(
        "run",
        "--",
        "sh",
        "-c",
        f"trap 'echo got; exit 9' {name}; echo ready; while :; do sleep 0.05; done",
        stdout=subprocess.PIPE,
    )
    assert running.stdout.readline() == "ready\n"
    running.send_signal(number)
    assert running.stdout.readline() == "got\n"
    assert running.wait(20) == 9


def test_under_nohup_a_hangup_is_ignored_by_all(cli):
    script = "echo ready; sleep 1; echo survived"
    command = ["nohup", *cli.command(), "run", "--", "sh", "-c", script]
    running = subprocess.Popen(
        command,
        env=cli.environment,
        cwd=cli.workspace,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert running.stdout.readline() == "ready\n"
    running.send_signal(signal.SIGHUP)
    assert running.stdout.read() == "survived\n"
    assert running.wait(20) == 0


def test_like_cron_without_terminal_home_or_path(cli):
    environment = {"INTERLOCK_HOME": str(cli.home)} | {
        name: cli.environment[name] for name in ("PYTHONPATH",) if name in cli.environment
    }
    ran = cli("run", "--", "sh", "-c", "echo ok", env=environment, start_new_session=True)
    assert (ran.returncode, ran.stdout) == (0, "ok\n"), ran.stderr


def test_two_sessions_at_once_have_two_logs(cli):
    running = [cli.start("run", "--", "sh", "-c", f"sleep 0.3; exit {number}") for number in (5, 6)]
    assert [one.wait(60) for one in running] == [5, 6]
    listed = [json.loads(line) for line in cli("session", "list", "--json").stdout.splitlines()]
    assert len({entry["session"] for entry in listed}) == 2


def test_the_jail_is_told_its_session_and_no_secret_of_the_outside(cli):
    environment = cli.environment | {"INTERLOCK_TOKEN": "stolen", "INTERLOCK_SECRET": "x", "MINE": "kept"}
    ran = cli("run", "--", "env", env=environment)
    inside = dict(line.split("=", 1) for line in ran.stdout.splitlines() if "=" in line)
    assert inside["MINE"] == "kept"
    assert inside["INTERLOCK_SESSION"].startswith("s-")
    assert {name for name in inside if name.startswith("INTERLOCK_")} == {"INTERLOCK_SESSION", "INTERLOCK_INSIDE"}


def test_run_killed_ends_the_tree(cli):
    running = cli.start("run", "--", "sh", "-c", "echo $$; sleep 60 & sleep 60", stdout=subprocess.PIPE)
    shell = int(running.stdout.readline())
    running.kill()
    running.wait()
    assert _gone(shell)


def test_the_supervisor_killed_is_said_with_123_and_ends_the_tree(cli):
    running = cli.start("run", "--", "sh", "-c", "echo $$; sleep 60", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    shell = int(running.stdout.readline())
    children = subprocess.run(["pgrep", "-P", str(running.pid)], capture_output=True, text=True).stdout.split()
    os.kill(int(children[0]), signal.SIGKILL)
    assert running.wait(20) == 123
    assert "the supervisor ended unexpectedly" in running.stderr.read()
    assert _gone(shell)


def test_what_outlives_the_command_is_said_kept_and_can_be_ended(cli):
    ran = cli("run", "--", "sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!", timeout=30)
    sleeper = int(ran.stdout)
    assert "still runs" in ran.stderr
    session = ran.stderr.rsplit(" ", 1)[1].strip()
    assert not _gone(sleeper, seconds=0.2)
    assert cli("session", "end", session).returncode == 0
    assert _gone(sleeper)


def test_last_is_the_last_started_of_those_that_run(cli):
    sleepers = [int(cli("run", "--", "sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!", timeout=30).stdout) for _ in range(2)]
    assert cli("run", "--", "true").returncode == 0  # later, and over
    assert cli("session", "end", "last").returncode == 0
    assert _gone(sleepers[1]) and not _gone(sleepers[0], seconds=0.2)
    assert cli("session", "end", "last").returncode == 0
    assert _gone(sleepers[0])
    none = cli("session", "end", "last")
    assert (none.returncode, "no running session" in none.stderr) == (120, True)


def test_end_kill_ends_what_outlives_the_command(cli):
    ran = cli("run", "--end", "kill", "--", "sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!", timeout=30)
    assert _gone(int(ran.stdout))


def _gone(process, seconds=3.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with open(f"/proc/{process}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except OSError:
            return True
        time.sleep(0.05)
    return False
