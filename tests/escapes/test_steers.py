"""Steers of the host plane, through the command line: what is done instead is done, nothing else is, and it is told once.

The judge is outside: a neighbour in another network tries to reach the server, the program says what it was started with.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.escapes.arena import Arena
from tests.tries import seconds, tries

PYTHON = "/usr/bin/python3"
NODE = shutil.which("node")
POLICY = """\
interlock: 1
name: steered
rules:
  - id: work
    allow: [file.*, process.exec, unix.connect]
    path: ["/**"]
  - id: signals
    allow: process.signal
  - id: loopback
    allow: [net.bind, net.listen, net.connect, net.send]
    address: ["@loopback"]
  - id: here
    steer: [net.bind, net.listen]
    address: ["0.0.0.0/0", "::/0"]
    port: 1-65535
    to: this_machine
    because: others would reach it
  - id: unbound
    allow: net.bind
    address: ["@any-address"]
    port: 0
    protocol: tcp
  - id: lease
    steer: process.exec
    command: {program: [tool, tool.py, "nothing"], words: [push], any_flag: [--force, -f]}
    to: {replace_flag: --force-with-lease}
  - id: scripts
    steer: process.exec
    command: {program: [tool, tool.py], words: [ci]}
    to: {add_flag: --ignore-scripts}
  - id: no-secrets
    deny: file.read
    path: ["~/.ssh/**"]
  - id: never
    deny: process.exec
    command: {program: [tool, tool.py], any_flag: [--never]}
  - id: into-a-denial
    steer: process.exec
    command: {program: [tool, tool.py], any_flag: [--soon]}
    to: {replace_flag: --never}
"""
#: Says what it was started with, and whether it reads what it may not.
TOOL = r"""
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int count, char **words) {
    char said[65536]; FILE *own = fopen("/proc/self/cmdline", "r"); size_t length = fread(said, 1, sizeof said - 1, own);
    for (size_t at = 0; at + 1 < length; at++) if (!said[at]) said[at] = ' ';
    printf("%s|", said);
    for (int each = 0; each < count; each++) printf("%s%s", each ? " " : "", words[each]);
    FILE *comm = fopen("/proc/self/comm", "r"); char name[32] = ""; if (comm) (void)!fgets(name, sizeof name, comm);
    name[strcspn(name, "\n")] = 0;
    printf("|%s|%s|%s\n", name, getenv("KEPT") ? getenv("KEPT") : "", open(words[count - 1], O_RDONLY) < 0 ? "shut" : "open");
    return 7;
}
"""
TOOL_PY = "#!/usr/bin/python3 -I\nimport sys\nprint(*sys.argv)\nsys.exit(5)\n"


@pytest.fixture
def steered(arena: Arena) -> Arena:
    (arena.root / "steered.yaml").write_text(POLICY)
    source = arena.root / "tool.c"
    source.write_text(TOOL)
    subprocess.run(["cc", "-o", arena.work / "tool", source], check=True)
    (arena.work / "tool.py").write_text(TOOL_PY)
    (arena.work / "tool.py").chmod(0o755)
    arena._own()
    return arena


def words_of(arena: Arena, *more: str) -> list[str]:
    return [str(arena.python.parent / "interlock"), "run", "--policy", str(arena.root / "steered.yaml"), *more,
            "--workspace", str(arena.work), "--"]  # fmt: skip


# Programs


@pytest.mark.parametrize(
    ("given", "ran"),
    [
        (["push", "--force", "origin"], "push --force-with-lease origin"),
        (["-x", "push", "origin", "-f"], "-x push origin --force-with-lease"),
        (["push", "-f", "--force", "x" * 5000], f"push --force-with-lease {'x' * 5000}"),
        (["push", "-f", "é ü\n$(x)"], "push --force-with-lease é ü\n$(x)"),
        (["push", "origin"], "push origin"),
        (["--a", "ci", "b"], "--a ci --ignore-scripts b"),
        (["ci", "--ignore-scripts"], "ci --ignore-scripts"),
        (["ci", "--prefix", "--ignore-scripts"], "ci --ignore-scripts --prefix --ignore-scripts"),
        (["push", "-f", "--", "-f"], "push --force-with-lease -- -f"),
    ],
)
def test_another_command_line_runs(steered: Arena, given: list[str], ran: str) -> None:
    steered.environment["KEPT"] = "kept"
    control = steered.run("./tool", *given)
    held = steered.run(*words_of(steered), "./tool", *given)
    assert control.output == f"./tool {' '.join(given)}|./tool {' '.join(given)}|tool|kept|shut\n"
    assert held.output == f"./tool {ran}|./tool {ran}|tool|kept|shut\n"
    assert (control.code, held.code) == (7, 7), "status, descriptors and environment are the command's own"
    script = steered.run(*words_of(steered), "./tool.py", *given)
    assert (script.code, script.output) == (5, f"{steered.work}/tool.py {ran}\n")


def test_what_was_done_instead_is_told_once_and_stands_in_the_record(steered: Arena) -> None:
    held = steered.run(*words_of(steered), "sh", "-c", "for each in 1 2 3; do ./tool push -f origin; done")
    told = [line for line in held.errors.splitlines() if "lease" in line]
    assert told == [
        f"interlock: process.exec {steered.work}/tool push -f origin: with --force-with-lease in place of --force, -f "
        "(steered/lease: rule `steered/lease` says so)"
    ]
    quiet = steered.run(*words_of(steered, "--quiet"), "./tool", "push", "-f")
    assert (quiet.code, quiet.errors) == (7, "")
    query = (steered.python.parent / "interlock", "ledger", "query", "--json", "--verb", "process.exec")
    asked, done, texts, until = [], [], [], time.monotonic() + 20
    while not (asked and done) and time.monotonic() < until:  # the supervisor ends after its command
        found = steered.run(*query)
        texts = [json.dumps(json.loads(line)) for line in found.output.splitlines()]
        asked = [text for text in texts if '"steer"' in text and '"-f"' in text]
        done = [text for text in texts if "--force-with-lease" in text and '"decision": "allow"' in text]
    assert asked and done, (texts, found.errors)


def test_a_steer_leads_to_no_denied_act_and_the_jail_stays(steered: Arena) -> None:
    soon = steered.run(*words_of(steered), "./tool", "--soon")
    assert (soon.output, soon.code) == ("", 124)
    assert "--never" in soon.errors
    shut = steered.run(*words_of(steered), "./tool", "push", "-f", str(steered.key))
    assert shut.output.endswith("|shut\n")
    assert steered.run("./tool", "push", "-f", str(steered.key)).output.endswith("|open\n")


@pytest.mark.parametrize("words", ["push -fu", "push -uf", "push -- -f", "ci --ignore-scripts=false", "-- ci"])
def test_what_words_mean_is_not_guessed_at(steered: Arena, words: str) -> None:
    held = steered.run(*words_of(steered), "./tool", *words.split())
    assert (held.output, held.code) == ("", 124)
    assert "leads nowhere" in held.errors


def test_what_is_too_long_is_not_started_at_all(steered: Arena) -> None:
    held = steered.run(*words_of(steered), "./tool", "push", "-f", "x" * 110_000)
    assert held.output == ""
    assert held.code not in (0, 7)


@pytest.mark.parametrize("way", ["vfork", "threads", "fexecve", "ignored", "exec-in-exec"])
def test_every_way_to_start_a_program_is_steered_or_denied(steered: Arena, way: str) -> None:
    scripts = {
        "vfork": "import subprocess; subprocess.run(['./tool', 'push', '-f'], close_fds=False)",
        "threads": "import subprocess, threading\n"
        "run = lambda: subprocess.run(['./tool', 'push', '-f'])\n"
        "all = [threading.Thread(target=run) for _ in range(8)]\n"
        "[each.start() for each in all]; [each.join() for each in all]",
        "fexecve": "import os; os.execve(os.open('./tool', os.O_RDONLY), ['./tool', 'push', '-f'], {})",
        "ignored": "import os, signal, subprocess\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "[subprocess.run(['./tool', 'push', '-f'], restore_signals=False) for _ in range(3)]",
        "exec-in-exec": "import os; os.execv('/usr/bin/env', ['env', 'env', './tool', 'push', '-f'])",
    }
    times = {"threads": 8, "fexecve": 0, "ignored": 3}.get(way, 1)
    held = steered.run(*words_of(steered), PYTHON, "-I", "-c", scripts[way])
    line = "./tool push --force-with-lease|./tool push --force-with-lease|tool||shut\n"
    assert held.output == line * times, held.errors


@pytest.mark.race
@pytest.mark.timeout(3 * seconds(60) + 200)
def test_no_race_on_the_words_starts_the_original_or_a_third(steered: Arena) -> None:
    """Another thread changes the words while the call is decided: what runs is what was decided of one reading, or nothing."""
    racer = steered.root / "racer.c"
    racer.write_text(RACER)
    subprocess.run(["cc", "-O1", "-pthread", "-o", steered.work / "racer", racer], check=True)
    steered._own()
    count, limit = tries(300), seconds(60)
    control = steered.run("./racer", str(min(count, 2000)), "20")
    held = steered.run(*words_of(steered, "--quiet"), "./racer", str(count), str(limit), seconds=2 * limit + 100)
    print(f"words: control {control.output.strip()}; held {held.output.strip()}")
    raw = dict(part.split("=") for part in held.output.split())
    assert int(dict(part.split("=") for part in control.output.split())["forced"]) > 0
    assert (int(raw["forced"]), int(raw["other"])) == (0, 0), held.output
    assert int(raw["leased"]) > 0, held.output


RACER = r"""
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
static char word[64] = "-f";
static char *words[] = {"./tool", "push", word, 0};
static volatile int going = 1;
static void *change(void *unused) {
    static const char *texts[] = {"-f", "-v", "--force", "--force-if"};
    for (unsigned turn = getpid(); going; turn += 3) { strcpy(word, texts[turn % 4]); usleep(turn * 7919 % 1500); }
    return unused;
}
int main(int count, char **given) {
    int forced = 0, leased = 0, plain = 0, other = 0, none = 0, tried = 0;
    time_t until = time(0) + atoi(given[2]);
    for (; tried < atoi(given[1]) && time(0) < until; tried++) {
        int ends[2]; if (pipe(ends)) return 1;
        pid_t child = fork();
        if (!child) {
            pthread_t thread; dup2(ends[1], 1); close(ends[0]); close(ends[1]);
            pthread_create(&thread, 0, change, 0);
            execv(words[0], words); _exit(9);
        }
        close(ends[1]);
        char said[512] = ""; size_t length = 0; ssize_t more;
        while ((more = read(ends[0], said + length, sizeof said - 1 - length)) > 0) length += more;
        close(ends[0]); waitpid(child, 0, 0);
        said[length] = 0;
        char *bar = strchr(said, '|'); if (bar) *bar = 0;
        if (!*said) none++;
        else if (!strcmp(said, "./tool push --force-with-lease")) leased++;
        else if (!strcmp(said, "./tool push -f") || !strcmp(said, "./tool push --force")) forced++;
        else if (!strncmp(said, "./tool push -", 13) && !strstr(said, "--force-with-lease")) plain++;
        else other++;
    }
    printf("tried=%d forced=%d leased=%d plain=%d other=%d none=%d\n", tried, forced, leased, plain, other, none);
    return 0;
}
"""

# Servers


@pytest.fixture
def neighbour() -> Iterator[tuple[str, list[str]]]:
    """An address of this machine that another network can reach, and how to run something in that network."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("needs root and `ip`: makes a network of its own")
    name = f"il-{os.getpid()}"
    third = os.getpid() % 250
    here, there = f"10.213.{third}.1", f"10.213.{third}.2"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if made.returncode != 0:
        pytest.skip(f"no network namespaces here: {made.stderr}")
    try:
        for words in (
            f"link add {name}a type veth peer name {name}b", f"link set {name}b netns {name}",
            f"address add {here}/30 dev {name}a", f"link set {name}a up",
            f"-n {name} address add {there}/30 dev {name}b", f"-n {name} link set {name}b up",
        ):  # fmt: skip
            subprocess.run(["ip", *words.split()], check=True, capture_output=True)
        yield here, ["ip", "netns", "exec", name]
    finally:
        subprocess.run(["ip", "link", "delete", f"{name}a"], capture_output=True)
        subprocess.run(["ip", "netns", "delete", name], capture_output=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def reaches(way: list[str], address: str, port: int, style: str) -> bool:
    """Whether somebody gets an answer there."""
    script = (
        "import socket, sys\n"
        "address, port, style = sys.argv[1], int(sys.argv[2]), getattr(socket, sys.argv[3])\n"
        "peer = socket.socket(socket.AF_INET, style); peer.settimeout(1.5)\n"
        "peer.connect((address, port)); peer.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n')\n"
        "sys.exit(0 if peer.recv(1) else 1)\n"
    )
    return (
        subprocess.run([*way, PYTHON, "-I", "-c", script, address, str(port), style], capture_output=True).returncode
        == 0
    )


CLUSTER = """\
const cluster = require("cluster");
if (cluster.isPrimary) { cluster.fork(); cluster.fork(); }
else require("http").createServer((asked, answer) => answer.end("x")).listen(process.argv[2]);
"""
SERVERS = {
    "http.server": [PYTHON, "-m", "http.server", "PORT"],
    "http.server, all of both": [PYTHON, "-m", "http.server", "PORT", "--bind", "::"],
    "by listen": [PYTHON, "-I", "-c", "import socket, sys\ns = socket.socket(); s.setsockopt(1, 2, 1)\n"
                  "s.bind(('', 0)); s.listen(); print(s.getsockname()[1], flush=True)\n"
                  "while True:\n p, _ = s.accept(); p.sendall(b'x'); p.close()"],
    "node": [NODE or "node", "-e", "require('http').createServer((a, b) => b.end('x')).listen(PORT)"],
    "node, cluster": [NODE or "node", "cluster.js", "PORT"],
}  # fmt: skip


@pytest.mark.parametrize("server", SERVERS)
def test_a_server_is_reached_from_this_machine_alone(
    steered: Arena, server: str, neighbour: tuple[str, list[str]]
) -> None:
    if server.startswith("node") and NODE is None:
        pytest.skip("no Node.js here")
    here, way = neighbour
    (steered.work / "cluster.js").write_text(CLUSTER)
    style = "SOCK_STREAM"
    for held in (False, True):
        port = free_port()
        words = [word.replace("PORT", str(port)) for word in SERVERS[server]]
        command = [*(words_of(steered) if held else []), *words]
        process = subprocess.Popen(
            [*steered._as_user(), *command],
            cwd=steered.work,
            env=steered._environment(),
            stdout=-1,
            stderr=-1,
            text=True,
            start_new_session=True,
        )
        try:
            if server == "by listen":
                assert process.stdout is not None
                port = int(process.stdout.readline())
            home = "127.0.0.1"
            until = time.monotonic() + 30
            while not reaches([], home, port, style) and time.monotonic() < until and process.poll() is None:
                time.sleep(0.1)
            assert reaches([], home, port, style), (held, process.poll() is not None and process.communicate())
            assert reaches(way, here, port, style) is not held
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            for stream in (process.stdout, process.stderr):
                assert stream is not None
                stream.close()


UNDO = """
import socket, sys
here = socket.socket(); here.bind(("0.0.0.0", int(sys.argv[1]))); here.listen()
print(here.getsockname())
def attempt(act):
    try: act(); print("done")
    except OSError as error: print(error.errno)
attempt(lambda: here.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b""))
attempt(lambda: here.setsockopt(socket.SOL_SOCKET, 62, 0))
attempt(lambda: here.setsockopt(socket.SOL_SOCKET, 62, 2))
print(here.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16))
peer = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
"""


@pytest.mark.parametrize("style", ["SOCK_STREAM", "SOCK_DGRAM"])
def test_what_cannot_be_kept_to_this_machine_is_denied(
    steered: Arena, neighbour: tuple[str, list[str]], style: str
) -> None:
    """Loopback has no address that others reach alone, and a socket for datagrams loses its device with its peer."""
    address = neighbour[0] if style == "SOCK_STREAM" else "0.0.0.0"
    script = f"import socket; socket.socket(socket.AF_INET, socket.{style}).bind(({address!r}, {free_port()}))"
    assert steered.run(PYTHON, "-I", "-c", script).code == 0
    held = steered.run(*words_of(steered), PYTHON, "-I", "-c", script)
    assert (held.code, "leads nowhere" in held.errors) == (1, True)


def test_no_call_of_the_sessions_undoes_it(steered: Arena) -> None:
    port = free_port()
    held = steered.run(*words_of(steered, "--quiet"), PYTHON, "-I", "-c", UNDO, str(port))
    assert held.output == f"('0.0.0.0', {port})\n1\n1\n1\nb'lo\\x00'\n", held.errors
