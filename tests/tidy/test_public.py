"""What Rust makes public has a user outside the tests: rustc warns of what is private and unused, and what is public it must believe to be used by others.

Read as text: a name that is used anywhere counts for every item of that name, so this finds what is surely unused, no more. Left out: enum variants
and fields, and what only this workspace's own tests use, which is unused here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = {str(path.relative_to(ROOT)): path.read_text() for path in sorted((ROOT / "crates").glob("*/src/**/*.rs"))}
#: Items that nobody names and that stay, each with its reason. It may only get shorter: what has found a user, or is gone, fails here.
KEPT: dict[str, str] = {}

ITEM = re.compile(r"\bpub (?:const |unsafe |extern \"C\" |async )*(?:fn|const|static|struct|enum|union|trait|type) (?:mut )?(\w+)")
#: A word where it is defined, which is no use of it. `pub(crate)` and private ones are rustc's to find.
DEFINED = re.compile(r"\b(?:fn|const|static|struct|enum|union|trait|type|mod)\s+(?:mut\s+)?\w+")
TEXT = re.compile(r"b?r(?P<fence>#*)\".*?\"(?P=fence)|[bc]?\"(?:\\.|[^\"\\])*\"|'(?:\\.[^']*|[^'\\])'", re.DOTALL)
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
#: Text and comments at once: either may hold what looks like the other.
ASIDE = re.compile(f"(?P<text>{TEXT.pattern})|(?P<comment>{COMMENT.pattern})", re.DOTALL)
#: Import and re-export; what is renamed on the way is used under its other name.
IMPORT = re.compile(r"\b(?:pub(?:\([^)]*\))? )?use [^;]*;")


def code(text: str) -> str:
    """Without comments, and of text only what a format takes from around it (`{LIMIT}`)."""

    def kept(found: re.Match[str]) -> str:
        return " ".join(re.findall(r"\{(\w+)", found["text"])) if found["text"] else ""

    return ASIDE.sub(kept, text)


def without_tests(text: str) -> str:
    """Without the modules and items that are compiled for tests only. `text` is bare code, so braces are braces."""
    while (found := re.search(r"#\[cfg\(test\)\]", text)) is not None:
        end = end_of_item(text, found.end())
        text = text[: found.start()] + text[end:]
    return text


def end_of_item(text: str, start: int) -> int:
    """Where the item that begins at `start` ends: at its semicolon, or with the brace that closes it."""
    depth = 0
    for place in range(start, len(text)):
        match text[place]:
            case "{" | "[" | "(":
                depth += 1
            case "}" | "]" | ")":
                depth -= 1
                if depth == 0 and text[place] == "}":
                    return place + 1
            case ";" if depth == 0:
                return place + 1
    return len(text)


def used(text: str) -> set[str]:
    renamed = {name for found in IMPORT.findall(text) for name in re.findall(r"(\w+) as \w", found)}
    return renamed | set(re.findall(r"\w+", DEFINED.sub(" ", IMPORT.sub(" ", text))))


def unused(sources: Mapping[str, str]) -> set[str]:
    """`file: item` for each public item that no code outside the tests names."""
    bare = {file: without_tests(code(text)) for file, text in sources.items()}
    named = set().union(*map(used, bare.values()))
    return {f"{file}: {item}" for file, text in bare.items() for item in ITEM.findall(text) if item not in named}


def test_what_is_public_has_a_user() -> None:
    assert sum(len(ITEM.findall(text)) for text in SOURCES.values()) > 500, "the pattern finds hardly anything"
    found = unused(SOURCES)
    assert found - set(KEPT) == set(), "nothing but tests names these"
    assert set(KEPT) - found == set(), "these have a user, or are gone: strike them from the list"


def public_modules(folder: Path, path: str) -> list[str]:
    """`crate::module` for each module that a crate shows, and those that it shows in turn."""
    file = next((file for file in (folder / "lib.rs", folder / "mod.rs") if file.exists()), None)
    found = re.findall(r"^pub mod (\w+);", file.read_text(), re.MULTILINE) if file else []
    return [f"{path}::{name}" for name in found] + [deeper for name in found for deeper in public_modules(folder / name, f"{path}::{name}")]


def names(text: str, path: str) -> bool:
    """Whether code names the module by its path, alone or in the braces of an import."""
    parent, _, module = path.rpartition("::")
    return re.search(rf"\b{parent}::(?:\{{[^;]*)?\b{module}\b", text) is not None


@pytest.mark.parametrize("crate", sorted(path.parent.name for path in (ROOT / "crates").glob("*/src")))
def test_a_module_that_a_crate_shows_is_named_outside_of_it(crate: str) -> None:
    """What is behind a module that is not shown is rustc's to call unused."""
    folder = ROOT / "crates" / crate
    others = [file for other in (ROOT / "crates").iterdir() if other != folder for file in other.rglob("*.rs") if "target" not in file.parts]
    own = [folder / "src/main.rs", *folder.glob("tests/**/*.rs"), *folder.glob("examples/**/*.rs")]
    outside = "\n".join(file.read_text() for file in [*others, *own] if file.exists())
    shown = public_modules(folder / "src", crate.replace("-", "_"))
    assert [path for path in shown if not names(outside, path)] == [], "nothing outside the crate names these: make them private"


def test_each_that_is_kept_says_why() -> None:
    assert all(len(reason.split()) >= 4 for reason in KEPT.values())


LIBRARY = """
/// Not a use: [`lonely`], nor this: lonely().
pub fn lonely() {}
pub const fn shown() -> u8 { LIMIT }
pub const LIMIT: u8 = 1;
pub const TOLD: u8 = 2;
pub struct Named;
pub struct Renamed;
pub struct Exported;
impl Named {
    pub fn only_tested(&self) {}
    pub fn called(&self) {}
}
pub trait Kind { fn called(&self); }
#[cfg(test)]
fn helper(named: &Named) { named.only_tested() }
#[cfg(test)]
mod tests {
    #[test]
    fn a_brace_in_text() { let _ = ("}", '}', r#"}"}"#); super::lonely(); }
}
pub fn after_the_tests() {}
"""
MAIN = """
pub use library::Exported;
use library::{Named, Renamed as Other, only_tested};
fn main() { shown(); let kind: Other; kind.called(); println!("only_tested {TOLD}"); impl Kind for Named {} }
"""


def test_an_item_that_only_tests_comments_text_and_imports_name_is_found() -> None:
    found = unused({"library.rs": LIBRARY, "main.rs": MAIN})
    assert found == {f"library.rs: {name}" for name in ("lonely", "only_tested", "Exported", "after_the_tests")}


def test_a_use_anywhere_is_enough() -> None:
    used_now = "fn more() { lonely(); after_the_tests(); Exported; Named.only_tested() }"
    assert unused({"library.rs": LIBRARY, "main.rs": MAIN, "more.rs": used_now}) == set()
