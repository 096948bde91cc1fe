"""How far sessions answer names of hosts on this machine: the supervisor tries it, in a process of its own."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Final

from interlock.vocabulary.enforcement import NotEnforced, read
from interlock.vocabulary.errors import InterlockError

if TYPE_CHECKING:
    from interlock.vocabulary.enforcement import Enforcement

_SECONDS_MAX: Final = 30


def answers_names() -> Enforcement:
    """The state of what rules that name hosts need. Not enforced where that cannot be found out."""
    from interlock.host.executable import find_supervisor

    try:
        ran = subprocess.run(
            [find_supervisor(), "--host-names"],
            capture_output=True,
            timeout=_SECONDS_MAX,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        return read(json.loads(ran.stdout))
    except (InterlockError, OSError, ValueError, subprocess.TimeoutExpired) as error:
        return NotEnforced(f"whether names of hosts can be answered is not known: {error}")
