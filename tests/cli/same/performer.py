"""Performs acts one by one inside a session: reads one as a JSON line, answers with the errno it met (0 for none).

Before each act it makes the folder `marks/<number>`: under every policy of the test that is recorded, so it divides the
record into what each act left there.
"""

import contextlib
import json
import os
import signal
import socket
import sys
import time

open_sockets = []
null = os.open("/dev/null", os.O_RDWR)
_FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6, "unix": socket.AF_UNIX}
_STYLES = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def read(path):
    os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))


def open_for(path, flags):
    os.close(os.open(path, flags | os.O_NONBLOCK, 0o644))


def spawn(path, arguments):
    nothing = [(os.POSIX_SPAWN_DUP2, null, 0)]
    child = os.posix_spawn(path, arguments, {"PATH": "/usr/bin:/bin"}, file_actions=nothing)
    os.waitpid(child, 0)


def made(family, style):
    one = socket.socket(_FAMILIES[family], _STYLES[style])
    one.setblocking(False)
    return one


def bind(family, style, address, listens):
    one = made(family, style)
    one.bind(tuple(address))
    if listens:
        one.listen(1)
    one.close()


def connect(family, style, address):
    with made(family, style) as one, contextlib.suppress(BlockingIOError):
        one.connect(address if family == "unix" else tuple(address))


def send(family, address):
    with made(family, "udp") as one:
        one.sendto(b"x", tuple(address))


def serve(family, style, address):
    """A server of the session's own; its place is the answer."""
    one = made(family, style)
    one.bind(address if family == "unix" else tuple(address))
    if style == "tcp":
        one.listen(64)
    open_sockets.append(one)
    return one.getsockname()


def child():
    """A process of the session's own, that sleeps; its id is the answer."""
    number = os.fork()
    if number == 0:
        signal.signal(signal.SIGURG, signal.SIG_IGN)
        time.sleep(300)
        os._exit(0)
    return number


def set_attribute(path):
    os.setxattr(path, "user.interlock", b"x")


ACTS = {
    "read": read,
    "open": open_for,
    "mkdir": os.mkdir,
    "mkfifo": os.mkfifo,
    "symlink": os.symlink,
    "unlink": os.unlink,
    "rmdir": os.rmdir,
    "rename": os.rename,
    "link": os.link,
    "chmod": os.chmod,
    "chown": lambda path: os.chown(path, os.getuid(), os.getgid()),
    "truncate": os.truncate,
    "utime": os.utime,
    "xattr": set_attribute,
    "exec": spawn,
    "bind": bind,
    "connect": connect,
    "send": send,
    "kill": os.kill,
    "serve": serve,
    "child": child,
}


def main(marks):
    for number, line in enumerate(sys.stdin):
        name, *arguments = json.loads(line)
        os.mkdir(f"{marks}/{number}")
        told, errno = None, 0
        try:
            told = ACTS[name](*arguments)
        except OSError as error:
            errno = error.errno
        print(json.dumps([errno, told]), flush=True)


main(sys.argv[1])
