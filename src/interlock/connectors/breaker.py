"""When not to try again yet: failures in a row open the circuit for a while that doubles, one success closes it.
Pure."""

from __future__ import annotations

from typing import Final

FAILURES_MAX: Final = 3
PAUSE_MS_FIRST: Final = 500
PAUSE_MS_MAX: Final = 60_000


class Breaker:
    """The circuit of one upstream. Times are milliseconds of one monotonic clock, given by the caller."""

    def __init__(self, failures_max: int = FAILURES_MAX) -> None:
        self._failures_max = failures_max
        self._failures = 0
        self._open_until_ms = 0
        self._why = ""

    def refusal(self, now_ms: int) -> str | None:
        """Why nothing is tried now, or none."""
        if now_ms >= self._open_until_ms:
            return None
        wait_s = (self._open_until_ms - now_ms + 999) // 1000
        times = "once" if self._failures == 1 else f"{self._failures} times in a row"
        return f"it failed {times} ({self._why}); it is tried again in {wait_s} s"

    @property
    def why(self) -> str | None:
        """Why it failed last, if it has not worked since."""
        return self._why if self._failures else None

    def failed(self, why: str, now_ms: int) -> None:
        """One more failure."""
        self._failures += 1
        self._why = why
        if self._failures >= self._failures_max:
            doubled = PAUSE_MS_FIRST << min(self._failures - self._failures_max, 10)
            self._open_until_ms = now_ms + min(doubled, PAUSE_MS_MAX)

    def succeeded(self) -> None:
        """It works: forget the failures."""
        self._failures = 0
        self._open_until_ms = 0
