"""What a policy says of an act (Decision), what may be enacted of that (Verdict), and what has to be kept to
(Obligations). Frozen values.

A Decision may ask; a Verdict never does: enacting a question cannot be written down. Left out: deciding (the
engine), and reading a Decision off the engine's JSON (`app`, where the engine is).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from interlock.vocabulary.json_value import JsonObject

APPROVAL_TIMEOUT_MS_DEFAULT: Final = 120_000


class Says(StrEnum):
    """What a policy may say."""

    ALLOW = "allow"
    STEER = "steer"
    APPROVE = "approve"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Allow:
    """The act, as it is."""


@dataclass(frozen=True, slots=True)
class Steer:
    """Something else instead of the act: the kind (spec/policy.md, "Compiled policy"), and what the kind needs."""

    kind: str
    value: object = None


#: What may be enacted. A denial is a `Refused`, and a question has to be answered first.
Verdict = Allow | Steer


@dataclass(frozen=True, slots=True)
class Obligations:
    """What has to be kept to when an act is let through. The class of the record is the line's own to keep."""

    record: str = "durable"
    limit: Mapping[str, int] = field(default_factory=dict)
    mask: tuple[str, ...] = ()
    inject: str | None = None

    @property
    def kinds(self) -> frozenset[str]:
        """Those that an enactor has to keep."""
        asked = {"limit": bool(self.limit), "mask": bool(self.mask), "inject": self.inject is not None}
        return frozenset(kind for kind, is_asked in asked.items() if is_asked)


@dataclass(frozen=True, slots=True)
class Decision:
    """The engine's answer: the parts that are acted on, and all of it as `document`, for the record."""

    says: Says
    rules: tuple[str, ...]
    because: str | None
    document: JsonObject = field(repr=False)
    timeout_ms: int = APPROVAL_TIMEOUT_MS_DEFAULT
    steer: Steer | None = None
    obligations: Obligations = Obligations()
    spoke: bool = False
    errors: tuple[str, ...] = ()

    @classmethod
    def own_denial(cls, because: str) -> Decision:
        """A denial that no rule said: a fault, or input that never came as far as the policy."""
        document: JsonObject = {
            "decision": "deny",
            "rules": [],
            "layers": [],
            "because": because,
            "timeout_ms": None,
            "steer": None,
            "obligations": {},
            "spoke": False,
            "errors": [because],
        }
        return cls(Says.DENY, (), because, document, timeout_ms=0, errors=(because,))

    def settled_as_denial(self, because: str) -> Decision:
        """What the decision comes to when it cannot be enacted as it stands: a denial by the same rules."""
        document: JsonObject = {
            **self.document,
            "decision": "deny",
            "because": because,
            "timeout_ms": None,
            "steer": None,
            "obligations": {"record": "ordered"},
        }
        return Decision(Says.DENY, self.rules, because, document, timeout_ms=0, spoke=self.spoke, errors=self.errors)
