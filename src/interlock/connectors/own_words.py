"""What a server wrote itself, made fit to be shown: secrets taken out, and one line of it for an agent."""

from __future__ import annotations

from typing import Final

from interlock.connectors.configuration import Connector
from interlock.vocabulary.printable import printable

DETAIL_CHARACTERS_MAX: Final = 1_000
QUOTED_CHARACTERS_MAX: Final = 200
#: A shorter value stands in many texts by chance; taking it out would only garble them.
SECRET_CHARACTERS_MIN: Final = 6


def for_operator(text: str, connector: Connector) -> str | None:
    """The end of what it wrote, without the values of the connector's own configuration."""
    for value in sorted(connector.server.secrets, key=len, reverse=True):
        for secret in {value, value.removeprefix("Bearer ")}:
            if len(secret) >= SECRET_CHARACTERS_MIN:
                text = text.replace(secret, "…")
    return _end(text.strip()) or None


def _end(text: str) -> str:
    """The end of a text, from the beginning of a line where that is possible."""
    if len(text) <= DETAIL_CHARACTERS_MAX:
        return text
    cut = text[-DETAIL_CHARACTERS_MAX:]
    _, separator, lines = cut.partition("\n")
    return f"…\n{lines}" if separator and lines else f"…{cut}"


def for_agent(detail: str | None) -> str | None:
    """The last line that says something: in a traceback, what went wrong."""
    lines = [line.strip() for line in (detail or "").splitlines() if line.strip()]
    return printable(lines[-1], QUOTED_CHARACTERS_MAX) if lines else None
