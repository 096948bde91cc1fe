"""What this machine says of names of hosts, for loading a policy: whether sessions answer them, and where the person's
own clients go."""

from __future__ import annotations

import functools
import os

from interlock.host.host_names import answers_names
from interlock.policy.host import Naming
from interlock.storage.home import user_home


def naming() -> Naming:
    """Both are asked only where a policy needs them, and the machine once."""
    return Naming(functools.cache(answers_names), _hosts)


def _hosts() -> dict[str, tuple[str, ...]]:
    from interlock.surroundings.registries import hosts_here

    return hosts_here(os.environ, home=user_home())
