"""What the line asks of whoever hears the Rego of a policy's layers. A policy without any has `Unconsulted`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from interlock.mediate.permit import Attribution
from interlock.mediate.scoring import Scored
from interlock.vocabulary.facts import Finding
from interlock.vocabulary.json_value import JsonObject


class Consulting(Protocol):
    """See the module."""

    async def findings(
        self, layers: Sequence[str], action: JsonObject, attribution: Attribution, scored: Scored
    ) -> Mapping[str, tuple[Finding, ...]]:
        """What the Rego of these layers finds about an Action. What cannot be heard is a finding of error."""


class Unconsulted:
    """There is none: a layer that has some after all is unheard, which denies."""

    async def findings(
        self, layers: Sequence[str], action: JsonObject, attribution: Attribution, scored: Scored
    ) -> Mapping[str, tuple[Finding, ...]]:
        """See `Consulting`."""
        return {}
