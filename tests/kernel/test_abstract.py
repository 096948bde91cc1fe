"""Abstract unix names: whose they are says the kernel, whatever bytes they have.

Outside peers are live sockets of the test itself. Each name is reached without Interlock first; inside, the same program reaches the same name where
a socket of the session has it, and is refused where one of outside has it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
from collections.abc import Iterator

import pytest

from tests.kernel.drive import FILE_VERBS, Drive, Message, policy, rule
from tests.kernel.test_ports import NOBODY, PYTHON

USERS = [None, NOBODY] if os.getuid() == 0 else [None]
FILES = rule("files", "allow", FILE_VERBS, path=["/**"])
RUN = rule("run", "allow", ["process.exec"], path=["/**"])
INSIDE = policy(FILES, RUN, rule("inside", "allow", ["unix.connect"], to="inside"))
ANYWHERE = policy(FILES, RUN, rule("anywhere", "allow", ["unix.connect"]))
OUTSIDE = policy(FILES, RUN, rule("outside", "allow", ["unix.connect"], to="outside"))
STYLES = {"stream": socket.SOCK_STREAM, "datagrams": socket.SOCK_DGRAM, "packets": socket.SOCK_SEQPACKET}
TAG = secrets.token_bytes(4).hex().encode()

#: Names of which one must not be taken for another, nor a table's line for a name.
NAMES = {
    "plain": TAG,
    "a line break": TAG + b"\n",
    "a line that looks like a table's": TAG + b"\n0000000000000000: 00000002 00000000 00010000 0001 01 123 @" + TAG,
    "zero bytes": TAG + b"\0\0x",
    "as zero bytes are told": TAG + b"@@x",
    "a carriage return": TAG + b"\r",
    "spaces": b"  " + TAG + b"  ",
    "not text": b"\xff\xfe" + TAG,
    "a path": b"/tmp/.X11-unix/X" + TAG,
    "begins with another": TAG + b"\0",
    "all the room there is": TAG.ljust(107, b"n"),
    "all the room, with zeroes": TAG.ljust(107, b"\0"),
    "deleted": TAG + b" (deleted)",
}

PROGRAM = """
import ctypes, socket, sys
style, name = int(sys.argv[1]), bytes.fromhex(sys.argv[2])
libc = ctypes.CDLL(None, use_errno=True)
def wire(name): return b"\\1\\0\\0" + name
def raw(call, made, name): return 0 if libc[call](made.fileno(), wire(name), len(name) + 3) == 0 else ctypes.get_errno()
def reach(name):
    made = socket.socket(socket.AF_UNIX, style)
    connected = raw("connect", made, name)
    if style != socket.SOCK_DGRAM: return connected
    other = socket.socket(socket.AF_UNIX, style)
    sent = libc.sendto(other.fileno(), b"x", 1, 0, wire(name), len(name) + 3)
    return connected, 0 if sent == 1 else ctypes.get_errno()
def serve(name):
    made = socket.socket(socket.AF_UNIX, style)
    if raw("bind", made, name): return None
    if style != socket.SOCK_DGRAM: made.listen(8)
    return made
"""


def run(script: str, style: int, name: bytes, compiled: Message | None, user: int | None = None) -> str:
    command = [PYTHON, "-I", "-c", PROGRAM + script, str(style), name.hex()]
    if compiled is None:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    with Drive(command, compiled, user=user) as drive:
        last, out, err = drive.finish(60)
    assert last["type"] == "exited", last
    return (out + err).decode()


@contextlib.contextmanager
def outside(style: int, name: bytes) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, style) as server:
        server.bind(b"\0" + name)
        if style != socket.SOCK_DGRAM:
            server.listen(8)
        server.setblocking(False)
        yield server


def heard(server: socket.socket) -> bool:
    """Whether anybody came."""
    try:
        if server.type == socket.SOCK_DGRAM:
            server.recv(1)
        else:
            server.accept()[0].close()
    except BlockingIOError:
        return False
    return True


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_outside_is_not_reached(name: str, style: str, user: int | None) -> None:
    kind, text = STYLES[style], NAMES[name]
    with outside(kind, text) as server:
        in_the_open = run("print(reach(name))", kind, text, None)
        assert heard(server), in_the_open
        while heard(server):
            pass
        held = run("print(reach(name))", kind, text, INSIDE, user)
        assert held.strip() == ("(13, 13)" if kind == socket.SOCK_DGRAM else "13"), held
        assert not heard(server)


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_the_session_is_reached(name: str, style: str, user: int | None) -> None:
    script = "server = serve(name); print(server is not None, reach(name)); server.close(); print(reach(name))"
    text = NAMES[name] + b"own" if len(NAMES[name]) < 100 else NAMES[name][:100] + b"own".rjust(7, b"o")
    found = run(script, STYLES[style], text, INSIDE, user)
    assert found == run(script, STYLES[style], text, None)


@pytest.mark.parametrize("style", STYLES)
def test_one_name_is_not_another(style: str) -> None:
    """The session has every name that could be taken for the one outside."""
    kind = STYLES[style]
    for text in (TAG + b"\0", TAG + b"\n", TAG):
        others = [TAG, TAG + b"\n", TAG + b"\0", TAG + b"@", TAG + b"\0\0", b"\0" + TAG, b"@" + TAG, TAG + b" "]
        script = f"held = [serve(other) for other in {others!r} if other != name]; assert None not in held; print(reach(name))"
        with outside(kind, text) as server:
            held = run(script, kind, text, INSIDE)
            assert held.strip() == ("(13, 13)" if kind == socket.SOCK_DGRAM else "13"), held
            assert not heard(server)


@pytest.mark.parametrize("style", STYLES)
def test_names_that_the_kernel_chose_and_none_at_all(style: str) -> None:
    kind = STYLES[style]
    with socket.socket(socket.AF_UNIX, kind) as chosen:
        chosen.bind("")
        if kind != socket.SOCK_DGRAM:
            chosen.listen()
        name = chosen.getsockname()
        assert isinstance(name, bytes) and len(name) == 6
        held = run("print(reach(name))", kind, name[1:], INSIDE)
        assert held.strip() == ("(13, 13)" if kind == socket.SOCK_DGRAM else "13"), held
    script = (
        "own = socket.socket(socket.AF_UNIX, style); own.bind(''); style == 2 or own.listen()\n"
        "print(reach(own.getsockname()[1:]))\n"
        "empty = serve(b''); print(empty is None or reach(b''))\n"
    )
    assert run(script, kind, b"", INSIDE) == run(script, kind, b"", None)


def test_what_only_outside_may_be_reached_leaves_the_session_alone() -> None:
    script = "server = serve(name + b'own'); print(reach(name), reach(name + b'own'), reach(name + b'nobody'))"
    with outside(socket.SOCK_STREAM, TAG) as server:
        assert run(script, socket.SOCK_STREAM, TAG, OUTSIDE).split() == ["0", "13", "111"]
        assert heard(server)


#: How one of outside is there and the kernel says something else of it before it asks whose it is.
BEFORE = {
    "stream, full": (socket.SOCK_STREAM, "connect", "11"),
    "packets, full": (socket.SOCK_SEQPACKET, "connect", "11"),
    "datagrams, full": (socket.SOCK_DGRAM, "send", "11"),
    "datagrams, no room at the sender": (socket.SOCK_DGRAM, "stuffed", "11"),
    "datagrams, hears nobody": (socket.SOCK_DGRAM, "send", "32"),
}
TRIED = """
made = socket.socket(socket.AF_UNIX, style); made.setblocking(False)
def stuff():
    own = socket.socket(socket.AF_UNIX, style); own.bind(""); made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4608)
    try:
        while True: made.sendto(bytes(1500), own.getsockname())
    except BlockingIOError: pass
    return own
def tried(name):
    kept = stuff() if way == "stuffed" else None
    try: made.connect(b"\\0" + name) if way == "connect" else made.sendto(b"x", b"\\0" + name); return 0
    except OSError as error: return error.errno
def fill(name):
    kept = []
    for _ in range(2000):
        one = socket.socket(socket.AF_UNIX, style); one.setblocking(False); kept.append(one)
        try: one.connect(b"\\0" + name) if way == "connect" else one.sendto(b"x", b"\\0" + name)
        except BlockingIOError: return kept
"""


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("way", BEFORE)
def test_what_the_kernel_says_before_it_asks_whose_a_socket_is_says_not_that_it_is_of_the_session(
    way: str, user: int | None
) -> None:
    """A full queue says EAGAIN whoever has it. It would be told, unrecorded, as if the session had that socket."""
    style, how, natively = BEFORE[way]
    name = secrets.token_bytes(6)
    script = f"way = {how!r}\n{TRIED}\nprint(tried(name))"
    with outside(style, name) as server, contextlib.ExitStack() as kept:
        if "full" in way:
            if style != socket.SOCK_DGRAM:
                server.listen(0)
            fill(style, name, kept)
        if "nobody" in way:
            server.shutdown(socket.SHUT_RD)
        assert run(script, style, name, None).strip() == natively
        assert run(script, style, name, INSIDE, user).strip() == "13"
        if how != "stuffed":  # it sends to itself
            # Where it cannot be told, the call needs what each of the two would need.
            assert run(script, style, name, OUTSIDE, user).strip() in {"13", natively}
        assert run(script, style, name, ANYWHERE, user).strip() == natively


def fill(style: int, name: bytes, kept: contextlib.ExitStack) -> None:
    """Until there is no room."""
    for _ in range(2000):
        one = kept.enter_context(socket.socket(socket.AF_UNIX, style))
        one.setblocking(False)
        try:
            one.connect(b"\0" + name)
            if style == socket.SOCK_DGRAM:
                one.send(b"x")
        except BlockingIOError:
            return
    raise AssertionError("it is never full")


@pytest.mark.parametrize("user", USERS)
def test_a_full_socket_of_the_session_says_what_it_says_natively(user: int | None) -> None:
    """Its own, whose name the kernel chose, and one that lies in another process by now."""
    script = (
        f"import os; way = 'connect'\n{TRIED}\n"
        "def full(server): server.listen(0); kept = fill(server.getsockname()[1:]); return kept\n"
        "server = socket.socket(socket.AF_UNIX, style); server.bind(b'\\0' + name); kept = full(server)\n"
        "print(tried(name))\n"
        "chosen = socket.socket(socket.AF_UNIX, style); chosen.bind(''); more = full(chosen)\n"
        "print(tried(chosen.getsockname()[1:]))\n"
        "here, there = os.pipe()\n"
        "if os.fork() == 0:\n"
        "    os.close(there); number = os.dup(server.fileno()); server.close(); os.read(here, 1); os._exit(0)\n"
        "server.close()\n"
        "print(tried(name), flush=True); os.close(there); os.wait()\n"
    )
    name = secrets.token_bytes(6)
    native = run(script, socket.SOCK_STREAM, name, None)
    assert native.split() == ["11", "11", "11"]
    assert run(script, socket.SOCK_STREAM, name, INSIDE, user) == native


@pytest.mark.parametrize("user", USERS)
def test_a_connected_datagram_socket_of_the_session_says_what_it_says_natively(user: int | None) -> None:
    """To everybody but its peer it says EPERM, as the kernel says of outside."""
    script = "own, peer = serve(name), serve(name + b'peer'); own.connect(b'\\0' + name + b'peer'); print(reach(name))"
    name = secrets.token_bytes(6)
    native = run(script, socket.SOCK_DGRAM, name, None)
    assert native.strip() == "(1, 1)"
    assert run(script, socket.SOCK_DGRAM, name, INSIDE, user) == native
