"""Where the supervisor's executable is."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from interlock.vocabulary.errors import EXIT_FAILED, HostError

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME: Final = "interlock-supervisor"


def find_supervisor(environment: Mapping[str, str] | None = None) -> str:
    """The executable: beside the package, else INTERLOCK_SUPERVISOR (development), else beside the interpreter.

    Raises `HostError` when none is there or none can be executed.
    """
    variables = os.environ if environment is None else environment
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    candidates = [
        os.path.join(package, "_bin", NAME),
        variables.get("INTERLOCK_SUPERVISOR", ""),
        os.path.join(os.path.dirname(os.path.abspath(sys.executable)), NAME),
    ]
    for candidate in candidates:
        if candidate.startswith("/") and os.access(candidate, os.X_OK) and os.path.isfile(candidate):
            return candidate
    raise HostError(
        f"`{NAME}` is missing: it was looked for at {candidates[0]}",
        hint="reinstall interlock-security; from a source tree: pip install -e .",
        exit_code=EXIT_FAILED,
    )
