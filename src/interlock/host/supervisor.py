"""Starts the supervisor executable. What is said to it is `channel` and `launch`; where it is, `executable`."""

from __future__ import annotations

import os
import signal
import socket
from typing import TYPE_CHECKING, Final

from interlock.host.channel import Channel
from interlock.vocabulary.errors import EXIT_FAILED, HostError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Python ignores these for itself; the command must have them as `run` was given them.
_PYTHON_IGNORES: Final = (signal.SIGPIPE, signal.SIGXFSZ)
#: How much it says and how long it waits; which container this is, for its words when one refuses something; and what
#: it is to take for missing, which can only make it refuse more.
_START_SECONDS: Final = "INTERLOCK_START_SECONDS"
_HANDED_ON: Final = frozenset(
    ("RUST_BACKTRACE", _START_SECONDS, "KUBERNETES_SERVICE_HOST", "container", "INTERLOCK_SIMULATE_MISSING")
)
#: The steps of a start that each may take what was asked for, and the most that may be asked.
_STEPS: Final = 4
_ASKED_SECONDS_MAX: Final = 3600


def more_seconds_to_start(environment: Mapping[str, str]) -> int:
    """How much longer than usual whoever waits for a start has to wait: the supervisor may take that long itself."""
    text = environment.get(_START_SECONDS, "")
    return _STEPS * min(int(text), _ASKED_SECONDS_MAX) if text.isascii() and text.isdigit() else 0


class Supervisor:
    """A started supervisor: its process id and the channel to it."""

    def __init__(self, process: int, channel: Channel) -> None:
        self.process = process
        self.channel = channel

    def reap(self, *, wait: bool) -> int | None:
        """The wait status once it has ended; None while it runs (only when not waiting)."""
        try:
            process, status = os.waitpid(self.process, 0 if wait else os.WNOHANG)
        except ChildProcessError:
            return 0
        return status if process else None


def start_supervisor(executable: str, *, inherited: Sequence[int] = ()) -> Supervisor:
    """Start `executable` in a session of its own, with `/dev/null` on 0 and 1.

    Arguments: `inherited` descriptors, all above 2, that it is to have under the same numbers (`stdio` of the launch).
    Raises `HostError` when it cannot be started.
    """
    ours, theirs = socket.socketpair()
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    kept = {theirs.fileno(), *inherited}
    before = {descriptor: os.get_inheritable(descriptor) for descriptor in kept}
    try:
        for descriptor in kept:
            os.set_inheritable(descriptor, True)
        actions: list[tuple[int, ...]] = [(os.POSIX_SPAWN_DUP2, null, number) for number in (0, 1)]
        process = os.posix_spawn(
            executable,
            [executable, "--control-fd", str(theirs.fileno())],
            _environment(),
            file_actions=actions,
            setsid=True,
            setsigmask=[],
            setsigdef=_PYTHON_IGNORES,
        )
    except OSError as error:
        ours.close()
        raise HostError(f"cannot start `{executable}`: {error.strerror}", exit_code=EXIT_FAILED) from error
    finally:
        for descriptor, inheritable in before.items():
            os.set_inheritable(descriptor, inheritable)
        os.close(null)
        theirs.close()
    return Supervisor(process, Channel(ours))


def _environment() -> dict[str, str]:
    """The supervisor needs no more than this; nothing in the human's environment may steer it (LD_PRELOAD and the
    like).
    """
    return {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"} | {
        name: value for name, value in os.environ.items() if name in _HANDED_ON
    }
