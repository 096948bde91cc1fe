"""What the line asks of whoever hears what a policy's layers find beside their rules: by their Rego, and by their
flows. A policy without either has `Unconsulted`."""

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
        """What these layers find about an Action. What cannot be heard is a finding of error."""


class Unconsulted:
    """There is none: a layer that finds something after all is unheard, which denies."""

    async def findings(
        self, layers: Sequence[str], action: JsonObject, attribution: Attribution, scored: Scored
    ) -> Mapping[str, tuple[Finding, ...]]:
        """See `Consulting`."""
        return {}
