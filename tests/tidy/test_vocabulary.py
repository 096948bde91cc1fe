"""One word for one thing: the design's nouns name one type each, and what crosses modules is a value with a type.

Rust's crates name their own, and give no noun of the design to another thing than the design does.
"""

from __future__ import annotations

import ast
import re
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
    "Event": "ledger/event.py",
    "Facts": "vocabulary/facts.py",
    "Grant": "vocabulary/question.py",
    "Message": None,  # JSON-RPC's own: `RpcMessage`
    "Names": None,
    "Needs": "vocabulary/facts.py",
    "Obligations": "vocabulary/decision.py",
    "Outcome": None,
    "Permit": "mediate/permit.py",
    "Question": "vocabulary/question.py",
    "Record": None,  # what an Event is kept as: an `Entry` of a log
    "Refused": "mediate/permit.py",
    "Request": None,  # JSON-RPC's own: `RpcRequest`
    "Steer": "vocabulary/decision.py",
    "Verdict": "vocabulary/decision.py",
}

#: The same in Rust, below `crates/`.
RUST_NOUNS = {
    "Action": "interlock-core/src/action.rs",
    "Answer": None,  # a person's, which crosses as JSON
    "Context": "interlock-linux/src/line/recording.rs",
    "Decision": "interlock-core/src/decision.rs",
    "Effect": None,  # what a record says of a `Leave`
    "Event": None,
    "Facts": "interlock-core/src/facts.rs",
    "Grant": "interlock-core/src/grant.rs",
    "Needs": "interlock-core/src/facts.rs",
    "Obligations": "interlock-core/src/decision.rs",
    "Outcome": None,
    "Permit": "interlock-linux/src/line/mod.rs",
    "Question": "interlock-linux/src/line/questions.rs",
    "Record": None,  # how surely one is written is its `RecordClass`
    "Says": "interlock-core/src/decision.rs",
    "Steer": "interlock-core/src/steer.rs",
    "Verdict": "interlock-linux/src/line/mod.rs",
}
RUST = {str(path.relative_to(ROOT / "crates")): path.read_text() for path in sorted((ROOT / "crates").glob("*/src/**/*.rs"))}

#: A dict whose values the type checker lets be anything.
DICT_OF_ANYTHING = re.compile(r"(?:[Dd]ict|Mapping)\[str, Any\]")


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


@pytest.mark.parametrize("noun", RUST_NOUNS)
def test_a_noun_of_the_design_names_one_type_in_rust(noun: str) -> None:
    defines = re.compile(rf"^\s*(?:pub(?:\([^)]*\))? )?(?:struct|enum|trait|type|union) {noun}\b", re.MULTILINE)
    homes = [file for file, text in RUST.items() if defines.search(text)]
    assert homes == ([RUST_NOUNS[noun]] if RUST_NOUNS[noun] else [])


@pytest.mark.parametrize("module", MODULES)
def test_no_dict_of_anything_is_handed_about(module: str) -> None:
    found = DICT_OF_ANYTHING.findall(MODULES[module])
    assert not found, "read it into a value of its own, or take it as a `JsonObject`"
