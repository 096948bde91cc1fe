"""The gateway's log behind the recorder's port: records are queued, the loop is woken by an eventfd when they are on
disk."""

from __future__ import annotations

import asyncio

from interlock._native import LedgerError, LedgerFull, Log
from interlock.mediate.json_text import JsonObject, encode
from interlock.mediate.ports import RecordFailed, RecordFull

#: The writer answers within milliseconds; a disk that hangs must not hold a call for ever.
WAIT_S_MAX = 30.0


class LogRecorder:
    """Implements `mediate.ports.Recorder` on one open log. Belongs to the running loop."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._waiting: dict[int, asyncio.Future[int]] = {}
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(log.fileno(), self._completed)

    async def durable(self, record: JsonObject) -> int:
        """See `Recorder`."""
        return await self._write(record, "durable")

    async def ordered(self, record: JsonObject) -> int:
        """See `Recorder`."""
        return await self._write(record, "ordered")

    def close(self, reason: str) -> None:
        """Close the log with its last record."""
        self._loop.remove_reader(self._log.fileno())
        self._log.close(encode({"type": "session.closed", "reason": reason}).decode())

    async def _write(self, record: JsonObject, class_name: str) -> int:
        try:
            ticket = self._log.submit(encode(record).decode(), class_name)
        except LedgerError as error:
            raise RecordFailed(str(error)) from error
        waiting: asyncio.Future[int] = self._loop.create_future()
        self._waiting[ticket] = waiting
        try:
            async with asyncio.timeout(WAIT_S_MAX):
                return await asyncio.shield(waiting)
        except TimeoutError as error:
            raise RecordFailed(f"the log did not answer within {WAIT_S_MAX:g} s") from error
        finally:
            self._waiting.pop(ticket, None)

    def _completed(self) -> None:
        for ticket, outcome in self._log.completed():
            waiting = self._waiting.get(ticket)
            if waiting is None or waiting.done():
                continue
            if isinstance(outcome, int):
                waiting.set_result(outcome)
            else:
                failure = RecordFull if isinstance(outcome, LedgerFull) else RecordFailed
                waiting.set_exception(failure(str(outcome)))
