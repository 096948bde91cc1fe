"""What a benchmark yields: one figure without Interlock beside the same figure with it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One figure in `unit`: `native` (or, for a tool call, made directly) and governed."""

    name: str
    unit: str
    native: float
    governed: float

    @property
    def ratio(self) -> float:
        """Governed by native; nothing stands for a native figure of nought."""
        return self.governed / self.native if self.native else float("nan")
