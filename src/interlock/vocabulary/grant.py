"""A Grant: a human's yes to one question, bound to the Action's digest, an approver, an expiry and a number of uses."""

from __future__ import annotations

from dataclasses import dataclass

from interlock.vocabulary.reading import Fields, Json

__all__ = ["Grant", "grant_from_json", "grant_to_json"]


@dataclass(frozen=True, slots=True)
class Grant:
    """A yes. `digest` is the Action's; `expires_ms` counts from 1970; `uses` are those left."""

    id: str
    digest: str
    approver: str
    expires_ms: int
    uses: int = 1


def grant_from_json(value: Json) -> Grant:
    """Reads a Grant strictly. Raises `reading.Malformed`."""
    fields = Fields(value, "a grant")
    grant = Grant(
        fields.text("id"),
        fields.text("digest"),
        fields.text("approver"),
        fields.integer("expires_ms"),
        fields.integer("uses"),
    )
    fields.end()
    return grant


def grant_to_json(grant: Grant) -> dict[str, Json]:
    """The Grant as the JSON of spec/action.md."""
    return {
        "id": grant.id,
        "digest": grant.digest,
        "approver": grant.approver,
        "expires_ms": grant.expires_ms,
        "uses": grant.uses,
    }
