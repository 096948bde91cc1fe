"""`interlock run` inside a session: the outer one goes on holding; what it would have to change is refused."""

import os
import shlex
import shutil
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest

#: Becomes a program under somebody else's filter, as in a container: it lets everything pass, or answers commands of
#: fcntl(2) that it does not know with EPERM.
UNDER_A_FOREIGN_FILTER = """
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
step = lambda code, yes, no, constant: struct.pack("HBBI", code, yes, no, constant)
strict = [step(0x20, 0, 0, 0), step(0x15, 0, 3, 72), step(0x20, 0, 0, 24), step(0x35, 0, 1, 2048), step(6, 0, 0, 0x50001)]
steps = (strict if sys.argv[1] == "strict" else []) + [step(6, 0, 0, 0x7FFF0000)]
body = ctypes.create_string_buffer(b"".join(steps))
program = struct.pack("HxxxxxxQ", len(steps), ctypes.addressof(body))
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0
os.execvp(sys.argv[2], sys.argv[2:])
"""
#: In a session it cannot plant `.mcp.json`; without one it can.
PROOF = "echo x > .mcp.json; echo $INTERLOCK_SESSION; exit 6"
FORGED = "s-20260101T000000-000000"


def inner(cli, *arguments):
    return shlex.join([*cli.command(), "run", *arguments])


def test_without_options_the_command_runs_under_the_outer_session(cli):
    ran = cli("run", "--", "sh", "-c", f"{inner(cli, '--', 'sh', '-c', 'exit 6')}")
    assert ran.returncode == 6
    assert "already inside session s-" in ran.stderr


@pytest.mark.parametrize(
    "option",
    [["--preset", "observe"], ["--policy", "x.yaml"], ["--workspace", "/tmp"], ["--agent", "a"], ["--end", "keep"]],
)
def test_with_a_policy_of_its_own_it_is_refused(cli, option):
    ran = cli("run", "--", "sh", "-c", inner(cli, *option, "--", "true"))
    assert ran.returncode == 124
    assert "already inside session" in ran.stderr and "hint:" in ran.stderr


def test_a_session_variable_left_behind_outside_means_nothing(cli):
    environment = cli.environment | {
        "INTERLOCK_SESSION": "s-20260101T000000-000000",
        "INTERLOCK_INSIDE": str(cli.root / "gone.sock"),
    }
    ran = cli("run", "--", "sh", "-c", "exit 6", env=environment)
    assert ran.returncode == 6 and "already inside" not in ran.stderr


@contextmanager
def forged_socket(path, answers):
    """A socket that answers anything with `{"denials": []}`; without `answers` nobody is there."""
    if not answers:
        yield
        return
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    os.chmod(path, 0o777)
    listener.listen(8)
    counted = []

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                counted.append(connection.recv(4096))
                connection.sendall(b'{"denials": []}\n')

    threading.Thread(target=serve, daemon=True).start()
    yield counted
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@pytest.mark.parametrize("answers", [True, False], ids=["somebody-answers", "nobody-answers"])
@pytest.mark.parametrize("foreign", [None, "open", "strict"], ids=["no-filter", "foreign-filter", "strict-filter"])
def test_variables_that_name_a_session_start_no_command_without_a_jail(installed, user, cli, foreign, answers):
    """A forged session: the variables, a socket that answers, a filter with no_new_privs that is a container's."""
    forged = str(cli.root / "forged.sock")
    environment = cli.environment | {"INTERLOCK_SESSION": FORGED, "INTERLOCK_INSIDE": forged}
    options = {} if user is None else {"user": user, "extra_groups": []}
    if user is not None:
        for path in (cli.root, *cli.root.iterdir()):
            shutil.chown(path, user)
    wrapped = [] if foreign is None else [str(installed.python), "-c", UNDER_A_FOREIGN_FILTER, foreign]
    with forged_socket(forged, answers) as asked:
        ran = subprocess.run(
            [*wrapped, str(installed.interlock), "run", "--", "sh", "-c", PROOF], env=environment, cwd=cli.workspace,
            capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, **options,
        )  # fmt: skip
        assert ran.returncode == 6, ran.stderr
        assert not (cli.workspace / ".mcp.json").exists(), "the command ran without a jail"
        assert ran.stdout.strip() not in ("", FORGED) and "already inside" not in ran.stderr
        assert not asked


def test_forged_variables_make_why_neither_ask_nor_believe_a_stranger(cli):
    forged = str(cli.root / "forged.sock")
    environment = cli.environment | {"INTERLOCK_SESSION": FORGED, "INTERLOCK_INSIDE": forged}
    cli("run", "--", "sh", "-c", "echo x > .mcp.json")
    with forged_socket(forged, answers=True) as asked:
        assert "coding-agent/runs-later" in cli("why", env=environment).stdout
        assert cli("approvals", "list", env=environment).returncode == 0
        assert not asked


def test_without_its_variables_a_nested_run_is_still_one(cli):
    """What the environment left out does not free a command from the options that it may not set."""
    bare = "env -u INTERLOCK_SESSION -u INTERLOCK_INSIDE"
    ran = cli("run", "--", "sh", "-c", f"{bare} {inner(cli, '--', 'sh', '-c', 'exit 6')}")
    assert ran.returncode == 6 and "already inside session" in ran.stderr
    ran = cli("run", "--", "sh", "-c", f"{bare} {inner(cli, '--preset', 'observe', '--', 'true')}")
    assert ran.returncode == 124, ran.stderr
    ran = cli("run", "--", "sh", "-c", f"{bare} {shlex.join(cli.command())} why")
    assert ran.returncode != 0 and "INTERLOCK_INSIDE" in ran.stderr


def test_a_filter_put_on_inside_that_hides_the_mark_frees_nobody(cli):
    """Whoever filters the mark away in a session is taken for an outer start, and that cannot have a listener."""
    (cli.workspace / "wrap.py").write_text(UNDER_A_FOREIGN_FILTER)
    command = [sys.executable, "wrap.py", "strict", *cli.command(), "run", "--preset", "observe", "--", "touch", "ran"]
    ran = cli("run", "--", *command)
    assert ran.returncode not in (0, 6), ran.stderr
    assert not (cli.workspace / "ran").exists()


def test_why_inside_tells_the_rule(cli):
    why = " ".join([*cli.command(), "why"])
    ran = cli("run", "--", "sh", "-c", f"echo x > .mcp.json; {why}")
    assert "denied file.create" in ran.stdout and "coding-agent/runs-later" in ran.stdout


def test_why_outside_reads_the_last_session(cli):
    cli("run", "--", "sh", "-c", "echo x > .mcp.json")
    assert "coding-agent/runs-later" in cli("why").stdout
    shown = cli("session", "show", "last").stdout
    assert "denied (1)" in shown and "└─ file.create" in shown


def test_a_call_that_no_policy_opens_is_announced_once(cli):
    """As a debugger would: it is refused, and tries it again."""
    traced = "import ctypes; print([ctypes.CDLL(None).ptrace(0, 0, 0, 0) for _ in range(5)])"
    ran = cli("run", "--", "/usr/bin/python3", "-c", traced)
    assert ran.stdout == "[-1, -1, -1, -1, -1]\n"
    assert ran.stderr.count("interlock: denied call ptrace") == 1, ran.stderr
    assert "denied call ptrace" in cli("why").stdout
