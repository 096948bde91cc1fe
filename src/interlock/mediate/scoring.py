"""What the line asks of whoever scores: the score of an Action before it is decided, with what is recorded of it, and
what its agent has read. A gateway whose policy scores nothing has `Unscored`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from interlock.vocabulary.facts import Finding
from interlock.vocabulary.json_value import JsonObject


@dataclass(frozen=True, slots=True)
class Scored:
    """One Action's. `risk` is what rules are decided with (none: nothing scores), `told` what its record keeps;
    `in_shadow` is the score where that is only recorded, and rules are decided with 0. `flows`: of each layer
    that has some, a finding for each that the act would be."""

    risk: int | None = None
    labels: Mapping[str, tuple[str, ...]] | None = None
    told: JsonObject | None = None
    in_shadow: int | None = None
    flows: Mapping[str, tuple[Finding, ...]] | None = None


class Scoring(Protocol):
    """See the module. Whatever it raises denies the act."""

    def scored(self, action: JsonObject, assurance: str) -> Scored:
        """The score of an Action, whose agent is known so surely."""

    def let_through(self, action: JsonObject) -> None:
        """It is about to be enacted, and its decision is on record."""

    def returned(self, action: JsonObject, size: int, said: object) -> None:
        """So many bytes of its result go to its agent; `said`: the result, where there is one."""

    def prompted(self, agent: str, prompt: str) -> None:
        """An agent's own hook tells what its person wrote."""


class Unscored:
    """Nothing is scored, and nothing remembered."""

    def scored(self, action: JsonObject, assurance: str) -> Scored:
        """See `Scoring`."""
        return _NOTHING

    def let_through(self, action: JsonObject) -> None:
        """See `Scoring`."""

    def returned(self, action: JsonObject, size: int, said: object) -> None:
        """See `Scoring`."""

    def prompted(self, agent: str, prompt: str) -> None:
        """See `Scoring`."""


_NOTHING = Scored()
