"""What differs between two definitions, in lines for a person. Texts come from servers: each line is made printable."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from itertools import islice
from typing import Final

from interlock.vocabulary.json_value import JsonObject
from interlock.vocabulary.printable import printable

LINE_CHARACTERS_MAX: Final = 2_000
#: Of each definition: what is compared takes time by the square of it.
LINES_MAX: Final = 1_000
_HEADERS: Final = ("--- ", "+++ ")


def difference(was: JsonObject | None, now: JsonObject) -> list[str]:
    """Lines that begin with `-` for what was there, `+` for what is there now; of an entry that was not there before,
    all of it."""
    before, after = (list(islice(_lines(each), LINES_MAX)) if each is not None else [] for each in (was, now))
    told = [
        f"{line[0]} {printable(line[1:], LINE_CHARACTERS_MAX)}"
        for line in difflib.unified_diff(before, after, n=0, lineterm="")
        if line[0] in "-+" and line not in _HEADERS
    ]
    if was is not None and not told:
        return [f"  it differs beyond its first {LINES_MAX} lines"]
    return told


def _lines(value: object, at: str = "") -> Iterator[str]:
    """A value in lines, each with where it stands: what a text has on several lines stands on several."""
    if isinstance(value, dict) and value:
        for key in sorted(value):
            yield from _lines(value[key], f"{at}.{key}" if at else str(key))
    elif isinstance(value, list) and value:
        for number, each in enumerate(value):
            yield from _lines(each, f"{at}[{number}]")
    elif isinstance(value, str):
        yield from (f"{at}: {line}" for line in value.splitlines() or [""])
    else:
        yield f"{at}: {json.dumps(value, ensure_ascii=False)}"
