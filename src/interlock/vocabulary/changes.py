"""What a session changed that something outside would run later (spec/record.md): each thing as a value, read from a
record of the session's end or from the supervisor's last message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from interlock.vocabulary.json_value import JsonObject


class Change(NamedTuple):
    """One thing. `path` and `leads` are as spec/action.md writes paths; `changes` counts those in a folder that is
    one thing, `keys_more` the keys that found no room.
    """

    path: object
    kind: str
    how: tuple[str, ...]
    keys: Mapping[str, str]
    leads: object | None
    changes: int | None
    keys_more: int = 0

    def as_object(self) -> JsonObject:
        """As it stands in a record."""
        found: JsonObject = {"path": self.path, "kind": self.kind, "how": list(self.how)}
        more = {"keys": dict(self.keys) or None, "leads": self.leads, "changes": self.changes}
        more["keys_more"] = self.keys_more or None
        return found | {name: value for name, value in more.items() if value is not None}


class Changes(NamedTuple):
    """Arguments:
    items: the things, the first few of each kind before the others of any.
    counts: how many there are by kind, listed or not.
    unseen: changes and folders that were too many to be looked at.
    is_from_changes: whether it was worked out from the record of changes, since there is no record of an end.
    """

    items: tuple[Change, ...] = ()
    counts: Mapping[str, int] = {}
    unseen: int = 0
    is_from_changes: bool = False

    @property
    def number(self) -> int:
        """How many things there are."""
        return sum(self.counts.values())


def changes_of(said: JsonObject, more: Iterable[JsonObject] = ()) -> Changes:
    """What an end says, with the lists of the records before it (`session.changed`)."""
    counts, unseen = said.get("runs_later_counts"), said.get("runs_later_unseen")
    return Changes(
        tuple(change for part in (said, *more) for change in _listed(part.get("runs_later"))),
        {str(kind): int(str(count)) for kind, count in counts.items()} if isinstance(counts, dict) else {},
        unseen if isinstance(unseen, int) else 0,
    )


def _listed(value: object) -> Iterable[Change]:
    for each in value if isinstance(value, list) else []:
        if isinstance(each, dict):
            how, keys, changes = each.get("how"), each.get("keys"), each.get("changes")
            keys_more = each.get("keys_more")
            yield Change(
                path=each.get("path"),
                kind=str(each.get("kind")),
                how=tuple(map(str, how)) if isinstance(how, list) else (),
                keys={str(key): str(value) for key, value in keys.items()} if isinstance(keys, dict) else {},
                leads=each.get("leads"),
                changes=changes if isinstance(changes, int) else None,
                keys_more=keys_more if isinstance(keys_more, int) else 0,
            )
