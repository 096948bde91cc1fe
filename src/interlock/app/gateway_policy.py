"""The two policies of the gateway plane: the one that tool calls are decided by, and the one that a stdio server is
held to.

A server may read its system, its own files, what its command names and the directories of its code; everything else is
the operator's to grant with a layer.
"""

from __future__ import annotations

import json
import os
import pwd
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from interlock.app.known_remotes import begin
from interlock.app.naming import naming
from interlock.connectors.configuration import Stdio
from interlock.host.executable import find_supervisor
from interlock.policy import Compiled, Context, Source, from_environment, is_file, load
from interlock.policy.layer import Origin
from interlock.storage.home import Home, user_home
from interlock.surroundings.own_paths import own_paths

if TYPE_CHECKING:
    from interlock.policy.compiled_form import CompiledPolicy

SERVER_PRESET: Final = "mcp-server"
#: `@` begins a set only where it is the first character, which no path has.
_GLOB_CHARACTERS: Final = frozenset("*?[]{}\\$~")


def call_policy(files: Sequence[str], preset: str | None, home: Home) -> tuple[CompiledPolicy, Sequence[str]]:
    """The compiled policy for tool calls, and what a person should know of it. Raises `PolicyError` (121)."""
    context = _context(home, workspace=home.runtime, jail_home=None, session=None)
    found = load(_sources(files, preset, home), context, cache=home.cache, workspace_layer=False)
    return found.document(), found.warnings


def server_policy(stdio: Stdio, *, home: Home, scratch: str, workspace: str, session_directory: str) -> Compiled:
    """The policy of one server. Raises `PolicyError` (121)."""
    context = _context(home, workspace=workspace, jail_home=scratch, session=session_directory)._replace(
        temporary=scratch
    )
    sources = _sources(stdio.policies, SERVER_PRESET, home)
    sources.append(Source("command.yaml", _command_layer(stdio).encode(), Origin.BUILTIN))
    if workspace != scratch:
        begin(home, workspace)  # a server may write a repository's configuration as any session may
    asked = naming(home, workspace)
    return load(sources, context, cache=home.cache, workspace_layer=False, naming=asked)


def _command_layer(stdio: Stdio) -> str:
    """What the command names by absolute path may be read and run, and the server's code: it could not start
    otherwise."""
    files = [word for word in stdio.command if word.startswith("/") and os.path.isfile(word)]
    package = (stdio.package.folder,) if stdio.package is not None else ()
    named = {pattern for path in (*files, *stdio.code, *package) if (pattern := _unfollowed(path)) is not None}
    rules: list[dict[str, object]] = []
    if named:
        paths = sorted(form for pattern in named for form in (pattern, f"{pattern}/**"))
        rules.append({"id": "named", "allow": ["file.read", "process.exec"], "path": paths})
    files = [pattern for path in stdio.files if (pattern := _unfollowed(path)) is not None]
    if files:
        rules.append({"id": "files", "allow": ["file.*"], "path": files})
    # A layer needs a rule that could match; a server's own root of nowhere never does harm.
    rules.append({"id": "nothing", "deny": "process.signal", "to": "outside"})
    ordered = [
        {"allow" if "allow" in rule else "deny": rule.get("allow") or rule.get("deny"), **rule} for rule in rules
    ]
    return json.dumps({"interlock": "1", "name": "command", "rules": ordered})


def _unfollowed(path: str) -> str | None:
    """A pattern for what lies at a path now, and nowhere else. An agent may be able to put a link in its place, or in
    the place of a directory above it; links are followed in the literal front of a pattern only, and this has none."""
    path = os.path.normpath(path)
    if _GLOB_CHARACTERS & set(path) or not path[1:2].isalnum():
        return None
    return f"/[{path[1]}]{path[2:]}"


def _sources(files: Sequence[str], preset: str | None, home: Home) -> list[Source]:
    sources = [Source.preset(preset)] if preset is not None else []
    for name in files:
        sources.append(Source.file(os.path.abspath(name)) if is_file(name) else Source.named(name, home.policies))
    return sources


def _context(home: Home, *, workspace: str, jail_home: str | None, session: str | None) -> Context:
    return from_environment(
        os.environ,
        workspace=workspace,
        directories=home.all_directories(),
        home=user_home(),
        user=_user(),
        session=session,
        jail_home=jail_home,
        interlock=own_paths(dict(os.environ), supervisor=find_supervisor()),
        python=list(dict.fromkeys((sys.prefix, sys.base_prefix))),
    )


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
