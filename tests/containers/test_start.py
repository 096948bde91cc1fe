"""Interlock starts, works and denies in a container: behind Docker's default profile with SYS_PTRACE, and behind the one that is shipped."""

from __future__ import annotations

import json
import subprocess

from tests.containers.conftest import CAP_SYS_PTRACE, Container, Kind
from tests.containers.profile import DOCKER_REFUSES, docker, numbers

#: Work whose outcome depends on umask, directories, sockets, children and a caller's own memory.
WORK = """
set -e
umask 027; mkdir made; echo 1 > made/file; mkfifo made/fifo; (umask 0; echo 2 > made/open; mkdir made/wide)
umask 077; python3 -c '
import os, socket, threading
os.chdir("made")
server = socket.socket(socket.AF_UNIX); server.bind("socket"); server.listen()
client = socket.socket(socket.AF_UNIX); client.connect("socket"); print("unix", server.accept()[0].getpeername() == "")
tcp = socket.socket(); tcp.bind(("127.0.0.1", 0)); tcp.listen()
socket.create_connection(tcp.getsockname()); print("tcp")
os.umask(0o022); open("thread", "w").close()
'
stat -c '%a %n' made made/*
cat "$HOME/.ssh/id_rsa" 2>/dev/null && echo read || echo denied
echo done
"""
SAID = """\
unix True
tcp
750 made
640 made/fifo
640 made/file
666 made/open
700 made/socket
644 made/thread
777 made/wide
denied
done
"""
SECRET = 'mkdir -p "$HOME/.ssh"; echo secret > "$HOME/.ssh/id_rsa"; exec "$@"'


def work(container: Container, profile: dict, kind: Kind, powers: tuple[int, ...] = ()) -> None:
    interlock = str(container.installed.interlock)
    ran = container.program(
        profile, kind, "sh", "-c", SECRET, "sh", interlock, "run", "--", "sh", "-c", WORK, powers=powers
    )
    assert (ran.stdout, ran.returncode) == (SAID, 0), ran.stderr


def test_it_works_and_denies_behind_dockers_default_profile_with_sys_ptrace(container: Container, kind: Kind) -> None:
    work(container, docker(["SYS_PTRACE"]), kind, powers=(CAP_SYS_PTRACE,))


def test_a_system_that_refuses_as_docker_does_refuses_here(container: Container, kind: Kind) -> None:
    """The profile under test is one: what it must refuse fails, and the rest works."""
    script = (
        "import ctypes, socket; c = ctypes.CDLL(None, use_errno=True)\n"
        "def call(*a): return 0 if c.syscall(*a) >= 0 else ctypes.get_errno()\n"
        "def family(n):\n"
        "    try: socket.socket(n, socket.SOCK_STREAM if n != 38 else socket.SOCK_SEQPACKET).close()\n"
        "    except OSError as error: return error.errno\n"
        "print(call(272, 0x200), call(435, 0, 0), call(438, -1, 0, 0), call(56, 0x10000000, 0, 0, 0, 0), family(38), family(2) or 0)\n"
    )
    ran = container.program(docker(), kind, "python3", "-c", script)
    assert ran.stdout == "1 38 1 1 1 0\n", ran.stderr


def test_it_works_and_denies_behind_the_shipped_profile_without_sys_ptrace(container: Container, kind: Kind) -> None:
    printed = subprocess.run([container.installed.interlock, "container-profile"], capture_output=True, check=True)
    work(container, json.loads(printed.stdout), kind)


def test_the_shipped_profile_gives_one_call_more_than_dockers(container: Container) -> None:
    printed = subprocess.run([container.installed.interlock, "container-profile"], capture_output=True, check=True)
    profile = json.loads(printed.stdout)
    allowed = {name for entry in profile["syscalls"] if entry["action"] == "SCMP_ACT_ALLOW" for name in entry["names"]}
    # chroot takes a capability that Docker gives by default, and then lets the call through.
    assert allowed & DOCKER_REFUSES == {"pidfd_getfd", "chroot"}
    assert set(numbers()) - allowed == DOCKER_REFUSES - {"pidfd_getfd", "chroot"}
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
