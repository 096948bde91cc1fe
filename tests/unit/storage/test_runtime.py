"""The directory of a session's sockets: a live session keeps it, a dead one's goes, and what is not a session's stays."""

import os
import signal
import socket
import threading

import pytest

from interlock.storage.home import Home
from interlock.storage.runtime import clear, clear_leftovers, clear_sockets, hold

NAME = "s-20261121T120000-00000{}"


@pytest.fixture
def home(tmp_path):
    return Home.from_environment({"INTERLOCK_HOME": str(tmp_path / "i")})


def sockets_in(directory):
    for name in ("control.sock", "inside.sock"):
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(f"/proc/self/fd/{directory}/{name}")


def killed_session(home, number, scratch=None):
    """A session whose every process was killed."""
    session = NAME.format(number)
    child = os.fork()
    if child == 0:
        sockets_in(hold(home, session, scratch=scratch))
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert len(os.listdir(home.session_runtime(session))) == (2 if scratch is None else 3)
    return session


def test_what_a_killed_session_left_is_cleared_and_a_live_one_stays(home):
    dead, live = killed_session(home, 1), NAME.format(2)
    held = hold(home, live)
    sockets_in(held)
    assert clear_leftovers(home) == 1
    assert os.listdir(home.runtime) == [live] != [dead]
    assert not clear(home, live)
    os.close(held)
    assert clear(home, live)
    assert os.listdir(home.runtime) == []


def test_a_child_that_has_the_lock_until_it_runs_its_program_is_waited_for(home):
    session = NAME.format(1)
    held = hold(home, session)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writing)
        os.read(reading, 1)  # as between fork and exec: everything of the parent's is open here too
        os._exit(0)
    os.close(reading)
    os.close(held)
    try:
        assert not clear(home, session)
        threading.Timer(0.1, os.close, [writing]).start()
        assert clear(home, session, within_s=30.0)
        assert os.listdir(home.runtime) == []
    finally:
        os.waitpid(child, 0)


def test_a_servers_folder_goes_with_its_session(home, tmp_path):
    scratch = tmp_path / "interlock-server-notes-x"
    (scratch / "below").mkdir(parents=True)
    killed_session(home, 1, str(scratch))
    assert clear_leftovers(home) == 1
    assert not scratch.exists()


def test_a_start_that_waits_for_nothing_leaves_folders_to_the_next_gateway(home, tmp_path):
    scratch = tmp_path / "interlock-server-notes-x"
    scratch.mkdir()
    kept, _ = killed_session(home, 1, str(scratch)), killed_session(home, 2)
    assert clear_sockets(home) == 1
    assert os.listdir(home.runtime) == [kept] and scratch.exists()


def test_without_locks_sessions_start_and_nothing_is_cleared(home, monkeypatch):
    def refuse(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", refuse)
    held = hold(home, NAME.format(1))
    sockets_in(held)
    os.close(held)
    assert clear_leftovers(home) == 0
    assert len(os.listdir(home.session_runtime(NAME.format(1)))) == 2


def test_what_was_never_finished_goes_when_it_is_old(home):
    home.ensure(f"{home.runtime}/.new-{NAME.format(1)}", f"{home.runtime}/.new-{NAME.format(2)}")
    os.utime(f"{home.runtime}/.new-{NAME.format(1)}", (1, 1))
    assert clear_leftovers(home) == 1
    assert os.listdir(home.runtime) == [f".new-{NAME.format(2)}"]


@pytest.mark.parametrize("wrong", ["another-name", "interlock-server-link"])
def test_no_other_folder_goes_whatever_the_note_says(home, tmp_path, wrong):
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    path = tmp_path / wrong
    if wrong == "interlock-server-link":
        path.symlink_to(kept)
    else:
        path.mkdir()
    killed_session(home, 1, str(path))
    clear_leftovers(home)
    assert path.exists() and (kept / "file").exists()


def test_symbolic_links_are_neither_followed_nor_cleared(home, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "control.sock").touch()
    home.ensure(home.runtime)
    os.symlink(elsewhere, home.session_runtime(NAME.format(1)))
    session = NAME.format(2)
    os.mkdir(home.session_runtime(session), 0o700)
    os.symlink(elsewhere / "control.sock", f"{home.session_runtime(session)}/control.sock")
    assert clear_leftovers(home) == 0
    assert sorted(os.listdir(home.runtime)) == [NAME.format(1), session]
    assert (elsewhere / "control.sock").exists()


def test_what_is_no_sessions_stays(home):
    home.ensure(f"{home.runtime}/other")
    with open(f"{home.runtime}/gateway.lock", "w"):
        pass
    session = killed_session(home, 1)
    with open(f"{home.session_runtime(session)}/note", "w"):
        pass
    assert clear_leftovers(home) == 0
    assert os.listdir(home.session_runtime(session)) == ["note"]
    assert sorted(os.listdir(home.runtime)) == ["gateway.lock", "other", session]


def test_nothing_is_left_over_where_nothing_ever_ran(home):
    assert clear_leftovers(home) == 0


def test_a_start_is_never_robbed_by_those_that_clear(home):
    stop, wrong = threading.Event(), []
    home.ensure(home.runtime)

    def clearing():
        while not stop.is_set():
            clear_leftovers(home)

    threads = [threading.Thread(target=clearing, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for number in range(100):
            session = f"s-20261121T120000-{number:06x}"
            held = hold(home, session)
            sockets_in(held)
            if sorted(os.listdir(home.session_runtime(session))) != ["control.sock", "inside.sock"]:
                wrong.append(session)
            os.close(held)
    finally:
        stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    clear_leftovers(home)
    clear_leftovers(home)
    assert os.listdir(home.runtime) == []
