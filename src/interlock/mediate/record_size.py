"""What of an Action goes into a record: all of it, but for arguments too large, for which digest and size stand.

A record holds 60 KiB at most (spec/record.md); the digest is over the re-encoded arguments, which are what is
forwarded.
"""

from __future__ import annotations

import hashlib
from typing import Final

from interlock.mediate.json_text import JsonObject, encode, is_object

#: Leaves room for the rest of the record beside the arguments.
ARGUMENTS_BYTES_MAX: Final = 24 * 1024


def recordable(action: JsonObject) -> JsonObject:
    """The Action as a record keeps it."""
    target = action.get("target")
    if not is_object(target) or "arguments" not in target:
        return action
    measured = measure(target["arguments"])
    size = measured["bytes"]
    if isinstance(size, int) and size <= ARGUMENTS_BYTES_MAX:
        return action
    return {**action, "target": {**target, "arguments": measured}}


def measure(value: object) -> JsonObject:
    """Digest and size, for a value that is not kept itself."""
    text = encode(value)
    return {"digest": f"sha256:{hashlib.sha256(text).hexdigest()}", "bytes": len(text)}
