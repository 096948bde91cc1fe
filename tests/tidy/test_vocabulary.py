"""One word for one thing in Python: the design's nouns name one type each, and what crosses modules is a value with a type.

Left out: Rust, whose crates name their own.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src/interlock"
MODULES = {str(path.relative_to(SOURCE)): path.read_text() for path in sorted(SOURCE.rglob("*.py"))}

#: Each noun, and the one module that may define it. `None`: nothing is called so.
NOUNS = {
    "Action": None,  # stays the JSON object that the engine reads and the ledger keeps
    "Answer": "vocabulary/question.py",
    "Context": "policy/context.py",
    "Decision": "vocabulary/decision.py",
    "Denial": "vocabulary/denial.py",
    "Effect": "vocabulary/effect.py",
    "Facts": "vocabulary/facts.py",
    "Grant": "vocabulary/question.py",
    "Message": None,  # JSON-RPC's own: `RpcMessage`
    "Names": None,
    "Needs": "vocabulary/facts.py",
    "Obligations": "vocabulary/decision.py",
    "Outcome": None,
    "Permit": "mediate/permit.py",
    "Question": "vocabulary/question.py",
    "Refused": "mediate/permit.py",
    "Request": None,  # JSON-RPC's own: `RpcRequest`
    "Steer": "vocabulary/decision.py",
    "Verdict": "vocabulary/decision.py",
}

#: Where a dict of anything is still handed about, and how often a file says so. May only shrink: a value of its own takes its place.
DICTS_LEFT = {
    "app/history.py": 1,
    "cli/tree.py": 1,
    "ledger/ledger_check.py": 2,
    "ledger/proof.py": 2,
    "ledger/query.py": 4,
    "ledger/reader.py": 1,
    "ledger/verifier.py": 4,
    "policy/closure.py": 5,
    "policy/compile.py": 7,
    "policy/coverage.py": 3,
    "policy/language.py": 1,
    "policy/loading.py": 4,
    "policy/parse.py": 1,
}


def defined(text: str) -> set[str]:
    """The classes of a module, and what it gives a type's name to."""
    found: set[str] = set()
    for node in ast.parse(text).body:
        match node:
            case ast.ClassDef(name=name) | ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                found.add(name)
    return found


@pytest.mark.parametrize("noun", NOUNS)
def test_a_noun_of_the_design_names_one_type(noun: str) -> None:
    homes = [module for module, text in MODULES.items() if noun in defined(text)]
    assert homes == ([NOUNS[noun]] if NOUNS[noun] else [])


@pytest.mark.parametrize("module", MODULES)
def test_no_further_dict_of_anything_is_handed_about(module: str) -> None:
    count = MODULES[module].count("dict[str, Any]")
    assert count <= DICTS_LEFT.get(module, 0), "read it into a value of its own, or take it as a `JsonObject`"


def test_the_list_of_dicts_left_is_true() -> None:
    """What was mended leaves the list."""
    found = {module: text.count("dict[str, Any]") for module, text in MODULES.items()}
    shrunk = {module: found.get(module, 0) for module, most in DICTS_LEFT.items() if found.get(module, 0) < most}
    assert not shrunk, "these are fewer now: say so in the list"
