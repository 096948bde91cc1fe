"""A small `interlock run` for tests: starts one supervisor with a compiled policy and a command, and shows every message.

It leaves out what the real one does for people: no YAML, no terminal, no inbox. As a program:
`drive.py [--policy compiled.json] [--answer yes|no] -- command…` prints the messages and ends with the command's status.
"""

from __future__ import annotations

import argparse
import atexit
import hashlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
Message = dict[str, Any]


def supervisor() -> str:
    """Path of the executable under test: `INTERLOCK_SUPERVISOR`, else the newest one cargo built."""
    named = os.environ.get("INTERLOCK_SUPERVISOR")
    if named:
        return named
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    built = [target / kind / "interlock-supervisor" for kind in ("release", "debug")]
    found = sorted((path for path in built if path.exists()), key=lambda path: path.stat().st_mtime)
    if not found:
        raise FileNotFoundError("no supervisor: run `cargo build -p interlock-linux`, or set INTERLOCK_SUPERVISOR")
    return str(found[-1])


def rule(name: str, decision: str, verbs: Sequence[str], timeout_ms: int | None = None, **match: Any) -> Message:
    """One rule of a compiled policy. `match` holds its selectors."""
    return {
        "id": name,
        "decision": decision,
        "verbs": list(verbs),
        "because": f"test rule {name}",
        "match": match,
        "when": None,
        "timeout_ms": timeout_ms,
        "steer": None,
        "obligations": {},
        "best_effort": False,
        "source": {"file": "test.yaml", "line": 1, "column": 1},
    }


def policy(*rules: Message) -> Message:
    """A compiled policy of one layer with these rules, in order."""
    layer = {"name": "test", "origin": "user", "closed": False, "rules": list(rules)}
    layer["digest"] = "sha256:" + hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()
    return {"interlock": 1, "layers": [layer]}


FILE_VERBS = [
    f"file.{verb}"
    for verb in [
        "read",
        "write",
        "create",
        "delete",
        "rename",
        "link",
        "chmod",
        "chown",
        "truncate",
        "xattr",
        "utime",
        "mknod",
    ]
]
# The last rule is there so that the door looks at each send: where policy allows them all, sendmsg is left to the kernel.
EVERYTHING = policy(
    rule("files", "allow", FILE_VERBS, path=["/**"]),
    rule("exec", "allow", ["process.exec"], path=["/**"]),
    rule("signal", "allow", ["process.signal"], to="inside"),
    rule("net", "allow", ["net.connect", "net.bind", "net.listen", "net.send"]),
    rule("unix", "allow", ["unix.connect"]),
    rule("one-address", "deny", ["net.connect", "net.send"], address=["192.0.2.77"]),
)


def _own_state() -> Path:
    """A state directory that is looked at after the session, and goes with the tests."""
    place = Path(tempfile.mkdtemp(prefix="interlock-drive-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return place


class Drive:
    """One session. Use as a context manager; leaving it ends the tree."""

    def __init__(
        self,
        command: Sequence[str],
        compiled: Message = EVERYTHING,
        *,
        end: str = "keep",
        environment: dict[str, str] | None = None,
        supervisor_environment: dict[str, str] | None = None,
        user: int | None = None,
        state: Path | None = None,
        **changes: Any,
    ) -> None:
        self.state = state or _own_state()
        lay_state(self.state, user)
        self.session = time.strftime("s-%Y%m%dT%H%M%S-") + secrets.token_hex(3)
        self.stdout, stdout = os.pipe()
        self.stderr, stderr = os.pipe()
        given = [os.open("/dev/null", os.O_RDONLY), stdout, stderr]
        self.control, theirs = socket.socketpair()
        self.process = started(theirs, given, supervisor_environment or {}, user)
        theirs.close()
        self.reader = self.control.makefile("r", encoding="utf-8")
        launch = self.launch(command, compiled)
        launch.update({"environment": dict(os.environ) if environment is None else environment, "stdio": given, "end": end})
        self.say(launch | changes)
        for descriptor in given:
            os.close(descriptor)

    def launch(self, command: Sequence[str], compiled: Message) -> Message:
        """The first message (spec/supervisor.md), as `interlock run` would fill it."""
        program = shutil.which(command[0]) or command[0]
        return {
            "type": "launch",
            "session": self.session,
            "command": list(command),
            "program": os.path.abspath(program),
            "directory": os.getcwd(),
            "workspace": os.getcwd(),
            "home": os.path.expanduser("~"),
            "policy": compiled,
            "agent": None,
            "parent": None,
            "human": f"uid:{os.getuid()}",
            "prompt": None,
            "terminal": False,
            "runtime": str(self.state / "runtime"),
            "ledger": {
                "directory": str(self.state / "ledger/sessions" / self.session),
                "index": str(self.state / "ledger/index"),
                "keys": str(self.state / "keys"),
            },
            "gateway": None,
        }

    def say(self, message: Message) -> None:
        """Sends one message down."""
        self.control.sendall((json.dumps(message) + "\n").encode())

    def messages(self) -> Iterator[Message]:
        """Messages up, to the end of the stream."""
        for line in self.reader:
            yield json.loads(line)

    def until(self, *types: str, timeout: float = 30.0) -> Message:
        """The next message of one of these types; others before it are passed over.

        Raises:
            TimeoutError: none came in time.
            EOFError: the supervisor is gone.
        """
        self.control.settimeout(timeout)
        for message in self.messages():
            if message["type"] in types:
                return message
        raise EOFError(f"the supervisor ended before {types}")

    def finish(self, timeout: float = 30.0) -> tuple[Message, bytes, bytes]:
        """Waits for the end: the `exited` (or `failed`) message, what was written to 1 and to 2."""
        last = self.until("exited", "failed", timeout=timeout)
        output = [self._drain(descriptor) for descriptor in (self.stdout, self.stderr)]
        return last, output[0], output[1]

    @staticmethod
    def _drain(descriptor: int) -> bytes:
        parts = []
        os.set_blocking(descriptor, False)
        while True:
            try:
                part = os.read(descriptor, 65536)
            except BlockingIOError:
                break
            if not part:
                break
            parts.append(part)
        return b"".join(parts)

    def __enter__(self) -> Drive:
        return self

    def __exit__(self, *_: object) -> None:
        self.control.close()
        self.reader.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for descriptor in (self.stdout, self.stderr):
            os.close(descriptor)


def main() -> int:
    """Runs a command and prints what the supervisor says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--policy", type=Path)
    parser.add_argument("--answer", choices=["yes", "no"], default="no")
    parser.add_argument("command", nargs="+")
    given = parser.parse_args()
    compiled = json.loads(given.policy.read_text()) if given.policy else EVERYTHING
    with Drive(given.command, compiled) as drive:
        for message in drive.messages():
            print(json.dumps(message)[:2000], file=sys.stderr)
            if message["type"] == "question":
                drive.say(
                    {"type": "answer", "id": message["id"], "grant": grant(message, given.answer), "reason": None}
                )
            if message["type"] in ("failed", "ended"):
                break
        sys.stdout.buffer.write(drive._drain(drive.stdout))
        sys.stderr.buffer.write(drive._drain(drive.stderr))
        return 0


def lay_state(state: Path, user: int | None) -> None:
    """The directories that a supervisor expects, private, and `user`'s own where one is named."""
    for part in ("runtime", "ledger/index", "ledger/sessions", "keys"):
        (state / part).mkdir(parents=True, exist_ok=True)
        (state / part).chmod(0o700)
    (state / "ledger").chmod(0o700)
    state.chmod(0o700)
    if user is not None:
        for path in [state, *state.rglob("*")]:
            os.chown(path, user, user)


def started(control: socket.socket, given: list[int], environment: dict[str, str], user: int | None) -> subprocess.Popen[bytes]:
    """A supervisor at the other end of `control`, with the descriptors `given` for its command."""
    options: dict[str, Any] = {} if user is None else {"user": user, "group": user, "extra_groups": []}
    return subprocess.Popen(
        [supervisor(), "--control-fd", str(control.fileno())],
        pass_fds=(control.fileno(), *given),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, **environment},
        **options,
    )


def grant(question: Message, answer: str) -> Message | None:
    """A yes to a question, good for a minute and one use; or nothing."""
    if answer != "yes":
        return None
    expires = int(time.time() * 1000) + 60_000
    return {"id": "g-1", "digest": question["digest"], "approver": "uid:0", "expires_ms": expires, "uses": 1}


if __name__ == "__main__":
    sys.exit(main())
