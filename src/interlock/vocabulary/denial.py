"""A denial as it is told afterwards, from a session's record or by its inside socket (spec/supervisor.md). Values."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from interlock.vocabulary.words import NO_RULE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from interlock.vocabulary.json_value import JsonObject


class Denial(NamedTuple):
    """A denied act and what was decided about it. `record` is its number in the log; none where it found no room."""

    verb: str
    target: JsonObject
    asked: bool
    rules: tuple[str, ...]
    layers: tuple[str, ...]
    because: str
    time: str | None = None
    record: int | None = None
    #: False where nothing decided the act, and a rule asked in the place of the default denial.
    spoke: bool = True

    @classmethod
    def read(cls, told: JsonObject) -> Denial:
        """From the form of the inside socket's answer."""
        target, rules, layers = told.get("target"), told.get("rules"), told.get("layers")
        time, record = told.get("time"), told.get("record")
        return cls(
            verb=str(told.get("verb")),
            target=target if isinstance(target, dict) else {},
            asked=told.get("asked") is True,
            rules=tuple(map(str, rules)) if isinstance(rules, list) else (),
            layers=tuple(map(str, layers)) if isinstance(layers, list) else (),
            because=str(told.get("because") or ""),
            time=time if isinstance(time, str) else None,
            record=record if isinstance(record, int) else None,
            spoke=told.get("spoke") is not False,
        )

    @property
    def is_unruled(self) -> bool:
        """Whether no rule of any layer spoke, but to ask in the place of the default denial: the only denials that
        another rule can lift.
        """
        asked_otherwise = bool(self.rules) and not self.spoke and not self.is_guard
        return asked_otherwise or (not self.rules and self.because == NO_RULE)

    @property
    def is_guard(self) -> bool:
        """Whether Interlock's own protection said it, or the door itself."""
        return any(rule.startswith("guard/") for rule in self.rules)


class DenialsTold(NamedTuple):
    """What `why` tells of a session: its id, the files of what a person allowed (by layer), its denials, oldest
    first."""

    session: str
    own_layers: Mapping[str, str]
    denials: tuple[Denial, ...]
