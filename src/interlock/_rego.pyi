"""Rego by regorus' interpreter. Mirrors `crates/interlock-rego`; loaded by `interlock.rego.child` alone."""

from collections.abc import Sequence
from typing import final

class RegoError(Exception):
    """It could not be loaded or evaluated; the message says why."""

@final
class Rego:
    """Modules, ready to be evaluated."""

    def __init__(self, modules: Sequence[tuple[str, str]], *, data: str, time_ms: int, v0: bool) -> None:
        """Load (name, text) of each. Raises `RegoError`."""

    def value(self, rule: str, input: str) -> str | None:
        """The value of one rule for an input, as JSON; none where it is undefined. Raises `RegoError`."""

    def trees(self) -> str:
        """The syntax trees of its modules, as JSON. Raises `RegoError`."""
