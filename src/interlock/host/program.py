"""Finds the program of a command line as execvp(3) does, so that 127 and 126 are told apart before anything starts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from interlock.vocabulary.errors import EXIT_NOT_EXECUTABLE, EXIT_NOT_FOUND, OperatorError

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"


def find_program(name: str, *, environment: Mapping[str, str], directory: str) -> str:
    """The absolute path of the program `name`, seen from `directory`.

    Raises `OperatorError` with exit code 127 (there is none) or 126 (there is one, which cannot be executed).
    """
    if not name:
        raise OperatorError("the command is empty", exit_code=EXIT_NOT_FOUND)
    if "/" in name:
        return _checked(os.path.join(directory, name), name)
    refused: str | None = None
    for entry in environment.get("PATH", DEFAULT_PATH).split(":"):
        candidate = os.path.join(directory, entry, name)
        if _is_executable(candidate):
            return os.path.abspath(candidate)
        if refused is None and os.path.isfile(candidate):
            refused = candidate
    if refused is not None:
        return _checked(refused, name)
    raise OperatorError(f"program `{name}` not found", hint="it is in no directory of PATH", exit_code=EXIT_NOT_FOUND)


def _checked(path: str, name: str) -> str:
    if _is_executable(path):
        return os.path.abspath(path)
    if os.path.isdir(path):
        raise OperatorError(f"`{name}` is a directory", exit_code=EXIT_NOT_EXECUTABLE)
    if os.path.lexists(path):
        hint = f"run: chmod +x {path}" if os.path.isfile(path) else "it is not a plain file, or its target is missing"
        raise OperatorError(f"`{name}` is not executable", hint=hint, exit_code=EXIT_NOT_EXECUTABLE)
    raise OperatorError(f"program `{name}` not found", exit_code=EXIT_NOT_FOUND)


def _is_executable(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)
