"""What this machine says of names of hosts, for loading a policy: whether sessions answer them, and where the person's
own clients and the workspace's repository go."""

from __future__ import annotations

import functools
import os
from functools import partial
from typing import TYPE_CHECKING

from interlock.host.host_names import answers_names
from interlock.policy.host import Naming
from interlock.storage.home import Home, user_home

if TYPE_CHECKING:
    from collections.abc import Mapping


def naming(home: Home, workspace: str) -> Naming:
    """Both are asked only where a policy needs them, and the machine once."""
    return Naming(functools.cache(answers_names), partial(_hosts, home, workspace))


def _hosts(home: Home, workspace: str) -> Mapping[str, tuple[str, ...]]:
    from interlock.app.known_remotes import remotes
    from interlock.policy.set_hosts import NO_HOST
    from interlock.surroundings.registries import hosts_here

    known = remotes(home, workspace).known or (NO_HOST,)
    return {**hosts_here(os.environ, home=user_home()), "git-remotes": known}
