"""A yes for the session: it covers one host, port and transport in one session, and whatever differs is asked about again, refused or denied as it would be.

The judge is outside: the servers that were reached, the names that were asked for, and the questions that came up.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import textwrap
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from interlock.ledger import reader
from interlock.vocabulary.question import Grant, reach_of
from tests.kernel.drive import Drive, Message, policy, rule
from tests.kernel.test_host_names import CONNECT, FILES, HOST, LOCAL, PYTHON, RUN, SIGNAL, USERS
from tests.kernel.world import OTHER, PORT, PRIVATE, PUBLIC, World, in_world
from tests.tries import tries

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="needs root: makes a network of its own")
ASKS = rule("ask", "approve", ["net.connect", "net.send"], 60_000)
#: Hosts of one domain are asked about, and nothing else is allowed: the rest is refused without a question.
NARROW = policy(FILES, RUN, SIGNAL, LOCAL, rule("ask", "approve", ["net.connect"], 60_000, host=["*.example.org"], port=[[PORT, PORT]]))
WIDE = policy(FILES, RUN, SIGNAL, LOCAL, HOST, ASKS)
ZONE = {"new.example.org": [PUBLIC], "other.example.org": [OTHER], "api.example.com": [PUBLIC]}
ENDLESS = 2**52


def held(question: Message, **changes: object) -> Message:
    """A yes for the session, as `interlock run` sends it; `changes` are of its reach."""
    reach = reach_of(question["action"])
    assert reach is not None
    grant = Grant(f"g-{question['id'][2:]}", question["digest"], "uid:0", ENDLESS, 1_000_000, {**reach, **changes})
    return grant.as_value()


def answer(drive: Drive, question: Message, grant: Message | None) -> None:
    drive.say({"type": "answer", "id": question["id"], "grant": grant, "reason": None})


class Asked:
    """A session whose first question gets a yes for the session; all others are refused, and noted."""

    def __init__(self, script: str, compiled: Message = WIDE, *, user: int | None = None, says: Callable[[Message], Message] = held):
        self.questions: list[str] = []
        self.withdrawn = 0
        with Drive([PYTHON, "-I", "-c", textwrap.dedent(script)], compiled, user=user) as drive:
            for message in self._told(drive):
                if message["type"] == "question":
                    target = message["action"]["target"]
                    self.questions.append(f"{target.get('host')} {target['address']} {target['port']}/{target['protocol']}")
                    answer(drive, message, says(message) if len(self.questions) == 1 else None)
            self.said = (drive._drain(drive.stdout) + drive._drain(drive.stderr)).decode()
        logs = reader.sessions(drive.state)
        self.records = [each.event.document for log in logs for each in reader.entries(log.path)]

    def _told(self, drive: Drive) -> Iterator[Message]:
        drive.control.settimeout(60)
        for message in drive.messages():
            self.withdrawn += message["type"] == "withdrawn"
            yield message
            if message["type"] in ("ended", "failed"):
                assert message["type"] == "ended", message
                return

    def allowed(self) -> list[Message]:
        decided = [each for each in self.records if each["type"] == "action.decided"]
        return [each for each in decided if each["decision"]["decision"] == "allow" and each["action"]["verb"] == "net.connect"]


@pytest.mark.parametrize("user", USERS)
def test_one_yes_covers_every_connection_to_its_place_in_every_process_of_the_session(user: int | None) -> None:
    script = CONNECT + textwrap.dedent(
        """
        import os
        print(reach('new.example.org', family=socket.AF_INET))
        sys.stdout.flush()
        if os.fork() == 0:
            print(reach('new.example.org', family=socket.AF_INET)); sys.stdout.flush(); os._exit(0)
        os.wait()
        print(socket.getaddrinfo('new.example.org', 443, socket.AF_INET)[0][4][0])
        """
    )

    def act(world: World) -> None:
        asked = Asked(script, user=user)
        # Once it may be reached, its own address is answered: clients that refuse special ranges go there too.
        assert asked.said.split() == [PUBLIC, PUBLIC, PUBLIC]
        assert asked.questions == ["new.example.org 198.19.0.1 443/tcp"] and world.reached == [PUBLIC, PUBLIC]
        first, second = asked.allowed()[:2]
        assert second["action"]["target"]["address"] == PUBLIC and second["decision"]["rules"] == ["test/ask"]
        [grant] = second["facts"]["grants"]
        assert grant["reach"] == {
            "session": grant["reach"]["session"],
            "verb": "net.connect",
            "protocol": "tcp",
            "host": "new.example.org",
            "address": "198.19.0.1",
            "port": 443,
        }
        # The fact says how often it may still be used.
        assert grant["uses"] < first["facts"]["grants"][0]["uses"]
        [answered] = [each for each in asked.records if each["type"] == "approval.answered"]
        assert answered["answer"] == "yes" and answered["grant"]["reach"]["host"] == "new.example.org"

    in_world(act, ZONE)


FIRST = CONNECT + "print(reach('new.example.org', family=socket.AF_INET))\n"


@pytest.mark.parametrize(
    ("then", "question"),
    [
        ("reach('other.example.org', family=socket.AF_INET)", f"other.example.org 198.19.0.2 {PORT}/tcp"),
        ("reach('new.example.org', 444, socket.AF_INET)", f"new.example.org {PUBLIC} 444/tcp"),
        (f"reach('{OTHER}')", f"None {OTHER} {PORT}/tcp"),
        ("socket.socket().connect_ex(('198.19.0.2', 443))", f"None 198.19.0.2 {PORT}/tcp"),
        (f"socket.socket(socket.AF_INET6).connect_ex(('::ffff:{OTHER}', 443))", f"None {OTHER} {PORT}/tcp"),
    ],
)
def test_what_differs_in_host_port_or_address_is_asked_about_again(then: str, question: str) -> None:
    def act(world: World) -> None:
        with socket.create_server((PUBLIC, 444)):
            asked = Asked(FIRST + f"print({then})")
        assert asked.questions == [f"new.example.org 198.19.0.1 {PORT}/tcp", question] and "13" in asked.said
        assert world.reached == [PUBLIC]

    in_world(act, ZONE)


def test_another_transport_to_the_same_place_sends_nothing() -> None:
    script = FIRST + textwrap.dedent(
        f"""
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for attempt in (lambda: s.sendto(b'out', ('{PUBLIC}', 443)), lambda: s.connect(('{PUBLIC}', 443)), lambda: s.send(b'out')):
            try:
                attempt()
                print('done')
            except OSError as error:
                print(error.errno)
        """
    )

    def act(world: World) -> None:
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind((PUBLIC, 443))
        server.setblocking(False)
        asked = Asked(script)
        # The send is asked about and refused; connecting is the C library's probe, shut for sending.
        assert asked.said.split() == [PUBLIC, "13", "done", "32"]
        assert asked.questions[1:] == [f"new.example.org {PUBLIC} 443/udp"]
        with pytest.raises(BlockingIOError):
            server.recv(9)

    in_world(act, ZONE)


@pytest.mark.parametrize("later", [PRIVATE, "127.0.0.1", "169.254.169.254", "::1"])
def test_a_name_that_leads_elsewhere_later_is_judged_again(later: str) -> None:
    """The rule that asks names the host: what is no public address it errs about. Without a name it asks again."""
    script = FIRST + f"print([reach('new.example.org', {PORT}) for _ in range(2)])"
    zone = {"new.example.org": lambda count: [PUBLIC] if count == 1 else [later]}

    def act(world: World) -> None:
        for compiled, questions in ((NARROW, []), (WIDE, [f"new.example.org {later} {PORT}/tcp"])):
            world.reached.clear()
            world._counts.clear()
            asked = Asked(script, compiled)
            assert asked.said.startswith(PUBLIC) and asked.said.count("errno 13") + asked.said.count("errno 111") == 2, asked.said
            assert asked.questions[1:2] == (questions if later != "127.0.0.1" and later != "::1" else asked.questions[1:2])
            assert world.reached == [PUBLIC]

    in_world(act, zone)


def test_those_that_wait_for_the_same_place_are_let_through_by_one_yes() -> None:
    script = CONNECT + textwrap.dedent(
        """
        import threading
        said = []
        threads = [threading.Thread(target=lambda: said.append(reach('new.example.org', family=socket.AF_INET))) for _ in range(12)]
        [thread.start() for thread in threads]; [thread.join() for thread in threads]
        print(said)
        """
    )

    def first_of_many(drive: Drive) -> tuple[list[Message], int]:
        drive.control.settimeout(60)
        questions: list[Message] = []
        withdrawn = 0
        for message in drive.messages():
            if message["type"] == "question":
                questions.append(message)
                if len(questions) == 5:
                    answer(drive, questions[0], held(questions[0]))
            withdrawn += message["type"] == "withdrawn"
            if message["type"] == "ended":
                break
        return questions, withdrawn

    def act(world: World) -> None:
        with Drive([PYTHON, "-I", "-c", script], WIDE) as drive:
            questions, withdrawn = first_of_many(drive)
            said = drive._drain(drive.stdout).decode()
        assert said.count(PUBLIC) == 12 and len(world.reached) == 12
        assert withdrawn == len(questions) - 1

    in_world(act, ZONE)


@pytest.mark.parametrize("decision", ["deny", "steer"])
def test_a_yes_for_the_session_lifts_nothing_else_that_is_said_of_the_act(decision: str) -> None:
    other = rule("no", decision, ["net.connect"], address=[f"{PUBLIC}/32"])
    other["steer"] = {"address": {"address": PRIVATE}} if decision == "steer" else None
    compiled = policy(FILES, RUN, SIGNAL, LOCAL, HOST, ASKS, other)

    def act(world: World) -> None:
        asked = Asked(FIRST * 2, compiled)
        assert asked.said.split() == ["errno", "13"] * 2 and len(asked.questions) == 1 and not world.reached

    in_world(act, ZONE)


@pytest.mark.parametrize(
    "changes",
    [{"host": "other.example.org"}, {"port": 444}, {"session": "s-other"}, {"address": OTHER}, {"verb": "net.send"}, {"host": None}],
)
def test_an_answer_that_claims_another_place_than_was_asked_about_is_good_once(changes: Message) -> None:
    def act(world: World) -> None:
        def says(question: Message) -> Message:
            grant = held(question, **changes)
            grant["reach"] = {key: value for key, value in grant["reach"].items() if value is not None}
            return grant

        asked = Asked(FIRST * 2 + f"print(reach('other.example.org', family=socket.AF_INET), reach('{OTHER}', {PORT}))", says=says)
        assert asked.said.split() == [PUBLIC, *["errno", "13"] * 3] and len(asked.questions) == 4
        assert world.reached == [PUBLIC]

    in_world(act, ZONE)


def test_a_yes_of_another_session_is_none_here() -> None:
    """The very grant that one session holds, given to the next one for the same place."""

    def act(world: World) -> None:
        kept: list[Message] = []

        def noting(question: Message) -> Message:
            kept.append(held(question))
            return kept[-1]

        assert Asked(FIRST, says=noting).said.split() == [PUBLIC]
        again = Asked(FIRST * 2, says=lambda _: kept[0])
        assert again.said.split() == ["errno", "13"] * 2 and len(again.questions) == 2
        assert world.reached == [PUBLIC]

    in_world(act, ZONE)


def test_an_agent_does_not_give_itself_a_yes_and_an_expired_or_used_one_is_none() -> None:
    def act(world: World) -> None:
        for change in ({"approver": "agent:"}, {"expires_ms": 1}, {"uses": 0}):
            asked = Asked(FIRST * 2, says=lambda question, change=change: held(question) | change)
            assert asked.said.split() == ["errno", "13"] * 2 and not world.reached, change
        twice = Asked(FIRST * 3, says=lambda question: held(question) | {"uses": 2})
        assert twice.said.split() == [PUBLIC, PUBLIC, "errno", "13"] and len(twice.questions) == 2

    in_world(act, ZONE)


CONTROL = """
import socket, sys
with socket.socket(socket.AF_UNIX) as peer:
    peer.connect(sys.argv[1])
    peer.sendall(sys.argv[2].encode() + b'\\n')
    print(peer.makefile().readline())
"""


def _control(drive: Drive, user: int | None, message: Message) -> Message:
    """Asked by the session's own user: nobody else is answered."""
    words = [PYTHON, "-I", "-c", CONTROL, str(drive.state / "runtime/control.sock"), json.dumps(message)]
    return dict(json.loads(subprocess.run(words, check=True, capture_output=True, user=user).stdout))


@pytest.mark.parametrize("user", USERS)
def test_a_yes_that_was_taken_back_is_none_and_one_cannot_be_taken_back_from_inside(user: int | None) -> None:
    script = FIRST + textwrap.dedent(
        """
        import json, os, time
        with socket.socket(socket.AF_UNIX) as peer:
            print(peer.connect_ex(os.environ['CONTROL']))
        sys.stdout.flush()
        while not os.path.exists(os.environ['GO']): time.sleep(0.01)
        print(reach('new.example.org', family=socket.AF_INET))
        """
    )

    def act(world: World) -> None:
        from tests.kernel.drive import _own_state
        from tests.kernel.world import folder

        place, state = folder(), _own_state()
        environment = {**os.environ, "CONTROL": str(state / "runtime/control.sock"), "GO": str(place / "go")}
        with Drive([PYTHON, "-I", "-c", script], WIDE, user=user, state=state, environment=environment) as drive:
            question = drive.until("question")
            answer(drive, question, held(question))
            while not world.reached:
                time.sleep(0.01)
            [grant] = _grants(drive, user)
            assert grant["id"] == held(question)["id"]
            assert _control(drive, user, {"type": "revoke", "grant": "g-other"}) == {"revoked": False}
            assert _control(drive, user, {"type": "revoke", "grant": grant["id"]}) == {"revoked": True}
            assert not _grants(drive, user)
            (place / "go").touch()
            again = drive.until("question")
            answer(drive, again, None)
            drive.until("ended")
            said = drive._drain(drive.stdout).decode()
        assert said.split() == [PUBLIC, "13", "errno", "13"] and world.reached == [PUBLIC]
        records = [each.event.document for log in reader.sessions(state) for each in reader.entries(log.path)]
        [revoked] = [each for each in records if each["type"] == "grant.revoked"]
        assert revoked["grant"]["id"] == grant["id"] and revoked["grant"]["reach"]["host"] == "new.example.org"

    in_world(act, ZONE)


def _grants(drive: Drive, user: int | None) -> list[Message]:
    return list(_control(drive, user, {"type": "show"})["grants"])


RACE = """
import ctypes, os, threading, time
libc = ctypes.CDLL(None, use_errno=True)
def wire(address, port): return b'\\2\\0' + port.to_bytes(2) + socket.inet_aton(address) + bytes(8)
granted = wire(socket.getaddrinfo('new.example.org', 443, socket.AF_INET)[0][4][0], 443)
others = [wire('{OTHER}', 443), wire('{PUBLIC}', 444), wire('{PRIVATE}', 443)]
place = ctypes.create_string_buffer(granted, 16)
done = False
def flip():
    while not done:
        for other in others:
            ctypes.memmove(place, other, 16)
            ctypes.memmove(place, granted, 16)
flipping = [threading.Thread(target=flip, daemon=True) for _ in range(2)]
[thread.start() for thread in flipping]
end, count, wins, reached = time.monotonic() + {seconds}, 0, 0, 0
while count < {tries} and time.monotonic() < end:
    count += 1
    with socket.socket() as peer:
        peer.setblocking(False)
        libc.connect(peer.fileno(), place, 16)
        try:
            found = peer.getpeername()
        except OSError:
            continue
        reached += 1
        wins += found != ('{PUBLIC}', 443)
done = True
print(wins, reached > 0, file=sys.stderr)
print(count)
"""


@pytest.mark.race
@pytest.mark.parametrize("user", USERS)
def test_racing_threads_win_nothing_by_a_yes_for_the_session(user: int | None) -> None:
    from tests.tries import seconds

    many, most = tries(2_000, 100_000), seconds(20)
    script = FIRST + RACE.replace("{OTHER}", OTHER).replace("{PUBLIC}", PUBLIC).replace("{PRIVATE}", PRIVATE).replace(
        "{tries}", str(many)
    ).replace("{seconds}", str(most))

    def act(world: World) -> None:
        for place in ((OTHER, 443), (PUBLIC, 444), (PRIVATE, 443)):
            if place[1] != PORT:
                threading.Thread(target=socket.create_server(place).accept, daemon=True).start()
        asked = Asked(script, NARROW, user=user)
        assert "0 True" in asked.said, asked.said[-2000:]
        assert len(asked.questions) == 1 and set(world.reached) == {PUBLIC}
        print(f"yes for the session: {asked.said.split()[1]} tries")

    in_world(act, ZONE)
