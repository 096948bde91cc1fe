"""Sessions from launch to end, through the real supervisor: what runs, what does not, and what is said about it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.drive import EVERYTHING, FILE_VERBS, Drive, Message, grant, policy, rule

NOBODY = 65534


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that every user may enter."""
    path = Path(tempfile.mkdtemp(prefix="interlock-test-"))
    path.chmod(0o777)
    yield path
    shutil.rmtree(path, ignore_errors=True)


def users() -> list[int | None]:
    """Whom the supervisor runs as: this user, and an ordinary one too when this is root."""
    return [None, NOBODY] if os.getuid() == 0 else [None]


@pytest.mark.parametrize("user", users())
def test_status_and_output_pass_through(user: int | None) -> None:
    with Drive(["/bin/sh", "-c", "echo out; echo err >&2; exit 7"], user=user) as drive:
        last, out, err = drive.finish()
        assert (last["code"], last["signal"], out, err) == (7, None, b"out\n", b"err\n")
        ended = drive.until("ended")
    assert ended["counts"]["process.exec"] == {"allow": 1}
    assert ended["checkpoint"]


def test_death_by_signal_is_said() -> None:
    with Drive(["/bin/sh", "-c", "kill -SEGV $$"]) as drive:
        last, _, _ = drive.finish()
    assert last["signal"] == 11


def test_a_program_that_is_not_there() -> None:
    with Drive(["/nonexistent/program"]) as drive:
        assert drive.until("failed")["code"] == 127


def test_a_program_that_cannot_be_run(place: Path) -> None:
    (place / "text").write_text("no program")
    with Drive([str(place / "text")]) as drive:
        assert drive.until("failed")["code"] == 126


def test_a_command_that_policy_refuses() -> None:
    rules = policy(rule("files", "allow", FILE_VERBS, path=["/**"]), rule("no", "deny", ["process.exec"], path=["/**"]))
    with Drive(["/bin/true"], rules) as drive:
        failed = drive.until("failed")
    assert failed["code"] == 124
    assert "test rule no" in failed["message"]


def test_a_policy_the_engine_does_not_know() -> None:
    with Drive(["/bin/true"], {**EVERYTHING, "surprise": 1}) as drive:
        assert drive.until("failed")["code"] == 121


@pytest.mark.parametrize("change", [{"surprise": 1}, {"stdio": [0]}, {"end": "maybe"}, {"directory": 7}])
def test_a_launch_not_understood(change: Message) -> None:
    with Drive(["/bin/true"], **change) as drive:
        assert drive.until("failed")["code"] == 120


@pytest.mark.parametrize("missing", ["notify", "killable", "addfd", "pidfd_getfd", "close_range", "landlock", "scopes"])
def test_a_missing_kernel_feature_is_named_and_nothing_runs(missing: str, place: Path) -> None:
    command = ["/usr/bin/touch", str(place / "ran")]
    with Drive(command, supervisor_environment={"INTERLOCK_SIMULATE_MISSING": missing}) as drive:
        failed = drive.until("failed")
    assert failed["code"] == 122
    assert "Linux" in failed["message"]
    assert not (place / "ran").exists()


def test_long_arguments_and_environment() -> None:
    with Drive(
        ["/bin/sh", "-c", "echo ${#1} ${#LONG}", "sh", "x" * 65536], environment={"LONG": "y" * 100_000}
    ) as drive:
        last, out, _ = drive.finish()
    assert (last["code"], out) == (0, b"65536 100000\n")


def test_the_command_has_no_other_descriptor_and_a_group_of_its_own() -> None:
    script = "import os; print(sorted(os.listdir('/proc/self/fd'))); print(os.getsid(0), os.getpgid(0) == os.getpid())"
    with Drive(["/usr/bin/env", "python3", "-c", script]) as drive:
        session = os.getsid(drive.process.pid)
        _, out, _ = drive.finish()
    # The fourth is the listing's own. The session is the supervisor's, as far as there is no terminal (one group to the scheduler).
    assert out == f"['0', '1', '2', '3']\n{session} True\n".encode()


def test_the_command_waits_for_its_own_children_only() -> None:
    script = "import os\ntry:\n os.wait()\nexcept ChildProcessError:\n print('none')"
    with Drive(["/usr/bin/env", "python3", "-c", script]) as drive:
        _, out, _ = drive.finish()
    assert out == b"none\n"


def test_signals_arrive_at_the_group() -> None:
    with Drive(["/bin/sh", "-c", "trap 'echo got; exit 3' TERM; echo up; while :; do sleep 0.05; done"]) as drive:
        drive.until("started")
        time.sleep(0.3)
        drive.say({"type": "signal", "signal": 15})
        last, out, _ = drive.finish()
    assert (last["code"], out) == (3, b"up\ngot\n")


APPROVE = policy(
    rule("files", "allow", FILE_VERBS, path=["/**"]),
    rule("exec", "allow", ["process.exec"], path=["/**"]),
    rule("ask", "approve", ["file.create"], timeout_ms=5000, path=["/**/asked*"]),
    rule("soon", "approve", ["file.create"], timeout_ms=200, path=["/**/soon*"]),
)


def answered(drive: Drive, answer: str) -> Message:
    """Answers every question until the command has ended."""
    while True:
        message = drive.until("question", "exited", "failed")
        if message["type"] != "question":
            return message
        drive.say({"type": "answer", "id": message["id"], "grant": grant(message, answer), "reason": "said so"})


@pytest.mark.parametrize(("answer", "there"), [("yes", True), ("no", False)])
def test_a_question_holds_its_caller_and_the_answer_holds(answer: str, there: bool, place: Path) -> None:
    with Drive(["/usr/bin/touch", str(place / "asked")], APPROVE) as drive:
        last = answered(drive, answer)
    assert (last["code"] == 0, (place / "asked").exists()) == (there, there)


def test_a_grant_for_something_else_is_no_grant(place: Path) -> None:
    with Drive(["/usr/bin/touch", str(place / "asked")], APPROVE) as drive:
        question = drive.until("question")
        other = {**question, "digest": "0" * 64}
        drive.say({"type": "answer", "id": question["id"], "grant": grant(other, "yes"), "reason": None})
        assert drive.until("exited")["code"] == 1
    assert not (place / "asked").exists()


def test_nobody_answering_is_a_no_and_is_withdrawn(place: Path) -> None:
    with Drive(["/usr/bin/touch", str(place / "soon")], APPROVE) as drive:
        question = drive.until("question")
        assert drive.until("withdrawn")["id"] == question["id"]
        assert drive.until("exited")["code"] == 1
    assert not (place / "soon").exists()


def test_a_dead_askers_question_is_withdrawn(place: Path) -> None:
    script = f"touch {place}/asked & sleep 0.3; kill -9 $!; wait; sleep 0.2; exit 4"
    with Drive(
        ["/bin/sh", "-c", script], policy(*APPROVE["layers"][0]["rules"], rule("sig", "allow", ["process.signal"]))
    ) as drive:
        question = drive.until("question")
        assert drive.until("withdrawn")["id"] == question["id"]
        assert drive.until("exited")["code"] == 4


def test_more_questions_than_may_be_open_are_denied_and_others_go_on(place: Path) -> None:
    """All that may be open are asked before one too many comes: which of two messages of different calls is told first is nobody's promise."""
    asking = f"for i in $(seq 64); do touch {place}/asked$i 2>/dev/null & done; until [ -e {place}/go ]; do sleep 0.05; done"
    more = f"for i in 1 2 3; do touch {place}/asked_more$i 2>/dev/null || echo denied; done"
    script = f"{asking}; {more}; cat /etc/hostname >/dev/null && echo free; wait"
    patient = policy(*APPROVE["layers"][0]["rules"][:2], rule("ask", "approve", ["file.create"], timeout_ms=60_000, path=["/**/asked*"]))
    with Drive(["/bin/sh", "-c", script], patient) as drive:
        asked = [drive.until("question", "denied", "exited") for _ in range(64)]
        assert {message["type"] for message in asked} == {"question"}
        (place / "go").touch()
        denied = [drive.until("question", "denied", "exited") for _ in range(3)]
        assert ["too many questions are open" in str(message.get("decision")) for message in denied] == [True] * 3
        for question in asked:
            drive.say({"type": "answer", "id": question["id"], "grant": None, "reason": None})
        _, out, _ = drive.finish()
    assert out == b"denied\n" * 3 + b"free\n"
    assert [path.name for path in place.iterdir()] == ["go"]


def ask(path: Path, request: Message) -> Message:
    """One request on a session's socket."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(path))
        peer.sendall((json.dumps(request) + "\n").encode())
        reply: Message = json.loads(peer.makefile().readline())
        return reply


def test_the_control_socket_shows_and_ends(place: Path) -> None:
    state = place / ("d" * 90) / "s"
    state.mkdir(parents=True)
    with Drive(["/bin/sleep", "60"], state=state) as drive:
        started = drive.until("started")
        runtime = os.open(state / "runtime", os.O_PATH)
        control = Path(f"/proc/self/fd/{runtime}/control.sock")
        assert stat.S_ISSOCK(control.stat().st_mode)
        shown = ask(control, {"type": "show"})
        assert shown["command"] == ["/bin/sleep", "60"]
        assert shown["processes"] == [started["process"]]
        assert ask(control, {"type": "surprise"}) == {"error": "refused"}
        ask(control, {"type": "end"})
        assert "user" in drive.until("ended")["reason"]
        os.close(runtime)


def test_release_leaves_the_session_running(place: Path) -> None:
    with Drive(["/bin/sh", "-c", f"sleep 0.5; echo on > {place}/after; touch {place}/asked"], APPROVE) as drive:
        drive.until("started")
        drive.say({"type": "release"})
        drive.control.shutdown(socket.SHUT_RDWR)
        drive.process.wait(10)
    assert (place / "after").exists()
    assert not (place / "asked").exists()


def test_dumpability_is_answered_and_not_done() -> None:
    script = "import ctypes; c = ctypes.CDLL(None); print(c.prctl(4, 0, 0, 0, 0), c.prctl(3, 0, 0, 0, 0))"
    with Drive(["/usr/bin/env", "python3", "-c", script]) as drive:
        _, out, _ = drive.finish()
    assert out == b"0 1\n"


def test_a_change_is_in_the_log_before_it_is_done_and_the_log_is_closed(place: Path) -> None:
    with Drive(["/bin/sh", "-c", f"mkdir {place}/d && rmdir {place}/d"], state=place / "state") as drive:
        drive.finish()
        ended = drive.until("ended")
    log = b"".join(path.read_bytes() for path in (place / "state/ledger/sessions").rglob("*") if path.is_file())
    made = f'"path":"{place}/d"'.encode()
    order = [b'"session.opened"', b'"wall.sealed"', made, b'"session.closed"']
    places = [log.find(part) for part in order]
    assert -1 not in places
    assert places == sorted(places)
    assert log.count(made) == 2
    assert ended["code"] == 0
