"""Who has the person's keys: the person's own agent, or, where there is none, one of this session's with the keys that
lie where ssh looks for them. Both outside the jail.

A passphrase is asked by the program that the person has for it (`SSH_ASKPASS`), as ssh-add does without a terminal;
without one such a key is not used. Source: ssh-agent(1), ssh-add(1).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Final

from interlock.key_agent import wire

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: OpenSSH's own limit of a message (AGENT_MAX_LEN).
_MESSAGE_BYTES_MAX: Final = 256 * 1024
#: A key on hardware waits for a touch, a passphrase for a person.
_ANSWER_SECONDS_MAX: Final = 120.0
#: To say which keys there are, nobody is asked for anything. In seconds.
LIST_SECONDS_MAX: Final = 5.0
_START_SECONDS_MAX: Final = 5.0
_LOOK_SECONDS: Final = 0.01
_NO_IDENTITIES: Final = bytes([wire.IDENTITIES_ANSWER, 0, 0, 0, 0])


class AgentConnection:
    """One connection to an agent: a `Signer`. An agent that is gone has no keys.

    INVARIANT: an answer is the one to the request before it. After an agent that was late, left or spoke otherwise, its
    connection is over for good: a late answer would be taken for another's, and a new connection would be bound to no
    host.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._socket: socket.socket | None = None
        self._is_over = False

    def identities(self) -> bytes:
        """The agent's own answer."""
        answer = self._asked(bytes([wire.REQUEST_IDENTITIES]), LIST_SECONDS_MAX)
        return answer if answer is not None and answer[0] == wire.IDENTITIES_ANSWER else _NO_IDENTITIES

    def bound(self, request: bytes) -> None:
        """Pass the binding on. Agents that do not know it go on without."""
        self._asked(request)

    def signed(self, request: wire.SignRequest) -> bytes | None:
        """The signature, if the agent gives it."""
        answer = self._asked(wire.written(request))
        return answer if answer is not None and answer[0] == wire.SIGN_RESPONSE else None

    def close(self) -> None:
        """The program has left."""
        if self._socket is not None:
            self._socket.close()

    def _asked(self, message: bytes, seconds: float = _ANSWER_SECONDS_MAX) -> bytes | None:
        if self._is_over:
            return None
        try:
            if self._socket is None:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                self._socket.settimeout(seconds)
                self._socket.connect(self._path)
            self._socket.settimeout(seconds)
            self._socket.sendall(wire.string(message))
            length = int.from_bytes(self._read(4), "big")
            if not 0 < length <= _MESSAGE_BYTES_MAX:
                raise ConnectionError("this is no answer")
            return self._read(length)
        except OSError:
            self._is_over = True
            self.close()
            return None

    def _read(self, count: int) -> bytes:
        assert self._socket is not None
        data = b""
        while len(data) < count:
            more = self._socket.recv(count - len(data))
            if not more:
                raise ConnectionError("the agent is gone")
            data += more
        return data


class KeyFiles:
    """An agent with the person's key files, started when it is first needed."""

    def __init__(self, path: str, files: Sequence[str], environment: Mapping[str, str]) -> None:
        self._path = path
        self._files = files
        self._environment = dict(environment)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def path(self) -> str:
        """Where it listens. Whoever comes first waits for the keys."""
        with self._lock:
            if self._process is None:
                self._start()
        return self._path

    def close(self) -> None:
        """End it, and forget the keys."""
        with self._lock:
            if self._process is not None and self._process.stdin is not None:
                self._process.stdin.close()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(_START_SECONDS_MAX)

    def _start(self) -> None:
        agent, add, shell = (shutil.which(name) for name in ("ssh-agent", "ssh-add", "sh"))
        if agent is None or add is None or shell is None:
            return
        # It ends with its shell, and that with us, however we end: it reads what we hold open.
        ends = 'while read -r _; do :; done; kill "$SSH_AGENT_PID"'
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
        command = [agent, "-a", self._path, shell, "-c", ends]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, env=self._environment, **quiet)  # type: ignore[call-overload]
        until = time.monotonic() + _START_SECONDS_MAX
        while not os.path.exists(self._path) and time.monotonic() < until:
            time.sleep(_LOOK_SECONDS)
        with contextlib.suppress(subprocess.TimeoutExpired):
            theirs = self._environment | {"SSH_AUTH_SOCK": self._path}
            subprocess.run(  # type: ignore[call-overload]
                [add, "-q", *self._files],
                stdin=subprocess.DEVNULL,
                env=theirs,
                timeout=_ANSWER_SECONDS_MAX,
                check=False,
                **quiet,
            )
