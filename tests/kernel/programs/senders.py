"""Who the other end of a unix socket takes the sender for, by what it asks and how the message was sent: one JSON object.

The values are process ids, or `[process, user, group]` under a key that ends in `/ids`. Run in a folder where sockets may be made.
"""

import ctypes
import json
import os
import socket
import struct
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
SENDMMSG, PASSPIDFD, PEERPIDFD, SCM_CREDENTIALS, SCM_PIDFD = 307, 76, 77, 2, 4
KINDS = {"stream": socket.SOCK_STREAM, "datagram": socket.SOCK_DGRAM, "packets": socket.SOCK_SEQPACKET}
found = {}


def asking(end, option=socket.SO_PASSCRED):
    end.setsockopt(socket.SOL_SOCKET, option, 1)
    return end


def sender(end):
    """Process, user and group that came with the next message."""
    _, ancillary, _, _ = end.recvmsg(64, 256)
    [told] = [data for level, kind, data in ancillary if (level, kind) == (socket.SOL_SOCKET, SCM_CREDENTIALS)]
    return list(struct.unpack("3i", told))


def process_of(descriptor):
    with open(f"/proc/self/fdinfo/{descriptor}") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("Pid:"))


def sender_by_descriptor(end):
    """The process that the descriptor stands for which came with the next message."""
    _, ancillary, _, _ = end.recvmsg(64, 256)
    [told] = [data for level, kind, data in ancillary if (level, kind) == (socket.SOL_SOCKET, SCM_PIDFD)]
    return process_of(struct.unpack("i", told[:4])[0])


def peer(end):
    return struct.unpack("3i", end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]


def sendmmsg(end, texts, name=None):
    """Several messages by one call; how many went."""
    kept, entries = [], b""
    address = b"" if name is None else struct.pack("H", 1) + name.encode() + b"\0"
    for text in texts:
        data, part = ctypes.create_string_buffer(text, len(text)), None
        part = ctypes.create_string_buffer(struct.pack("QQ", ctypes.addressof(data), len(text)))
        place = ctypes.create_string_buffer(address, len(address)) if address else None
        kept += [data, part, place]
        where = ctypes.addressof(place) if place else 0
        entries += struct.pack("QQQQQQQQ", where, len(address), ctypes.addressof(part), 1, 0, 0, 0, 0)
    table = ctypes.create_string_buffer(entries, len(entries))
    return LIBC.syscall(SENDMMSG, end.fileno(), table, len(texts), 0)


WITHOUT_A_NAME = {
    "write": lambda end: os.write(end.fileno(), b"x"),
    "send": lambda end: end.send(b"x"),
    "sendmsg": lambda end: end.sendmsg([b"x"]),
    "sendmmsg": lambda end: sendmmsg(end, [b"x"]),
}
TO_A_NAME = {
    "sendto": lambda end, name: end.sendto(b"x", name),
    "sendmsg": lambda end, name: end.sendmsg([b"x"], [], 0, name),
    "sendmmsg": lambda end, name: sendmmsg(end, [b"x"], name),
}


def measure():
    for kind, style in KINDS.items():
        one, other = socket.socketpair(socket.AF_UNIX, style)
        for call, act in WITHOUT_A_NAME.items():
            asking(other)
            act(one)
            told = sender(other)
            found[f"{call}/pair/{kind}"], found[f"{call}/pair/{kind}/ids"] = told[0], told
            other.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)
            asking(other, PASSPIDFD)
            act(one)
            found[f"{call}/pair/{kind}/pidfd"] = sender_by_descriptor(other)
            other.setsockopt(socket.SOL_SOCKET, PASSPIDFD, 0)
        found[f"peer/pair/{kind}"] = peer(other)
    for kind in ("stream", "packets"):
        for number, name in enumerate((f"{kind}.sock", f"\0{kind}-{os.getpid()}")):
            server, client = (socket.socket(socket.AF_UNIX, KINDS[kind]) for _ in range(2))
            server.bind(name)
            server.listen()
            client.connect(name)
            accepted = asking(server.accept()[0])
            found[f"peer/connected/{kind}/{number}"] = peer(accepted)
            found[f"peer/listening/{kind}/{number}"] = peer(client)
            found[f"peer/connected/{kind}/{number}/pidfd"] = process_of(accepted.getsockopt(socket.SOL_SOCKET, PEERPIDFD))
            for call, act in WITHOUT_A_NAME.items():
                act(client)
                found[f"{call}/connected/{kind}/{number}"] = sender(accepted)[0]
    receiver, from_here = (socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2))
    receiver.bind("datagram.sock")
    asking(receiver)
    for call, act in TO_A_NAME.items():
        act(from_here, "datagram.sock")
        found[f"{call}/named"] = sender(receiver)[0]
    from_here.connect("datagram.sock")
    for call, act in WITHOUT_A_NAME.items():
        act(from_here)
        found[f"{call}/connected/datagram"] = sender(receiver)[0]


if __name__ == "__main__":
    os.chdir(sys.argv[1])
    measure()
    print(json.dumps({"own": os.getpid(), "ids": [os.getpid(), os.getuid(), os.getgid()], "found": found}))
