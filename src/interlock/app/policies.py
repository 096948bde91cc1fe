"""From `--policy` and `--preset` to a compiled policy: which layers, in which order, with which variables. Loading
is `interlock.policy`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from interlock.storage.home import Home


def compiled(
    *,
    files: Sequence[str],
    preset: str | None,
    home: Home,
    session: str,
    human_home: str,
    workspace: str,
    own: Sequence[str],
) -> Mapping[str, Any]:
    """The compiled policy (spec/policy.md). Raises `OperatorError` with code 121 when a layer does not load."""
    from interlock.policy import Context, load

    raise NotImplementedError((Context, load, files, preset, home, session, human_home, workspace, own))
