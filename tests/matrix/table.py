"""The table: rows of what was tried, a mark for each and the reason where it is not a plain yes; printed, and written as a page."""

from __future__ import annotations

import contextlib
import datetime
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
YES, NO, LEFT_OUT = "✓", "✗", "–"
REASON_CHARACTERS_MAX = 300


class NotAsked(Exception):
    """A column that has no meaning for this row; the message says why."""


@dataclass
class Table:
    """One table. `known` says which cells are short of a yes, and why: any other is a failure, and so is a known one that is a yes after all."""

    title: str
    first: str
    columns: list[str]
    known: dict[tuple[str, str], str] = field(default_factory=dict)
    rows: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)

    def mark(self, row: str, column: str, mark: str, reason: str = "") -> None:
        self.rows.setdefault(row, {})[column] = mark, " ".join(reason.split())[:REASON_CHARACTERS_MAX]

    @contextlib.contextmanager
    def trying(self, row: str, column: str) -> Iterator[None]:
        """What is done within is the cell: done to its end it is a yes, and what it raises is the reason why not."""
        try:
            yield
        except NotAsked as why:
            self.mark(row, column, LEFT_OUT, str(why))
        except Exception as why:
            self.mark(row, column, NO, reason(why))
        else:
            self.mark(row, column, YES)

    def not_installed(self, row: str, reason: str) -> None:
        """A whole row that cannot be played here."""
        for column in self.columns:
            self.mark(row, column, LEFT_OUT, f"not installed here: {reason}")

    def faults(self, row: str, name: str) -> list[str]:
        """The cells of a row that are not as they should be. `name` is the row's in `known`."""
        found = []
        for column, (mark, reason) in self.rows.get(row, {}).items():
            known = self.known.get((name, column))
            if known is not None and mark == NO:
                self.mark(row, column, NO, known)
            elif known is not None and mark == YES:
                found.append(f"{column}: is a yes now, so it is no longer a known shortcoming")
            elif mark == NO:
                found.append(f"{column}: {reason}")
        return found

    def text(self) -> str:
        """The table and its reasons, in Markdown."""
        notes: list[str] = []
        lines = [f"| {self.first} | " + " | ".join(self.columns) + " |", "|---" * (1 + len(self.columns)) + "|"]
        for row, cells in self.rows.items():
            marks = [_cell(*cells.get(column, (LEFT_OUT, "not tried in this run")), notes) for column in self.columns]
            lines.append(f"| {row} | " + " | ".join(marks) + " |")
        reasons = [f"{number}. {reason}" for number, reason in enumerate(notes, 1)]
        return "\n".join([f"## {self.title}", "", *lines, *([""] if reasons else []), *reasons, ""])


def reason(why: Exception) -> str:
    """What an exception says, without what pytest adds to an assertion and without a command's words before what it said."""
    if why.args and isinstance(why.args[0], tuple):
        return " ".join(str(part) for part in why.args[0][1:] if part)
    return str(why).partition("\nassert ")[0] or type(why).__name__


def _cell(mark: str, reason: str, notes: list[str]) -> str:
    if not reason:
        return mark
    if reason not in notes:
        notes.append(reason)
    return f"{mark} ({notes.index(reason) + 1})"


def page(tables: list[Table]) -> str:
    """The whole page, with the commit and the date of the run."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    opening = (ROOT / "tests/matrix/page.md").read_text()
    said = opening.replace("{commit}", commit).replace("{date}", datetime.date.today().isoformat())
    return "\n".join([said, *(table.text() for table in tables if table.rows)])
