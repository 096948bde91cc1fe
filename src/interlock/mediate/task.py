"""A task that a server made of a call (extension `io.modelcontextprotocol/tasks`), as it is kept here. A frozen value.

The client is given a handle of ours, never the server's own name of the task: a handle is good for the agent that made
the call and for nobody else, and it leads to the very call that was decided.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from interlock.vocabulary.json_text import JsonObject


@dataclass(frozen=True, slots=True)
class KeptTask:
    """`agent` made the call `action` of `tool` at `connector` with `arguments`; `own` is what the server calls it.
    It is kept until `until_ms`, in milliseconds of the epoch."""

    agent: str
    connector: str
    tool: str
    arguments: JsonObject = field(repr=False)
    own: str = field(repr=False)
    action: str
    until_ms: int
