"""A process that holds values to foreign schemas, and may be ended at any time: `python -m
interlock.gateway.schema_child`.

Standard input is a socket: requests and answers are JSON texts, each after its length in four bytes. Memory is bounded,
and the kernel ends the process when one request takes more than its processor time (SIGPROF, setitimer(2)).
"""

from __future__ import annotations

import resource
import signal
import socket
from collections import OrderedDict
from typing import Final

from interlock.gateway.schema_checks import LENGTH, UnusableSchema, Validator
from interlock.vocabulary.json_text import JsonObject, encode, is_object, parse_answer

#: Processor time for one schema and one value, in seconds.
CPU_S_MAX: Final = 1.0
MEMORY_BYTES_MAX: Final = 1 << 30
COMPILED_KEPT_MAX: Final = 256

_Compiled = Validator | str


def main() -> None:
    """Answer until the other end is closed."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    compiled: OrderedDict[str, _Compiled] = OrderedDict()
    with socket.socket(fileno=0) as channel, channel.makefile("rwb") as stream:
        while len(head := stream.read(LENGTH.size)) == LENGTH.size:
            request = parse_answer(stream.read(LENGTH.unpack(head)[0]))
            signal.setitimer(signal.ITIMER_PROF, CPU_S_MAX)
            text = encode(_answer(compiled, request if is_object(request) else {}))
            signal.setitimer(signal.ITIMER_PROF, 0)
            stream.write(LENGTH.pack(len(text)) + text)
            stream.flush()


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
