"""A start that a container, a unit or a machine prevents says what refused it and what to change; `doctor` says the same."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.containers.conftest import DOCKER_CAPABILITIES, KINDS, Container, Kind
from tests.containers.profile import Profile, argument, compiled, docker, without

ROOT = Kind("root")
#: Who runs these: an ordinary user has no powers to be taken.
STARTS = [KINDS[0], KINDS[1]] if os.geteuid() == 0 else [KINDS[1]]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="makes mount namespaces: needs root")


def both(container: Container, profile: Profile, kind: Kind, **options) -> list[subprocess.CompletedProcess[str]]:
    return [container(profile, kind, *words, **options) for words in (["run", "--", "true"], ["doctor"])]


@pytest.mark.parametrize("kind", STARTS, ids=lambda kind: kind.name)
def test_the_refused_call_is_named_with_the_flag(container: Container, kind: Kind) -> None:
    """Docker's default profile without the capability: one call is missing."""
    for ran in both(container, docker(), kind):
        said = ran.stdout + ran.stderr
        assert ran.returncode == 122, said
        assert "refuses `pidfd_getfd`" in said
        assert "Yama" not in said and "SYS_PTRACE" in said


@pytest.mark.parametrize("call", ["landlock_create_ruleset", "landlock_restrict_self", "seccomp", "ptrace", "pidfd_open", "openat2"])
def test_each_needed_call_is_named_when_it_is_refused(container: Container, call: str) -> None:
    ran = container(without(docker(["SYS_PTRACE"]), call), STARTS[-1], "run", "--", "true")
    assert ran.returncode == 122 and f"`{call}`" in ran.stderr, ran.stderr
    assert ("SYS_PTRACE" in ran.stderr) == (call == "ptrace")
    assert "interlock container-profile" in ran.stderr or "SystemCallFilter=" in ran.stderr


def test_a_filter_that_kills_instead_of_refusing_is_named_too(container: Container) -> None:
    """As a unit's `SystemCallFilter=` does."""
    profile = without(docker(["SYS_PTRACE"]), "pidfd_getfd", "landlock_add_rule")
    killing = profile | {"syscalls": [*profile["syscalls"], {"names": ["pidfd_getfd", "landlock_add_rule"], "action": "SCMP_ACT_KILL_PROCESS"}]}
    ran = container(killing, STARTS[-1], "run", "--", "true")
    assert ran.returncode == 122, ran.stderr
    assert "`landlock_add_rule`, `pidfd_getfd`" in ran.stderr


@pytest.mark.parametrize(
    ("markers", "flag"),
    [
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "securityContext"),
        ({"container": "podman"}, "podman run --cap-add SYS_PTRACE"),
        ({"container": "systemd-nspawn"}, "systemd-nspawn --system-call-filter"),
        ({"container": "docker"}, "docker run --cap-add SYS_PTRACE"),
    ],
)
def test_the_flag_is_this_runtimes(container: Container, markers: dict[str, str], flag: str) -> None:
    ran = container(docker(), STARTS[-1], "run", "--", "true", environment=markers)
    assert flag in ran.stderr, ran.stderr


def test_memory_is_read_and_written_by_file_where_the_calls_are_refused(container: Container, kind: Kind) -> None:
    """As older profiles of Podman do: everything works all the same, sendmmsg's counts among it."""
    profile = without(docker(["SYS_PTRACE"]), "process_vm_readv", "process_vm_writev")
    script = (
        "import ctypes, socket, os\n"
        "a, b = socket.socket(2, 2), socket.socket(2, 2); b.bind(('127.0.0.1', 0)); b.settimeout(5)\n"
        "open('x', 'w').write('x'); print(os.listdir('.'))\n"
        "class Part(ctypes.Structure): _fields_ = [('base', ctypes.c_char_p), ('length', ctypes.c_size_t)]\n"
        "class Header(ctypes.Structure): _fields_ = [('name', ctypes.c_void_p), ('name_length', ctypes.c_uint32), ('parts', ctypes.POINTER(Part)), ('count', ctypes.c_size_t), ('control', ctypes.c_void_p), ('control_length', ctypes.c_size_t), ('flags', ctypes.c_int)]\n"
        "class Message(ctypes.Structure): _fields_ = [('header', Header), ('sent', ctypes.c_uint)]\n"
        "where = ctypes.create_string_buffer(b'\\x02\\x00' + b.getsockname()[1].to_bytes(2, 'big') + bytes([127, 0, 0, 1]) + bytes(8))\n"
        "messages = (Message * 2)(*[Message(Header(ctypes.addressof(where), 16, ctypes.pointer(Part(text, len(text))), 1)) for text in (b'one', b'three')])\n"
        "print(ctypes.CDLL(None).sendmmsg(a.fileno(), messages, 2, 0), [message.sent for message in messages], b.recv(9), b.recv(9))\n"
    )
    ran = container(profile, kind, "run", "--", "/usr/bin/python3", "-c", script, powers=(19,))
    assert ran.stdout == "['x']\n2 [3, 5] b'one' b'three'\n", ran.stderr


def elsewhere(container: Container, prepare: str, *words: str, flags: str = "-m") -> subprocess.CompletedProcess[str]:
    """`interlock` in a mount namespace that `prepare` has changed."""
    script = f'{prepare}; exec "$@"'
    work = container.root / "w"
    for name in ("home", "work"):
        (work / name).mkdir(parents=True, exist_ok=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("INTERLOCK_", "XDG_"))}
    return subprocess.run(
        ["unshare", *flags.split(), "sh", "-c", script, "sh", *words], cwd=work / "work", stdin=subprocess.DEVNULL, capture_output=True, text=True,
        env=environment | {"HOME": str(work / "home"), "INTERLOCK_HOME": str(work / "i")}, timeout=120,
    )  # fmt: skip


@needs_root
@pytest.mark.parametrize(
    ("prepare", "flags", "words"),
    [
        ("umount -l /proc", "-m", "`/proc` is not a proc file system"),
        ("mount -t tmpfs none /proc", "-m", "`/proc` is not a proc file system"),
        ("true", "-m --pid --fork", "another process namespace's"),
    ],
    ids=["none", "other", "old"],
)
def test_a_proc_that_is_not_ones_own_is_named(container: Container, prepare: str, flags: str, words: str) -> None:
    for command in (["run", "--", "true"], ["doctor"]):
        ran = elsewhere(container, prepare, str(container.installed.interlock), *command, flags=flags)
        said = ran.stdout + ran.stderr
        assert ran.returncode == 122 and words in said and "mount -t proc proc /proc" in said, said
        assert "internal error" not in said and "Yama" not in said and "AppArmor" not in said


@needs_root
@pytest.mark.parametrize(("scope", "named"), [("1", False), ("2", True), ("3", True)])
def test_yama_is_named_where_its_value_says_no_and_nowhere_else(container: Container, scope: str, named: bool) -> None:
    """The call is refused here by a filter that lets the probe through, as a security module would refuse it."""
    profile = without(docker(["SYS_PTRACE"]), "pidfd_getfd")
    probe = {"names": ["pidfd_getfd"], "action": "SCMP_ACT_ALLOW", "args": [argument(0, 0xFFFFFFFF, "EQ")]}
    container.root.joinpath("filter").write_bytes(compiled(profile | {"syscalls": [*profile["syscalls"], probe]}))
    spec = {"filter": str(container.root / "filter"), "user": None, "capabilities": [*DOCKER_CAPABILITIES, 19], "read_only": None}
    container.root.joinpath("spec").write_text(json.dumps(spec))
    prepare = (
        "mkdir ../../kernel && cp /proc/sys/kernel/osrelease /proc/sys/kernel/cap_last_cap ../../kernel/ && mkdir ../../kernel/yama"
        f" && echo {scope} > ../../kernel/yama/ptrace_scope && mount --bind ../../kernel /proc/sys/kernel"
    )
    confined = ["/usr/bin/python3", str(Path(__file__).with_name("confined.py")), str(container.root / "spec"), "--"]
    ran = elsewhere(container, prepare, *confined, str(container.installed.interlock), "run", "--", "true")
    assert ran.returncode == 122, ran.stderr
    assert "the listener could not be taken over (pidfd_getfd)" in ran.stderr
    assert ("Yama" in ran.stderr) == named, ran.stderr


@pytest.mark.parametrize("limit", [0, 1, 4, 100])
def test_a_limit_on_files_is_named_and_kills_nothing(container: Container, limit: int) -> None:
    """`ulimit -f` in blocks of 1,024 bytes: nothing dies of SIGXFSZ, and the limit is what is said. Who may lift it (root) is not held by it."""
    interlock = str(container.installed.interlock)
    # Without CAP_SYS_RESOURCE, as in a container: nobody may lift it.
    ran = container.program(docker(["SYS_PTRACE"]), STARTS[0], "bash", "-c", f'ulimit -f {limit}; "$@"; exit $?', "sh", interlock, "run", "--", "true", powers=(19,))
    assert ran.returncode == 123, ran.stderr
    assert f"a file may have {limit * 1024} bytes here (`ulimit -f`)" in ran.stderr
    assert "cannot be run" not in ran.stderr


def test_a_soft_limit_on_files_is_the_commands_alone(container: Container) -> None:
    interlock = str(container.installed.interlock)
    words = ["bash", "-c", 'ulimit -Sf 4; exec "$@"', "sh", interlock, "run", "--", "sh", "-c", "ulimit -Sf"]
    ran = container.program(docker(["SYS_PTRACE"]), STARTS[0], *words, powers=(19,))
    assert (ran.returncode, ran.stdout) == (0, "8\n"), ran.stderr


def test_doctor_inside_a_session_says_where_it_is(container: Container, kind: Kind) -> None:
    interlock = str(container.installed.interlock)
    ran = container(docker(["SYS_PTRACE"]), kind, "run", "--", interlock, "doctor", powers=(19,))
    assert ran.returncode == 124, ran.stdout + ran.stderr
    assert "inside session `s-" in ran.stderr and "outside of it" in ran.stderr


def test_doctor_says_what_run_says(container: Container, kind: Kind) -> None:
    """Where a session starts doctor finds nothing missing, and what keeps one from starting it says in the same words."""
    whole, short = docker(["SYS_PTRACE"]), without(docker(["SYS_PTRACE"]), "memfd_create")
    found = json.loads(container(whole, kind, "doctor", "--json", powers=(19,)).stdout)
    assert found["healthy"], [finding for finding in found["findings"] if finding["enforcement"]["state"] == "not enforced"]
    [rehearsal] = [finding for finding in found["findings"] if finding["name"] == "rehearsal"]
    assert rehearsal["enforcement"] == {"state": "fully"}
    started = container(short, kind, "run", "--", "true", powers=(19,))
    found = json.loads(container(short, kind, "doctor", "--json", powers=(19,)).stdout)
    [rehearsal] = [finding for finding in found["findings"] if finding["name"] == "rehearsal"]
    assert started.returncode == 122 and not found["healthy"]
    assert f"interlock: {rehearsal['detail']}\n" in started.stderr
