"""Nothing lies about that nobody uses: modules that no command reaches, definitions that no code names.

Read as text and syntax trees, so a name used anywhere counts for every definition of that name: this finds what is surely dead, no more.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = {path: path.read_text() for path in sorted((ROOT / "src").rglob("*.py"))}
ENTRIES = ("interlock.cli", "interlock.__main__")
#: Called by a library that is handed the object, under the library's own name for it.
CALLED_FROM_OUTSIDE = {"capture_signals", "on_body", "on_header", "on_message_complete", "on_response_complete"}
#: Text longer than this is prose, and a word in it uses nothing.
NAME_CHARACTERS_MAX = 80


def module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")


def named_modules(path: Path, modules: set[str]) -> set[str]:
    """What a file imports, and what it names as text to be imported later."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(SOURCES[path])):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    return found & modules


def test_every_module_is_reached_from_the_command_line() -> None:
    paths = {module(path): path for path in SOURCES}
    reached: set[str] = set()
    ahead = [*ENTRIES]
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            ahead += named_modules(paths[name], set(paths)) | ({name.rpartition(".")[0]} & set(paths))
    assert not set(paths) - reached, "no command reaches these modules"


def names_used(text: str) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.keyword(arg=str(name)):
                found.add(name)
            case ast.Constant(value=str(value)) if len(value) <= NAME_CHARACTERS_MAX:
                found |= set(re.findall(r"\w+", value))
    return found


def test_every_function_and_class_is_named_somewhere() -> None:
    used = CALLED_FROM_OUTSIDE.union(*map(names_used, SOURCES.values()))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    dead = [
        f"{module(path)}:{node.lineno} {node.name}"
        for path, text in SOURCES.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, kinds) and not node.name.startswith("__") and node.name not in used
    ]
    assert not dead, "no code names these"
