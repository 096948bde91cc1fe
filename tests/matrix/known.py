"""Cells that are short of a yes, and why. The page shows the reason; a cell that is a yes after all fails its test until it is struck here."""

from __future__ import annotations

CLIENTS: dict[tuple[str, str], str] = {}
CROSSING: dict[tuple[str, str], str] = {}
SERVERS: dict[tuple[str, str], str] = {}
