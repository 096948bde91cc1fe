"""A network call that the door refuses before anything is decided is recorded with what it reached for, and so is one that policy denies.

The refused ones are brought in from outside, as standard input: sockets of a transport that no rule can name. Nothing of what the records say is
made up: where there is no address, none is recorded.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

PYTHON = "/usr/bin/python3"
UDPLITE, MPTCP = 136, 262
FAMILIES = {socket.AF_INET: "192.0.2.7", socket.AF_INET6: "2001:db8::7"}
TRY = """
import os, socket, sys
def attempt(act):
    try: print(act() or 'done')
    except OSError as error: print(error.errno)
"""
OPEN = "interlock: 1\nname: open\nrules:\n  - id: all\n    allow: [file.*, process.exec, net.*, unix.*]\n"
# One rule on sends, so that the door looks at each.
OPEN += "  - id: one\n    deny: net.send\n    address: 198.51.100.1\n"
SHUT = "interlock: 1\nname: shut\nrules:\n  - id: files\n    allow: [file.*, process.exec]\n    path: '/**'\n"


@contextlib.contextmanager
def foreign(family: int, style: int = socket.SOCK_DGRAM) -> Iterator[socket.socket]:
    """A socket of a transport that no rule names."""
    wanted = UDPLITE if style == socket.SOCK_DGRAM else MPTCP
    try:
        made = socket.socket(family, style, wanted)
    except OSError as error:
        pytest.skip(f"protocol {wanted} is not built into this kernel ({error}); Debian's and Ubuntu's have it")
    with made:
        yield made


def denied(cli: Any, script: str, *, policy: str = OPEN, stdin: Any = subprocess.DEVNULL, given: tuple[str, ...] = ()) -> tuple[str, list[tuple[str, dict]]]:
    """What the script printed, and the denials of its session: verb and target, as the ledger has them."""
    ran = cli("run", "--policy", cli.write("policy.yaml", policy), "--", PYTHON, "-I", "-c", TRY + script, *given, stdin=stdin)
    assert ran.returncode == 0, ran.stderr
    found = cli("ledger", "query", "--session", "last", "--decision", "deny", "--json").stdout.splitlines()
    return ran.stdout, [(one["verb"], one["details"]) for one in map(json.loads, found)]


def own(family: int) -> str:
    return "standing = socket.socket(fileno=os.dup(0))\n" + f"HOST = {FAMILIES[family]!r}\n"


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("call", "verb"),
    [
        ("standing.connect((HOST, 7001))", "net.connect"),
        ("standing.bind((HOST, 7001))", "net.bind"),
        ("standing.sendto(b'x', (HOST, 7001))", "net.send"),
        ("standing.sendmsg([b'x'], [], 0, (HOST, 7001))", "net.send"),
    ],
)
def test_a_transport_without_rules_is_recorded_with_the_address_that_was_given(cli, family, call, verb):
    with foreign(family) as given:
        out, found = denied(cli, own(family) + f"attempt(lambda: {call})", stdin=given)
    assert out == "1\n"
    assert found == [(verb, {"protocol": "other", "address": FAMILIES[family], "port": 7001, "to": "outside"})]


@pytest.mark.parametrize("family", FAMILIES)
def test_what_listens_is_recorded_with_the_address_it_has(cli, family):
    with foreign(family, socket.SOCK_STREAM) as given:
        given.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
        out, found = denied(cli, own(family) + "attempt(lambda: standing.listen())", stdin=given)
        address, port = given.getsockname()[:2]
    assert out == "1\n"
    assert found == [("net.listen", {"protocol": "other", "address": address, "port": port, "to": "outside"})]


def test_the_word_for_it_is_one_that_people_read(cli):
    with foreign(socket.AF_INET) as given:
        denied(cli, own(socket.AF_INET) + "attempt(lambda: standing.connect((HOST, 7001)))", stdin=given)
    shown = cli("session", "show", "last").stdout
    assert "192.0.2.7:7001/other" in shown and "0.0.0.0" not in shown


@pytest.mark.parametrize(
    ("call", "style"),
    [("connect(name)", "SOCK_STREAM"), ("sendto(b'x', name)", "SOCK_DGRAM"), ("sendmsg([b'x'], [], 0, name)", "SOCK_DGRAM")],
)
def test_a_socket_of_interlocks_is_recorded_by_its_name(cli, call, style):
    """Another session's, where its processes may connect and nobody else."""
    ready = cli.root / "ready"
    first = cli.start("run", "--policy", cli.write("open.yaml", OPEN), "--", "/bin/sh", "-c", f'echo "$INTERLOCK_INSIDE" > {ready}.new; mv {ready}.new {ready}; exec sleep 60')
    try:
        for _ in range(600):
            if ready.exists():
                break
            with contextlib.suppress(subprocess.TimeoutExpired):
                first.wait(0.05)
        name = ready.read_text().strip()
        assert name.endswith(".sock"), name
        script = f"name = sys.argv[1]\nattempt(lambda: socket.socket(socket.AF_UNIX, socket.{style}).{call})"
        out, found = denied(cli, script, given=(name,))
    finally:
        first.terminate()
        first.wait(20)
    assert out == "13\n"
    assert found == [("unix.connect", {"path": name, "to": "outside"})]


def test_a_name_that_is_bound_out_of_the_session_is_recorded_as_it_would_have_been_made(cli):
    """Through a process outside the session, which the door does not look into."""
    script = "attempt(lambda: socket.socket(socket.AF_UNIX).bind(f'/proc/{sys.argv[1]}/net/new.sock'))"
    out, found = denied(cli, script, given=(str(os.getpid()),))
    assert out == "13\n"
    [(verb, target)] = found
    assert (verb, target) == ("file.mknod", {"path": f"/proc/{os.getpid()}/net"})


@pytest.mark.skipif(os.getuid() != 0, reason="needs a second user; expected where the tests run as root")
@pytest.mark.parametrize("name", ["own.sock", "\\0reached"])
def test_a_peer_that_would_take_the_caller_for_another_is_recorded_by_its_name(cli, name):
    cli.root.chmod(0o755)
    script = (
        f"server = socket.socket(socket.AF_UNIX); server.bind('{name}' + sys.argv[1]); server.listen()\n"
        "name = server.getsockname()\n"
        "os.path.exists('own.sock') and os.chmod('own.sock', 0o777)\n"
        "os.setgroups([]); os.setgid(1235); os.setuid(1234)\n"
        "attempt(lambda: socket.socket(socket.AF_UNIX).connect(name))\n"
    )
    last = "" if name == "own.sock" else str(cli.root)
    out, found = denied(cli, script, given=(last,))
    assert out == "13\n"
    # Whose an abstract name is, only trying it tells, and what is refused before is not tried: it is recorded as the wider of the two.
    expected = {"abstract": f"reached{last}"} if last else {"path": f"{cli.workspace.resolve()}/own.sock"}
    assert found == [("unix.connect", expected | {"to": "outside"})]


@pytest.mark.parametrize("family", FAMILIES)
def test_what_policy_denies_is_recorded_so_as_well(cli, family):
    host = "127.0.0.1" if family == socket.AF_INET else "::1"
    script = (
        f"host, family = {host!r}, {int(family)}\n"
        "attempt(lambda: socket.socket(family).connect((host, 7001)))\n"
        "attempt(lambda: socket.socket(family).bind((host, 7002)))\n"
        "attempt(lambda: socket.socket(family).listen())\n"
        "attempt(lambda: socket.socket(family, socket.SOCK_DGRAM).sendto(b'x', (host, 7003)))\n"
    )
    with socket.create_server((host, 0), family=family) as server, socket.socket(family, socket.SOCK_DGRAM) as other:
        other.bind((host, 0))
        ports = {"7001": server.getsockname()[1], "7003": other.getsockname()[1]}
        for number, port in ports.items():
            script = script.replace(number, str(port))
        out, found = denied(cli, script, policy=SHUT)
    any_address = "0.0.0.0" if family == socket.AF_INET else "::"
    at = lambda protocol, address, port: {"protocol": protocol, "address": address, "port": port, "to": "outside"}  # noqa: E731
    assert out == "13\n" * 4
    assert found == [
        ("net.connect", at("tcp", host, ports["7001"])),
        ("net.bind", at("tcp", host, 7002)),
        ("net.listen", at("tcp", any_address, 0)),
        ("net.send", at("udp", host, ports["7003"])),
    ]


def test_an_address_that_cannot_be_read_is_no_denial(cli):
    """It is the caller's own fault, told as natively: EFAULT, EINVAL, EAFNOSUPPORT; nothing is recorded that nobody reached for."""
    script = (
        "import ctypes\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "def call(name, *given):\n"
        "    return ctypes.get_errno() if getattr(libc, name)(*given) < 0 else 'done'\n"
        "one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "for name in ('connect', 'bind'):\n"
        "    print(call(name, one.fileno(), ctypes.c_void_p(8), 16), call(name, one.fileno(), b'x' * 200, 200), call(name, one.fileno(), b'\\x63\\0' + b'x' * 14, 16))\n"
    )
    out, found = denied(cli, script)
    native = subprocess.run([sys.executable, "-c", TRY + script], capture_output=True, text=True, check=True, timeout=30).stdout
    assert (out, found) == (native, [])
