"""The two layers that hold what a person allowed: one for every run, one for each workspace. Loaded by themselves.

Both lie in Interlock's configuration directory, which `guard` keeps from every session; a layer in the workspace could
only tighten. What a rule may say is `interlock.policy`'s; putting one in is `allowing`'s.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from interlock.policy import Source
    from interlock.storage.home import Home

ALWAYS: Final = "always"
PROJECT: Final = "this-project"


class OwnLayer(NamedTuple):
    """One of the two: the layer's `name`, the file, and the `workspace` it is for (None: every one)."""

    name: str
    path: str
    workspace: str | None


def own_layers(home: Home, workspace: str) -> tuple[OwnLayer, OwnLayer]:
    """The layer of every run, and that of this (resolved) workspace. Neither needs to exist."""
    return OwnLayer(ALWAYS, home.always, None), OwnLayer(PROJECT, home.project(workspace), workspace)


def own_sources(home: Home, workspace: str) -> list[Source]:
    """Those of the two that exist, to be loaded after the layers that were named. Raises `PolicyError` for one that
    cannot be read: what a person relies on is not left out silently.
    """
    from interlock.policy import Source

    return [Source.file(layer.path) for layer in own_layers(home, workspace) if os.path.lexists(layer.path)]
