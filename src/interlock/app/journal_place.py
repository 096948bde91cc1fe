"""Where a session's journal goes, how much it may keep, and of what nothing is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from interlock.vocabulary.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interlock.host.launch import Journal
    from interlock.storage.home import Home

OFF: Final = "off"
#: What a session keeps where nobody said how much, and the presets of whose sessions nothing is kept then: nobody is
#: there who would have it back, or all that the machine changes would be kept.
DEFAULT_BYTES: Final = 2 << 30
_KEEPING_NOTHING: Final = frozenset({"ci", "mcp-server", "observe"})
_UNITS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
#: No files of anybody's.
_MACHINES: Final = ("/proc/**", "/sys/**", "/dev/**")
_SHARED: Final = ("/tmp/**", "/var/tmp/**", "/dev/shm/**")  # noqa: S108 - of these nothing is kept


def journal_bytes(said: str | None, *, preset: str | None) -> int | None:
    """What a session keeps, in bytes; None for nothing. `said` is the option, None where it was not given.

    Raises `OperatorError` for what is no size.
    """
    if said is not None:
        return _size_of(said)
    return None if preset in _KEEPING_NOTHING else DEFAULT_BYTES


def _size_of(text: str) -> int | None:
    """`2GiB`, `500M`, `off`."""
    said = text.strip().lower()
    if said == OFF:
        return None
    number, unit = said, ""
    while number and not number[-1].isdigit():
        number, unit = number[:-1], number[-1] + unit
    unit = unit.strip().removesuffix("b").removesuffix("i")
    if not number.isdecimal() or unit not in _UNITS:
        raise OperatorError(f"`{text}` is not a size", hint="write `--journal 2GiB`, or `--journal off`")
    return int(number) * _UNITS[unit]


def journal_place(
    home: Home, session: str, *, bytes_max: int, human_home: str, workspace: str, temporary: str
) -> Journal:
    """As the launch says it. In the workspace everything is kept, wherever that lies."""
    from interlock.policy.pattern import escape
    from interlock.policy.set_caches import BUILD_OUTPUT, CACHES, DEPENDENCY_TREES

    own = [f"{escape(folder)}/**" for folder in (temporary, *home.all_directories(), home.packages)]
    caches = [path.replace("~", escape(human_home), 1) for path in CACHES if not path.startswith("@")]
    derived = [path.replace("${workspace}", escape(workspace), 1) for path in (*DEPENDENCY_TREES, *BUILD_OUTPUT)]
    return {
        "folder": home.journal(session),
        "bytes": bytes_max,
        "workspace": workspace,
        "exempt": list(_plain([*own, *caches, *_MACHINES, *_SHARED])),
        "derived": list(_plain(derived)),
    }


def _plain(patterns: list[str]) -> Iterator[str]:
    from interlock.policy.pattern import expand_braces

    for pattern in patterns:
        yield from expand_braces(pattern) or ()
