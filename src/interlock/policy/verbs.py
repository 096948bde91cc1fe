"""The groups that stand for several verbs, and which selector narrows which verb.

One table for the parser, the editor schema and the coverage report. What a verb means is the engine's.
"""

from __future__ import annotations

from typing import Final

from interlock.vocabulary.verb import (
    FILE_VERBS,
    GATEWAY_VERBS,
    HOST_VERBS,
    NET_VERBS,
    PROCESS_VERBS,
    TOOL_VERBS,
    UNIX_VERBS,
)

VERBS: Final = (*HOST_VERBS, *GATEWAY_VERBS)

GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "file.*": FILE_VERBS,
    "file.change": tuple(verb for verb in FILE_VERBS if verb != "file.read"),
    "process.*": PROCESS_VERBS,
    "net.*": NET_VERBS,
    "unix.*": UNIX_VERBS,
    "tool.*": TOOL_VERBS,
    "resource.*": ("resource.read",),
    "prompt.*": ("prompt.get",),
}

#: Named by the design, enforced by nothing yet.
VERBS_LATER: Final = frozenset({"net.resolve"})

_PATHS: Final = frozenset({*FILE_VERBS, "process.exec", *UNIX_VERBS})
_NET: Final = frozenset(NET_VERBS)

#: Selector → the verbs it can narrow.
SELECTORS: Final[dict[str, frozenset[str]]] = {
    "path": _PATHS,
    "except": _PATHS,
    "address": _NET,
    "port": _NET,
    "protocol": _NET,
    "to": frozenset({"process.signal", "process.ptrace", "net.connect", "net.send", *UNIX_VERBS}),
    "signal": frozenset({"process.signal"}),
    "command": frozenset({"process.exec"}),
    "connector": frozenset(GATEWAY_VERBS),
    "tool": frozenset(GATEWAY_VERBS),
    "operation": frozenset({"tool.call"}),
    "arguments": frozenset({"tool.call"}),
}

OPERATIONS: Final = ("read", "write", "delete", "export", "execute", "admin")

_SIGNAL_NAMES: Final = (
    "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU "
    "URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS"
)
#: signal(7), the numbers of x86, ARM and RISC-V.
SIGNALS: Final[dict[str, int]] = {name: number for number, name in enumerate(_SIGNAL_NAMES.split(), start=1)}


def is_gateway(verb: str) -> bool:
    """Whether the verb belongs to the gateway plane."""
    return verb in GATEWAY_VERBS
