"""The process that evaluates Rego, and may be ended at any time: `python -m interlock.rego.child`.

The first question (`mediate/bounded.py`) is the modules; each after it is an input, answered with the value of the
rule.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from interlock._rego import Rego, RegoError
from interlock.mediate.bounded import Questions, within
from interlock.rego.builtins import refused
from interlock.rego.evaluator import CPU_S_MAX

if TYPE_CHECKING:
    from interlock.policy.rego import CompiledRego

LOAD_S_MAX: Final = 5.0
MEMORY_BYTES_MAX: Final = 512 << 20
FAULT_CHARACTERS_MAX: Final = 1_000


def main() -> None:
    """Answer until the other end is closed."""
    questions = Questions(MEMORY_BYTES_MAX)
    compiled: CompiledRego = json.loads(questions.read() or "null")
    with within(LOAD_S_MAX):
        loaded = _loaded(compiled)
    questions.answer(_text({"fault": loaded} if isinstance(loaded, str) else {}))
    while not isinstance(loaded, str) and (document := questions.read()) is not None:
        with within(CPU_S_MAX):
            answer = _text(_answer(loaded, compiled["query"], document.decode()))
        questions.answer(answer)


def _text(answer: dict[str, object]) -> bytes:
    return json.dumps(answer, separators=(",", ":")).encode()


def _loaded(compiled: CompiledRego) -> Rego | str:
    """The modules ready, or why they cannot be used."""
    modules = [(each["name"], each["text"]) for each in compiled.get("modules", ())]
    try:
        rego = Rego(modules, data="{}", time_ms=round(CPU_S_MAX * 1000), v0=compiled.get("v0", False))
        why = refused(json.loads(rego.trees()), [text for _, text in modules])
    except RegoError as error:
        return _words(error)
    return why or rego


def _answer(rego: Rego, query: str, document: str) -> dict[str, object]:
    try:
        value = rego.value(query, document)
        return {"undefined": True} if value is None else {"value": json.loads(value)}
    except RegoError as error:
        return {"fault": _words(error)}


def _words(error: RegoError) -> str:
    return " ".join(str(error).split())[:FAULT_CHARACTERS_MAX]


if __name__ == "__main__":
    main()
