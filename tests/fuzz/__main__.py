"""`python -m tests.fuzz [TARGET …] [--seconds N] [--seed N]`: mutated texts until the time is over or a text breaks something, which is then kept in a
file."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time

from .mutation import Mutation
from .play import TooSlow, played
from .targets import TARGETS

ROUND = 500


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"default: all of {', '.join(TARGETS)}")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target; default %(default)s")
    parser.add_argument("--seed", type=int, default=time.time_ns() // 1_000_000)
    arguments = parser.parse_args()
    for name in arguments.targets or TARGETS:
        seed, tried, end = arguments.seed, 0, time.monotonic() + arguments.seconds
        while time.monotonic() < end:
            mutation = Mutation(seed, TARGETS[name].corpus)
            for _ in range(ROUND):
                text = mutation.next()
                try:
                    played(TARGETS[name], text, mutation)
                except (Exception, TooSlow) as error:
                    with tempfile.NamedTemporaryFile(prefix=f"fuzz-{name}-", delete=False) as kept:
                        kept.write(text)
                    print(f"{name}: seed {seed}: {type(error).__name__}: {error}\n  the text: {kept.name}", file=sys.stderr)
                    return 1
                tried += 1
            seed += 1
        print(f"{name}: {tried} texts", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
