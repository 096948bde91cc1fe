"""A flow label brings options with it to every packet that has the label, a route among them: then what is sent to a loopback address, and was
judged as inside, leaves the machine. So a label comes without.
"""

from __future__ import annotations

import json

from tests.escapes.arena import Arena

#: `struct in6_flowlabel_req`, and behind it a control message that changes nothing: what it could be instead, the kernel alone reads.
PROGRAM = r"""
import errno, json, socket, struct
def ask(options):
    label = socket.inet_pton(socket.AF_INET6, "::1") + struct.pack("=IBBHHHI", 0, 0, 1, 1, 0, 0, 0)
    try: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).setsockopt(41, 32, label + options)
    except OSError as error: return errno.errorcode[error.errno]
    return "done"
print(json.dumps([ask(b""), ask(struct.pack("=QIIi4x", 20, 41, 67, 0))]))
"""


def test_a_flow_label_comes_without_options(arena: Arena) -> None:
    natively = json.loads(arena.run("/usr/bin/python3", "-c", PROGRAM).output)
    held = [json.loads(arena.held("/usr/bin/python3", "-c", PROGRAM, preset=preset).output) for preset in ("observe", "coding-agent")]
    assert natively == ["done", "done"]
    assert held == [["done", "EPERM"]] * 2
