"""The same targets, led by what they cover: `python -m tests.fuzz.guided [TARGET …] --seconds N`. Needs atheris (x86_64 Linux).

Each target runs in a process of its own, since libFuzzer ends the one it runs in. What breaks a target is kept, and replayed by giving its file to
`tests.fuzz.play`. What is covered is that of the Python code; the parsers in Rust are reached and not measured.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.guided")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="default: all")
    parser.add_argument("--seconds", type=int, default=60, help="for each target; default %(default)s")
    parser.add_argument("--runs", type=int, default=-1, help="texts for each target at most, the same ones each time; default: no limit")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        fuzz(arguments.targets[0], arguments.seconds, arguments.runs)
    broken = 0
    for name in arguments.targets or names():
        command = [sys.executable, "-m", "tests.fuzz.guided", name, "--seconds", str(arguments.seconds), "--runs", str(arguments.runs), "--here"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=arguments.seconds + 300)
        tried = [line for line in done.stderr.splitlines() if line.startswith("Done ")]
        print(f"{name}: {tried[0] if tried else done.stderr[-2_000:]}", flush=True)
        broken += done.returncode != 0
    return 1 if broken else 0


def names() -> list[str]:
    from tests.fuzz.targets import TARGETS

    return list(TARGETS)


def fuzz(name: str, seconds: int, runs: int) -> None:
    """Fuzz one target, and end with the process."""
    import atheris

    with atheris.instrument_imports(include=["interlock"]):
        from tests.fuzz.mutation import Mutation
        from tests.fuzz.play import played
        from tests.fuzz.targets import TARGETS
    target = TARGETS[name]
    mutation = Mutation(1, target.corpus)
    with tempfile.TemporaryDirectory(prefix="guided-") as corpus:
        for number, text in enumerate(target.corpus):
            Path(corpus, str(number)).write_bytes(text)
        kept = tempfile.mkdtemp(prefix=f"fuzz-{name}-")
        limits = [f"-max_total_time={seconds}", f"-runs={runs}", f"-seed={1 if runs >= 0 else 0}", "-timeout=20", "-max_len=4096", f"-artifact_prefix={kept}/"]
        atheris.Setup([sys.argv[0], *limits, corpus], lambda text: played(target, text, mutation))
        atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
