"""The directories of `spec/home.md`: found from the environment, made 0700, refused when somebody else could reach
them.

What lies in them belongs to others (ledger, inbox, registry); this module knows names and rights only.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from interlock.vocabulary.errors import EXIT_FAILED, HostError, OperatorError

if TYPE_CHECKING:
    from collections.abc import Mapping

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600
#: Of the SHA-256 of a workspace's path, in hex: what its layer's file is called.
PROJECT_NAME_CHARACTERS = 32
#: The longest path of a unix socket that the kernel takes (sun_path without its terminating zero, unix(7)).
SOCKET_PATH_BYTES_MAX = 107


class Home:
    """The four directories that belong to one user's Interlock, and `packages`, what was fetched for connectors: tool
    servers read their code there, so it is apart from what no session may reach. Frozen once made; nothing is created
    before it is asked for.
    """

    __slots__ = ("cache", "config", "packages", "runtime", "state", "uid")

    def __init__(
        self, *, config: str, state: str, cache: str, runtime: str, uid: int, packages: str | None = None
    ) -> None:
        self.config = config
        self.state = state
        self.cache = cache
        self.runtime = runtime
        self.packages = packages or f"{os.path.dirname(state)}/packages"
        self.uid = uid

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None, uid: int | None = None) -> Home:
        """Find the directories.

        Arguments: `environment` (the process's own unless given), `uid` of the owner they must have (the effective
        one).
        Raises `OperatorError` when a variable holds a relative path, or when neither `HOME` nor a password entry
        says where home is.
        """
        variables = os.environ if environment is None else environment
        owner = os.geteuid() if uid is None else uid
        root = _absolute(variables, "INTERLOCK_HOME")
        if root:
            below = {name: f"{root}/{name}" for name in ("config", "state", "cache", "runtime")}
            return cls(**below, uid=owner, packages=f"{root}/packages")
        state = f"{_absolute(variables, 'XDG_STATE_HOME') or _user_home(variables, owner) + '/.local/state'}/interlock"
        runtime = _absolute(variables, "XDG_RUNTIME_DIR")
        data = _absolute(variables, "XDG_DATA_HOME") or f"{_user_home(variables, owner)}/.local/share"
        return cls(
            packages=f"{data}/interlock/packages",
            config=f"{_absolute(variables, 'XDG_CONFIG_HOME') or _user_home(variables, owner) + '/.config'}/interlock",
            state=state,
            cache=f"{_absolute(variables, 'XDG_CACHE_HOME') or _user_home(variables, owner) + '/.cache'}/interlock",
            runtime=f"{runtime}/interlock" if runtime and _is_usable(runtime, owner) else f"{state}/runtime",
            uid=owner,
        )

    @property
    def sessions(self) -> str:
        """One log for each session."""
        return f"{self.state}/ledger/sessions"

    @property
    def journals(self) -> str:
        """What was there before each session, as far as the session changed it."""
        return f"{self.state}/journals"

    def journal(self, session: str) -> str:
        """What was there before one session."""
        return f"{self.journals}/{session}"

    @property
    def index(self) -> str:
        """The user's index log."""
        return f"{self.state}/ledger/index"

    @property
    def gateway_logs(self) -> str:
        """One log for each start of the gateway."""
        return f"{self.state}/ledger/gateway"

    @property
    def keys(self) -> str:
        """The signing key and the auditor's."""
        return f"{self.state}/keys"

    @property
    def inbox(self) -> str:
        """The database of pending questions."""
        return f"{self.state}/inbox.sqlite"

    @property
    def memories(self) -> str:
        """The database of what the gateway remembers of agents."""
        return f"{self.state}/memories.sqlite"

    @property
    def definitions(self) -> str:
        """The database of what connectors say that their tools are."""
        return f"{self.state}/definitions.sqlite"

    @property
    def tasks(self) -> str:
        """The database of servers' tasks that agents have handles of."""
        return f"{self.state}/tasks.sqlite"

    @property
    def phrase(self) -> str:
        """The phrase that real prompts show, known to the human's side only."""
        return f"{self.state}/phrase"

    @property
    def registry(self) -> str:
        """The database of agents and hashed tokens."""
        return f"{self.state}/registry.sqlite"

    @property
    def policies(self) -> str:
        """The user's own layers, by name."""
        return f"{self.config}/policies"

    @property
    def always(self) -> str:
        """The user's own layer that every run loads."""
        return f"{self.policies}/always.yaml"

    @property
    def gateway_policy(self) -> str:
        """The user's own layer for the gateway, where none is named at its start."""
        return f"{self.policies}/gateway.yaml"

    @property
    def projects(self) -> str:
        """The user's own layers of single workspaces."""
        return f"{self.config}/projects"

    def project(self, workspace: str) -> str:
        """The user's own layer that every run in this workspace loads. The file names the workspace in full."""
        return f"{self.projects}/{_digest_of(workspace)}.yaml"

    @property
    def remotes(self) -> str:
        """The hosts of remotes that a person knows, a file for each workspace."""
        return f"{self.state}/remotes"

    def remotes_of(self, workspace: str) -> str:
        """That of this workspace."""
        return f"{self.remotes}/{_digest_of(workspace)}.json"

    @property
    def connectors(self) -> str:
        """One YAML file for each connector."""
        return f"{self.config}/connectors"

    @property
    def gateway_socket(self) -> str:
        """The gateway's own socket, reachable from outside only."""
        return f"{self.runtime}/gateway.sock"

    def session_runtime(self, session: str) -> str:
        """The directory of one session's two sockets."""
        return f"{self.runtime}/{session}"

    def all_directories(self) -> tuple[str, str, str, str]:
        """Configuration, state, cache, runtime: what no jail may reach."""
        return (self.config, self.state, self.cache, self.runtime)

    def ensure(self, *directories: str) -> None:
        """Make each directory (0700) and check the whole chain from the Interlock root down.

        Raises `OperatorError` when one belongs to somebody else, is wider than 0700 or is a symbolic link;
        `HostError` when the
        system refuses to make it.
        """
        for directory in directories:
            root = self._root_of(directory)
            _make_parents(os.path.dirname(root))
            below = os.path.relpath(directory, root)
            current = root
            self._ensure_one(current)
            for part in () if below == "." else below.split("/"):
                current = f"{current}/{part}"
                self._ensure_one(current)

    def check_file(self, path: str) -> None:
        """Refuse a file that is another user's, wider than 0600 or not a plain file. One that does not exist is
        fine.
        """
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            return
        if not stat.S_ISREG(found.st_mode):
            raise OperatorError(f"`{path}` is not a plain file", hint="move it away; Interlock makes its own")
        self._check_owner_and_rights(path, found, allowed=FILE_MODE)

    def _root_of(self, directory: str) -> str:
        for root in (*self.all_directories(), self.packages):
            if directory == root or directory.startswith(f"{root}/"):
                return root
        raise ValueError(f"`{directory}` is outside Interlock's directories")

    def _ensure_one(self, path: str) -> None:
        try:
            os.mkdir(path, DIRECTORY_MODE)
        except FileExistsError:
            pass  # Whatever it is, it was there before: what follows says whether it may be used.
        except OSError as error:
            raise _cannot_make(path, error) from error
        found = os.lstat(path)
        if not stat.S_ISDIR(found.st_mode):
            raise OperatorError(
                f"`{path}` is not a directory", hint="move it away, or set INTERLOCK_HOME to another place"
            )
        self._check_owner_and_rights(path, found, allowed=DIRECTORY_MODE)

    def _check_owner_and_rights(self, path: str, found: os.stat_result, *, allowed: int) -> None:
        if found.st_uid != self.uid:
            raise OperatorError(
                f"`{path}` belongs to uid {found.st_uid}, not to you (uid {self.uid})",
                hint="run as its owner, or set INTERLOCK_HOME to a directory of your own",
            )
        rights = stat.S_IMODE(found.st_mode) & 0o777
        if rights & ~allowed:
            raise OperatorError(
                f"`{path}` is open to others (mode {rights:04o})", hint=f"run: chmod {allowed:o} {path}"
            )


_REMEDIES = {
    errno.EROFS: "its file system is read-only: remount it writable",
    errno.ENOSPC: "its disk is full: free some space",
    errno.EDQUOT: "your quota on its disk is used up: free some space",
}


def _digest_of(workspace: str) -> str:
    """What a file about a workspace is called by."""
    from interlock.policy.digest import sha256

    return sha256(workspace.encode("utf-8", "surrogateescape")).hexdigest()[:PROJECT_NAME_CHARACTERS]


def _absolute(variables: Mapping[str, str], name: str) -> str | None:
    value = variables.get(name)
    if not value:
        return None
    if not value.startswith("/"):
        if name.startswith("XDG_"):
            return None  # the XDG base directory specification: a relative path is to be ignored
        raise OperatorError(
            f"{name} is `{value}`, which is not an absolute path", hint=f"set {name} to an absolute path"
        )
    return os.path.normpath(value)


def user_home(environment: Mapping[str, str] | None = None, uid: int | None = None) -> str:
    """The human's home: `HOME`, else the password entry. Raises `OperatorError` when there is neither."""
    return _user_home(os.environ if environment is None else environment, os.geteuid() if uid is None else uid)


def _user_home(variables: Mapping[str, str], uid: int) -> str:
    home = variables.get("HOME")
    if home and home.startswith("/"):
        return os.path.normpath(home)
    import pwd

    try:
        return pwd.getpwuid(uid).pw_dir
    except KeyError as error:
        raise OperatorError(
            f"no home directory: HOME is not set and uid {uid} has no password entry",
            hint="set HOME, or INTERLOCK_HOME to an absolute path",
        ) from error


def _is_usable(runtime: str, uid: int) -> bool:
    """XDG_RUNTIME_DIR is kept from before `su` by some systems: another user's is as good as none."""
    try:
        found = os.lstat(runtime)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == uid and not stat.S_IMODE(found.st_mode) & 0o077


def _make_parents(path: str) -> None:
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise _cannot_make(path, error) from error


def _cannot_make(path: str, error: OSError) -> HostError:
    """Where Interlock may write nothing it can record nothing, so it runs nothing: the same code as a ledger that
    refuses (`spec/home.md`).
    """
    remedy = _REMEDIES.get(error.errno or 0, "make it writable for you")
    return HostError(
        f"cannot make `{path}`: {error.strerror}",
        hint=f"{remedy}, or set INTERLOCK_HOME to a directory that you may write",
        exit_code=EXIT_FAILED,
    )
