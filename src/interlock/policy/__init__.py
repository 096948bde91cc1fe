"""Policy: YAML layers to the compiled form the engine reads (`spec/policy.md`). `load` is the way in.

`decide` is not here: there is one engine, in `interlock-core`. Names are imported when first used, for start-up's
sake.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interlock.policy.context import Context, from_environment
    from interlock.policy.faults import Fault, Place, PolicyError
    from interlock.policy.loading import PRESETS, Compiled, Source, is_file, load
    from interlock.policy.origin import Origin

__all__ = [
    "PRESETS",
    "Compiled",
    "Context",
    "Fault",
    "Origin",
    "Place",
    "PolicyError",
    "Source",
    "from_environment",
    "is_file",
    "load",
]

_HOME = {
    "Context": "context",
    "from_environment": "context",
    "Fault": "faults",
    "Place": "faults",
    "PolicyError": "faults",
    "Origin": "origin",
    "PRESETS": "loading",
    "Compiled": "loading",
    "is_file": "loading",
    "Source": "loading",
    "load": "loading",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"interlock.policy.{_HOME[name]}"), name)
