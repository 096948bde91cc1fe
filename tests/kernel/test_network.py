"""Sockets through the real supervisor: results as without Interlock, and who may be reached.

Outside peers are live sockets of the test itself, so that each denial is of something that would have succeeded.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.drive import EVERYTHING, FILE_VERBS, Drive, Message, grant, policy, rule

PROGRAM = Path(__file__).parent / "programs" / "socket_calls.py"
PYTHON = "/usr/bin/python3"
NOBODY = 65534
USERS = [None, NOBODY] if os.getuid() == 0 else [None]
FILES = rule("files", "allow", FILE_VERBS, path=["/**"])
RUN = rule("run", "allow", ["process.exec"], path=["/**"])
OPEN = rule("open", "allow", ["net.bind", "net.listen"])
INSIDE = policy(
    FILES, RUN, OPEN, rule("inside", "allow", ["net.connect", "net.send", "unix.connect"], to="inside")
)


@pytest.fixture
def place() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="interlock-net-"))
    path.chmod(0o777)
    yield path
    shutil.rmtree(path, ignore_errors=True)


def run(script: str, compiled: Message, *given: object, user: int | None = None, **changes: object) -> str:
    """Runs Python text in a session; what it printed."""
    command = [PYTHON, "-I", "-c", "import os, socket, sys, struct\n" + script, *map(str, given)]
    with Drive(command, compiled, user=user, **changes) as drive:  # type: ignore[arg-type]
        last, out, err = drive.finish(60)
        assert last["type"] == "exited", last
    return (out + err).decode()


TRY = """
def attempt(act):
    try:
        act()
        print('done')
    except OSError as error:
        print(error.errno)
"""
EACCES, EPERM, REFUSED, IN_USE = "13\n", "1\n", "111\n", "98\n"


@pytest.mark.parametrize("user", USERS)
def test_calls_give_what_they_give_natively(place: Path, user: int | None) -> None:
    # As text: the clone may lie in a folder that other users cannot enter.
    command = [PYTHON, "-I", "-c", PROGRAM.read_text(), str(place)]
    as_user = {} if user is None else {"user": user, "group": user, "extra_groups": []}
    native = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, **as_user).stdout  # type: ignore[call-overload]
    with Drive(command, EVERYTHING, user=user) as drive:
        last, out, err = drive.finish(60)
    assert last["code"] == 0, err
    assert out.decode() == native


class TestLoopback:
    """Ports bound within the session may be reached within it; no other one, whatever stands beside it."""

    def test_own_ports_are_inside(self) -> None:
        script = TRY + (
            "for family, host in ((2, '127.0.0.1'), (10, '::1'), (2, '127.0.0.2'), (2, '0.0.0.0')):\n"
            "    server = socket.create_server((host, 0), family=family)\n"
            "    attempt(lambda: socket.create_connection(server.getsockname()[:2]))\n"
        )
        assert run(script, INSIDE) == "done\n" * 4

    def test_nobody_there_is_refused_as_natively(self) -> None:
        assert run(TRY + "attempt(lambda: socket.create_connection(('127.0.0.1', 1)))", INSIDE) == REFUSED

    @pytest.mark.parametrize(("own", "outside"), [("127.0.0.2", "127.0.0.1"), ("::1", "127.0.0.1"), ("127.0.0.1", "::1")])
    def test_a_neighbour_on_the_same_port_is_outside(self, own: str, outside: str) -> None:
        family = socket.AF_INET6 if ":" in outside else socket.AF_INET
        with socket.create_server((outside, 0), family=family) as neighbour:
            port = neighbour.getsockname()[1]
            script = TRY + (
                "own, outside, port = sys.argv[1], sys.argv[2], int(sys.argv[3])\n"
                "server = socket.create_server((own, port), family=socket.AF_INET6 if ':' in own else socket.AF_INET)\n"
                "attempt(lambda: socket.create_connection((own, port)))\n"
                "attempt(lambda: socket.create_connection((outside, port)))\n"
            )
            assert run(script, INSIDE, own, outside, port) == "done\n" + EACCES

    def test_a_port_of_somebody_outside_is_not_shared(self) -> None:
        with socket.socket() as neighbour:
            neighbour.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            neighbour.bind(("127.0.0.1", 0))
            neighbour.listen()
            script = TRY + (
                "server = socket.socket(); server.setsockopt(1, 15, 1)\n"
                "server.bind(('127.0.0.1', int(sys.argv[1]))); attempt(server.listen)\n"
                "attempt(lambda: socket.create_connection(server.getsockname()))\n"
            )
            assert run(script, INSIDE, neighbour.getsockname()[1]) == IN_USE + EACCES

    def test_a_shared_port_is_outside(self, place: Path) -> None:
        """Two of the session share it, and somebody outside joins them."""
        script = TRY + (
            "import time; os.chdir(sys.argv[1])\n"
            "server = socket.socket(); server.setsockopt(1, 15, 1); server.bind(('127.0.0.1', 0)); server.listen()\n"
            "twin = socket.socket(); twin.setsockopt(1, 15, 1); twin.bind(server.getsockname()); twin.listen()\n"
            "open('new', 'w').write(str(server.getsockname()[1])); os.rename('new', 'port')\n"
            "while not os.path.exists('joined'): time.sleep(0.01)\n"
            "attempt(lambda: socket.create_connection(server.getsockname()))\n"
        )
        with Drive([PYTHON, "-I", "-c", "import os, sys, socket\n" + script, str(place)], INSIDE) as drive, socket.socket() as neighbour:
            while not (place / "port").exists():
                time.sleep(0.01)
            neighbour.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            neighbour.bind(("127.0.0.1", int((place / "port").read_text())))
            neighbour.listen()
            (place / "joined").touch()
            _, out, _ = drive.finish(30)
        assert out.decode() == EACCES

    def test_a_port_closed_and_taken_by_another_is_outside(self, place: Path) -> None:
        script = TRY + (
            "import time; os.chdir(sys.argv[1])\n"
            "server = socket.create_server(('127.0.0.1', 0)); port = server.getsockname()[1]; server.close()\n"
            "open('new', 'w').write(str(port)); os.rename('new', 'port')\n"
            "while not os.path.exists('taken'): time.sleep(0.01)\n"
            "attempt(lambda: socket.create_connection(('127.0.0.1', port)))\n"
        )
        with Drive([PYTHON, "-I", "-c", "import os, sys, socket\n" + script, str(place)], INSIDE) as drive:
            while not (place / "port").exists():
                time.sleep(0.01)
            with socket.create_server(("127.0.0.1", int((place / "port").read_text()))):
                (place / "taken").touch()
                _, out, _ = drive.finish(30)
        assert out.decode() == EACCES

    def test_datagrams(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outside:
            outside.bind(("127.0.0.1", 0))
            script = TRY + (
                "own = socket.socket(2, 2); own.bind(('127.0.0.1', 0)); out = ('127.0.0.1', int(sys.argv[1]))\n"
                "new = lambda: socket.socket(2, 2)\n"
                "attempt(lambda: new().sendto(b'x', own.getsockname()))\n"
                "attempt(lambda: new().sendto(b'x', out))\n"
                "attempt(lambda: new().sendmsg([b'x'], [], 0, out))\n"
                "attempt(lambda: new().connect(out))\n"
                "import ctypes; c = ctypes.CDLL(None, use_errno=True)\n"
                "name = bytes(2) + struct.pack('!H', out[1]) + bytes([127, 0, 0, 1]) + bytes(8)\n"
                "last = new(); print(c.sendto(last.fileno(), b'x', 1, 0, name, 16), ctypes.get_errno())\n"
            )
            assert run(script, INSIDE, outside.getsockname()[1]) == "done\n" + EACCES * 3 + "-1 13\n"
            outside.setblocking(False)
            with pytest.raises(BlockingIOError):
                outside.recv(1)


class TestUnix:
    def test_sockets_of_outside_are_outside(self, place: Path) -> None:
        with socket.socket(socket.AF_UNIX) as path, socket.socket(socket.AF_UNIX) as named:
            path.bind(str(place / "outside"))
            (place / "outside").chmod(0o777)
            path.listen()
            abstract = f"interlock-outside-{os.getpid()}"
            named.bind("\0" + abstract)
            named.listen()
            script = TRY + (
                "new = lambda: socket.socket(socket.AF_UNIX)\n"
                "os.chdir(sys.argv[1]); os.symlink('outside', 'link')\n"
                "for name in ('outside', 'link', '/proc/self/cwd/outside', '\\0' + sys.argv[2]):\n"
                "    attempt(lambda: new().connect(name))\n"
                "own = new(); own.bind('own'); own.listen()\n"
                "attempt(lambda: new().connect('own'))\n"
                "own = new(); own.bind('\\0own' + sys.argv[2]); own.listen()\n"
                "attempt(lambda: new().connect('\\0own' + sys.argv[2]))\n"
                "attempt(lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'x', 'outside'))\n"
            )
            assert run(script, INSIDE, place, abstract) == EACCES * 4 + "done\n" * 2 + EACCES

    def test_a_bind_is_a_new_name(self, place: Path) -> None:
        (place / "closed").mkdir()
        (place / "link").symlink_to("closed")
        rules = policy(FILES, RUN, rule("closed", "deny", ["file.mknod"], path=[f"{place}/closed/**"]))
        script = TRY + (
            "os.chdir(sys.argv[1])\n"
            "for name in ('open', 'closed/x', 'link/x', sys.argv[1] + '/link/../closed/x'):\n"
            "    attempt(lambda: socket.socket(socket.AF_UNIX).bind(name))\n"
        )
        assert run(script, rules, place) == "done\n" + EACCES * 3
        assert not list((place / "closed").iterdir())

    def test_interlocks_own_sockets_are_closed_whatever_policy_says(self) -> None:
        script = TRY + (
            "runtime = os.environ['RUNTIME']\n"
            "for folder, _, names in os.walk(runtime):\n"
            "    for name in sorted(names):\n"
            "        print(name, end=' ')\n"
            "        attempt(lambda: socket.socket(socket.AF_UNIX).connect(os.path.join(folder, name)))\n"
        )
        state = Path(tempfile.mkdtemp(prefix="interlock-net-"))
        found = run(script, EVERYTHING, state=state, environment={**os.environ, "RUNTIME": str(state / "runtime")})
        answers = dict(line.split() for line in found.splitlines())
        assert answers.get("control.sock") == "13"
        assert answers.get("inside.sock") == "done"


class TestGateway:
    """A connection to the gateway is attested before connect returns, and is not made if that fails."""

    @pytest.mark.parametrize("answer", [b'{"ok":true}\n', b'{"ok":false}\n', b""])
    def test_attestation(self, place: Path, answer: bytes) -> None:
        heard: list[Message] = []
        with socket.socket(socket.AF_UNIX) as own, socket.create_server(("127.0.0.1", 0)) as server:
            own.bind(str(place / "gateway.sock"))
            own.listen()

            def attested() -> None:
                peer, _ = own.accept()
                with peer, peer.makefile("rb") as lines:
                    heard.append(json.loads(lines.readline()))
                    peer.sendall(answer)

            thread = threading.Thread(target=attested, daemon=True)
            thread.start()
            port = server.getsockname()[1]
            script = (
                "client = socket.socket()\n"
                "code = client.connect_ex(('127.0.0.1', int(sys.argv[1])))\n"
                "print(code, client.getsockname()[1], *struct.unpack('=Q', client.getsockopt(1, 57, 8)))\n"
            )
            gateway = {"address": "127.0.0.1", "port": port, "socket": str(place / "gateway.sock")}
            code, client, cookie = run(script, EVERYTHING, port, gateway=gateway).split()
            thread.join(5)
        [message] = heard
        assert message["type"] == "attest" and message["cookie"] == int(cookie)
        if b"true" in answer:
            assert (code, message["port"]) == ("0", int(client))
        else:
            assert code == "111"


def test_control_messages_cannot_choose_a_route() -> None:
    script = TRY + (
        "one = socket.socket(2, 2); one.bind(('127.0.0.1', 0))\n"
        "send = lambda kind: one.sendmsg([b'x'], [(0, kind, bytes(4))], 0, one.getsockname())\n"
        "attempt(lambda: send(7))\n"
        "attempt(lambda: send(1))\n"
    )
    assert run(script, EVERYTHING) == EPERM + "done\n"


def test_netlink_asks_and_does_not_change() -> None:
    script = TRY + (
        "link = socket.socket(16, 3, 0)\n"
        "ask = lambda kind: link.sendto(struct.pack('=IHHII4s', 20, kind, 0x301, 1, 0, bytes(4)), (0, 0))\n"
        "attempt(lambda: ask(22))\n"
        "attempt(lambda: ask(24))\n"
    )
    assert run(script, EVERYTHING) == "done\n" + EPERM


def test_socket_options_cannot_choose_a_route() -> None:
    script = TRY + (
        "one = socket.socket(2, 2)\n"
        "attempt(lambda: one.setsockopt(0, 4, bytes([131, 7, 4, 127, 0, 0, 1, 0])))\n"
        "attempt(lambda: socket.socket(10, 2).setsockopt(41, 57, bytes(8)))\n"
        "attempt(lambda: socket.socket(2, 1).setsockopt(6, 19, 1))\n"
        "attempt(lambda: one.setsockopt(0, 2, 7))\n"
    )
    assert run(script, EVERYTHING) == EPERM * 3 + "done\n"


@pytest.mark.parametrize("sending", ["yes", "no"])
def test_who_is_asked_about_a_datagram_connection_is_asked_about_sending_as_well(sending: str) -> None:
    """What goes through a connected socket passes no gate: a yes to connecting alone would be a socket that is mute."""
    asked = rule("asked", "approve", ["net.connect", "net.send"], protocol=["udp"], to="outside")
    script = TRY + (
        "made = socket.socket(2, 2)\n"
        "attempt(lambda: made.connect(('127.0.0.1', int(sys.argv[1]))))\n"
        "attempt(lambda: made.send(b'after a yes'))\n"
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outside:
        outside.bind(("127.0.0.1", 0))
        outside.settimeout(0.2)
        port = str(outside.getsockname()[1])
        with Drive([PYTHON, "-I", "-c", "import os, sys, socket\n" + script, port], policy(FILES, RUN, asked)) as drive:
            for verb, answer in (("net.connect", "yes"), ("net.send", sending)):
                question = drive.until("question")
                assert question["action"]["verb"] == verb
                drive.say({"type": "answer", "id": question["id"], "grant": grant(question, answer), "reason": None})
            _, out, _ = drive.finish()
        if sending == "yes":
            assert out.decode() == "done\ndone\n" and outside.recv(64) == b"after a yes"
        else:
            assert out.decode() == EACCES + f"{errno.EDESTADDRREQ}\n"
            with pytest.raises(TimeoutError):
                outside.recv(1)


@pytest.mark.parametrize("user", USERS)
def test_the_counts_of_several_messages_are_written_where_the_caller_may_write(user: int | None) -> None:
    """Not into its read-only memory: that message has gone, and the call says EFAULT, as natively."""
    script = (
        "import ctypes, mmap\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "libc.mmap.restype = ctypes.c_void_p\n"
        "one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "data = ctypes.create_string_buffer(b'abc', 3)\n"
        "part = ctypes.create_string_buffer(struct.pack('QQ', ctypes.addressof(data), 3))\n"
        "entry = struct.pack('QQQQQQQQ', 0, 0, ctypes.addressof(part), 1, 0, 0, 0, 0x7777777777777777)\n"
        "for kept in (3, 1):\n"  # PROT_READ | PROT_WRITE, then PROT_READ alone
        "    table = libc.mmap(None, 4096, 3, 0x22, -1, 0)\n"
        "    ctypes.memmove(table, entry * 2, 128); libc.mprotect(ctypes.c_void_p(table), 4096, kept)\n"
        "    ctypes.set_errno(0)\n"
        "    print(libc.syscall(307, one.fileno(), ctypes.c_void_p(table), 2, 0), ctypes.get_errno())\n"
        "    print([ctypes.string_at(table + 64 * index + 56, 8).hex() for index in (0, 1)])\n"
        "other.setblocking(False)\n"
        "try:\n"
        "    while True: print(other.recv(9))\n"
        "except BlockingIOError: pass\n"
    )
    command = [PYTHON, "-I", "-c", "import os, socket, sys, struct\n" + script]
    native = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    assert native.splitlines()[2] == "-1 14"
    assert run(script, EVERYTHING, user=user) == native


@pytest.mark.skipif(os.getuid() != 0, reason="gives up root's capabilities; expected where the tests run as root")
@pytest.mark.parametrize("style", ["SOCK_STREAM", "SOCK_DGRAM"])
def test_who_gave_up_its_capabilities_reaches_no_socket_by_the_supervisors(place: Path, style: str) -> None:
    script = TRY + (
        "import ctypes\nos.chdir(sys.argv[1])\n"
        f"server = socket.socket(socket.AF_UNIX, socket.{style}); server.bind('theirs.sock')\n"
        f"socket.{style} == socket.SOCK_STREAM and server.listen()\n"
        "os.chmod('theirs.sock', 0o600); os.chown('theirs.sock', 1234, 1234)\n"
        "attempt(lambda: socket.socket(socket.AF_UNIX, server.type).connect('theirs.sock'))\n"
        "libc = ctypes.CDLL(None); libc.syscall(126, struct.pack('Ii', 0x20080522, 0), bytes(24))\n"  # capset: none
        "for waits in (True, False):\n"
        "    one = socket.socket(socket.AF_UNIX, server.type); one.setblocking(waits)\n"
        "    attempt(lambda: one.connect('theirs.sock'))\n"
    )
    command = [PYTHON, "-I", "-c", "import os, socket, sys, struct\n" + script, str(place)]
    native = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    (place / "theirs.sock").unlink()
    assert run(script, EVERYTHING, place) == native == "done\n" + EACCES * 2
