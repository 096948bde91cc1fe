"""How it stands with one server, as the operator is told (`connector list`, `doctor`). Frozen."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Standing:
    """`state` is `running`, `starting` or `not running`; `faults` say what is wrong in our words, `detail` is what the
    server wrote itself, `denied` what its policy refused it last, `left_out` what it lists and nobody is shown."""

    connector: str
    state: str
    faults: tuple[str, ...] = ()
    detail: str | None = None
    denied: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
