"""Facts: all that is impure, gathered before deciding; and which of them a policy asks for about one act. Frozen
values.

Those of the `facts` of spec/action.md that Python gathers: encoded as JSON they are what the engine reads and the
ledger keeps. What only the supervisor knows (`history`) is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from interlock.vocabulary.question import Grant


@dataclass(frozen=True, slots=True)
class Finding:
    """What a layer's Rego, or a flow of its, says of an act: `finds` is `deny`, `approve` or `error`."""

    finds: str
    id: str
    because: str | None = None
    timeout_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Needs:
    """What the rules that touch an act ask for. What nobody asks for is not gathered, and recorded as not known."""

    #: The yeses in force, and the clock that ends them.
    grants: bool = False
    risk: bool = False
    #: The places whose labels are asked for.
    labels: frozenset[str] = frozenset()
    origin: bool = False
    #: The layers whose Rego and flows have to be heard.
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known when deciding. None is "not known": a rule that needs it errs, and an erring rule denies."""

    now_ms: int = 0
    grants: tuple[Grant, ...] = ()
    risk: int | None = None
    labels: Mapping[str, tuple[str, ...]] | None = None
    #: `before` or `session`: of the object acted upon, and of what stands at the destination of a rename or link.
    origin: str | None = None
    origin_to: str | None = None
    #: What the Rego and the flows of each layer found.
    findings: Mapping[str, tuple[Finding, ...]] | None = None
