"""What a benchmark yields: one figure without Interlock beside the same figure with it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One figure in `unit`: `native` (or, for a tool call, made directly) and governed; `hop` is the same through a bare hop, where
    there is one."""

    name: str
    unit: str
    native: float
    governed: float
    hop: float = 0.0

    @property
    def ratio(self) -> float:
        """Governed by native; nothing stands for a native figure of nought."""
        return self.governed / self.native if self.native else float("nan")

    @property
    def words(self) -> str:
        """As one line; a dash stands for a figure that is not there."""
        figures = "".join(f"{_figure(each):>11} {self.unit if each else '':<4}" for each in (self.native, self.hop, self.governed))
        return f"{self.name:38}{figures}{_times(self.governed, self.native):>9}{_times(self.governed, self.hop):>9}"


def _figure(value: float) -> str:
    return f"{value:.2f}" if value else "–"


def _times(value: float, base: float) -> str:
    return f"{value / base:.2f}x" if base else "–"
