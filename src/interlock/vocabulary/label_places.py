"""The labels that there are, by where they sit. A policy is compiled with them before each session, so nothing heavy is
imported here.
"""

from __future__ import annotations

from typing import Final

#: Where labels sit, as a rule asks for them → the labels that can be there.
LABEL_PLACES: Final[dict[str, tuple[str, ...]]] = {
    "context": ("untrusted", "private", "secret"),
    "integrity": ("untrusted",),
    "confidentiality": ("private", "secret"),
}
