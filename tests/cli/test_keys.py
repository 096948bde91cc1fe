"""The key agent through the public face, with OpenSSH's own client, agent and server: the person's key logs in where policy lets it, and nowhere else."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import time
from base64 import b64decode
from pathlib import Path

import pexpect
import pytest

from tests.cli.conftest import as_user
from tests.cli.test_approvals import GRACE
from tests.cli.test_hosts import recorded

SERVER = "/usr/sbin/sshd"
pytestmark = [
    pytest.mark.skipif(not os.path.exists(SERVER), reason=f"needs {SERVER} (openssh-server)"),
    pytest.mark.skipif(shutil.which("ssh-agent") is None, reason="needs OpenSSH's client and agent"),
]
POLICY = """\
interlock: 1
name: keys
rules:
  - {id: files, allow: file.*, path: "/**"}
  - {id: secrets, deny: file.read, path: ["~/.ssh/id_*"], except: ["~/.ssh/*.pub"]}
  - {id: programs, allow: process.exec, path: "/**"}
  - {id: signals, allow: process.signal, to: inside}
  - {id: sockets, allow: unix.connect, to: inside}
  - {id: here, allow: net.connect, address: 127.0.0.1}
  - {id: forge, allow: key.use, host: [git.example.com], user: [USER]}
"""
ASKING = POLICY + "  - {id: others, approve: key.use, unless_allowed: true, timeout: 20s, because: it is your word}\n"
#: Speaks to the agent without a library: numbers of messages, and what they answer.
RAW = """
import os, socket, struct, sys
string = lambda data: struct.pack('>I', len(data)) + data
peer = socket.socket(socket.AF_UNIX)
peer.connect(os.environ['SSH_AUTH_SOCK'])
def ask(message):
    peer.sendall(string(message))
    length = peer.recv(4, socket.MSG_WAITALL)
    return peer.recv(struct.unpack('>I', length)[0], socket.MSG_WAITALL) if length else b''
listed = ask(bytes([11]))
size = struct.unpack('>I', listed[5:9])[0]
key = listed[9:9 + size]
login = string(b's' * 32) + bytes([50]) + string(b'git') + string(b'ssh-connection') + string(b'publickey') + b'\\1' + string(b'ssh-ed25519') + string(key)
def sign(data): return ask(bytes([13]) + string(key) + string(data) + bytes(4))[0]
def bind(host, session, signature, forwarded=0):
    return ask(bytes([27]) + string(b'session-bind@openssh.com') + string(host) + string(session) + string(signature) + bytes([forwarded]))[0]
"""


class Desk:
    """A person with a key and an agent, and two hosts, of which each is known by a name."""

    def __init__(self, place, user, interlock):
        self.place, self.user, self.interlock = place, user, interlock
        self.account = user or pwd.getpwuid(os.getuid()).pw_name
        self.ssh = place.human / ".ssh"
        self.ssh.mkdir(mode=0o700)
        self.key = self.ssh / "id_ed25519"
        self.processes, self.ports = [], {}
        self.environment = {name: value for name, value in place.environment.items() if name != "SSH_AUTH_SOCK"}
        self.make(self.key)
        for name in ("git.example.com", "other.example.com"):
            self.make(self.ssh / f"host-{name}")
        known = [f"{name} {(self.ssh / f'host-{name}.pub').read_text()}" for name in ("git.example.com", "other.example.com")]
        (self.ssh / "known_hosts").write_text("".join(known))
        # Whoever would be logged in has to be able to read it.
        self.let_in = place.root / "authorized_keys"
        shutil.copy(f"{self.key}.pub", self.let_in)
        self.let_in.chmod(0o644)
        self.own(self.ssh, *self.ssh.iterdir(), self.let_in)
        for name in ("git.example.com", "other.example.com"):
            self.serve(name)

    def own(self, *paths):
        for path in paths if self.user is not None else ():
            shutil.chown(path, self.user)

    def make(self, path):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path], check=True)

    def serve(self, name):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        configuration = self.place.root / f"{name}.conf"
        configuration.write_text(
            f"ListenAddress 127.0.0.1:{port}\nHostKey {self.ssh}/host-{name}\nAuthorizedKeysFile {self.let_in}\n"
            "PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nAllowAgentForwarding yes\nPermitRootLogin yes\n"
        )
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        self.started([SERVER, "-D", "-e", "-f", str(configuration)])
        self.ports[name] = port
        for _ in range(200):
            with socket.socket() as peer:
                if peer.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError("no sshd")

    def agent(self):
        path = f"{self.place.root}/a.sock"
        self.started(["ssh-agent", "-D", "-a", path])
        for _ in range(200):
            if os.path.exists(path):
                break
            time.sleep(0.05)
        self.environment["SSH_AUTH_SOCK"] = path
        subprocess.run(["ssh-add", "-q", self.key], env=self.environment, check=True, **as_user(self.user))

    def started(self, command):
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.processes.append(subprocess.Popen(command, env=self.environment, **quiet, **as_user(self.user)))

    def end(self):
        for process in self.processes:
            process.terminate()
            process.wait()

    def policy(self, text=POLICY):
        path = self.place.root / "keys.yaml"
        path.write_text(text.replace("USER", self.account))
        path.chmod(0o644)
        return str(path)

    def client(self, name="git.example.com", user=None, options=()):
        kept = ["-F", "none", "-o", f"UserKnownHostsFile={self.ssh}/known_hosts", "-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes"]
        place = ["-o", f"HostKeyAlias={name}", "-p", str(self.ports[name]), "-l", user or self.account]
        return ["ssh", *kept, *place, *options, "127.0.0.1"]

    def command(self, *words, text=POLICY, ask=False):
        return [str(self.interlock), "run", *([] if ask else ["--no-ask"]), "--policy", self.policy(text), "--", *words]

    def run(self, *words, text=POLICY):
        return subprocess.run(
            self.command(*words, text=text), env=self.environment, cwd=self.place.workspace, capture_output=True, text=True,
            timeout=100, stdin=subprocess.DEVNULL, **as_user(self.user),
        )  # fmt: skip

    def uses(self):
        """What was decided about keys, in order: decision, reason, target."""
        decided = [each for each in recorded(self.place, "action.decided") if each["action"]["verb"] == "key.use"]
        return [(each["decision"]["decision"], each["decision"]["because"], each["action"]["target"]) for each in decided]


@pytest.fixture
def desk(place, user, installed):
    desk = Desk(place, user, installed.interlock)
    yield desk
    desk.end()


def test_the_persons_agent_logs_in_where_policy_lets_it(desk):
    desk.agent()
    ran = desk.run(*desk.client(), "echo", "inside")
    assert ran.stdout == "inside\n", ran
    [(decision, _, target)] = desk.uses()
    expected = {"purpose": "login", "user": desk.account, "host": "git.example.com", "port": 22}
    assert decision == "allow" and {key: target[key] for key in expected} == expected
    assert target["connected"] == [f"127.0.0.1:{desk.ports['git.example.com']}"]
    with open("/dev/null") as nothing:
        shown = subprocess.run(["ssh-keygen", "-l", "-f", f"{desk.key}.pub"], stdin=nothing, capture_output=True, text=True, check=True)
    assert target["key"] == shown.stdout.split()[1]


@pytest.mark.parametrize("agent", [None, "gone"])
def test_git_over_ssh_works_with_a_key_file_that_nobody_inside_can_read(desk, agent):
    desk.environment |= {} if agent is None else {"SSH_AUTH_SOCK": str(desk.place.root / agent)}
    there = desk.place.root / "there"
    environment = desk.environment | {"GIT_CONFIG_GLOBAL": "/dev/null", "HOME": str(desk.place.human)}
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", there], env=environment, check=True, **as_user(desk.user))
    script = f"""
    cat {desk.key} && echo READ
    git clone -q ssh://127.0.0.1{there} got && cd got && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m one \\
        && git push -q origin HEAD:main && git ls-remote origin | wc -l
    """
    desk.environment["GIT_SSH_COMMAND"] = " ".join(desk.client()[:-1])
    ran = desk.run("sh", "-c", script)
    assert ran.stdout.strip().endswith("2") and "READ" not in ran.stdout, ran
    assert [decision for decision, _, _ in desk.uses()] == ["allow"] * 3
    left = [path for path in Path("/proc").glob("[0-9]*/cmdline") if b"own-agent.sock" in _bytes(path)]
    assert not left, "the agent with the key files outlived its session"


def _bytes(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_another_host_and_another_user_are_refused_and_recorded(desk):
    desk.agent()
    for words in (desk.client("other.example.com"), desk.client(user="daemon")):
        ran = desk.run(*words, "echo", "inside")
        assert "inside" not in ran.stdout and "denied key.use" in ran.stderr, ran
    places = [(decision, target["host"], target["user"]) for decision, _, target in desk.uses()]
    assert places == [("deny", "other.example.com", desk.account), ("deny", "git.example.com", "daemon")]
    why = subprocess.run([str(desk.interlock), "why"], env=desk.environment, capture_output=True, text=True, **as_user(desk.user))
    assert all(part in why.stdout for part in ("allow: key.use", "host: git.example.com", "user: ")), why


def test_a_forwarded_agent_is_not_used_from_there(desk):
    desk.agent()
    inner = " ".join(desk.client()) + " echo twice"
    ran = desk.run(*desk.client(options=["-A"]), inner)
    assert "twice" not in ran.stdout, ran
    assert desk.uses()[0][0] == "allow"
    refused = [because for decision, because, _ in desk.uses() if decision == "deny"]
    assert refused and set(refused) == {"an agent that is forwarded to another machine would be used there"}
    outside = subprocess.run(
        [*desk.client(options=["-A"]), inner], env=desk.environment, capture_output=True, text=True, **as_user(desk.user)
    )
    assert outside.stdout == "twice\n", "the control: outside it is used"


def test_a_raw_client_gets_nothing_signed_where_nobody_is_asked(desk):
    desk.agent()
    host = b64decode((desk.ssh / "host-git.example.com.pub").read_text().split()[1])
    script = f"""{RAW}
print(sign(login), sign(b'SSHSIG' + string(b'git')), sign(b'anything'))
print(bind({host!r}, b's' * 32, string(b'ssh-ed25519') + string(b'x' * 64)), sign(login))
print([ask(bytes([number]) + string(key))[0] for number in (17, 18, 19, 22, 23, 25, 26, 27, 200)])
peer.sendall(struct.pack('>I', 1 << 30)); print(peer.recv(1))
"""
    ran = desk.run("/usr/bin/python3", "-I", "-c", script, text=ASKING)
    assert ran.stdout == f"5 5 5\n5 5\n{[5] * 9}\nb''\n", ran
    held = subprocess.run(["ssh-add", "-l"], env=desk.environment, capture_output=True, **as_user(desk.user))
    assert held.returncode == 0, "the person's agent still has its key"
    decided = [(decision, target["purpose"], "host" in target) for decision, _, target in desk.uses()]
    asked = [("approve", purpose, False) for purpose in ("login", "git", "unknown")]
    assert [each for each in decided if each[0] == "approve"] == asked
    assert [each for each in decided if each[0] == "deny"] == [("deny", *each[1:]) for each in asked] + [
        ("deny", "binding", False),
        ("deny", "login", False),
    ]


def test_what_is_bound_to_no_host_is_asked_each_time_by_process_and_place(desk):
    desk.agent()
    if desk.user is not None:
        pytest.skip("the terminal is the test's own user's: played as root")
    port = desk.ports["git.example.com"]
    script = f"{RAW}\nother = socket.create_connection(('127.0.0.1', {port}))\nprint('signs', sign(login), sign(login))"
    [program, *words] = desk.command("/usr/bin/python3", "-I", "-c", script, text=ASKING, ask=True)
    terminal = pexpect.spawn(program, words, env=desk.environment, cwd=str(desk.place.workspace), encoding="utf-8", timeout=60, dimensions=(40, 220))
    for answer in ("y", "n"):
        terminal.expect("key.use SHA256:")
        terminal.expect("to log in as git bound to no host")
        terminal.expect(f"connected +127.0.0.1:{port}")
        terminal.expect("python3")
        terminal.expect("approve this, once")
        time.sleep(GRACE)
        terminal.send(f"{answer}\r")
    terminal.expect("signs 14 5")
    terminal.expect(pexpect.EOF)
    assert [decision for decision, _, _ in desk.uses()] == ["approve", "allow", "approve", "deny"]


@pytest.mark.skipif(os.getuid() != 0, reason="needs root: reads the memory of other processes")
def test_the_key_is_in_no_memory_of_the_session(desk):
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_ssh_private_key

    private = load_ssh_private_key(desk.key.read_bytes(), None)
    secrets = (private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()), desk.key.read_bytes().splitlines()[3])
    words = desk.command("sh", "-c", " ".join(desk.client()) + " 'echo ready; sleep 30' & wait")
    reader = "import sys, time; data = open(sys.argv[1]).read(); print('ready', flush=True); time.sleep(60)"
    with _running([*words], desk, desk.place.workspace), _running(["/usr/bin/python3", "-c", reader, desk.key], desk, "/") as control:
        jailed = [process for process in _processes() if _is_jailed(process, desk.place.human)]
        programs = {os.path.basename(os.readlink(f"/proc/{process}/exe")) for process in jailed}
        found = [process for process in jailed if any(secret in _memory(process) for secret in secrets)]
        assert "ssh" in programs and not found, (programs, found)
        assert any(secret in _memory(control.pid) for secret in secrets), "the control: where it was read it is found"


@contextlib.contextmanager
def _running(words, desk, directory):
    """A program that has said that it is ready."""
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
    process = subprocess.Popen(words, env=desk.environment, cwd=directory, **piped, **as_user(desk.user))
    try:
        assert process.stdout.readline() == b"ready\n"
        yield process
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def _processes():
    return [int(path.name) for path in Path("/proc").glob("[0-9]*")]


def _is_jailed(process, home):
    status, variables = _bytes(Path(f"/proc/{process}/status")), _bytes(Path(f"/proc/{process}/environ"))
    return b"Seccomp:\t2" in status and b"NoNewPrivs:\t1" in status and f"HOME={home}\0".encode() in variables


def _memory(process):
    parts = []
    with open(f"/proc/{process}/mem", "rb", buffering=0) as memory:
        for line in Path(f"/proc/{process}/maps").read_text().splitlines():
            place, rights, *_ = line.split()
            first, last = (int(part, 16) for part in place.split("-"))
            if rights.startswith("r") and "[v" not in line:
                with contextlib.suppress(OSError):
                    memory.seek(first)
                    parts.append(memory.read(last - first))
    return b"".join(parts)
