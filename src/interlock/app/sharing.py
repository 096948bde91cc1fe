"""`--share PATH`: what a person hands to a session in a place that is everybody's, as a layer of its own."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Final

from interlock.policy.pattern import covers, escape
from interlock.policy.set_shared import SHARED_PLACES
from interlock.vocabulary.errors import EXIT_USAGE, OperatorError
from interlock.vocabulary.printable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

_FOLDERS: Final = tuple(place.removesuffix("/**") for place in SHARED_PLACES)


def share_layer(paths: Sequence[str]) -> bytes:
    """The layer that lets a session read, run and change these files and folders, and all below them.

    Raises `OperatorError` for what does not lie in a shared place.
    """
    patterns = [_pattern(path) for path in paths]
    rule = {"id": "handed-over", "allow": ["file.*", "process.exec"], "path": patterns}
    return json.dumps({"interlock": "1", "name": "share", "rules": [rule]}).encode()


def _pattern(path: str) -> str:
    real = os.path.realpath(path)
    pattern = f"{escape(real)}/**"
    if real in _FOLDERS or not any(covers(place, pattern) for place in SHARED_PLACES):
        raise OperatorError(
            f"`{printable(path)}` is not a file or folder in {', '.join(_FOLDERS)}",
            hint="what lies elsewhere is opened by a rule: docs/policy.md",
            exit_code=EXIT_USAGE,
        )
    return pattern
