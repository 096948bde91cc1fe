"""What is remembered: by agent, counted once, bounded, kept before anything follows, shared between processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from interlock.risk.memory import CALLS_KEPT_MAX, CHANGED_MS, LABELS_MS, WINDOW_MS, Kept, Memory, Use
from interlock.risk.score import Seen
from interlock.storage.memories import MemoryStore


class Paper:
    def __init__(self) -> None:
        self.kept: list[Kept] = []
        self.full = False

    def keep(self, kept: Kept) -> None:
        if self.full:
            raise OSError("full")
        self.kept.append(kept)

    def keep_all(self, kept: Any) -> None:
        for each in kept:
            self.keep(each)


def use(number: int, name: str = "crm/read", definition: str | None = None) -> Use:
    return Use(f"s/{number}", name, definition)


def known(memory: Memory, number: int, now_ms: int = 0, **more: Any) -> Any:
    seen = Seen(hosts=more.pop("hosts", ()))
    return memory.known("coder", "attested", use(number, **more), seen, now_ms)


def test_a_call_counts_once_and_only_for_a_while() -> None:
    memory = Memory(Paper(), ())
    assert [known(memory, n).calls for n in (1, 2, 2, 3)] == [0, 1, 1, 2]
    assert known(memory, 4, now_ms=WINDOW_MS).calls == 0
    assert known(memory, 5, now_ms=0).calls == 1, "a clock that is set back forgets nothing"


def test_what_was_moved_counts_together_and_has_a_bound() -> None:
    memory = Memory(Paper(), ())
    memory.let_through("coder", use(1), Seen(bytes=5), (), 0)
    memory.returned("coder", 7, 0)
    assert known(memory, 2).bytes == 12
    for _ in range(2 * CALLS_KEPT_MAX):
        memory.returned("coder", 1, 10)
    assert known(memory, 3).bytes == 12 + 2 * CALLS_KEPT_MAX, "nothing is lost to the bound"
    assert known(memory, 4, now_ms=10 + WINDOW_MS).bytes == 0


def test_only_what_was_let_through_is_known_the_next_time() -> None:
    memory = Memory(Paper(), ())
    assert known(memory, 1, hosts=("a.test",)).new_tool
    assert known(memory, 2, hosts=("a.test",)).new_hosts == ("a.test",), (
        "a call that was only asked for makes nothing known"
    )
    memory.let_through("coder", use(2), Seen(hosts=("a.test",)), ("untrusted",), 0)
    after = known(memory, 3, hosts=("a.test", "b.test"))
    assert (after.new_tool, after.new_hosts, after.labels) == (False, ("b.test",), ("untrusted",))
    assert memory.known("other", "attested", use(9), Seen(), 0).new_tool


def test_labels_end_after_their_time_and_not_before() -> None:
    memory = Memory(Paper(), ())
    memory.let_through("coder", use(1), Seen(), ("private",), 0)
    memory.let_through("coder", use(2), Seen(), ("private",), LABELS_MS // 2)
    assert known(memory, 3, now_ms=LABELS_MS + 1).labels == ("private",)
    assert known(memory, 4, now_ms=LABELS_MS // 2 + LABELS_MS).labels == ()


def test_a_changed_definition_counts_for_a_while_whatever_is_called_meanwhile() -> None:
    memory = Memory(Paper(), ())
    assert [known(memory, n, definition=d).changed for n, d in enumerate(["a", "a", "b", "b", "a"])] == [
        False,
        False,
        True,
        True,
        True,
    ]
    assert not known(memory, 9, now_ms=CHANGED_MS + 1, definition="a").changed


def test_what_cannot_be_kept_is_not_remembered_either() -> None:
    paper = Paper()
    memory = Memory(paper, ())
    paper.full = True
    with pytest.raises(OSError, match="full"):
        memory.let_through("coder", use(1), Seen(), ("secret",), 0)


def test_it_outlives_the_process_and_others_hear_of_it(tmp_path: Path) -> None:
    store, other = MemoryStore(str(tmp_path / "m")), MemoryStore(str(tmp_path / "m"))
    before = other.version
    for row in (("a", "label", "secret", "", 5), ("a", "tool", "x", "", 6), ("a", "label", "secret", "", 7)):
        store.keep(row)
    assert other.version != before
    assert other.news()[-1] == ("a", "label", "secret", "", 7)
    store.keep(("a", "label", "secret", "", 8))
    assert other.news() == [("a", "label", "secret", "", 8)], "a row that replaces the last one is news"
    assert len(MemoryStore(str(tmp_path / "m")).news()) == 2
