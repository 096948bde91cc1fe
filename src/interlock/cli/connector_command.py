"""The command of a stdio server as it is kept: its program and files by whole path, since the server runs in another
directory with a PATH of its own; and what a person should know before trying it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

_SHEBANG: Final = b"#!/usr/bin/env "


def whole(words: list[str], *, server_path: str) -> list[str]:
    """The command with whole paths. `server_path` is the PATH that the server will have."""
    program = _program(words[0], server_path)
    return [*_interpreter(program, server_path), program, *(_file(word) for word in words[1:])]


def notes(words: list[str], *, server_path: str, has_policy: bool, workspace: str | None) -> list[str]:
    """What stands in the way of this command, each with what to do."""
    found = []
    if shutil.which(words[0], path=server_path) is None:
        found.append(f"`{words[0]}` is not found on this machine")
    for word in words[1:]:
        if _is_outside(word, workspace) and not has_policy:
            way = f"`--workspace {word}` lets it work there"
            found.append(f"the server may not read `{word}`, which its command names; {way}")
    return found


def _program(word: str, server_path: str) -> str:
    """A program that a server's own PATH would not find, or would find another of, by its whole path."""
    if "/" in word:
        return _file(word)
    here, there = shutil.which(word), shutil.which(word, path=server_path)
    if here is None or (there is not None and os.path.realpath(here) == os.path.realpath(there)):
        return word
    return os.path.abspath(here)


def _interpreter(program: str, server_path: str) -> list[str]:
    """What runs a script that leaves its interpreter to PATH, where a server's PATH has none or another."""
    found = shutil.which(program, path=server_path)
    if found is None:
        return []
    try:
        with open(found, "rb") as file:
            line = file.read(256).partition(b"\n")[0]
    except OSError:
        return []
    words = line.removeprefix(_SHEBANG).split()
    if not line.startswith(_SHEBANG) or len(words) != 1:
        return []
    interpreter = _program(os.fsdecode(words[0]), server_path)
    return [interpreter] if interpreter.startswith("/") else []


def _file(word: str) -> str:
    """A file of this directory, by its whole path; a directory only where it is written as a path, since a bare word
    may mean something else."""
    path = Path(word)
    named = path.is_file() or ((word in (".", "..") or "/" in word) and path.is_dir())
    return os.path.normpath(path.absolute()) if named and not word.startswith("-") else word


def _is_outside(word: str, workspace: str | None) -> bool:
    """Whether a word names a directory that the server will not have."""
    if not word.startswith("/") or not os.path.isdir(word):
        return False
    return workspace is None or not Path(os.path.realpath(word)).is_relative_to(os.path.realpath(workspace))
