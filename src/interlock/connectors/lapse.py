"""A session that its server has forgotten, as a value: what is certain of the request that found it out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Processed(Enum):
    """Whether the server worked on that request: `NO` where the protocol says so, and then it may be sent again."""

    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Lapsed:
    """The channel is of no more use; a new session has to begin."""

    reason: str
    processed: Processed
