"""Socket calls whose results must be the same with and without Interlock: prints a line for each, no addresses that vary.

Standard library only, so that it runs under any Python, inside and outside a session.
"""

import array
import contextlib
import ctypes
import errno
import os
import signal
import socket
import struct
import sys
import tempfile
import threading
import time

LIBC = ctypes.CDLL(None, use_errno=True)


def attempt(name, act):
    try:
        print(name, act(), flush=True)
    except OSError as error:
        print(name, errno.errorcode.get(error.errno, error.errno), flush=True)


def raw(name, *arguments):
    if getattr(LIBC, name)(*arguments) != -1:
        return 0
    return errno.errorcode[ctypes.get_errno()]


def stream(family, host):
    server = socket.create_server((host, 0), family=family)
    client = socket.create_connection(server.getsockname()[:2])
    inside, _ = server.accept()
    sent = client.sendmsg([b"ab", b"c" * 10])
    return sent, inside.recv(99), client.getpeername()[:2] == server.getsockname()[:2]


def datagram(family, host):
    one, two = (socket.socket(family, socket.SOCK_DGRAM) for _ in range(2))
    one.bind((host, 0))
    two.sendto(b"there", one.getsockname())
    there, source = one.recvfrom(9)
    one.sendmsg([b"ba", b"ck"], [], 0, source)
    back, _ = two.recvfrom(9)
    two.connect(one.getsockname())
    return there, back, two.send(b"x"), two.sendmsg([b"connected"])


def any_address():
    server = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(("0.0.0.0", server.getsockname()[1]))
    return client.getpeername()[0]


def dual_stack():
    server = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_connection(("127.0.0.1", server.getsockname()[1])).getpeername()[0]


def mapped():
    server = socket.create_server(("127.0.0.1", 0))
    client = socket.socket(socket.AF_INET6)
    client.connect(("::ffff:127.0.0.1", server.getsockname()[1]))
    return client.getpeername()[0]


def path_stream():
    server, client = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    server.bind("server.sock")
    mode = oct(os.stat("server.sock").st_mode)
    server.listen()
    client.connect(os.path.abspath("server.sock"))
    inside, _ = server.accept()
    client.sendall(b"q")
    return server.getsockname(), client.getpeername(), mode, inside.recv(2)


def path_datagram():
    one, two = (socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2))
    one.bind("one.sock")
    two.bind("./two.sock")
    two.sendto(b"1", "one.sock")
    there, source = one.recvfrom(4)
    one.sendto(b"2", source)
    return there, source, two.recv(4)


def path_errors():
    def bind(path):
        return socket.socket(socket.AF_UNIX).bind(path)
    def connect(path):
        return socket.socket(socket.AF_UNIX).connect(path)
    attempt("bind-twice", lambda: bind("server.sock"))
    attempt("bind-nowhere", lambda: bind("no/where"))
    attempt("bind-directory", lambda: bind("."))
    attempt("bind-slash", lambda: bind("x/"))
    attempt("connect-nothing", lambda: connect("nothing"))
    attempt("connect-directory", lambda: connect("."))
    open("plain", "w").close()
    attempt("connect-plain", lambda: connect("plain"))
    os.symlink("nothing", "dangling")
    attempt("bind-dangling", lambda: bind("dangling"))
    os.symlink("server.sock", "link.sock")
    attempt("connect-link", lambda: connect("link.sock"))
    os.umask(0o077)
    bind("private.sock")
    print("umask", oct(os.stat("private.sock").st_mode))
    os.umask(0o022)


def abstract():
    name = f"\0interlock test {os.getpid()}"
    server, client = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    server.bind(name)
    server.listen()
    client.connect(name)
    return client.getpeername() == name.encode()


def autobind():
    one = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    one.bind("")
    two = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    two.sendto(b"found", one.getsockname())
    return one.recv(9), len(one.getsockname())


def descriptors():
    one, two = socket.socketpair()
    read, write = os.pipe()
    socket.send_fds(one, [b"z"], [read, read])
    message, found, _, _ = socket.recv_fds(two, 10, 4)
    os.write(write, b"through")
    return message, len(found), os.read(found[0], 10), os.read


def bad_descriptors():
    one, _ = socket.socketpair()
    socket.send_fds(one, [b"z"], [999])


def control():
    one, two = socket.socketpair()
    item = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0]))
    attempt("two-controls", lambda: one.sendmsg([b"x"], [item, item]))
    attempt("odd-control", lambda: one.sendmsg([b"x"], [(socket.SOL_SOCKET, 77, b"1234")]))
    attempt("other-level", lambda: one.sendmsg([b"x"], [(99, 1, b"1234")]))
    forged = struct.pack("3i", 1, 0, 0)
    two.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    if os.getuid() != 0:
        attempt("forged", lambda: one.sendmsg([b"x"], [(socket.SOL_SOCKET, 2, forged)]))
    honest = struct.pack("3i", os.getpid(), os.getuid(), os.getgid())
    attempt("honest", lambda: one.sendmsg([b"x"], [(socket.SOL_SOCKET, 2, honest)]))


def broken_pipe():
    got = []
    signal.signal(signal.SIGPIPE, lambda number, _: got.append(number))
    one, two = socket.socketpair()
    two.close()
    results = []
    for flags in (0, socket.MSG_NOSIGNAL):
        with contextlib.suppress(BrokenPipeError):
            results.append(one.sendmsg([b"x"], [], flags))
    return results, got


def all_of_a_long_message():
    one, two = socket.socketpair()
    counts = []

    def drain():
        while piece := two.recv(65536):
            counts.append(len(piece))

    reader = threading.Thread(target=drain)
    reader.start()
    sent = one.sendmsg([b"x" * 2_000_000, b"", b"y" * 1_500_001])
    one.close()
    reader.join()
    return sent, sum(counts)


def without_waiting():
    one, _ = socket.socketpair()
    one.setblocking(False)
    first = one.sendmsg([b"x" * 10_000_000])
    attempt("full", lambda: one.sendmsg([b"x"]))
    one.setblocking(True)
    attempt("full-flag", lambda: one.sendmsg([b"x"], [], socket.MSG_DONTWAIT))
    return first > 0


def interrupted():
    def stop(*_):
        signal.setitimer(signal.ITIMER_REAL, 0)
        raise ZeroDivisionError

    signal.signal(signal.SIGALRM, stop)
    one, _ = socket.socketpair()
    # Again and again: one that arrives before the call has begun is looked at only when it ends.
    signal.setitimer(signal.ITIMER_REAL, 0.2, 0.2)
    try:
        one.sendmsg([b"x" * 50_000_000])
        one.sendmsg([b"x"])
    except ZeroDivisionError:
        return "interrupted"
    return "not interrupted"


def send_timeout():
    one, _ = socket.socketpair()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 0, 100_000))
    first = one.sendmsg([b"x" * 50_000_000])
    begin = time.monotonic()
    attempt("timed-out", lambda: one.sendmsg([b"x"]))
    return first > 0, 0.05 < time.monotonic() - begin < 5


class Part(ctypes.Structure):
    _fields_ = (("base", ctypes.c_char_p), ("length", ctypes.c_size_t))


class Entry(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("namelen", ctypes.c_uint),
        ("parts", ctypes.POINTER(Part)),
        ("count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("controllen", ctypes.c_size_t),
        ("flags", ctypes.c_ulong),
        ("sent", ctypes.c_uint),
    )


def many():
    one, two = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    texts = [b"a", b"bb", b"", b"dddd"]
    parts = [Part(text, len(text)) for text in texts]
    entries = (Entry * 5)(*[Entry(parts=ctypes.pointer(part), count=1) for part in parts])
    entries[4].parts, entries[4].count = ctypes.cast(8, ctypes.POINTER(Part)), 1
    result = LIBC.sendmmsg(one.fileno(), entries, 5, 0)
    return result, [entry.sent for entry in entries], [two.recv(9) for _ in range(4)]


def odd_arguments():
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    address = struct.pack("=H", socket.AF_INET) + struct.pack("!H", 9) + bytes([127, 0, 0, 1]) + bytes(8)
    unspecified = b"\0\0" + address[2:]
    null = ctypes.c_void_p(8)
    print("connect-bad-fd", raw("connect", 999, address, 16))
    print("connect-not-socket", raw("connect", 0, address, 16))
    print("connect-short", raw("connect", udp.fileno(), address, 8))
    print("connect-one", raw("connect", udp.fileno(), address, 1))
    print("connect-long", raw("connect", udp.fileno(), address + bytes(200), 200))
    print("connect-negative", raw("connect", udp.fileno(), address, -1))
    print("connect-fault", raw("connect", udp.fileno(), null, 16))
    print("connect-family", raw("connect", tcp.fileno(), struct.pack("=H", 77) + address[2:], 16))
    print("connect-six", raw("connect", tcp.fileno(), struct.pack("=H", socket.AF_INET6) + bytes(26), 28))
    print("dissolve-fresh", raw("connect", udp.fileno(), bytes(16), 16))
    print("bind-unspecified", raw("bind", tcp.fileno(), bytes(16), 16))
    print("bind-unspecified-address", raw("bind", udp.fileno(), unspecified, 16))
    print("bind-nowhere", raw("bind", udp.fileno(), address[:4] + bytes([192, 0, 2, 1]) + bytes(8), 16))
    print("listen-datagram", raw("listen", udp.fileno(), 5))
    print("sendmsg-fault", raw("sendmsg", udp.fileno(), null, 0))
    print("send-unconnected", raw("sendmsg", udp.fileno(), ctypes.byref(Entry()), 0))
    print("stream-unconnected", raw("sendmsg", socket.socket().fileno(), ctypes.byref(Entry()), socket.MSG_NOSIGNAL))
    one, _ = socket.socketpair()
    print("stream-named", raw("sendto", one.fileno(), b"x", 1, 0, b"\1\0/x", 4))
    print("sequence-named", raw("sendto", socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)[0].fileno(), b"x", 1, 0, b"\1\0/x", 4))
    print("connect-twice", raw("connect", one.fileno(), b"\1\0/x", 4))


def names():
    return socket.getaddrinfo("localhost", 80, socket.AF_INET, socket.SOCK_STREAM)[0][4]


def main():
    os.chdir(tempfile.mkdtemp(dir=sys.argv[1] if len(sys.argv) > 1 else None))
    attempt("stream4", lambda: stream(socket.AF_INET, "127.0.0.1"))
    attempt("stream6", lambda: stream(socket.AF_INET6, "::1"))
    attempt("datagram4", lambda: datagram(socket.AF_INET, "127.0.0.1"))
    attempt("datagram6", lambda: datagram(socket.AF_INET6, "::1"))
    attempt("any", any_address)
    attempt("dual", dual_stack)
    attempt("mapped", mapped)
    attempt("refused", lambda: socket.create_connection(("127.0.0.1", 1)))
    attempt("path-stream", path_stream)
    attempt("path-datagram", path_datagram)
    path_errors()
    attempt("abstract", abstract)
    attempt("abstract-nobody", lambda: socket.socket(socket.AF_UNIX).connect("\0nobody has this name"))
    attempt("autobind", autobind)
    attempt("descriptors", lambda: descriptors()[:3])
    attempt("bad-descriptors", bad_descriptors)
    control()
    attempt("broken-pipe", broken_pipe)
    attempt("long", all_of_a_long_message)
    attempt("without-waiting", without_waiting)
    attempt("interrupted", interrupted)
    attempt("timeout", send_timeout)
    attempt("many", many)
    odd_arguments()
    attempt("names", names)


main()
