"""What a person who looks at the gateway's own output is told of its servers: that one does not run and why, once
for each reason, that it runs again, and what it lists that nobody is shown. `interlock connector list` says the rest.
Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from interlock.app.gateway_place import ServerStanding
from interlock.vocabulary.printable import printable

FAULT_CHARACTERS_MAX: Final = 300


class Told:
    """What was said so far, by connector and agent."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, str], str] = {}
        self._left_out: dict[str, list[str]] = {}

    def lines(self, standings: Sequence[ServerStanding]) -> list[str]:
        """What there is to say now that has not been said."""
        found = []
        for each in standings:
            key = (each.connector, each.agent)
            who = f"`{each.connector}` for `{printable(each.agent)}`"
            if each.state == "not running" and each.faults and self._said.get(key) != each.faults[0]:
                self._said[key] = each.faults[0]
                found.append(f"{who} is not running: {printable(_why(each), FAULT_CHARACTERS_MAX)}")
            elif each.state == "running" and self._said.pop(key, None) is not None:
                found.append(f"{who} runs again")
            if each.left_out and self._left_out.get(each.connector) != each.left_out:
                self._left_out[each.connector] = each.left_out  # whichever agent asked: the server is the same
                found.extend(f"`{each.connector}`: {printable(line, FAULT_CHARACTERS_MAX)}" for line in each.left_out)
        return found


def _why(standing: ServerStanding) -> str:
    """The fault, and the last line that the server wrote."""
    wrote = [line.strip() for line in (standing.detail or "").splitlines() if line.strip()]
    return f"{standing.faults[0]} (it wrote: {wrote[-1]})" if wrote else standing.faults[0]
