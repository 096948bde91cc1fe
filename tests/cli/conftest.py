"""The real command line, with a home and a workspace of its own for each test."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pexpect
import pytest

FAKE = Path(__file__).parent / "fakes" / "run_with_fake.py"
REAL_COMMAND = [sys.executable, "-P", "-m", "interlock"]
#: Asks for `touch`; everything else is left to the preset beside it.
ASKING = """\
interlock: 1
name: asking
rules:
  - id: touch
    approve: process.exec
    command: {program: touch}
    because: touching is an outward act here
    timeout: 20s
"""


class Cli:
    """Runs `interlock` as a person or a script would."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.workspace = root / "w"
        self.workspace.mkdir()
        self.human = root / "h"
        self.human.mkdir()
        self.home = root / "i"
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("INTERLOCK_", "XDG_"))
        } | {"INTERLOCK_HOME": str(self.home), "HOME": str(self.human), "TERM": "xterm"}

    def write(self, name: str, text: str) -> str:
        path = self.root / name
        path.write_text(text)
        return str(path)

    def __call__(self, *arguments, fake=None, timeout=60, **options):
        options = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "cwd": self.workspace} | options
        environment = options.pop("env", self.environment)
        if fake is not None:
            environment = environment | {"FAKE_SCRIPT": json.dumps(fake)}
        return subprocess.run([*self.command(fake), *arguments], env=environment, timeout=timeout, **options)

    def start(self, *arguments, fake=None, **options):
        environment = options.pop("env", self.environment)
        if fake is not None:
            environment = environment | {"FAKE_SCRIPT": json.dumps(fake)}
        options = {"stdin": subprocess.DEVNULL, "text": True, "cwd": self.workspace} | options
        return subprocess.Popen([*self.command(fake), *arguments], env=environment, **options)

    def terminal(self, *arguments, fake=None, rows=24, columns=80, timeout=20):
        environment = self.environment | ({"FAKE_SCRIPT": json.dumps(fake)} if fake is not None else {})
        command = self.command(fake)
        return pexpect.spawn(
            command[0],
            [*command[1:], *arguments],
            env=environment,
            cwd=str(self.workspace),
            encoding="utf-8",
            codec_errors="replace",
            timeout=timeout,
            dimensions=(rows, columns),
        )

    def command(self, fake=None):
        return REAL_COMMAND if fake is None else [sys.executable, str(FAKE)]


@pytest.fixture
def cli():
    """A short path, since the names of sockets are limited to 107 bytes."""
    root = Path(tempfile.mkdtemp(prefix="il-"))
    yield Cli(root)
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def asking(cli):
    return ["--preset", "coding-agent", "--policy", cli.write("asking.yaml", ASKING)]


@pytest.fixture
def place(user, cli):
    """A home and a workspace that belong to the user of the test."""
    if user is not None:
        for path in (cli.root, *cli.root.iterdir()):
            shutil.chown(path, user)
    cli.root.chmod(0o755)
    return cli


@pytest.fixture
def run(installed, user, place):
    """The installed command as the user of the test, in the workspace unless told otherwise."""

    def run(*arguments, directory=None, **variables):
        return subprocess.run(
            [str(installed.interlock), *arguments], env=place.environment | variables, cwd=directory or place.workspace,
            capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, **as_user(user),
        )  # fmt: skip

    return run


def as_user(user):
    """What `subprocess` needs to become that user; None is whoever runs the tests."""
    return {} if user is None else {"user": user, "extra_groups": []}
