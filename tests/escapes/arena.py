"""The arena of an escape: a home with secrets, a workspace, processes outside; and both ways to run an attack in it.

The judge is always outside: an attack is *won* when the secret came out, the protected file changed, the process
outside was touched. What the attacking program says of itself counts for nothing.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

SECRET = "SECRET-f00d5eed"
PROGRAMS = Path(__file__).parent / "programs"
PROGRAM_NAMES = ("attack", "race", "relink", "table")
SECONDS_MAX = 60
PRESETS = Path(__file__).parents[2] / "src/interlock/policy/presets"


@dataclass(frozen=True)
class Outcome:
    """What one run of an attack gave."""

    code: int
    output: str
    errors: str


@dataclass
class Arena:
    """One throw-away home and workspace, owned by `user` (None: whoever runs the tests)."""

    root: Path
    user: str | None
    python: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def key(self) -> Path:
        """The secret that no attack may read."""
        return self.home / ".ssh" / "id_rsa"

    @property
    def configuration(self) -> Path:
        """The file in the workspace that no attack may make or change."""
        return self.work / ".mcp.json"

    @property
    def hook(self) -> Path:
        return self.work / ".git" / "hooks" / "pre-commit"

    def build(self) -> None:
        """Lay everything out afresh: undo whatever the control run did."""
        for place in (self.home, self.work):
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True)
        self.key.parent.mkdir(mode=0o700)
        self.key.write_text(SECRET + "\n")
        self.key.chmod(0o600)
        (self.work / "README").write_text("a workspace\n")
        (self.work / "package.json").write_text("{}\n")
        (self.work / ".git" / "hooks").mkdir(parents=True)
        (self.work / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
        (self.work / ".claude").mkdir()
        (self.work / ".claude" / "settings.json").write_text("{}\n")
        for name in PROGRAM_NAMES:
            shutil.copy2(self.root / name, self.work / name)
        self._own()

    def _own(self) -> None:
        if self.user is not None:
            account = pwd.getpwnam(self.user)
            for place in (self.home, self.work):
                subprocess.run(["chown", "-R", f"{account.pw_uid}:{account.pw_gid}", place], check=True)

    def run(self, *command: str | Path, stdin: str | None = None, seconds: float = SECONDS_MAX) -> Outcome:
        """Run as the arena's user, without Interlock."""
        done = subprocess.run(
            [*self._as_user(), *map(str, command)],
            cwd=self.work,
            env=self._environment(),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def held(
        self, *command: str | Path, preset: str = "coding-agent", policy: Path | None = None, **more: object
    ) -> Outcome:
        """Run the same under `interlock run`. Nobody is there to answer: a question of the preset waits a second only."""
        layers = [*self._brief(preset), *(["--policy", str(policy)] if policy else [])]
        return self.run(
            self.python.parent / "interlock", "run", *layers, "--workspace", str(self.work), "--", *command, **more
        )  # type: ignore[arg-type]

    def _brief(self, preset: str) -> list[str]:
        """The options for a preset: itself, or its text with less patience."""
        text = (PRESETS / f"{preset}.yaml").read_text()
        if "timeout: 30s" not in text:
            return ["--preset", preset]
        file = self.root / "brief" / f"{preset}.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text.replace("timeout: 30s", "timeout: 1s"))
        return ["--policy", str(file)]

    def _as_user(self) -> list[str]:
        if self.user is None:
            return []
        account = pwd.getpwnam(self.user)
        ids = [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
        return ["setpriv", *ids, "--"]

    def _environment(self) -> dict[str, str]:
        keep = {
            key: os.environ[key] for key in ("PATH", "LANG", "INTERLOCK_SUPERVISOR", "PYTHONPATH") if key in os.environ
        }
        return (
            keep
            | {"HOME": str(self.home), "INTERLOCK_HOME": str(self.root / "state"), "TERM": "dumb"}
            | self.environment
        )


def both_ways(arena: Arena, attack: Callable[[Callable[..., Outcome]], bool]) -> tuple[bool, bool]:
    """Play an attack without and with Interlock: (won in the open, won when held)."""
    arena.build()
    control = attack(arena.run)
    arena.build()
    return control, attack(arena.held)


@contextlib.contextmanager
def outside(arena: Arena, *command: str) -> Iterator[subprocess.Popen[str]]:
    """A process of the same user outside the jail, ended by us; it has become that user and that program when this is entered."""
    process = subprocess.Popen(
        [*arena._as_user(), *command], cwd=arena.root, env=arena._environment(), stdout=subprocess.PIPE, text=True
    )
    try:
        until = time.monotonic() + 10
        while time.monotonic() < until and process.poll() is None:
            if Path(f"/proc/{process.pid}/comm").read_text().strip() not in {"setpriv", "pytest", "python"}:
                break
            time.sleep(0.01)
        yield process
    finally:
        process.kill()
        process.wait()
