"""Everything the next `interlock` would be loaded from: what a jail could change here would run outside it tomorrow.

Package, native module, supervisor, interpreter, virtual environment, every place the interpreter imports from (those
that do not exist yet included, since a `usercustomize.py` made there would be imported), the system's libraries, the
name `interlock` in each PATH entry, and every link on the way to one of these. What the C library reads by name is a
set of the policy language (`@loader`).
"""

from __future__ import annotations

import os
import site
import sys
from typing import TYPE_CHECKING, Final

from interlock.surroundings.libraries import libraries
from interlock.surroundings.links import resolved

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Modules that Python imports by itself, from wherever they lie: site(7). A distribution links them to /etc.
_IMPORTED: Final = ("sitecustomize", "usercustomize")


def own_paths(environment: Mapping[str, str], *, supervisor: str) -> list[str]:
    """Absolute paths, the package first; directories but for single programs, libraries, links and settings.

    Arguments: the `environment` of the human (PATH), and the `supervisor` executable in use.
    """
    package = os.path.realpath(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    found = [supervisor, sys.executable, *libraries()]
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
    places += [file for name in _IMPORTED if (file := getattr(sys.modules.get(name), "__file__", None))]
    return places


def _outermost(paths: Iterable[str]) -> list[str]:
    """Each by its own name and by where it leads, with the links on the way; no duplicates, and nothing that lies below
    another. The root directory would say nothing and is left out.
    """
    kept: list[str] = []
    for path in sorted(_names(paths), key=lambda path: path.split("/")):
        if path != "/" and not (kept and path.startswith(f"{kept[-1]}/")):
            kept.append(path)
    return kept


def _names(paths: Iterable[str]) -> set[str]:
    """Folders are resolved once: most of the paths share theirs."""
    found: set[str] = set()
    folders: dict[str, str] = {}
    for path in map(os.path.normpath, paths):
        folder, name = os.path.split(path)
        if folder not in folders:
            folders[folder], links = resolved(folder)
            found.update(links)
        plain = f"{folders[folder].rstrip('/')}/{name}"
        found.update((path, plain))
        if os.path.islink(plain):
            place, links = resolved(plain)
            found.update((place, *links))
    return found
