"""The built-in sets: what `@system`, `@secrets` and the others stand for. Data, in the language's own patterns.

Each has one line for people in `MEANINGS`. The reasons, set by set, are in `docs/presets.md`. What depends on the
machine (where Interlock is loaded from, the human's terminals) comes from the `Context`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from interlock.policy.host import host_in_one_spelling
from interlock.policy.pattern import escape
from interlock.policy.runs_later import RUNS_LATER_SETS
from interlock.policy.set_addresses import ADDRESS_SETS
from interlock.policy.set_caches import CACHE_SETS
from interlock.policy.set_hosts import HOST_SETS
from interlock.policy.set_loader import LOADER_SETS
from interlock.policy.set_secrets import SECRET_SETS
from interlock.policy.set_shared import SHARED_SETS
from interlock.policy.set_startup import (
    OBJECT_FILES,
    REPOSITORY_FIXED,
    REPOSITORY_KEYED,
    REPOSITORY_NEVER,
    STARTUP_SETS,
)
from interlock.policy.set_system import SYSTEM_SETS

if TYPE_CHECKING:
    from interlock.policy.context import Context

__all__ = ["ADDRESS_SETS", "MEANINGS", "PATH_SETS", "ContextSets", "context_sets"]

PATH_SETS: Final[dict[str, tuple[str, ...]]] = {
    **SYSTEM_SETS,
    **LOADER_SETS,
    **CACHE_SETS,
    **SHARED_SETS,
    **SECRET_SETS,
    **STARTUP_SETS,
    **RUNS_LATER_SETS,
}

MEANINGS: Final[dict[str, str]] = {
    "system": "what an ordinary program reads and runs: loader, libraries, programs, public configuration, /proc",
    "devices": "the harmless devices: null, zero, full, random, terminals of one's own",
    "toolchains": "language toolchains outside the system: pyenv, nvm, rustup, cargo, go, /opt, /nix, ~/.local/bin",
    "caches": "what package clients and compilers keep for speed",
    "named-caches": "the same, where the environment says that they lie",
    "tool-folders": "where uv installs tools, each in a folder of its own",
    "client-files": "what package clients make beside their caches: folders, locks",
    "link-trials": "names with which pnpm tries whether links can be made",
    "dependency-trees": "in the workspace, what package clients and builds fill: `node_modules`, `.venv`, `target`",
    "package-trees": "of these, what package clients alone fill: `node_modules`, `site-packages`",
    "shared-places": "folders in which everybody makes names: /tmp, /var/tmp, POSIX shared memory",
    "known-names": "names there that programs outside look for: sockets of tmux, ssh, X, databases, editors",
    "session-folders": "the temporary folders of sessions",
    "shared-memory": "POSIX shared memory and semaphores",
    "python": "the Python that runs Interlock",
    "interlock": "what the next Interlock would load",
    "loader": "what the C library loads and reads before and beside it: loader, libraries, their configuration",
    "control-groups": "control groups, wherever they are mounted",
    "repository": "what git keeps of a worktree's or submodule's repository outside of the workspace",
    "repository-fixed": "of that, what names programs or other directories: configuration, hooks, pointers",
    "borrowed-objects": "the objects that the repository borrows from another one",
    "policy-files": "the policy files this policy was loaded from",
    "outside-terminals": "the human's terminals",
    "secrets": "keys, tokens, password stores, browser profiles, shell history, `.env` files",
    "environment-files": "`.env` files of projects",
    "secret-exceptions": "names that look like secrets and are none: `.env.example`, `known_hosts`, public keys",
    "client-configuration": "what package clients and the like go by, with credentials in it",
    "public-ssh-files": "what ssh needs besides keys: `config`, `known_hosts`, public keys",
    "credentials-in-cloud-images": "credentials that cloud and container images place outside home",
    "key-agents": "sockets of ssh, gpg and keyring agents",
    "runs-later": "all below that something outside would run later, `@agent-config` included",
    "shell-startup": "shell start-up files",
    "user-programs": "folders of your own from which programs are started by their names",
    "shell-caches": "what shells and their plugins keep of an earlier day and run at the next start",
    "login-startup": "what a login, a timer or a desktop starts",
    "git-hooks": "git hooks, of repositories and of the user",
    "git-included": "what the user's git configuration names: included files, ignore lists, folders of hooks",
    "ssh-included": "what the user's ssh configuration includes, but keys",
    "included-links": "links on the way to those",
    "borrowing": "the file in which a repository names others that it borrows objects from",
    "git-user-config": "the user's git configuration",
    "editor-config": "editor and IDE files that name programs",
    "editor-user-config": "the user's own editor configuration",
    "package-config": "the user's package-client configuration: registries and scripts",
    "remote-access": "who may log in, and what ssh runs",
    "agent-config": "settings, tool servers, hooks, commands, skills and plugins of coding agents",
    "agent-user-config": "of that, what is the person's own",
    "opened-folders": "what editors and coding agents run of a folder that is opened",
    "runs-anywhere": "of `@runs-later`, all that does not hang on which folder is opened",
    "agent-programs": "the coding agents themselves, where they install what they update",
    "agent-services": "what services of coding agents start, and what a browser starts for one",
    "agent-running": "what a coding agent runs between two of its commands: snapshots of its shell, scripts, programs",
    "agent-running-whole": "of that, the folders in which something new would be run as well",
    "agent-state": "the folders in which coding agents keep their own state",
    "agent-state-files": "the files in which coding agents keep state and tool servers together",
    "agent-settings": "the user's own settings of Claude Code",
    "codex-settings": "the user's own configuration of Codex",
    "git-configuration": "git's own configuration of repositories",
    "git-pointers": "files in the place of a repository's `.git`, which lead git to another folder",
    "git-shared": "files by which the directory of a worktree leads git to the repository that it belongs to",
    "git-shared-never": "the same files where git makes none",
    "repository-made": "the file by which a folder becomes a repository without a `.git`",
    "repository-within": "configuration of a git directory in the workspace by another name, and what any includes",
    "repository-within-all": "all of such a git directory",
    "repository-within-shared": "what leads its worktrees' directories to it",
    "repository-within-fixed": "hooks of the same, and what would lead git elsewhere: links to what is included too",
    "sample-hooks": "the sample hooks that git itself installs and never runs",
    "runs-later-listed": "writable on purpose (git, builds and package clients need them), yet run "
    "later: to be listed at the end",
    "build-output": "what builds leave in folders of their own, which the next build makes again",
    "metadata-addresses": "cloud metadata services",
    "private-addresses": "private, shared, link-local and loopback networks",
    "public-addresses": "every address that is routed on the public Internet",
    "loopback": "this machine, as seen by itself",
    "any-address": "the wildcard addresses that a server binds to be reachable from everywhere",
    "resolvers": "the name servers of this machine",
    "package-registries": "hosts from which the person's package clients fetch, mirrors and proxies included",
    "model-api": "hosts of the models that agents talk to, and where they sign a person in",
    "git-remotes": "hosts of the repository's remotes and its submodules', as they were before any session, or after "
    "your yes",
}


@dataclass(frozen=True, slots=True)
class ContextSets:
    """Sets whose members only the machine knows."""

    paths: dict[str, tuple[str, ...]]
    addresses: dict[str, tuple[str, ...]]
    hosts: dict[str, tuple[str, ...]]


def context_sets(context: Context) -> ContextSets:
    """The sets that depend on the machine, as patterns and networks."""
    return ContextSets(
        paths={
            "interlock": tuple(f"{escape(path)}/**" for path in context.interlock) or ("${interlock}/**",),
            "control-groups": ("/sys/fs/cgroup/**", *(f"{escape(path)}/**" for path in context.control_groups)),
            "python": tuple(f"{escape(path)}/**" for path in context.python if path != "/") or ("/usr/bin/python3",),
            "session-folders": (f"{escape(context.temporaries)}/interlock.*/**",),
            "outside-terminals": tuple(escape(path) for path in context.terminals) or ("/dev/console",),
            "repository": tuple(f"{escape(path)}/**" for path in context.repository) or ("${workspace}/.git/**",),
            "repository-fixed": tuple(
                f"{escape(path)}/{part}" for path in context.repository for part in REPOSITORY_FIXED
            )
            or ("${state}/**",),
            "repository-within": (
                *(f"{escape(path)}/{part}" for path in context.repository_within for part in REPOSITORY_KEYED),
                *(escape(path) for path in context.repository_included),
            )
            or ("${workspace}/.git/config",),
            "repository-within-all": tuple(f"{escape(path)}/**" for path in context.repository_within)
            or ("${workspace}/.git/**",),
            "repository-within-shared": tuple(
                f"{escape(path)}/worktrees/*/commondir" for path in context.repository_within
            )
            or ("${workspace}/.git/worktrees/*/commondir",),
            "repository-within-fixed": (
                *(f"{escape(path)}/{part}" for path in context.repository_within for part in REPOSITORY_NEVER),
                *(escape(path) for path in context.repository_links),
            )
            or ("${workspace}/.git/commondir",),
            "borrowed-objects": tuple(f"{escape(path)}{part}" for path in context.borrowed for part in OBJECT_FILES)
            or ("${workspace}/.git/objects/**",),
            "git-included": (
                *(escape(path) for path in context.included),
                *(f"{escape(path)}/**" for path in context.included_folders),
            )
            or ("~/.gitconfig",),
            "ssh-included": tuple(escape(path) for path in context.included_ssh) or ("~/.ssh/config",),
            "included-links": tuple(escape(path) for path in context.included_links) or ("~/.gitconfig",),
            "named-caches": tuple(f"{escape(path)}/**" for path in context.caches) or ("~/.cache/*",),
            "policy-files": tuple(escape(path) for path in context.policies) or ("${config}/policies/**",),
        },
        addresses={
            "resolvers": tuple(f"{address}/{128 if ':' in address else 32}" for address in context.resolvers)
            or ("127.0.0.1/32",),
        },
        hosts={name: _spelt(dict(context.hosts).get(name, hosts)) for name, hosts in HOST_SETS.items()},
    )


def _spelt(hosts: tuple[str, ...]) -> tuple[str, ...]:
    """Those that are names of hosts: a client may be told an address."""
    spelt = [host_in_one_spelling(host) for host in hosts]
    return tuple(dict.fromkeys(name for name, hint in spelt if hint is None))
