"""`interlock run` inside a session: the outer one goes on holding; what it would have to change is refused."""

import shlex

import pytest


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


def test_why_inside_tells_the_rule(cli):
    why = " ".join([*cli.command(), "why"])
    ran = cli("run", "--", "sh", "-c", f"echo x > .mcp.json; {why}")
    assert "denied file.create" in ran.stdout and "coding-agent/runs-later" in ran.stdout


def test_why_outside_reads_the_last_session(cli):
    cli("run", "--", "sh", "-c", "echo x > .mcp.json")
    assert "coding-agent/runs-later" in cli("why").stdout
    shown = cli("session", "show", "last").stdout
    assert "denied (1)" in shown and "└─ file.create" in shown
