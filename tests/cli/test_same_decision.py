"""`interlock policy decide` and `interlock run` say the same of the same act: a thousand random acts under each preset, as
root and as an ordinary user.

One session for each preset performs the acts one by one, and its record says how each was decided. `policy decide` is
asked twice: about the recorded actions, where decision, rules and reason must be the same; and about the actions as
worked out from outside before each act, where the strictest answer must be what the session did.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import random
import select
import shutil
import socket
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

import pytest

from interlock.ledger.reader import entries

from .same import acts
from .same.layout import Layout

ACTS = 1000
#: How long one act may take.
SECONDS_MAX = 30
PERFORMER = Path(__file__).parent / "same" / "performer.py"
PRESETS = ["coding-agent", "ci", "strict", "observe", "mcp-server", "gateway-baseline", "guard", "base"]
#: These say nothing of programs, so a layer beside them lets the performer run and leave its marks.
SILENT = ("gateway-baseline", "guard", "base")
RUNNER = """\
interlock: 1
name: runner
rules:
  - id: machine
    allow: [file.read, process.exec]
    path: ["@system", "@python"]
  - id: marks
    allow: file.create
    path: "${workspace}/marks/**"
"""
NOT_DONE_INSTEAD = (
    "a steer is not enforced here",
    "it is shown without its credentials, to be read and not changed; change it outside",
)
_STRICTEST = ("allow", "steer", "approve", "deny")
#: What the kernel says before there is anything to decide: none of these is an answer of policy's.
UNDECIDED = {
    errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY, errno.EINVAL, errno.ELOOP, errno.EXDEV, errno.ENXIO,
    errno.ECONNREFUSED, errno.EADDRINUSE, errno.ENOEXEC, errno.EBUSY, errno.EOPNOTSUPP, errno.ETXTBSY, errno.ENETUNREACH,
}  # fmt: skip


@pytest.fixture
def place(user):
    root = Path(tempfile.mkdtemp(prefix="ild-"))
    build = Path(tempfile.mkdtemp(prefix="ild-"))
    yield root, build
    for made in (root, build):
        shutil.rmtree(made, ignore_errors=True)

UNCHANGED = {"read": {form: {"changes": []} for form in ("git", "json", "pointer", "toml")}}


class Stage:
    """The machine of one test, and Interlock on it as one user."""

    def __init__(self, installed, user, place, preset):
        self.layout = Layout(*place)
        self.installed, self.user = installed, user
        self.policy = ["--preset", preset]
        self.outside = self._outside()
        if preset in SILENT:
            (place[0] / "runner.yaml").write_text(RUNNER)
            self.policy += ["--policy", str(place[0] / "runner.yaml")]
        if user is not None:
            subprocess.run(["chown", "-R", user, place[0]], check=True)
        place[0].chmod(0o755)

    def options(self):
        return {
            "env": self.layout.environment, "cwd": self.layout.workspace, "text": True, "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE, **({} if self.user is None else {"user": self.user, "extra_groups": []}),
        }  # fmt: skip

    def _outside(self):
        """Servers and a process that no session started."""
        self.kept = [socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)]
        self.kept[1].bind(("127.0.0.1", 0))
        peers = acts.Peers()
        peers.tcp["outside"], peers.udp["outside"] = self.kept[0].getsockname(), self.kept[1].getsockname()
        for name, path in (
            ("outside w", self.layout.workspace / "o.sock"),
            ("outside t", self.layout.temporary / "ssh-abc/agent.77"),
        ):
            served = socket.socket(socket.AF_UNIX)
            served.bind(str(path))
            os.chmod(path, 0o777)
            served.listen(64)
            served.setblocking(False)
            self.kept.append(served)
            peers.unix[name] = str(path)
        return peers

    def perform(self, drawn):
        """Performs what `drawn` yields in one session; the acts and what the performer said of each, and the record."""
        sleeper = subprocess.Popen(["sleep", "600"], **({} if self.user is None else {"user": self.user}))
        self.outside.processes["outside"] = sleeper.pid
        marks = str(self.layout.workspace / "marks")
        command = ["/usr/bin/python3", "-I", "-S", "-c", PERFORMER.read_text(), marks]
        run = [str(self.installed.interlock), "run", "--quiet", "--no-ask", *self.policy, "--", *command]
        session = subprocess.Popen(run, stdin=subprocess.PIPE, bufsize=1, **self.options())
        try:
            told = list(self._told(session, drawn))
            session.stdin.close()
            assert session.wait(60) == 0, session.stderr.read()
        finally:
            session.kill()
            sleeper.kill()
            sleeper.wait()
        [log] = (self.layout.interlock / "state/ledger/sessions").iterdir()
        return told, [entry.event.document for entry in entries(str(log))]

    def _told(self, session, drawn):
        for act in drawn:
            session.stdin.write(json.dumps(act.call) + "\n")
            assert select.select([session.stdout], [], [], SECONDS_MAX)[0], f"no end of {act.call}"
            answer = session.stdout.readline()
            assert answer, f"the performer is gone at {act.call}: {session.stderr.read()}"
            yield act, *json.loads(answer)
            self._drain()

    def _drain(self):
        for server in self.kept:
            if server.type == socket.SOCK_STREAM:
                server.setblocking(False)
                with contextlib.suppress(OSError):
                    server.accept()[0].close()

    def asked(self):
        """`policy decide`, with the policy as it is at this moment."""
        command = [str(self.installed.interlock), "policy", "decide", *self.policy]
        asked = subprocess.Popen(command, stdin=subprocess.PIPE, bufsize=1, **self.options())
        asked.stdin.write(json.dumps({"action": acts.action("file.read", "/")}) + "\n")
        assert asked.stdout.readline(), asked.stderr.read()
        return asked


def decided(asked, known):
    """What it says of each action, with the facts known of it. Line by line: neither side has to hold much."""
    for action, facts in known:
        asked.stdin.write(json.dumps({"action": action, "facts": facts}) + "\n")
        yield json.loads(asked.stdout.readline())


@pytest.mark.parametrize("preset", PRESETS)
def test_a_thousand_random_acts(installed, user, place, preset):
    seed = int(os.environ.get("INTERLOCK_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"seed {seed}; again with INTERLOCK_TEST_SEED={seed}")
    pick = random.Random(seed)
    stage = Stage(installed, user, place, preset)
    asked = stage.asked()
    try:
        told, record = stage.perform(drawn(pick, stage))
        hold(stage, asked, told, record)
    finally:
        asked.kill()
        asked.wait()


def hold(stage, asked, told, record):
    """Both ways of asking, on each act."""
    windows = divided(record, str(stage.layout.workspace / "marks"))
    assert len(windows) == len(told), "each act has its mark"
    recorded = [each for window in windows for each in window]
    same_as_recorded(asked, recorded)
    found = same_as_expected(asked, told, windows)
    assert sum(found.values()) - found["undecided"] > ACTS // 2, found


def drawn(pick, stage):
    """What sets the stage inside, then the acts: each drawn when the one before has been performed."""
    peers = stage.outside
    yield acts.Act(["child"], open_ended=True)
    for _ in range(ACTS):
        yield acts.act(pick, stage.layout, peers)


def is_late(action):
    """Whether it is what was written in place, decided when its last writer has closed: that may be during another act."""
    content = action["target"].get("content")
    return action["verb"] == "file.write" and isinstance(content, dict) and "read" in content


def divided(record, marks):
    """For each act the first decision on each of its actions, in order."""
    windows, asked = [], set()
    for each in record:
        if each["type"] != "action.decided" or is_late(each["action"]):
            continue
        path = each["action"]["target"].get("path")
        if isinstance(path, str) and path.startswith(f"{marks}/") and path[len(marks) + 1 :].isdigit():
            assert each["decision"]["decision"] == "allow", each
            windows.append([])
        elif windows and each["action"]["id"] not in asked:
            asked.add(each["action"]["id"])
            windows[-1].append(each)
    return windows


def by_policy(each):
    """Whether policy decided it, and not the door of its own, or what the call's family cannot do instead (a masked file opened for writing)."""
    decision = each["decision"]
    return decision["rules"] != ["guard/built-in"] and decision["because"] not in NOT_DONE_INSTEAD


def same_as_recorded(asked, recorded):
    recorded = [each for each in recorded if by_policy(each)]
    known = [(each["action"], each["facts"]) for each in recorded]
    for each, said in zip(recorded, decided(asked, known), strict=True):
        assert said == each["decision"], each["action"]


def same_as_expected(asked, told, windows):
    told_and_recorded = zip(told, windows, strict=True)
    known = [(contents(action, window), facts(action, window)) for (act, *_), window in told_and_recorded for action in questions(act)]
    said = decided(asked, known)
    found = Counter()
    for (act, code, _), window in zip(told, windows, strict=True):
        expected = strictest([next(said)["decision"] for _ in act.actions] + losses(act, said))
        if not window and code in {*UNDECIDED, *act.natively}:
            found["undecided"] += 1
            continue
        if not all(map(by_policy, window)):
            found["built in"] += 1
            continue
        ran = strictest([each["decision"]["decision"] for each in window])
        found[ran] += 1
        assert ran == expected or act.open_ended, (act, errno.errorcode.get(code, code), ran, expected, window)
    return found


def facts(action, window):
    """Where its objects come from, which the session alone knows: as it recorded it of this act; else they were there before."""
    same = [each for each in window if all(each["action"].get(key) == action[key] for key in ("verb", "target"))]
    known = next((each["facts"] for each in (*same, *window) if each["facts"]["origin"] is not None), {})
    made = {"origin": known.get("origin") or "before", "origin_to": known.get("origin_to") or "session"}
    return {"now_ms": 0, **made, **{end: known.get(end) or "none" for end in ("history", "history_to")}}


def contents(action, window):
    """With what it would make of guarded keys, as the session recorded it of the same name; else it changes none."""
    if not action["verb"].startswith("file."):
        return action
    same = [each["action"]["target"] for each in window if each["action"]["verb"] == action["verb"]]
    same = next((target for target in same if target.get("path") == action["target"]["path"]), None)
    return {**action, "target": end_with_content(action["target"], same)}


def end_with_content(target, same):
    held = UNCHANGED if same is None else same.get("content")
    found = {**target, **({} if held is None else {"content": held})}
    return {**found, "to": end_with_content(found["to"], None if same is None else same["to"])} if "to" in found else found


def questions(act):
    yield from act.actions
    for loss in act.losses:
        yield {key: value for key, value in loss.items() if key != "unless"}
        if "unless" in loss:
            yield loss["unless"]


def losses(act, said):
    """What is lost counts where a rule, and not silence, speaks of it; of a move, if it does not speak of the other end."""
    found = []
    for loss in act.losses:
        lost = next(said)
        other = next(said) if "unless" in loss else {"rules": [], "decision": "allow"}
        stays = set(other["rules"]) if other["decision"] != "allow" else set()
        if lost["decision"] != "allow" and set(lost["rules"]) - stays:
            found.append(lost["decision"])
    return found


def strictest(decisions):
    return max(decisions, key=_STRICTEST.index, default="allow")
