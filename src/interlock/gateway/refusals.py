"""Callers who are nobody, recorded: at most so many a second, the rest counted and the count recorded with the next."""

from __future__ import annotations

from collections.abc import Callable

from interlock.gateway.limits import REFUSALS_RECORDED_PER_S_MAX
from interlock.gateway.ports import Connection
from interlock.mediate.ports import Recorder, RecordFailed
from interlock.mediate.principal import Unknown
from interlock.vocabulary.json_text import JsonObject


class Refusals:
    """Records of `token.refused`. A flood of bad tokens must not become a flood of the log."""

    def __init__(self, recorder: Recorder, now_ms: Callable[[], int]) -> None:
        self._recorder = recorder
        self._now_ms = now_ms
        self._second = 0
        self._written = 0
        self._uncounted = 0

    async def record(self, unknown: Unknown, connection: Connection) -> None:
        """Record one. When the log refuses, the caller is refused all the same: there is no effect to hold back."""
        second = self._now_ms() // 1000
        if second != self._second:
            self._second, self._written = second, 0
        if self._written >= REFUSALS_RECORDED_PER_S_MAX:
            self._uncounted += 1
            return
        self._written += 1
        record: JsonObject = {
            "type": "token.refused",
            "reason": unknown.reason,
            "agent": unknown.agent,
            "client": f"{connection.client[0]}:{connection.client[1]}",
            "unrecorded": self._uncounted,
        }
        try:
            await self._recorder.ordered(record)
            self._uncounted = 0
        except RecordFailed:
            self._uncounted += 1
