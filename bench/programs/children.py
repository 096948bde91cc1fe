"""Python's own calls under SIGCHLD: `children.py FOLDER PROCESSES MILLISECONDS`.

Each process has children ending all the time, a handler for it (Python sets none with SA_RESTART) and files to work on. Python repeats opens, reads
and waits that a signal ended (PEP 475), and hands the error of all else to the program. Prints `calls N signals N interrupted N wrong 0`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable

#: So long a child lives: its end falls among its parent's calls.
CHILD_SECONDS = 0.0005


def main() -> None:
    folder, processes, milliseconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    until = time.monotonic() + milliseconds / 1000
    pipes = []
    for number in range(processes):
        reading, writing = os.pipe()
        if os.fork() == 0:
            os.write(writing, " ".join(map(str, Work(f"{folder}/c{number}").until(until))).encode())
            os._exit(0)
        os.close(writing)
        pipes.append(reading)
    counts = [[int(word) for word in os.read(reading, 100).split()] for reading in pipes]
    calls, signals, interrupted = (sum(column) for column in zip(*counts, strict=True))
    print(f"calls {calls} signals {signals} interrupted {interrupted} wrong 0")


class Work:
    """One process's calls and what became of them."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.calls = self.signals = self.interrupted = 0

    def until(self, end: float) -> tuple[int, int, int]:
        signal.signal(signal.SIGCHLD, self.on_child)
        self.call(os.mkdir, self.place)
        while time.monotonic() < end:
            self.child()
            one, two = f"{self.place}/one", f"{self.place}/two"
            self.call(os.mkdir, one)
            self.call(os.chmod, one, 0o755)
            self.call(os.rename, one, two)
            self.call(os.rmdir, two)
            self.call(os.symlink, "x", one)
            self.call(os.unlink, one)
            self.call(os.kill, os.getpid(), 0)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self.call(os.rmdir, self.place)
        return self.calls, self.signals, self.interrupted

    def on_child(self, *_: object) -> None:
        self.signals += 1
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass

    def child(self) -> None:
        if os.fork() == 0:
            time.sleep(CHILD_SECONDS)
            os._exit(0)

    def call(self, act: Callable[..., object], *given: object) -> None:
        while True:
            self.calls += 1
            try:
                act(*given)
                return
            except InterruptedError:
                self.interrupted += 1


main()
