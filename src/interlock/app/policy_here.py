"""A policy as `interlock run` would load it here, to look at: nothing is started. `policy` and `doctor` ask for it."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, NamedTuple

from interlock.app.naming import naming, unnamed
from interlock.app.policies import chosen, context_of
from interlock.host.executable import find_supervisor
from interlock.storage.home import Home, user_home
from interlock.surroundings.own_paths import own_paths
from interlock.surroundings.repository import top_around
from interlock.vocabulary.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from interlock.policy import Compiled, Context, Source
    from interlock.policy.host import Naming
    from interlock.policy.layer import Layer
    from interlock.vocabulary.enforcement import Enforcement
    from interlock.vocabulary.json_value import JsonObject

DEFAULT_PRESET = "coding-agent"


def workspace_here(named: str | None) -> str:
    """The folder that was named, or the repository around the current one; resolved."""
    return os.path.realpath(named) if named else top_around(os.path.realpath(os.curdir), os.environ)


def context_here(workspace: str) -> Context:
    """What the policy is expanded with."""
    try:
        supervisor = find_supervisor()
    except HostError:
        supervisor = sys.executable  # a policy can be read where nothing can be run
    own = own_paths(os.environ, supervisor=supervisor)
    # Looking at a policy from inside a directory that Interlock is loaded from is no danger: nothing is started here.
    apart = [path for path in own if workspace != path and not workspace.startswith(f"{path}/")]
    return context_of(Home.from_environment(), workspace=workspace, human_home=user_home(), own=apart)


class Here(NamedTuple):
    """A policy loaded here: what the engine reads, its layers as they are written, and the workspace. `states`: how far
    rules are enforced here that are not fully, or not by one way everywhere.
    """

    compiled: Compiled
    layers: Sequence[Layer]
    workspace: str
    states: Mapping[str, Enforcement]


def load_here(files: Sequence[str], presets: Sequence[str], *, workspace: str) -> Compiled:
    """The layers of a command line, loaded; the default preset where it names none. Raises `PolicyError`."""
    from interlock.policy import load

    asked = naming(Home.from_environment(), workspace)
    sources = _named(files, presets, workspace, asked)
    return _told(load(sources, context_here(workspace), naming=asked), sources, asked)


def default_here(*, workspace: str) -> tuple[Mapping[str, Enforcement], str | None]:
    """Of the preset that runs without being named: the rules that are not enforced fully here, and what is told in the
    place of those that name hosts. Raises `PolicyError`.
    """
    from interlock.app.naming import but_for_names
    from interlock.policy import load

    asked = naming(Home.from_environment(), workspace)
    sources = _named([], [], workspace, asked)
    compiled, without = load(sources, context_here(workspace), naming=asked), unnamed(sources, asked)
    return compiled.enforcement if without is None else but_for_names(compiled.enforcement, asked), without


def look_here(files: Sequence[str], presets: Sequence[str], *, workspace: str) -> Here:
    """The same, with the layers as they are written."""
    from interlock.policy import load
    from interlock.policy.loading import written

    asked = naming(Home.from_environment(), workspace)
    sources, context = _named(files, presets, workspace, asked), context_here(workspace)
    compiled = _told(load(sources, context, naming=asked), sources, asked)
    states = {**_by_name(compiled, asked), **compiled.enforcement}
    return Here(compiled, written(sources, context), workspace, states)


def _told(compiled: Compiled, sources: Sequence[Source], asked: Naming) -> Compiled:
    """With what a person should know of presets whose hosts cannot be known by name here."""
    without = unnamed(sources, asked)
    return compiled if without is None else compiled._replace(warnings=(without, *compiled.warnings))


def _by_name(compiled: Compiled, asked: Naming) -> dict[str, Enforcement]:
    """The rules that name hosts, with the way in which sessions answer names here."""
    from interlock.policy.host import rules_by_name

    rules = rules_by_name(compiled.document())
    return {rule: asked.answer() for rule, _, _ in rules}


def told(here: Here) -> JsonObject:
    """All that there is to say of it, for programs."""
    from interlock.policy.closure import routes
    from interlock.policy.coverage import COSTS, coverage, untrapped
    from interlock.policy.summary import rows
    from interlock.vocabulary.enforcement import written

    compiled = here.compiled
    document = compiled.document()
    covered = coverage(document, here.states)
    return {
        "digest": compiled.digest,
        "workspace": here.workspace,
        "summary": [row._asdict() for row in rows(here.layers)],
        "coverage": [{**asdict(row), "enforcement": written(row.enforcement)} for row in covered],
        "routes": [asdict(route) for route in routes(document)],
        "costs": COSTS,
        "untrapped": list(untrapped(compiled)),
        "warnings": list(compiled.warnings),
    }


def _named(files: Sequence[str], presets: Sequence[str], workspace: str, asked: Naming) -> list[Source]:
    named = list(presets) if presets or files else [DEFAULT_PRESET]
    return chosen(files, named, home=Home.from_environment(), workspace=workspace, naming=asked)
