"""The process that evaluates Rego, and may be ended at any time: `python -m interlock.rego.child`.

Standard input is a socket: texts, each after its length in four bytes. The first one is the modules; each after it is
an input, answered with the value of the rule. Memory is bounded, and the kernel ends the process when one text takes
more than its processor time (SIGPROF, setitimer(2)).
"""

from __future__ import annotations

import json
import resource
import signal
import socket
from typing import TYPE_CHECKING, Final

from interlock._rego import Rego, RegoError
from interlock.rego.builtins import refused
from interlock.rego.evaluator import CPU_S_MAX, LENGTH

if TYPE_CHECKING:
    from interlock.policy.rego import CompiledRego

LOAD_S_MAX: Final = 5.0
MEMORY_BYTES_MAX: Final = 512 << 20
FAULT_CHARACTERS_MAX: Final = 1_000


def main() -> None:
    """Answer until the other end is closed."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8))
    with socket.socket(fileno=0) as channel, channel.makefile("rwb") as stream:

        def read() -> str | None:
            head = stream.read(LENGTH.size)
            return stream.read(LENGTH.unpack(head)[0]).decode() if len(head) == LENGTH.size else None

        def write(answer: dict[str, object]) -> None:
            text = json.dumps(answer, separators=(",", ":")).encode()
            stream.write(LENGTH.pack(len(text)) + text)
            stream.flush()

        compiled: CompiledRego = json.loads(read() or "null")
        signal.setitimer(signal.ITIMER_PROF, LOAD_S_MAX)
        loaded = _loaded(compiled)
        write({"fault": loaded} if isinstance(loaded, str) else {})
        while not isinstance(loaded, str) and (document := read()) is not None:
            signal.setitimer(signal.ITIMER_PROF, CPU_S_MAX)
            answer = _answer(loaded, compiled["query"], document)
            write(answer)
            signal.setitimer(signal.ITIMER_PROF, 0)


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
