"""The revisions of MCP that are spoken here, by era, and the codes of errors that they give.

Legacy is stateful (`initialize`, sessions), modern (2026-07-28) is stateless: each request says its revision in
`_meta`.
"""

from __future__ import annotations

from typing import Final

META: Final = "io.modelcontextprotocol/"
#: Newest first.
LEGACY: Final = ("2025-11-25", "2025-06-18", "2025-03-26")
#: One more is taken, as 2025-03-26: it differs in nothing that is used here.
LEGACY_KNOWN: Final = frozenset({*LEGACY, "2024-11-05"})
MODERN: Final = "2026-07-28"
SUPPORTED: Final = (MODERN, *LEGACY)

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL: Final = -32603
HEADER_MISMATCH: Final = -32020
MISSING_CAPABILITY: Final = -32021
UNSUPPORTED_VERSION: Final = -32022
#: Our own, outside -32768…-32000 as revision 2026-07-28 asks: policy refused; the server behind is unavailable.
REFUSED: Final = -31001
UPSTREAM_BROKEN: Final = -31002
