"""System V objects without an IPC namespace: a session has all among its own, and nothing of outside, whatever number it says.

Each test runs as whoever runs the tests and, as root, as an ordinary user; root's namespace is left out by simulation, as in a container.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.drive import EVERYTHING, Drive

PYTHON = "/usr/bin/python3"
NO_NAMESPACE = {"INTERLOCK_SIMULATE_MISSING": "ipc-namespace"}
NOBODY = 65534
CREATE, EXCLUSIVE, GETVAL = 0o1000, 0o2000, 12
KEYS = iter(range(0x1C0FFE00 + os.getpid() % 4096 * 4096, 0x7FFFFFFF, 3))

# What both sides call: kinds by the name of their calls.
CALLS = """
import ctypes, errno, os, signal, struct, sys, threading, time
LIBC = ctypes.CDLL(None, use_errno=True)
NUMBERS = dict(shmget=29, shmat=30, shmctl=31, semget=64, semop=65, semctl=66, shmdt=67, msgget=68, msgsnd=69, msgrcv=70, msgctl=71, semtimedop=220)
PRIVATE, CREATE, EXCLUSIVE, NOWAIT = 0, 0o1000, 0o2000, 0o4000
RMID, SET, STAT, INFO = 0, 1, 2, 3
def call(name, *words):
    ctypes.set_errno(0)
    LIBC.syscall.restype = ctypes.c_long
    plain = [ctypes.c_long(word) if isinstance(word, int) else word for word in words]
    result = LIBC.syscall(NUMBERS[name], *plain)
    return errno.errorcode[ctypes.get_errno()] if result == -1 else result
def semaphore(number, change, flags=0):
    return struct.pack('Hhh', number, change, flags)
def get(kind, key, flags, size=4096):
    return {'shm': lambda: call('shmget', key, size, flags), 'sem': lambda: call('semget', key, 2, flags), 'msg': lambda: call('msgget', key, flags)}[kind]()
def control(kind, name, command, argument=0):
    return call('semctl', name, 0, command, argument) if kind == 'sem' else call(kind + 'ctl', name, command, argument)
"""
KINDS = ("shm", "sem", "msg")
OUTSIDE: dict[str, Any] = {}
exec(CALLS, OUTSIDE)
get, control = OUTSIDE["get"], OUTSIDE["control"]


@pytest.fixture(params=["root", "ordinary"])
def user(request: pytest.FixtureRequest) -> int | None:
    """Whom the supervisor runs as: nobody else where an ordinary user runs the tests."""
    if os.geteuid() != 0:
        if request.param == "root":
            pytest.skip("needs root; expected where the tests run as root")
        return None
    return NOBODY if request.param == "ordinary" else None


@pytest.fixture
def outside(user: int | None) -> Iterator[dict[str, tuple[int, int]]]:
    """An object of each kind that the same user made outside: key and id."""
    made = {}
    for kind in KINDS:
        key = next(KEYS)
        name = get(kind, key, CREATE | EXCLUSIVE | 0o666)
        assert isinstance(name, int), name
        made[kind] = (key, name)
    yield made
    for kind, (_, name) in made.items():
        control(kind, name, 0)


def run(script: str, user: int | None, *given: object) -> Any:
    """What the script prints last, as JSON."""
    command = [PYTHON, "-I", "-c", "import json\n" + CALLS + script, *map(str, given)]
    with Drive(command, EVERYTHING, user=user, supervisor_environment=NO_NAMESPACE) as drive:
        last, out, err = drive.finish(60)
    assert last.get("code") == 0, (last, err.decode())
    return json.loads(out.decode().splitlines()[-1])


def listed(kind: str) -> dict[int, int]:
    """Every object of the machine: key by id."""
    lines = Path(f"/proc/sysvipc/{kind}").read_text().splitlines()[1:]
    return {int(line.split()[1]): int(line.split()[0]) for line in lines}


USES = """
found = {}
key = 4711
for kind in ('shm', 'sem', 'msg'):
    found[kind] = [get(kind, key, 0o600)]                         # not there yet
    name = get(kind, key, CREATE | EXCLUSIVE | 0o600)
    found[kind] += [isinstance(name, int), get(kind, key, CREATE | EXCLUSIVE | 0o600), get(kind, key, 0o600) == name, get(kind, key, CREATE) == name]
    found[kind] += [control(kind, name, STAT, ctypes.create_string_buffer(256)) == 0]
    private = get(kind, PRIVATE, 0o600)
    found[kind] += [private not in (name, get(kind, PRIVATE, 0o600))]
    if kind == 'shm':
        found[kind] += [get(kind, key, 0o600, 1 << 20)]           # larger than it is
        ours, theirs = call('shmat', name, 0, 0), call('shmat', name, 0, 0)
        ctypes.memmove(ours, b'hello', 5)
        child = os.fork()
        if child == 0:
            ctypes.memmove(call('shmat', name, 0, 0), b'child', 5); os._exit(0)
        os.waitpid(child, 0)
        found[kind] += [ctypes.string_at(theirs, 5).decode(), control(kind, name, RMID), get(kind, key, 0o600)]
        found[kind] += [ctypes.string_at(call('shmat', name, 0, 0), 5).decode()]   # removed, and still attached: Linux lets it be attached again
    elif kind == 'sem':
        def later():
            time.sleep(0.2); call('semop', name, semaphore(0, 1), 1)
        thread = threading.Thread(target=later); thread.start(); begun = time.monotonic()
        found[kind] += [call('semop', name, semaphore(0, -1), 1), time.monotonic() - begun > 0.1]
        found[kind] += [call('semtimedop', name, semaphore(0, -1), 1, struct.pack('qq', 0, 1000000)), control(kind, name, 12)]
        found[kind] += [control(kind, name, RMID), get(kind, key, 0o600), call('semop', name, semaphore(0, 1), 1)]
    else:
        found[kind] += [call('msgsnd', name, struct.pack('q', 7) + b'text', 4, 0)]
        into = ctypes.create_string_buffer(64)
        found[kind] += [call('msgrcv', name, into, 56, 0, 0), into.raw[8:12].decode(), call('msgrcv', name, into, 56, 0, NOWAIT)]
        found[kind] += [control(kind, name, RMID), get(kind, key, 0o600), call('msgsnd', name, struct.pack('q', 7), 0, 0)]
    found[kind] += [isinstance(get(kind, key, CREATE | EXCLUSIVE | 0o600), int)]
print(json.dumps(found))
"""


def test_all_works_among_a_sessions_own_as_natively(user: int | None) -> None:
    common = ["ENOENT", True, "EEXIST", True, True, True, True]
    assert run(USES, user) == {
        "shm": [*common, "EINVAL", "child", 0, "ENOENT", "child", True],
        "sem": [*common, 0, True, "EAGAIN", 0, 0, "ENOENT", "EINVAL", True],
        "msg": [*common, 0, 4, "text", "ENOMSG", 0, "ENOENT", "EINVAL", True],
    }


REACHES = """
found = {}
outside = json.loads(sys.argv[1])
into = ctypes.create_string_buffer(4096)
for kind, (key, name) in outside.items():
    found[kind] = [get(kind, key, 0o600), get(kind, key, CREATE | 0o600) == name]
    found[kind] += [control(kind, name, command, into) for command in (STAT, SET, RMID)]
    found[kind] += [control(kind, name + (1 << 32), RMID), control(kind, -1, RMID)]
    # By slot, as ipcs does: slots of this kind near and at the one outside.
    stat = {'shm': (13, 15), 'sem': (18, 20), 'msg': (11, 13)}[kind]
    found[kind] += [all(control(kind, slot, command, into) == 'EINVAL' for slot in [*range(64), name, name % 32768] for command in stat)]
name = outside['shm'][1]
found['shm'] += [call('shmat', name, 0, 0), call('shmat', name, 0, 0o10000), control('shm', name, 11), control('shm', name, 12)]
name = outside['sem'][1]
found['sem'] += [call('semop', name, semaphore(0, 1), 1), call('semtimedop', name, semaphore(0, 1), 1, 0)]
found['sem'] += [control('sem', name, command, 1) for command in (11, 12, 13, 14, 15, 16, 17)]
name = outside['msg'][1]
found['msg'] += [call('msgsnd', name, struct.pack('q', 7), 0, NOWAIT), call('msgrcv', name, into, 56, 0, NOWAIT), call('msgrcv', name, into, 56, 0, 0o40000 | NOWAIT)]
print(json.dumps(found))
"""


def test_nothing_of_outside_is_reached_by_key_id_or_slot(user: int | None, outside: dict[str, tuple[int, int]]) -> None:
    before = {kind: listed(kind)[outside[kind][1]] for kind in KINDS}
    found = run(REACHES, user, json.dumps(outside))
    for kind, reached in found.items():
        assert reached[:2] == ["ENOENT", False], kind
        assert reached[7] is True, kind
        assert set(map(str, reached[2:7] + reached[8:])) == {"EINVAL"}, kind
    assert {kind: listed(kind)[outside[kind][1]] for kind in KINDS} == before
    used = {"sem": control("sem", outside["sem"][1], GETVAL), "msg": get("msg", outside["msg"][0], 0)}
    assert used == {"sem": 0, "msg": outside["msg"][1]}


MAKES = """
print(json.dumps({kind: [get(kind, int(sys.argv[1]), CREATE | 0o600), get(kind, PRIVATE, CREATE | 0o600)] for kind in ('shm', 'sem', 'msg')}))
"""


def test_what_a_session_makes_goes_with_it_and_other_sessions_have_other_keys(user: int | None) -> None:
    key = next(KEYS)
    first, second = run(MAKES, user, key), run(MAKES, user, key)
    for kind in KINDS:
        assert not {*first[kind], *second[kind]} & set(listed(kind)), kind
        assert not set(first[kind]) & set(second[kind]), kind
        assert key not in listed(kind).values()


def test_another_sessions_objects_are_outside(user: int | None) -> None:
    script = "print(json.dumps([get(k, PRIVATE, 0o666) for k in ('shm', 'sem', 'msg')]), flush=True); time.sleep(60)"
    command = [PYTHON, "-I", "-c", "import json\n" + CALLS + script]
    with Drive(command, EVERYTHING, user=user, supervisor_environment=NO_NAMESPACE) as other:
        other.until("started")
        ids = dict(zip(KINDS, json.loads(os.read(other.stdout, 200)), strict=True))
        reach = "print(json.dumps([control(k, i, RMID) for k, i in json.loads(sys.argv[1]).items()]))"
        assert run(reach, user, json.dumps(ids)) == ["EINVAL"] * 3
        assert all(ids[kind] in listed(kind) for kind in KINDS)


AGAIN = """
# Semaphore sets and queues are made and removed by the hundred while another thread says an id that was once the session's.
found, stop = [], []
for kind in ('shm', 'sem', 'msg'):
    old = get(kind, PRIVATE, 0o600)
    assert control(kind, old, RMID) == 0
    def uses():
        while not stop:
            found.append(control(kind, old, STAT, ctypes.create_string_buffer(256)))
    threads = [threading.Thread(target=uses) for _ in range(2)]
    for thread in threads: thread.start()
    for _ in range(300):
        assert control(kind, get(kind, PRIVATE, 0o600), RMID) == 0
    stop.append(1)
    for thread in threads: thread.join()
    stop.clear()
print(json.dumps(sorted(set(map(str, found)))))
"""


def test_a_removed_id_names_nothing_while_others_are_made(user: int | None) -> None:
    assert run(AGAIN, user) == ["EINVAL"]


REMOVED = """
ids = {kind: get(kind, 99, CREATE | 0o666) for kind in ('shm', 'sem', 'msg')}
print(json.dumps(ids), flush=True)
while any(control(kind, name, STAT, ctypes.create_string_buffer(256)) == 0 for kind, name in ids.items()): time.sleep(0.01)
print(json.dumps({kind: [control(kind, name, RMID), get(kind, 99, 0o600), isinstance(get(kind, 99, CREATE | 0o600), int)] for kind, name in ids.items()}))
"""


def test_what_outside_removes_and_makes_again_under_the_same_key_is_not_the_sessions(user: int | None) -> None:
    command = [PYTHON, "-I", "-c", "import json\n" + CALLS + REMOVED]
    with Drive(command, EVERYTHING, user=user, supervisor_environment=NO_NAMESPACE) as drive:
        drive.until("started")
        ids: dict[str, int] = json.loads(os.read(drive.stdout, 200))
        made = {}
        for kind, name in ids.items():
            key = listed(kind)[name]
            assert control(kind, name, 0) == 0
            made[kind] = get(kind, key, CREATE | EXCLUSIVE | 0o666)
        try:
            last, out, err = drive.finish(60)
            assert last["code"] == 0, err
            assert json.loads(out.splitlines()[-1]) == {kind: ["EINVAL", "ENOENT", True] for kind in KINDS}
            assert all(made[kind] in listed(kind) for kind in KINDS)
        finally:
            for kind, name in made.items():
                control(kind, name, 0)


OTHER_USER = """
mine = {kind: get(kind, 7, CREATE | 0o600) for kind in ('shm', 'sem', 'msg')}
read, write = os.pipe()
if os.fork() == 0:
    os.setgroups([]); os.setresgid(1234, 1234, 1234); os.setresuid(1234, 1234, 1234)
    found = {}
    for kind, name in mine.items():
        into = ctypes.create_string_buffer(256)
        own = get(kind, PRIVATE, 0o600)
        found[kind] = [control(kind, name, RMID), control(kind, name, STAT, into), control(kind, own, STAT, into), struct.unpack_from('II', into, 4), control(kind, own, RMID)]
    os.write(write, json.dumps(found).encode()); os._exit(0)
os.wait()
print(os.read(read, 4096).decode())
"""


def test_a_child_of_another_user_has_its_own_and_its_own_rights(user: int | None) -> None:
    if os.geteuid() != 0 or user is not None:
        pytest.skip("only root changes users; expected where the tests run as root")
    found = run(OTHER_USER, user)
    assert found == {kind: ["EPERM", "EACCES", 0, [1234, 1234], 0] for kind in KINDS}


def test_the_machines_limits_may_be_read(user: int | None) -> None:
    script = "print(json.dumps([control(k, 0, INFO, ctypes.create_string_buffer(256)) not in ('EINVAL', 'EACCES') for k in ('shm', 'sem', 'msg')]))"
    assert run(script, user) == [True] * 3


def test_a_reach_for_an_object_of_outside_is_recorded(user: int | None, outside: dict[str, tuple[int, int]]) -> None:
    state = Path(tempfile.mkdtemp(prefix="interlock-sysv-"))
    command = [PYTHON, "-I", "-c", CALLS + f"assert call('shmat', {outside['shm'][1]}, 0, 0) == 'EINVAL'"]
    with Drive(command, EVERYTHING, user=user, state=state, supervisor_environment=NO_NAMESPACE) as drive:
        last, _, err = drive.finish()
        assert last["code"] == 0, err
        drive.until("ended")
    log = b"".join(path.read_bytes() for path in (state / "ledger/sessions").rglob("*") if path.is_file())
    assert b'"call":"shmat"' in log and b"call.refused" in log
    shutil.rmtree(state)
