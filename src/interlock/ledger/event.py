"""An Event as the ledger keeps it (`spec/record.md`), and what it says, each part with its type. Reading only.

A log may have been written over by anybody, so nothing here errs: what a record lacks, or has in another form, reads as
nothing. Whether a log is whole is for `verifier.py` to say.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from interlock.vocabulary.json_value import is_object, list_at, number_at, object_at, text_at
from interlock.vocabulary.printable import text_of

if TYPE_CHECKING:
    from interlock.vocabulary.json_value import JsonObject

DECIDED: Final = "action.decided"


@dataclass(frozen=True, slots=True)
class Event:
    """One record. `document` is all of it, as it stands in the log."""

    document: JsonObject

    @classmethod
    def read(cls, raw: bytes) -> Event:
        """From the bytes of an entry. Raises `ValueError` for anything but a JSON object."""
        found: object = json.loads(raw)
        if not is_object(found):
            raise ValueError("a record that is not a JSON object")
        return cls(found)

    @property
    def type(self) -> str:
        """Such as `action.decided`."""
        return self.text("type")

    @property
    def number(self) -> int | None:
        """Its number in its log."""
        return number_at(self.document, "record")

    @property
    def time(self) -> str:
        """When it was written: RFC 3339, UTC."""
        return self.text("time")

    @property
    def session(self) -> str:
        """Whose log it is in."""
        return self.text("session")

    @property
    def parent(self) -> str | None:
        """The id of the Action under which it happened."""
        parent = self.document.get("parent")
        said = parent.get("action") if is_object(parent) else parent
        return said if isinstance(said, str) else None

    def text(self, key: str) -> str:
        """The text under `key`; empty where there is none."""
        return text_at(self.document, key) or ""

    def count(self, key: str) -> int:
        """The number under `key`; 0 where there is none."""
        return number_at(self.document, key) or 0

    # An Action and what was decided about it.

    @property
    def is_decision(self) -> bool:
        """Whether an Action was decided."""
        return self.type == DECIDED

    @property
    def action(self) -> JsonObject:
        """The Action, where the record has it whole (`spec/action.md`)."""
        return object_at(self.document, "action")

    @property
    def action_id(self) -> str | None:
        """The id of the Action that it is about, whether the record has it whole or names it only."""
        return text_at(self.action, "id") or text_at(self.document, "action")

    @property
    def verb(self) -> str:
        """What the Action does."""
        return text_at(self.action, "verb") or ""

    @property
    def subject(self) -> JsonObject:
        """Who acts: agent, session, process."""
        return object_at(self.action, "subject")

    @property
    def says(self) -> str | None:
        """What was decided: `allow`, `steer`, `approve`, `deny`; None for a record that decides nothing."""
        return text_at(self._decision, "decision") if self.is_decision else None

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules that said it, as `layer/id`."""
        return tuple(map(str, list_at(self._decision, "rules")))

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that spoke; of a session, those of its policy."""
        listed = list_at(self._decision, "layers") or list_at(self.document, "layers")
        return tuple(str(each.get("name")) if is_object(each) else str(each) for each in listed)

    @property
    def because(self) -> str | None:
        """Why."""
        return text_at(self._decision, "because") or text_at(self.document, "because")

    @property
    def is_denial(self) -> bool:
        """Whether an act was denied, or a call refused that no policy opens."""
        return self.says == "deny" or self.type == "call.refused"

    @property
    def _decision(self) -> JsonObject:
        return object_at(self.document, "decision")

    # A session.

    @property
    def agent(self) -> str:
        """The agent's name."""
        agent = self.document.get("agent")
        return str(agent.get("name") or "") if is_object(agent) else str(agent or "")

    @property
    def command(self) -> tuple[str, ...]:
        """The command of a session."""
        return tuple(map(text_of, list_at(self.document, "command")))

    @property
    def is_of_a_server(self) -> bool:
        """Whether a session was opened under another one, for a tool server."""
        return bool(self.document.get("parent"))

    @property
    def workspace(self) -> str | None:
        """The workspace of a session."""
        found = self.document.get("workspace")
        return None if found is None else text_of(found)
