"""What a policy's variables stand for on this machine. The compiler reads nothing else: no environment, no clock.

Whoever loads a policy builds a `Context` (from arguments, `from_environment`, or in a test) and passes it in.
"""

# ruff: noqa: PTH112, PTH123
from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from interlock.policy.faults import Fault, Place, PolicyError, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


#: A socket's name has 107 bytes: what lies in front of a session's folder may take so many.
TEMPORARIES_BYTES_MAX: Final = 40
#: How mountinfo writes space, tab, newline and backslash.
_OCTAL: Final = re.compile(r"\\([0-7]{3})")


class Context(NamedTuple):
    """Every path is absolute and resolved (no symbolic link in it): patterns match what the kernel resolved.

    Arguments:
        home: the human's home, `~`.
        workspace: where the agent works, `${workspace}`.
        user: the human's login name, `${user}`.
        session: directory of the session's two sockets, `${session}`; None outside a session (then it matches
            nothing real).
        state, config, cache, runtime: Interlock's own directories (`spec/home.md`).
        jail_home: the jail's home, `${home}`; `home` unless given.
        temporary: the session's own temporary folder, `${temporary}`; None outside a session (then it matches
            nothing real).
        temporaries: where sessions' temporary folders are made.
        interlock: directories and files that the next Interlock would load from; readable, never writable. The
            first is the package.
        python: prefixes of the Python that runs Interlock; readable and executable.
        terminals: the human's terminals, which no jail may open.
        resolvers: addresses of the DNS servers.
        control_groups: where control groups are mounted besides /sys/fs/cgroup.
        claude: the folder of Claude Code (`CLAUDE_CONFIG_DIR`); `~/.claude` unless given.
        codex: the folder of Codex (`CODEX_HOME`); `~/.codex` unless given.
        repository: directories of the workspace's git repository that lie outside of it.
        borrowed: object directories that it borrows from.
        included: files that the person's git configuration names; `included_folders`, folders of hooks and templates;
            `included_ssh`, files that the ssh configuration includes; `included_links`, links on the way to them.
        repository_within: its git directory where that lies in the workspace by another name than `.git`;
            `repository_included`, files that its configuration includes; `repository_links`, links on the way to them.
        hosts: sets of hosts by name, where the machine says more of them than is true everywhere.
        caches: folders that the environment names as caches of package clients.
        missing: mechanisms to take for missing, for tests (`INTERLOCK_SIMULATE_MISSING`).
        root: where links and hard links are looked up; empty for the machine itself.
    """

    home: str
    workspace: str
    user: str
    state: str
    config: str
    cache: str
    runtime: str
    session: str | None = None
    jail_home: str | None = None
    temporary: str | None = None
    temporaries: str = "/tmp"  # noqa: S108 - the default of every program that the jail will run
    interlock: tuple[str, ...] = ()
    python: tuple[str, ...] = ()
    terminals: tuple[str, ...] = ()
    resolvers: tuple[str, ...] = ()
    control_groups: tuple[str, ...] = ()
    claude: str | None = None
    codex: str | None = None
    policies: tuple[str, ...] = ()
    repository: tuple[str, ...] = ()
    borrowed: tuple[str, ...] = ()
    included: tuple[str, ...] = ()
    included_folders: tuple[str, ...] = ()
    included_ssh: tuple[str, ...] = ()
    included_links: tuple[str, ...] = ()
    repository_within: tuple[str, ...] = ()
    repository_included: tuple[str, ...] = ()
    repository_links: tuple[str, ...] = ()
    caches: tuple[str, ...] = ()
    hosts: tuple[tuple[str, tuple[str, ...]], ...] = ()
    missing: tuple[str, ...] = ()
    root: str = ""  # last: what the cache is keyed by ends before it

    def variables(self) -> dict[str, str]:
        """`${name}` → its value, for every name the language knows."""
        return {
            "home": self.jail_home or self.home,
            "workspace": self.workspace,
            "temporary": self.temporary or f"{self.runtime}/no-temporary-folder",
            "session": self.session or f"{self.runtime}/no-session",
            "state": self.state,
            "config": self.config,
            "cache": self.cache,
            "runtime": self.runtime,
            "user": self.user,
            "interlock": self.interlock[0] if self.interlock else f"{self.state}/no-package",
            "claude": self.claude or f"{self.home}/.claude",
            "codex": self.codex or f"{self.home}/.codex",
        }

    def check(self) -> None:
        """Refuse a context that could not protect anybody. Raises `PolicyError`."""
        faults: list[Fault] = []
        for name, value in {**self.variables(), "~": self.home}.items():
            if name != "user" and (not value.startswith("/") or (value != "/" and os.path.normpath(value) != value)):
                faults.append(
                    Fault(Place("context"), f"the {name} {quoted(value)} is not an absolute, plain path", None)
                )
        for value in self._texts():
            try:
                value.encode("utf-8")
            except UnicodeEncodeError:
                faults.append(Fault(Place("context"), f"{quoted(value)} is not UTF-8", "rename the directory"))
        if self.workspace == "/":
            faults.append(
                Fault(Place("context"), "the workspace is `/`", "name one with --workspace, or start in its directory")
            )
        faults.extend(self._loads_from_workspace())
        if faults:
            raise PolicyError(faults)

    def _loads_from_workspace(self) -> Iterator[Fault]:
        for directory in self.interlock:
            if self.workspace == directory or self.workspace.startswith(f"{directory}/"):
                yield Fault(
                    Place("context"),
                    f"the workspace {quoted(self.workspace)} lies in {quoted(directory)}, from which "
                    f"Interlock itself is loaded",
                    "work in another directory, or start Interlock by its own script instead of "
                    "`python -m` (the jail must not be "
                    "able to change what the next Interlock runs)",
                )

    def _texts(self) -> tuple[str, ...]:
        many = (*self.interlock, *self.python, *self.terminals, *self.resolvers, *self.policies)
        many += self.control_groups
        many += (*self.repository, *self.borrowed, *self.repository_within, *self.repository_included)
        many += self.repository_links
        many += (*self.included, *self.included_folders, *self.included_ssh, *self.included_links, *self.caches)
        return (*self.variables().values(), self.home, *many)


def from_environment(
    environment: Mapping[str, str],
    *,
    workspace: str,
    directories: tuple[str, str, str, str],
    home: str,
    user: str,
    session: str | None = None,
    temporary: str | None = None,
    jail_home: str | None = None,
    interlock: Sequence[str] = (),
    python: Sequence[str] = (),
    terminals: Sequence[str] = (),
    repository: Sequence[str] = (),
    borrowed: Sequence[str] = (),
    within: Sequence[Sequence[str]] = ((), (), ()),
    included: Sequence[Sequence[str]] = ((), (), (), ()),
    caches: Sequence[str] = (),
) -> Context:
    """A context of this machine, every path resolved.

    Arguments: `environment`, read for `TMPDIR`, `CLAUDE_CONFIG_DIR`, `CODEX_HOME` and `INTERLOCK_SIMULATE_MISSING`;
        `directories`, Interlock's configuration, state, cache and runtime directories, in this order
        (`Home.all_directories()`); `within`, `repository_within`, `repository_included` and `repository_links`, in this
        order; `included`, files, folders, ssh's files and links (`Context`), in this order; the rest as in `Context`.
    """
    config, state, cache, runtime = (os.path.realpath(path) for path in directories)
    files, folders, ssh, links = included
    directories_within, included_within, links_within = within
    claude, codex = environment.get("CLAUDE_CONFIG_DIR"), environment.get("CODEX_HOME")
    return Context(
        home=os.path.realpath(home),
        workspace=os.path.realpath(workspace),
        user=user,
        config=config,
        state=state,
        cache=cache,
        runtime=runtime,
        session=os.path.realpath(session) if session else None,
        jail_home=os.path.realpath(jail_home) if jail_home else None,
        temporary=temporary,
        temporaries=temporaries(environment),
        interlock=_resolved(interlock),
        python=_resolved(python),
        terminals=tuple(terminals),
        resolvers=resolvers(),
        control_groups=control_groups(),
        claude=os.path.realpath(claude) if claude else None,
        codex=os.path.realpath(codex) if codex else None,
        missing=tuple(filter(None, environment.get("INTERLOCK_SIMULATE_MISSING", "").split(","))),
        repository=tuple(repository),
        borrowed=tuple(borrowed),
        repository_within=tuple(directories_within),
        repository_included=tuple(included_within),
        repository_links=tuple(links_within),
        included=tuple(files),
        included_folders=tuple(folders),
        included_ssh=tuple(ssh),
        included_links=tuple(links),
        caches=tuple(caches),
    )


def resolvers(file: str = "/etc/resolv.conf") -> tuple[str, ...]:
    """The name servers of resolv.conf(5), at most its own limit of three; without any, the resolver on loopback."""
    try:
        with open(file, encoding="utf-8", errors="replace") as opened:
            lines = opened.read(65_536).splitlines()
    except OSError:
        lines = []
    words = [line.split() for line in lines]
    named = [entry[1].partition("%")[0] for entry in words if len(entry) > 1 and entry[0] == "nameserver"]
    return tuple(named[:3]) or ("127.0.0.1",)


def control_groups(file: str = "/proc/self/mountinfo") -> tuple[str, ...]:
    """Where control groups of either version are mounted but below /sys/fs/cgroup, as proc_pid_mountinfo(5) tells."""
    try:
        with open(file, encoding="utf-8", errors="surrogateescape") as opened:
            lines = [line.partition(" - ") for line in opened]
    except OSError:
        return ()
    points = [fields.split(" ")[4] for fields, _, system in lines if system.startswith(("cgroup ", "cgroup2 "))]
    plain = [_OCTAL.sub(lambda found: chr(int(found[1], 8)), point) for point in points]
    return tuple(dict.fromkeys(point for point in plain if not f"{point}/".startswith("/sys/fs/cgroup/")))


def temporaries(environment: Mapping[str, str]) -> str:
    """Where a session's temporary folder is made: in `TMPDIR`, if it is a folder that this user may write and whose
    name leaves room for sockets', else in /tmp or /var/tmp.
    """
    named = environment.get("TMPDIR", "")
    candidates = [os.path.realpath(named)] if named.startswith("/") and len(named) <= TEMPORARIES_BYTES_MAX else []
    for folder in (*candidates, "/tmp", "/var/tmp"):  # noqa: S108 - what every program would take
        short = len(os.fsencode(folder)) <= TEMPORARIES_BYTES_MAX
        if short and os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK):
            return os.path.realpath(folder)
    return "/tmp"  # noqa: S108


def _resolved(paths: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(os.path.realpath(path) for path in paths if path))
