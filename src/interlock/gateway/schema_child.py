"""A process that holds values to foreign schemas, and may be ended at any time: `python -m
interlock.gateway.schema_child`.

Requests and answers are JSON texts (`mediate/bounded.py`).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from interlock.gateway.schema_checks import UnusableSchema, Validator
from interlock.mediate.bounded import Questions, within
from interlock.vocabulary.json_text import JsonObject, encode, is_object, parse_answer

#: Processor time for one schema and one value, in seconds.
CPU_S_MAX: Final = 1.0
MEMORY_BYTES_MAX: Final = 1 << 30
COMPILED_KEPT_MAX: Final = 256

_Compiled = Validator | str


def main() -> None:
    """Answer until the other end is closed."""
    questions = Questions(MEMORY_BYTES_MAX)
    compiled: OrderedDict[str, _Compiled] = OrderedDict()
    while (text := questions.read()) is not None:
        request = parse_answer(text)
        with within(CPU_S_MAX):
            answer = encode(_answer(compiled, request if is_object(request) else {}))
        questions.answer(answer)


def _answer(compiled: OrderedDict[str, _Compiled], request: JsonObject) -> JsonObject:
    digest, schema = str(request.get("digest")), request.get("schema")
    if digest not in compiled:
        if not is_object(schema):
            return {"wanted": "schema"}
        compiled[digest] = _made(schema)
        while len(compiled) > COMPILED_KEPT_MAX:
            compiled.popitem(last=False)
    compiled.move_to_end(digest)
    validator = compiled[digest]
    if isinstance(validator, str):
        return {"unusable": validator}
    return {"faults": validator.faults(request.get("value"))}


def _made(schema: JsonObject) -> _Compiled:
    try:
        return Validator(schema)
    except UnusableSchema as error:
        return str(error)


if __name__ == "__main__":
    main()
