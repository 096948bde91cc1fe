"""Commands that fetch a package and run a program of it (`npx`, `uvx` and their like), taken apart: which package,
which program, which arguments. Pure. A form that is not known here is an error: a guess would fetch something else.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from interlock.vocabulary.errors import OperatorError

#: What fetches a package when it runs, by program and, where only some of its commands do, by the command.
_LAUNCHERS: Final[Mapping[str, tuple[str, tuple[tuple[str, ...], ...]]]] = {
    "npx": ("npm", ((),)),
    "pnpx": ("npm", ((),)),
    "bunx": ("npm", ((),)),
    "npm": ("npm", (("exec",), ("x",))),
    "pnpm": ("npm", (("dlx",),)),
    "yarn": ("npm", (("dlx",),)),
    "bun": ("npm", (("x",),)),
    "uvx": ("pypi", ((),)),
    "uv": ("pypi", (("tool", "run"),)),
    "pipx": ("pypi", (("run",),)),
}
#: What has a program of an image run by a service outside of every session.
_CONTAINERS: Final = frozenset({"docker", "podman", "nerdctl"})
#: What starts another program with other variables or as somebody else; and one of its words that is not that program.
_BEFORE: Final = frozenset({"env", "sudo", "doas"})
_BEFORE_WORD: Final = re.compile(r"-.*|[A-Za-z_][A-Za-z0-9_]*=.*", re.DOTALL)
_ALONE: Final = frozenset({"-y", "--yes", "-q", "--quiet", "--silent", "--bun", "--prefer-online", "--isolated"})
_PACKAGE: Final = frozenset({"-p", "--package", "--from", "--spec"})
#: A package of a registry, with a version, a range or a tag: no URL, no folder, no archive, no option.
_NPM: Final = re.compile(r"((?:@[a-z0-9~-][a-z0-9._~-]*/)?[a-z0-9~-][a-z0-9._~-]*)(?:@([A-Za-z0-9.^~<>=*+|-]+))?", re.I)
_PYPI: Final = re.compile(
    r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(\[[A-Za-z0-9._,-]+\])?(?:@([A-Za-z0-9.+!-]+)|([=<>~!][A-Za-z0-9.,+!*=<>~-]*))?"
)


@dataclass(frozen=True, slots=True)
class PackageWanted:
    """`asked` is the package as its own client takes it, `name` the package alone; `program` the one of its programs
    that was named, if one was; then that program's arguments."""

    source: str
    asked: str
    name: str
    program: str | None
    arguments: tuple[str, ...]


def wanted_of(command: Sequence[str]) -> PackageWanted | None:
    """What a command fetches; None where it fetches nothing. Raises `OperatorError` for a form that is not known."""
    program = os.path.basename(command[0]) if command else ""
    if program in _BEFORE:
        _check_behind(program, command[1:])
    if program in _CONTAINERS:
        raise OperatorError(
            f"`{program}` has the server run outside of what Interlock holds, and its images are not fetched",
            hint="name the server's own program, or start it yourself and add it by its URL with --http",
        )
    launcher = _LAUNCHERS.get(program)
    if launcher is None:
        return None
    source, verbs = launcher
    verb = next((each for each in verbs if tuple(command[1 : 1 + len(each)]) == each), None)
    return None if verb is None else _taken(source, list(command[1 + len(verb) :]))


def _check_behind(program: str, words: Sequence[str]) -> None:
    """Nothing stands before what is held to another form. Raises `OperatorError`."""
    names = (os.path.basename(word) for word in words if _BEFORE_WORD.fullmatch(word) is None)
    behind = next((name for name in names if name not in _BEFORE), "")
    if behind in _CONTAINERS or behind in _LAUNCHERS:
        raise OperatorError(
            f"`{program}` stands before `{behind}`, so what it fetches or starts is not seen",
            hint=f"begin with `{behind}`; variables of the server are given by --env NAME=VALUE",
        )


def _taken(source: str, words: list[str]) -> PackageWanted:
    package = None
    while words and words[0].startswith("-"):
        word = words.pop(0)
        option, equals, value = word.partition("=")
        if option in _PACKAGE:
            if package is not None:
                raise OperatorError("the command names two packages", hint="one of them is the server's")
            package = value if equals else (words.pop(0) if words else "")
        elif word == "--":
            break
        elif word not in _ALONE:
            raise OperatorError(
                f"`{word}` is not known before the package", hint="leave it out, or install the package yourself"
            )
    if not words:
        raise OperatorError("the command names no package", hint="for example: npx -y PACKAGE")
    first = words.pop(0)
    if words[:1] == ["--"] and package is None:
        words.pop(0)
    asked, name = _package(source, first if package is None else package)
    return PackageWanted(source, asked, name, None if package is None else first, tuple(words))


def _package(source: str, text: str) -> tuple[str, str]:
    found = (_NPM if source == "npm" else _PYPI).fullmatch(text)
    if found is None:
        raise OperatorError(
            f"`{text}` is not a package of a registry", hint="NAME or NAME@VERSION; install anything else yourself"
        )
    if source == "npm":
        return text, found[1]
    version = found[3] if found[3] != "latest" else None
    return f"{found[1]}{found[2] or ''}{f'=={version}' if version else found[4] or ''}", found[1]
