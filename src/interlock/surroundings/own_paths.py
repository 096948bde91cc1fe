"""Everything the next `interlock` would be loaded from: what a jail could change here would run outside it tomorrow.

Package, native module, supervisor, interpreter, virtual environment, every place the interpreter imports from (those
that do not
exist yet included, since a `usercustomize.py` made there would be imported), and the name `interlock` in each PATH
entry.
"""

from __future__ import annotations

import os
import site
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def own_paths(environment: Mapping[str, str], *, supervisor: str) -> list[str]:
    """Absolute resolved paths, the package first; directories but for single programs and settings.

    Arguments: the `environment` of the human (PATH), and the `supervisor` executable in use.
    """
    package = os.path.realpath(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    found = [supervisor, sys.executable]
    script = os.path.abspath(sys.argv[0])
    if os.path.isfile(script):
        found.append(script)
    if sys.prefix != sys.base_prefix:
        found.append(sys.prefix)
    found += _import_places()
    for entry in environment.get("PATH", "").split(":"):
        if entry.startswith("/"):
            found.append(os.path.join(entry, "interlock"))
    return [package, *(path for path in _outermost(found) if path != package)]


def _import_places() -> list[str]:
    places = [os.path.dirname(os.path.abspath(os.__file__))]
    places += [entry for entry in sys.path if entry.startswith("/")]
    if site.ENABLE_USER_SITE is not None and sys.prefix == sys.base_prefix:
        places.append(site.getusersitepackages())
    return places


def _outermost(paths: Sequence[str]) -> list[str]:
    """Resolve, drop duplicates and what lies below another. The root directory would say nothing and is left out."""
    resolved = sorted({os.path.realpath(path) for path in paths} | {os.path.normpath(path) for path in paths})
    kept: list[str] = []
    for path in resolved:
        if path != "/" and not any(path.startswith(f"{outer}/") for outer in kept):
            kept.append(path)
    return kept
