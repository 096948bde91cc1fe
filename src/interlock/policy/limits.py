"""Every limit of a policy's text, in one place. A file beyond one is refused, never cut."""

from __future__ import annotations

from typing import Final

BYTES_MAX: Final = 1 << 20
DEPTH_MAX: Final = 16
NODES_MAX: Final = 100_000
LAYERS_MAX: Final = 32
RULES_MAX: Final = 2_000
#: Patterns of one selector, after sets and braces are expanded.
PATTERNS_MAX: Final = 1_000
