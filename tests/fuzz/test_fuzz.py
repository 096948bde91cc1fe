"""A short run of every target, with a new seed each time, which is printed; and texts that broke something once. The long run: `python -m tests.fuzz`."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.fuzz.mutation import Mutation
from tests.fuzz.play import played
from tests.fuzz.targets import SLOW, TARGETS

TEXTS = 20_000 if os.environ.get("INTERLOCK_LONG") else 1_500
TEXTS_OF_SLOW = TEXTS // 10


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_comes_is_read_or_refused(name: str) -> None:
    seed = int(os.environ.get("INTERLOCK_FUZZ_SEED", time.time_ns() // 1_000_000))
    target = TARGETS[name]
    mutation = Mutation(seed, target.corpus)
    for number in range(TEXTS_OF_SLOW if name in SLOW else TEXTS):
        text = mutation.next()
        try:
            played(target, text, mutation)
        except BaseException as error:
            raise AssertionError(f"INTERLOCK_FUZZ_SEED={seed}, text {number}: {text!r}") from error


def test_a_parser_without_its_checks_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interlock.vocabulary.json_text.peer_text_fault", lambda text, **limits: None)
    for name in ("json-of-an-agent", "json-of-a-server"):
        with pytest.raises(AssertionError, match="INTERLOCK_FUZZ_SEED"):
            test_whatever_comes_is_read_or_refused(name)


def test_two_with_one_seed_are_the_same_and_the_corpus_is_taken_as_it_is() -> None:
    for name, target in TARGETS.items():
        assert [Mutation(1, target.corpus).next() for _ in range(3)] == [Mutation(1, target.corpus).next() for _ in range(3)]
        for text in target.corpus:
            played(target, text, Mutation(1, target.corpus)), name


#: Those that need no connection, file or process for each text.
GUIDED = ["json-of-an-agent", "message-of-a-server", "headers-of-an-agent", "events-of-a-server"]


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="needs atheris, which has wheels for x86_64 Linux alone")
def test_a_run_led_by_what_it_covers_finds_nothing_either() -> None:
    # Short, it tries the same texts each time: what is new is found by the long run.
    seconds, runs = (300, -1) if os.environ.get("INTERLOCK_LONG") else (120, 5_000)
    names = list(TARGETS) if os.environ.get("INTERLOCK_LONG") else GUIDED
    for name in names:
        command = [sys.executable, "-m", "tests.fuzz.guided", name, "--seconds", str(seconds), "--runs", str(runs)]
        done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=seconds + 280)
        assert done.returncode == 0 and "Done " in done.stdout, done.stdout + done.stderr
