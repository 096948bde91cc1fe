"""From `--policy` and `--preset` to a compiled policy: which layers, in which order, with which variables.

Loading is `interlock.policy`, which puts `guard` first by itself.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from interlock.policy import Source
    from interlock.storage.home import Home

#: Loaded beside the policy, so that its sets are expanded, resolved and cached as the policy's are.
_RUNS_LATER: Final = b"""\
interlock: 1
name: runs-later
rules:
  - id: listed
    deny: file.change
    path: ["@runs-later", "@runs-later-listed"]
    except: ["@sample-hooks"]
"""


class Loaded(NamedTuple):
    """A policy ready to launch: the compiled form (spec/policy.md), what a person should know about it, and the
    patterns of what would run later outside (`paths`, `except`).
    """

    document: Mapping[str, Any]
    warnings: Sequence[str]
    runs_later: Mapping[str, Sequence[Any]]


def compiled(
    *,
    files: Sequence[str],
    preset: str | None,
    home: Home,
    session_directory: str,
    human_home: str,
    workspace: str,
    own: Sequence[str],
    generated: bytes | None = None,
) -> Loaded:
    """Load a session's policy: the preset if one is named, then the files in order, then the workspace's own layer.

    Arguments: `files` are paths, or names of the user's own layers or of presets; `own` is what the next Interlock
    would load from; `session_directory` holds the session's sockets; `generated` is a layer of Interlock's own
    making. Raises `OperatorError` with code 121 when a layer does not load.
    """
    from interlock.policy import Origin, Source, from_environment, load

    sources = [Source.preset(preset)] if preset is not None else []
    if generated is not None:
        sources.append(Source("agent-gateway.yaml", generated, Origin.BUILTIN))
    sources += [_source(name, home) for name in files]
    context = from_environment(
        os.environ,
        workspace=workspace,
        directories=(home.config, home.state, home.cache, home.runtime),
        home=human_home,
        user=_user(),
        session=session_directory,
        interlock=own,
        python=list(dict.fromkeys((sys.prefix, sys.base_prefix))),
        terminals=_terminals(),
    )
    found = load(sources, context, cache=home.cache, aside=Source("runs-later.yaml", _RUNS_LATER, Origin.BUILTIN))
    assert found.aside is not None, "it was asked for"
    match = found.aside["rules"][0]["match"]
    return Loaded(found.document(), found.warnings, {"paths": match["path"], "except": match["except"]})


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
            # It is no terminal, or one without a name in this mount namespace, which no name in here opens.
            continue
    return list(found)
