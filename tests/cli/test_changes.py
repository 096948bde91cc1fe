"""`interlock session changes`, and the lines at a session's end: short, the most dangerous first, and lost by nothing that ends a session."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

PLANTED = "echo 'all:' > Makefile"


def changes(cli, session="last"):
    return json.loads(cli("session", "changes", session, "--json").stdout)


def kinds(cli):
    return {Path(item["path"]).name: item["kind"] for item in changes(cli)["changes"]}


def lines_at_the_end(errors):
    return errors.partition("would run later outside")[2].splitlines()


def test_the_end_names_who_would_run_it_and_the_record_has_all_of_it(cli):
    ran = cli("run", "--", "sh", "-c", f"{PLANTED}; printf '#!/bin/sh\\n' > tool")
    assert "make, just or task, when called: Makefile" in ran.stderr
    assert "whoever starts it: tool" in ran.stderr
    assert kinds(cli) == {"Makefile": "make", "tool": "programs"}
    shown = cli("session", "changes").stdout
    assert "make, just or task, when called (make)\n  made  Makefile" in shown
    assert "would run later outside (2)" in cli("session", "show", "last").stdout
    closed = json.loads(cli("ledger", "query", "--type", "session.closed", "--json").stdout.splitlines()[-1])
    assert closed["runs_later_counts"] == {"make": 1, "programs": 1}


def test_a_session_that_left_nothing_says_nothing(cli):
    assert "would run later" not in cli("run", "--", "sh", "-c", "echo x > notes; rm notes; echo y > table.csv").stderr
    assert "nothing that it changed would run later" in cli("session", "changes").stdout


def test_texts_for_people_are_listed_and_nobody_is_told_of_them(cli):
    ran = cli("run", "--", "sh", "-c", "echo x > README; echo y > notes.md")
    assert "interlock session changes" not in ran.stderr, ran.stderr
    assert kinds(cli) == {"README": "documents", "notes.md": "documents"}
    quiet = cli("run", "--quiet", "--", "sh", "-c", f"echo z > notes.md; {PLANTED}")
    assert "1 change would run later outside" in quiet.stderr


def test_what_nobody_has_a_name_for_is_named_where_it_is_little(cli):
    few = cli("run", "--", "sh", "-c", "date > out; echo x > notes.md").stderr
    assert "1 file of no known kind (out) changed: interlock session changes" in few and "code or settings" not in few
    many = cli("run", "--", "sh", "-c", "for i in 1 2 3 4 5; do echo $i > out$i; done").stderr
    assert "5 files of no known kind changed: interlock session changes" in many and "out1" not in many
    both = cli("run", "--", "sh", "-c", "date > out; echo 'int a;' > a.c").stderr
    assert "1 file of code or settings and 1 of no known kind changed: interlock" in both


def test_what_pytest_takes_for_doctests_is_code(cli):
    cli("run", "--", "sh", "-c", "echo '>>> 1' > test_more.txt; echo '>>> 1' > more.txt")
    assert kinds(cli) == {"test_more.txt": "code", "more.txt": "documents"}


def test_code_and_commits_do_not_run_by_themselves_and_are_a_line_at_most(cli):
    who = "git -c user.name=a -c user.email=a@b"
    wrote = cli("run", "--", "sh", "-c", f"git init -q . && echo 'int a;' > a.c && echo b > b.py && git add -A && {who} commit -qm a")
    assert wrote.stderr.partition("\n")[2].count("\n") == 1, wrote.stderr
    assert "2 files of code or settings changed: interlock session changes" in wrote.stderr
    assert {"code", "git-content"} <= set(changes(cli)["counts"])
    committed = cli("run", "--", "sh", "-c", f"{who} commit --allow-empty -qm b")
    assert "interlock session changes" not in committed.stderr, committed.stderr
    assert set(changes(cli)["counts"]) == {"git-content"}
    also = cli("run", "--", "sh", "-c", f"{PLANTED}; echo 'int b;' > a.c").stderr
    assert "when called: Makefile" in also and "all of it, and of 1 file of code or settings: interlock" in also


def test_quiet_is_one_line_and_loses_nothing(cli):
    ran = cli("run", "--quiet", "--", "sh", "-c", f"{PLANTED}; echo x > build.rs")
    assert ran.stderr.count("\n") == 1 and "2 changes would run later outside" in ran.stderr
    assert kinds(cli) == {"Makefile": "make", "build.rs": "builds"}


def test_json_of_a_run_has_the_list_and_the_counts(cli):
    report = json.loads(cli("run", "--json", "--quiet", "--", "sh", "-c", PLANTED).stdout)
    assert (report["runs_later"][0]["kind"], report["runs_later_counts"]) == ("make", {"make": 1})


def test_ten_lines_are_enough_and_all_of_it_can_be_had(cli):
    make = "mkdir d$i; cd d$i; for f in Makefile setup.py vite.config.js build.rs .envrc Dockerfile AGENTS.md .gitattributes tool; do "
    script = f"for i in $(seq 300); do {make} printf '#!/bin/sh\\n' > $f; done; cd ..; done; ln -s /etc/hosts out; mkdir node_modules; touch node_modules/x"
    ran = cli("run", "--", "sh", "-c", script, timeout=120)
    shown = lines_at_the_end(ran.stderr)
    assert len(shown) - 1 <= 10, ran.stderr
    found = changes(cli)
    assert found["counts"]["make"] == found["counts"]["programs"] == 300
    assert len(found["changes"]) == 2_000
    assert {item["kind"] for item in found["changes"]} == set(found["counts"])
    assert sum(found["counts"].values()) == 9 * 300 + 2
    closed = json.loads(cli("ledger", "query", "--type", "session.closed", "--json").stdout.splitlines()[-1])
    assert isinstance(closed["runs_later"], list), "the list fits into the record"


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is needed")
def test_npm_ci_and_test_is_at_most_ten_lines(cli):
    package = {"name": "x", "version": "1.0.0", "scripts": {"test": "node -e 0"}, "dependencies": {"left": "file:left.tgz"}}
    (cli.workspace / "left").mkdir()
    (cli.workspace / "left" / "package.json").write_text('{"name": "left", "version": "1.0.0", "bin": "x.js"}')
    (cli.workspace / "left" / "x.js").write_text("#!/usr/bin/env node\n")
    subprocess.run(["npm", "pack", "./left", "--silent"], cwd=cli.workspace, check=True, capture_output=True)
    (cli.workspace / "left-1.0.0.tgz").rename(cli.workspace / "left.tgz")
    (cli.workspace / "package.json").write_text(json.dumps(package))
    lock = ["npm", "install", "--package-lock-only", "--offline", "--no-audit", "--silent"]
    subprocess.run(lock, cwd=cli.workspace, check=True, capture_output=True, env=os.environ | {"HOME": str(cli.human)})
    ran = cli("run", "--", "sh", "-c", "npm ci --offline --no-audit --no-fund && npm test", timeout=120)
    assert ran.returncode == 0, ran.stderr
    shown = lines_at_the_end(ran.stderr)
    assert 2 <= len(shown) <= 11, ran.stderr
    assert any("node_modules" in line for line in shown)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_run_loses_nothing(cli, number):
    running = cli.start("run", "--", "sh", "-c", f"{PLANTED}; echo ready; exec sleep 60", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert running.stdout.readline() == "ready\n"
    running.send_signal(number)
    _, errors = running.communicate(timeout=30)
    assert "Makefile" in errors
    assert kinds(cli) == {"Makefile": "make"}


def test_a_run_that_is_killed_leaves_the_record_to_its_supervisor(cli):
    running = cli.start("run", "--", "sh", "-c", f"{PLANTED}; echo ready; sleep 2", stdout=subprocess.PIPE)
    assert running.stdout.readline() == "ready\n"
    running.kill()
    running.wait()
    assert kinds(cli) == {"Makefile": "make"}, "while it still runs"
    until = time.monotonic() + 20
    while not changes(cli)["ended"] and time.monotonic() < until:
        time.sleep(0.2)
    assert changes(cli)["ended"]
    assert kinds(cli) == {"Makefile": "make"}


def supervisor_of(process):
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return next(int(child) for child in children if Path(f"/proc/{child}/comm").read_text().startswith("interlock-super"))


def test_a_session_whose_supervisor_was_killed_is_completed_from_its_record_of_changes(cli):
    (cli.workspace / "Makefile").write_text("all:\n")
    script = "ln Makefile .x && echo evil >> .x && rm .x; mkdir d; echo x > d/setup.py; mv d e; echo gone > justfile; rm justfile; echo ready; sleep 60"
    running = cli.start("run", "--", "sh", "-c", script, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert running.stdout.readline() == "ready\n"
    time.sleep(0.3)
    os.kill(supervisor_of(running.pid), signal.SIGKILL)
    _, errors = running.communicate(timeout=30)
    assert running.returncode == 123
    assert "Makefile" in errors and "e/setup.py" in errors and "justfile" not in errors
    assert kinds(cli) == {"Makefile": "make", "setup.py": "python"}
    cli("run", "--", "true")  # completes the log of the one that was killed
    session = next(line.split()[0] for line in cli("session", "list").stdout.splitlines() if "sleep 60" in line)
    found = changes(cli, session)
    assert not found["ended"]
    assert set(found["counts"]) == {"make", "python"}
    assert "no record of its end" in cli("session", "changes", session).stdout
