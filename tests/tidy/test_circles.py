"""No circles of files: what two files need of each other belongs to a third.

Rust: `use crate::…` and `use super::…`, each taken to the deepest file that the path names. Python: every import of a module of ours, wherever in
the file it stands, but for those that only type checkers read. A parent that declares its parts (`mod x;`) has no arrow to them for that.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
Graph = dict[str, set[str]]

def rust_graph(crate: Path) -> Graph:
    files = {path.relative_to(crate / "src") for path in (crate / "src").rglob("*.rs")}
    modules = {module_of(path): str(crate.relative_to(ROOT) / "src" / path) for path in files}
    return {name: rust_uses(ROOT / name, module, modules) - {name} for module, name in modules.items()}


def module_of(path: Path) -> tuple[str, ...]:
    parts = path.with_suffix("").parts
    return parts[:-1] if parts[-1] in ("mod", "lib", "main") else parts


def rust_uses(file: Path, module: tuple[str, ...], modules: dict[tuple[str, ...], str]) -> set[str]:
    code = re.sub(r"#\[cfg\(test\)\]\s*mod tests \{.*", "", file.read_text(), flags=re.DOTALL)
    code = re.sub(r"//.*", "", code)
    found = set()
    for start, path in re.findall(r"\b(crate|super)::((?:\w+::)*(?:\w+|\{[^;]*\}))", code):
        above = () if start == "crate" else module[:-1]
        for name in spelled_out(path):
            found |= {modules[target] for target in [deepest((*above, *name), modules)] if target}
    return found


def spelled_out(path: str) -> list[tuple[str, ...]]:
    """Every name that a path with groups in braces stands for: `a::{b, c::{d, e}}` is a::b, a::c::d and a::c::e."""
    head, brace, group = path.partition("{")
    names = tuple(part for part in head.split("::") if part)
    if not brace:
        return [tuple(part.split(" ")[0] for part in names)]
    return [(*names, *name) for each in parted(group.rstrip().removesuffix("}")) for name in spelled_out(each)]


def parted(group: str) -> list[str]:
    """The parts of a group, at its commas, but not at those of a group within it."""
    parts = [""]
    for character in group:
        inside = parts[-1].count("{") > parts[-1].count("}")
        parts = [*parts, ""] if character == "," and not inside else [*parts[:-1], parts[-1] + character]
    return [part.strip() for part in parts if part.strip()]


def deepest(path: tuple[str, ...], modules: dict[tuple[str, ...], str]) -> tuple[str, ...]:
    while path and path not in modules:
        path = path[:-1]
    return path


def python_graph() -> Graph:
    files = {
        ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__"): path
        for path in (ROOT / "src").rglob("*.py")
    }
    return {name: imported(ast.parse(path.read_text()), files) - {name} for name, path in files.items()}


def imported(node: ast.AST, files: dict[str, Path]) -> set[str]:
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        return set()
    found: set[str] = set()
    if isinstance(node, ast.Import):
        found = {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom) and node.module:
        inner = {f"{node.module}.{alias.name}" for alias in node.names}
        found = (inner & set(files)) or {node.module}
    return (found & set(files)).union(*(imported(child, files) for child in ast.iter_child_nodes(node)))


def circles(graph: Graph) -> list[set[str]]:
    """Sets of files that all reach one another, larger than one."""
    found: list[set[str]] = []
    for name in sorted(graph):
        if not any(name in circle for circle in found):
            circle = {other for other in reached(name, graph) if name in reached(other, graph)}
            found += [circle] if len(circle) > 1 else []
    return found


def reached(name: str, graph: Graph) -> set[str]:
    seen: set[str] = set()
    ahead = [name]
    while ahead:
        for other in graph[ahead.pop()] - seen:
            seen.add(other)
            ahead.append(other)
    return seen


def graphs() -> list[Graph]:
    return [python_graph(), *(rust_graph(crate.parent) for crate in (ROOT / "crates").glob("*/Cargo.toml"))]


def test_no_files_need_each_other() -> None:
    all_graphs = graphs()
    assert sum(map(len, all_graphs)) > 200, "hardly any file was found"
    found = [circle for graph in all_graphs for circle in circles(graph)]
    assert not found, "\n".join(", ".join(sorted(circle)) for circle in found)


def test_no_rooms_of_the_supervisor_need_each_other() -> None:
    """The rooms are the folders below the root and the files beside them; what the door sees by knows nothing else of the door."""
    crate = "crates/interlock-linux/src/"
    files = {name.removeprefix(crate): {use.removeprefix(crate) for use in uses} for name, uses in rust_graph(ROOT / "crates" / "interlock-linux").items()}
    rooms: Graph = {}
    for name, uses in files.items():
        rooms.setdefault(room(name), set()).update({room(use) for use in uses} - {room(name)})
    assert len(rooms) > 10, "hardly any room was found"
    assert not circles(rooms)
    upward = {f"{name}: {use}" for name, uses in files.items() for use in uses if name.startswith("door/seen/") and use.startswith("door/")}
    assert not {each for each in upward if not each.partition(": ")[2].startswith("door/seen/")}


def room(file: str) -> str:
    return file.partition("/")[0]
