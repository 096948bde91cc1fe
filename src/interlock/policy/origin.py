"""Who wrote a layer."""

from __future__ import annotations

from enum import StrEnum


class Origin(StrEnum):
    """Who wrote a layer. A layer found in the workspace may only deny and approve."""

    BUILTIN = "builtin"
    USER = "user"
    ORGANISATION = "organisation"
    TEAM = "team"
    PROJECT = "project"
    WORKSPACE = "workspace"
    TASK = "task"
