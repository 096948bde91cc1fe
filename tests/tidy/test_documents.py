"""Documents that must stay true: dependencies are explained, the assurance table names real tests, links lead somewhere."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    path
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "spec").rglob("*.md")]
    if ".venv" not in path.parts
)


def declared_dependencies() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    names = {re.split(r"[><=~! \[;]", entry)[0].lower() for entries in lists for entry in entries}
    for manifest in (ROOT / "crates").glob("*/Cargo.toml"):
        tables = tomllib.loads(manifest.read_text())
        names |= {key for kind in ("dependencies", "dev-dependencies") for key in tables.get(kind, {})}
    return {entry for entry in names if not entry.startswith("interlock")}


def test_every_dependency_has_its_line() -> None:
    explained = (ROOT / "docs/dependencies.md").read_text().lower()
    missing = sorted(entry for entry in declared_dependencies() if not re.search(rf"`{re.escape(entry)}`", explained))
    assert not missing, f"docs/dependencies.md does not explain {missing}"


def test_every_line_is_about_a_dependency_that_is_there() -> None:
    table = (ROOT / "docs/dependencies.md").read_text().lower()
    explained = set(re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE))
    assert explained == declared_dependencies(), explained ^ declared_dependencies()


def test_every_promise_names_tests_that_exist() -> None:
    table = (ROOT / "docs/assurance.md").read_text()
    named = re.findall(r"`((?:tests|crates)/[^`:]+?)(?:::[^`]+)?`", table)
    assert len(named) >= 10, "the assurance table names hardly any test"
    missing = sorted({path for path in named if not (ROOT / path).exists()})
    assert not missing, f"docs/assurance.md names tests that do not exist: {missing}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text()):
        if not re.match(r"[a-z]+:", target):
            assert (path.parent / target).exists(), f"{path.relative_to(ROOT)} links to `{target}`"


FILES = [
    str(path.relative_to(ROOT))
    for part in ("src", "crates", "tests", "docs", "spec", "bench", "examples", "tools", ".ci")
    for path in (ROOT / part).rglob("*")
] + [path.name for path in ROOT.iterdir()]
CODE = "\n".join(
    path.read_text(errors="replace")
    for part in ("src", "crates", "tests", "examples", "bench")
    for path in (ROOT / part).rglob("*")
    if path.suffix in {".py", ".rs", ".yaml", ".toml", ".c"}
)
WORDS = set(re.findall(r"\w+", CODE))


def names_of_this_repository(text: str) -> set[str]:
    """Backticked names that can only be this repository's: its source files, and names qualified as Rust or Python does it."""
    quoted = set(re.findall(r"`([^`\s]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)))
    files = {name for name in quoted if re.fullmatch(r"(crates|src|spec|tests|bench)/[\w./-]+|[\w/]+\.(rs|py|sh)", name)}
    return files | {name for name in quoted if re.fullmatch(r"\w+(::\w+)+(\(\))?", name)}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_in_documents_exist(path: Path) -> None:
    for name in names_of_this_repository(path.read_text()):
        if "::" in name:
            missing = [part for part in name.removesuffix("()").split("::") if part not in WORDS]
        else:
            target = name.rstrip("/")
            missing = [] if any(f"/{file}".endswith(f"/{target}") for file in FILES) else [name]
        assert not missing, f"{path.relative_to(ROOT)} names `{name}`, and nothing here is called {missing}"
