"""What this machine says of names of hosts, for loading a policy: whether sessions answer them, and where the person's
own clients and the workspace's repository go.

Where sessions cannot answer names, rules that name hosts let nobody through. Then `coding-agent` has `open-web` beside
it, which is said at every start, and no other preset has (docs/adr/0043).
"""

from __future__ import annotations

import functools
import os
from functools import partial
from typing import TYPE_CHECKING, Final

from interlock.policy.host import Naming
from interlock.storage.home import Home, user_home

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from interlock.app.known_remotes import Remotes
    from interlock.policy import Source
    from interlock.vocabulary.enforcement import Enforcement

#: What stands for the hosts of this preset where names are not answered.
_INSTEAD: Final = {"coding-agent.yaml": "open-web"}
_WITH_HOSTS: Final = frozenset({"coding-agent.yaml", "ci.yaml"})
_OPENED: Final = (
    "names of hosts cannot be answered on this machine ({why}), so ports 80 and 443 of every public address are open "
    "(layer open-web); see: interlock doctor"
)
_SHUT: Final = (
    "names of hosts cannot be answered on this machine ({why}), so package registries and remotes are out of reach; "
    "`--policy open-web` opens ports 80 and 443 of every public address; see: interlock doctor"
)


def naming(home: Home, workspace: str, remotes: Callable[[], Remotes] | None = None) -> Naming:
    """Both are asked only where a policy needs them, and the machine once. `remotes`: those of the workspace."""
    from interlock.app.known_remotes import remotes as asked

    hosts = partial(_hosts, remotes or partial(asked, home, workspace))
    return Naming(functools.cache(partial(_answer, home)), hosts)


def in_place_of_names(sources: Sequence[Source], asked: Naming) -> list[Source]:
    """The layers that stand for rules that name hosts where nothing can: none where sessions answer names."""
    from interlock.policy import Source

    names = {source.name for source in sources if source.path is None}
    wanted = [preset for name, preset in _INSTEAD.items() if name in names and f"{preset}.yaml" not in names]
    if not wanted or not _cannot(asked.answer()):
        return []
    return [Source.preset(name) for name in wanted]


def unnamed(sources: Sequence[Source], asked: Naming) -> str | None:
    """What a person should know of presets whose rules name hosts that no session here can know by name."""
    from interlock.vocabulary.enforcement import NotEnforced

    names = {source.name for source in sources if source.path is None}
    state = asked.answer() if names & _WITH_HOSTS else None
    if not isinstance(state, NotEnforced):
        return None
    said = _OPENED if "open-web.yaml" in names else _SHUT
    return said.format(why=state.reason.partition(":")[0])


def but_for_names(short: Mapping[str, Enforcement], asked: Naming) -> dict[str, Enforcement]:
    """Of the rules that are not enforced fully, those of which `unnamed` does not speak."""
    layers = {name.removesuffix(".yaml") for name in _WITH_HOSTS}
    return {
        rule: state
        for rule, state in short.items()
        if not (rule.partition("/")[0] in layers and state == asked.answer())
    }


def _cannot(state: Enforcement) -> bool:
    """Whether it is known that sessions answer no names: what only could not be found out opens nothing."""
    from interlock.host.host_names import UNKNOWN
    from interlock.vocabulary.enforcement import NotEnforced

    return isinstance(state, NotEnforced) and not state.reason.startswith(UNKNOWN)


def _answer(home: Home) -> Enforcement:
    from interlock.host.host_names import answers_names

    return answers_names(home.cache)


def _hosts(remotes: Callable[[], Remotes]) -> Mapping[str, tuple[str, ...]]:
    from interlock.policy.set_hosts import NO_HOST
    from interlock.surroundings.git_remotes import with_companions
    from interlock.surroundings.registries import hosts_here

    known = with_companions(remotes().known) or (NO_HOST,)
    return {**hosts_here(os.environ, home=user_home()), "git-remotes": known}
