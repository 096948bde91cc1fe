"""An Effect: what truly happened of an Action that was let through or refused (`action.enacted` of spec/record.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from interlock.vocabulary.reading import Json

__all__ = ["Effect", "Happened", "effect_to_json"]

Happened: TypeAlias = Literal["done", "refused", "failed", "unknown"]


@dataclass(frozen=True, slots=True)
class Effect:
    """What happened.

    Arguments:
        action: id of the Action.
        effect: done, refused by the gate, failed by itself, or not known.
        errno: the error number, for a system call that failed.
        status: the status, for a tool call.
        result_digest: SHA-256, hex, of the result.
        result_bytes: its size in bytes.
        duration_us: how long it took, in microseconds.
    """

    action: str
    effect: Happened
    errno: int | None = None
    status: int | None = None
    result_digest: str | None = None
    result_bytes: int | None = None
    duration_us: int | None = None


def effect_to_json(effect: Effect) -> dict[str, Json]:
    """The keys of `action.enacted`; what is not known is left out."""
    value: dict[str, Json] = {"action": effect.action, "effect": effect.effect}
    if effect.result_digest is not None:
        value["result"] = {"digest": effect.result_digest, "bytes": effect.result_bytes}
    rest: dict[str, Json] = {"errno": effect.errno, "status": effect.status, "duration_us": effect.duration_us}
    return value | {key: item for key, item in rest.items() if item is not None}
