"""Tasks of servers, by the digest of the handle that an agent has: `state/tasks.sqlite`.

INVARIANT: `keep` returns once the task is on disk, so a handle that an agent was given leads somewhere after any end of
the gateway. Handles are not kept, only their SHA-256. Bounded for each agent, in tasks and in bytes: its oldest make
room. Left out: who may ask (`gateway/tasks.py`).
"""

from __future__ import annotations

import hashlib
import json
from typing import Final

from interlock.mediate.task import KeptTask
from interlock.storage.database import Database

TASKS_PER_AGENT_MAX: Final = 1_000
BYTES_PER_AGENT_MAX: Final = 32 * 1024 * 1024
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS task (
  handle TEXT PRIMARY KEY, agent TEXT NOT NULL, connector TEXT NOT NULL, tool TEXT NOT NULL, arguments TEXT NOT NULL,
  own TEXT NOT NULL, action TEXT NOT NULL, until_ms INTEGER NOT NULL, made_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS task_by_agent ON task (agent, made_ms);
"""
_FIND: Final = (
    "SELECT agent, connector, tool, arguments, own, action, until_ms FROM task "
    "WHERE handle = ? AND agent = ? AND until_ms > ?"
)
#: What of an agent's tasks is too much, the newest kept.
_MAKE_ROOM: Final = """
DELETE FROM task WHERE handle IN (
  SELECT handle FROM (
    SELECT handle, row_number() OVER newest AS place, sum(length(arguments)) OVER newest AS bytes
    FROM task WHERE agent = ? WINDOW newest AS (ORDER BY made_ms DESC, handle)
  ) WHERE place > ? OR (place > 1 AND bytes > ?)
)
"""


class TaskStore:
    """The database. Not shared between threads; processes share the file."""

    def __init__(self, path: str) -> None:
        """Open it. Raises `HostError`."""
        self._database = Database(path, schema=_SCHEMA, name="database of tasks")

    def keep(self, handle: str, task: KeptTask, now_ms: int) -> None:
        """Have it on disk. Raises `HostError` when it is not there after all."""
        called = (_digest(handle), task.agent, task.connector, task.tool, json.dumps(task.arguments))
        with self._database.transaction():
            self._database.change("DELETE FROM task WHERE until_ms <= ?", (now_ms,))
            self._database.change(
                "INSERT INTO task VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*called, task.own, task.action, task.until_ms, now_ms),
            )
            self._database.change(_MAKE_ROOM, (task.agent, TASKS_PER_AGENT_MAX, BYTES_PER_AGENT_MAX))

    def find(self, handle: str, agent: str, now_ms: int) -> KeptTask | None:
        """The task of a handle, for its own agent. Raises `HostError` when that cannot be read."""
        rows = self._database.rows(_FIND, (_digest(handle), agent, now_ms))
        if not rows:
            return None
        owner, connector, tool, arguments, own, action, until_ms = rows[0]
        return KeptTask(
            agent=str(owner),
            connector=str(connector),
            tool=str(tool),
            arguments=json.loads(str(arguments)),
            own=str(own),
            action=str(action),
            until_ms=int(until_ms or 0),
        )

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()


def _digest(handle: str) -> str:
    return hashlib.sha256(handle.encode()).hexdigest()
