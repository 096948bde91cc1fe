"""The verbs of `spec/action.md`, by plane and kind, in the specification's order. What each means is the engine's."""

from __future__ import annotations

from typing import Final

FILE_VERBS: Final = (
    "file.read",
    "file.write",
    "file.create",
    "file.delete",
    "file.rename",
    "file.link",
    "file.chmod",
    "file.chown",
    "file.truncate",
    "file.xattr",
    "file.utime",
    "file.mknod",
)
PROCESS_VERBS: Final = ("process.exec", "process.signal", "process.ptrace")
NET_VERBS: Final = ("net.connect", "net.bind", "net.send", "net.listen")
UNIX_VERBS: Final = ("unix.connect",)
TOOL_VERBS: Final = ("tool.call", "tool.list")

HOST_VERBS: Final = (*FILE_VERBS, *PROCESS_VERBS, *NET_VERBS, *UNIX_VERBS)
GATEWAY_VERBS: Final = (*TOOL_VERBS, "resource.read", "prompt.get")
