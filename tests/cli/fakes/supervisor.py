#!/usr/bin/env python3
"""A scripted stand-in for the supervisor, for what the real one does not do on demand: lie, die, flood, ask.

It runs the command unheld and speaks spec/supervisor.md. FAKE_SCRIPT in the launch's environment is a JSON list of messages to
send after `started`; `{"do": …}` entries are acts: `wait_answer`, `die`, `garbage`, `sleep`.
"""

import fcntl
import json
import os
import signal
import socket
import sys
import termios
import time


def main() -> int:
    control = socket.socket(fileno=int(sys.argv[2]))
    lines = control.makefile("rb")
    launch = json.loads(lines.readline())
    environment = {name: value for name, value in launch["environment"].items() if isinstance(value, str)}
    script = json.loads(environment.pop("FAKE_SCRIPT", "[]"))

    def send(message):
        control.sendall(json.dumps(message).encode() + b"\n")

    if script and script[0].get("type") == "failed":
        send(script[0])
        return 0
    child = start(launch, environment)
    for number in launch["stdio"]:
        os.close(number)
    send({"type": "started", "process": child, "enforced": {}})
    perform(script, send, lines)
    control.settimeout(0.02)
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            break
        relay(control, child)
    code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 0
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
    send({"type": "exited", "code": code, "signal": number, "running": []})
    send({"type": "ended", "counts": {}, "runs_later": [], "checkpoint": None, "reason": "exited"})
    return 0


def relay(control, child):
    try:
        data = control.recv(65536)
    except TimeoutError:
        return
    if not data:
        strike(child, signal.SIGKILL)
        os._exit(1)
    for line in data.splitlines():
        message = json.loads(line)
        if message["type"] == "signal":
            strike(child, message["signal"])


def strike(child, number):
    """The command's group, or the command alone while it has made none yet."""
    try:
        os.killpg(child, number)
    except ProcessLookupError:
        os.kill(child, number)


def perform(script, send, lines):
    for step in script:
        act = step.get("do")
        if act is None:
            send(step)
        elif act == "wait_answer":
            answer = json.loads(lines.readline())
            with open(step["to"], "w") as file:
                json.dump(answer, file)
        elif act == "die":
            os._exit(9)
        elif act == "garbage":
            os.write(int(sys.argv[2]), b"not json\n")
        elif act == "sleep":
            time.sleep(step["seconds"])


def start(launch, environment):
    child = os.fork()
    if child:
        return child
    os.setsid()
    for number, descriptor in enumerate(launch["stdio"]):
        os.dup2(descriptor, number)
    if launch["terminal"]:
        terminal = next(number for number in (0, 1, 2) if os.isatty(number))
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    os.chdir(launch["directory"])
    os.closerange(3, 1000)
    try:
        os.execve(launch["program"], launch["command"], environment)
    finally:
        os._exit(127)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ConnectionError:  # `interlock run` has hung up on a liar
        sys.exit(1)
