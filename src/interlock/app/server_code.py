"""The code that a stdio server's command leads to, beyond the files it names: the virtual environment of a Python
program, the packages of a Node one, the project that a script belongs to. Without these a server could not start.

Found once, when a person adds the connector, and kept in its file: what an agent writes there later does not widen what
the server may read. A name is followed link by link: a virtual environment is known by where its `python` lies, not by
where that leads. Never a home as a whole, nor what lies above it. Left out: what a server works on (`--workspace`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

LINKS_MAX: Final = 16
PARENTS_MAX: Final = 8
_MARKER_BYTES_MAX: Final = 4_096
#: A file with one of these beside or above it belongs to the project there, if its own name ends like this.
_PROJECTS: Final = {
    ".py": ("pyproject.toml", "setup.py", "requirements.txt"),
    **dict.fromkeys((".js", ".mjs", ".cjs", ".ts"), ("package.json",)),
}
_PACKAGES: Final = "node_modules"
#: Readable to every server.
_SYSTEM: Final = (Path("/usr"), Path("/opt"))


def code_of(command: Sequence[str], *, home: str) -> list[str]:
    """The directories of that code, and the files that named links lead to: whole paths without links in them. `home`
    is the user's."""
    found: set[Path] = set()
    linked: set[Path] = set()
    for word in command:
        if word.startswith("/") and os.path.isfile(word):
            real = Path(os.path.realpath(word))
            for place in _places(Path(word)):
                found |= set(_environments(place))
            found |= set(_packages(real))
            linked |= {real} - {Path(word)}
    whole = Path(os.path.realpath(home))
    directories = {path for each in found if not _is_wide(path := Path(os.path.realpath(each)), whole)}
    known = (*directories, *_SYSTEM)
    files = {each for each in linked if not any(each.is_relative_to(directory) for directory in known)}
    return sorted(str(each) for each in directories | files)


def _places(path: Path) -> Iterator[Path]:
    """Where a name lies, and where each link that it is leads next."""
    for _ in range(LINKS_MAX):
        yield path
        if not path.is_symlink():
            return
        path = Path(os.path.normpath(path.parent / os.readlink(path)))


def _environments(place: Path) -> Iterator[Path]:
    """The virtual environment that a program lies in, and the installation that it was made from (PEP 405), if that is
    one."""
    marker = place.parent.parent / "pyvenv.cfg"
    if not marker.is_file():
        return
    yield marker.parent
    with marker.open("rb") as file:
        text = file.read(_MARKER_BYTES_MAX).decode("utf-8", "replace")
    for line in text.splitlines():
        key, _, value = line.partition("=")
        base = Path(value.strip()).parent
        if key.strip() == "home" and base.is_absolute() and any(base.glob("lib*/python3*/os.py")):
            yield base


def _packages(path: Path) -> Iterator[Path]:
    """The outermost folder of packages that a file lies in, or else the project that it belongs to."""
    if _PACKAGES in path.parts[1:-1]:
        yield Path(*path.parts[: path.parts.index(_PACKAGES) + 1])
        return
    markers = _PROJECTS.get(path.suffix, ())
    for parent in list(path.parents)[:PARENTS_MAX]:
        if any((parent / marker).is_file() for marker in markers):
            yield parent
            return


def _is_wide(path: Path, home: Path) -> bool:
    return len(path.parts) < 3 or path == home or path in home.parents
