"""From `--policy` and `--preset` to a compiled policy: which layers, in which order, with which variables.

Loading is `interlock.policy`, which puts `guard` first by itself.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

#: Hosts that one line names.
_REMOTES_SHOWN_MAX: Final = 5

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from interlock._native import Walk
    from interlock.app.known_remotes import Remotes
    from interlock.policy import Compiled, Context, Source
    from interlock.policy.compiled_form import CompiledPolicy
    from interlock.policy.host import Naming
    from interlock.storage.home import Home
    from interlock.vocabulary.enforcement import Enforcement
    from interlock.vocabulary.json_value import JsonObject


class Loaded(NamedTuple):
    """A policy ready to launch: the compiled form (spec/policy.md), what a person should know about it, what to
    look for that would run later outside (spec/supervisor.md), its layers' names, what they were read from, the
    state of each rule that is not enforced fully, and of these the ones that no warning speaks of.
    """

    document: CompiledPolicy
    warnings: Sequence[str]
    runs_later: JsonObject
    layers: Sequence[str]
    sources: Sequence[Mapping[str, str]]
    enforcement: Mapping[str, Enforcement]
    untold: Mapping[str, Enforcement]


def compiled(
    *,
    files: Sequence[str],
    preset: str | None,
    home: Home,
    session_directory: str,
    human_home: str,
    workspace: str,
    own: Sequence[str],
    generated: Sequence[tuple[str, bytes]] = (),
    temporary: str | None = None,
    walk: Walk | None = None,
    meanwhile: Callable[[], object] = lambda: None,
) -> Loaded:
    """Load a session's policy: the preset if one is named, then the files in order, then what the person allowed for
    every run and for this workspace, then the workspace's own layer.

    Arguments: `files` are paths, or names of the user's own layers or of presets; `own` is what the next Interlock
    would load from; `session_directory` holds the session's sockets; `generated` are layers of Interlock's own
    making, by name; `temporary` is the session's temporary folder; `walk` is one of the workspace that was begun
    already; `meanwhile` is done while the machine is asked for names. Raises `OperatorError` with code 121 when a layer
    does not load.
    """
    from interlock.app.known_remotes import remotes
    from interlock.app.naming import but_for_names, naming, unnamed
    from interlock.policy import Origin, Source, load

    there = functools.cache(partial(remotes, home, workspace))
    asked = naming(home, workspace, there)
    sources = chosen(files, [preset] if preset is not None else [], home=home, workspace=workspace, naming=asked)
    named = [said for source in sources if (said := _said(source)) is not None]
    sources += [Source(name, data, Origin.BUILTIN) for name, data in generated]
    context = context_of(
        home,
        workspace=workspace,
        human_home=human_home,
        own=own,
        session_directory=session_directory,
        temporary=temporary,
    )
    found = load(
        sources,
        context,
        cache=home.cache,
        aside=_runs_later(),
        walk=walk,
        meanwhile=meanwhile,
        naming=asked,
    )
    without = unnamed(sources, asked)
    warnings = [*([without] if without else []), *found.warnings, *_of_remotes(sources, there)]
    untold = found.enforcement if without is None else but_for_names(found.enforcement, asked)
    return Loaded(found.document(), warnings, _to_look_for(found), found.layers, named, found.enforcement, untold)


def _of_remotes(sources: Sequence[Source], remotes: Callable[[], Remotes]) -> list[str]:
    """That remotes were added since, where a layer is about them."""
    if not any(b"git-remotes" in source.data for source in sources):
        return []
    from interlock.vocabulary.printable import printable

    new = remotes().new
    named = ", ".join(printable(host) for host in new[:_REMOTES_SHOWN_MAX])
    more = f" and {len(new) - _REMOTES_SHOWN_MAX} more" if len(new) > _REMOTES_SHOWN_MAX else ""
    said = f"the repository has remotes that you did not say yes to: {named}{more}; see: interlock allow --remotes"
    return [said] if new else []


def runs_later(home: Home, *, workspace: str, human_home: str) -> JsonObject:
    """What of a session's changes in `workspace` would run later outside, as the supervisor looks for it."""
    from interlock.policy import Source, load

    context = context_of(home, workspace=workspace, human_home=human_home, own=())
    return _to_look_for(load([Source.preset("observe")], context, cache=home.cache, aside=_runs_later()))


def _runs_later() -> Source:
    """Loaded beside the policy, so that its sets are expanded, resolved and cached as the policy's are."""
    from interlock.policy import Origin, Source
    from interlock.policy.runs_later import layer

    return Source("runs-later.yaml", json.dumps(layer()).encode(), Origin.BUILTIN)


def _to_look_for(found: Compiled) -> JsonObject:
    from interlock.policy.runs_later import to_look_for

    assert found.aside is not None, "it was asked for"
    return to_look_for(found.aside)


def chosen(
    files: Sequence[str], presets: Sequence[str], *, home: Home, workspace: str, naming: Naming
) -> list[Source]:
    """The layers that a command line means, in order, each once: presets, files and names, what stands for names where
    none are answered, then the person's own.

    `workspace` is resolved. `guard` and the workspace's own layer are put around them by loading.
    """
    from interlock.app.naming import in_place_of_names
    from interlock.app.own_layers import own_sources
    from interlock.policy import Source

    named = [*map(Source.preset, presets), *(_source(name, home) for name in files)]
    named += in_place_of_names(named, naming)
    read = {source.path for source in named}
    return [*named, *(source for source in own_sources(home, workspace) if source.path not in read)]


def recorded(said: Sequence[Mapping[str, str]], *, home: Home, workspace: str) -> list[Source]:
    """The layers that a session was started with (`sources` of its record), as they are today. Raises `PolicyError`
    for one that is gone.
    """
    from interlock.app.own_layers import own_sources
    from interlock.policy import Source

    found = [Source.preset(each["preset"]) for each in said if "preset" in each]
    read = [Source.file(each["file"]) for each in said if "file" in each]
    own, known = own_sources(home, workspace), {source.path for source in read}
    return [*found, *read, *(source for source in own if source.path not in known)]


def context_of(
    home: Home,
    *,
    workspace: str,
    human_home: str,
    own: Sequence[str],
    session_directory: str | None = None,
    temporary: str | None = None,
) -> Context:
    """What a session's policy is expanded with on this machine."""
    from interlock.policy import from_environment
    from interlock.surroundings.caches import named_caches
    from interlock.surroundings.included import included, included_by
    from interlock.surroundings.repository import configurations, elsewhere, within

    git, person = elsewhere(workspace), os.path.realpath(human_home)
    return from_environment(
        os.environ,
        workspace=workspace,
        directories=(home.config, home.state, home.cache, home.runtime),
        home=human_home,
        user=_user(),
        session=session_directory,
        temporary=temporary,
        interlock=own,
        python=list(dict.fromkeys((sys.prefix, sys.base_prefix))),
        terminals=_terminals(),
        repository=git.directories,
        borrowed=git.objects,
        within=(within(workspace), *included_by(configurations(workspace), person)),
        included=included(os.environ, person),
        caches=named_caches(os.environ, workspace=workspace),
    )


def _said(source: Source) -> dict[str, str] | None:
    """A source in the session's record. A name that is no UTF-8 has none."""
    if source.path is None:
        return {"preset": source.name.removesuffix(".yaml")}
    try:
        source.path.encode()
    except UnicodeEncodeError:
        return None
    return {"file": source.path}


def _source(name: str, home: Home) -> Source:
    from interlock.policy import Source, is_file

    return Source.file(os.path.abspath(name)) if is_file(name) else Source.named(name, home.policies)


def _user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _terminals() -> list[str]:
    """The human's own terminals, by name: no jail may open them."""
    found: dict[str, None] = {}
    for descriptor in (0, 1, 2):
        try:
            found[os.ttyname(descriptor)] = None
        except OSError:
            # It is not a terminal, or it is one without a name in this mount namespace, which no name in here opens.
            continue
    return list(found)
