"""Values as headers towards a modern server: `Mcp-Name` and the mirrored `Mcp-Param-*` (2026-07-28, "Value
Encoding"). Pure."""

from __future__ import annotations

import base64
import re
from typing import Final

from interlock.mediate.json_text import JsonObject, is_object, object_at

_PLAIN: Final = re.compile(r"[\x20-\x7e]*", re.ASCII)
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)


def safe_header(value: str) -> str:
    """The value itself where a header may carry it, else its Base64 form: nothing can end the header early."""
    wrapped = value.startswith("=?base64?") and value.endswith("?=")
    if _PLAIN.fullmatch(value) and value == value.strip() and not wrapped:
        return value
    return f"=?base64?{base64.b64encode(value.encode()).decode()}?="


def mirrored_headers(schema: JsonObject, arguments: JsonObject) -> dict[str, str]:
    """The headers that a tool's schema asks to mirror from these arguments."""
    found: dict[str, str] = {}
    for key, each in object_at(schema, "properties").items():
        if not is_object(each):
            continue
        name, value = each.get("x-mcp-header"), arguments.get(key)
        if isinstance(name, str) and _TOKEN.fullmatch(name) and isinstance(value, str | int | bool):
            text = str(value).lower() if isinstance(value, bool) else str(value)
            found[f"Mcp-Param-{name}"] = safe_header(text)
        if is_object(value):
            found.update(mirrored_headers(each, value))
    return found
