"""What the person's own configuration of git and ssh names besides itself: included files, and folders of hooks.

Git and ssh die when they cannot read these, and they run what these say, outside, whoever wrote them. So they are
readable to a session and out of its reach, with the links on the way to them: a link that is made to lead elsewhere
changes what is read without any change of a file. What a repository's own configuration includes is asked for apart,
since its keys are guarded, and it can be written. Source: git-config(1), ssh_config(5).
"""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING, Final, NamedTuple

from interlock.surroundings.git_config import settings
from interlock.surroundings.links import resolved
from interlock.surroundings.text import own_text_of
from interlock.vocabulary.errors import EXIT_POLICY, OperatorError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

#: Git's own limit (MAX_INCLUDE_DEPTH), and ssh's (READCONF_MAX_DEPTH is 16).
_DEPTH_MAX: Final = 10
_FILES_MAX: Final = 4_096
_FILE_KEYS: Final = frozenset(
    {"core.excludesfile", "core.attributesfile", "commit.template", "gpg.ssh.allowedsignersfile"}
)
_FOLDER_KEYS: Final = frozenset({"core.hookspath", "init.templatedir"})
_KEY_MARK: Final = "PRIVATE KEY-----"


class Included(NamedTuple):
    """Absolute paths, resolved but for what is not there.

    Attributes:
        files: what git reads.
        folders: what git runs hooks from, or copies from.
        ssh: what ssh reads.
        links: links on the way to any of them.
    """

    files: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    ssh: tuple[str, ...] = ()
    links: tuple[str, ...] = ()


def included(environment: Mapping[str, str], home: str) -> Included:
    """Read the configuration of the person whose home that is. Arguments: `environment` is the person's own.

    Raises `OperatorError` when there is more of it than is searched.
    """
    search = _Search(home)
    for path in (roots := git_files(environment, home)):
        search.git(path, 0)
    search.ssh(f"{home}/.ssh/config", 0)
    # A configuration is often a link itself, into a folder of dotfiles.
    search.links += [link for path in (*roots, f"{home}/.ssh/config") for link in resolved(path)[1]]
    return Included(
        *(tuple(dict.fromkeys(found)) for found in (search.files, search.folders, search.ssh_files, search.links))
    )


def included_by(configurations: Iterable[str], home: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What these configurations of repositories include, and the links on the way, as `Included` has them.

    Raises `OperatorError` when there is more of it than is searched.
    """
    search = _Search(home)
    for path in configurations:
        search.git(path, 0)
    return tuple(dict.fromkeys(search.includes)), tuple(dict.fromkeys(search.links))


def git_files(environment: Mapping[str, str], home: str) -> list[str]:
    user = [f"{home}/.gitconfig", f"{environment.get('XDG_CONFIG_HOME') or f'{home}/.config'}/git/config"]
    named = environment.get("GIT_CONFIG_GLOBAL")
    return [environment.get("GIT_CONFIG_SYSTEM") or "/etc/gitconfig", *([named] if named else user)]


class _Search:
    def __init__(self, home: str) -> None:
        self._home = home
        self.files: list[str] = []
        self.includes: list[str] = []
        self.folders: list[str] = []
        self.ssh_files: list[str] = []
        self.links: list[str] = []

    def git(self, path: str, depth: int) -> None:
        """Note what the file names, and what its includes do."""
        for setting in settings(own_text_of(path)):
            name = f"{setting.section}.{setting.key}"
            if name in ("include.path", "includeif.path"):
                place = self._place(setting.value, os.path.dirname(path))
                if place and self._note(place, self.files):
                    self.includes.append(self.files[-1])
                    if depth < _DEPTH_MAX:
                        self.git(place, depth + 1)
            elif name in _FILE_KEYS | _FOLDER_KEYS and (place := self._place(setting.value, None)):
                is_ssh = place.startswith(f"{self._home}/.ssh/") and _KEY_MARK not in own_text_of(place)
                self._note(place, self.folders if name in _FOLDER_KEYS else self.ssh_files if is_ssh else self.files)

    def ssh(self, path: str, depth: int) -> None:
        """Note what the file includes. What is a key is none of its configuration."""
        for word in _includes(own_text_of(path)):
            import glob  # here, since most people's file includes nothing and every start would pay

            place = self._place(word, f"{self._home}/.ssh")
            for each in sorted(glob.glob(place) or [place] if place else []):
                if _KEY_MARK not in own_text_of(each) and self._note(each, self.ssh_files) and depth < _DEPTH_MAX:
                    self.ssh(each, depth + 1)

    def _place(self, named: str, beside: str | None) -> str | None:
        """The absolute path that a value means; None for a relative one with nothing to be relative to."""
        if named.startswith("~"):
            user, _, rest = named[1:].partition("/")
            home = self._home if not user else _home_of(user)
            return f"{home}/{rest}" if home else None
        if named.startswith("/"):
            return named
        return f"{beside}/{named}" if beside and named else None

    def _note(self, path: str, found: list[str]) -> bool:
        """Keep it, resolved, unless it is known, or a folder that holds the home."""
        place, links = resolved(path)
        holds_home = self._home == place or self._home.startswith(f"{place.rstrip('/')}/")
        if place in found or holds_home:
            return False
        if len(found) >= _FILES_MAX:
            raise OperatorError(
                f"the configuration of git and ssh names more than {_FILES_MAX} files: they cannot all be protected",
                hint="`git config --global --list --show-origin` and `Include` in ~/.ssh/config show what names them",
                exit_code=EXIT_POLICY,
            )
        found.append(place)
        self.links += links
        return True


def _includes(text: str) -> Iterator[str]:
    """The words of each `Include` line, without their quotes."""
    for line in text.splitlines():
        keyword, *words = line.replace("=", " ", 1).split()[:64] or [""]
        if keyword.lower() == "include":
            yield from (word.strip('"') for word in words)


def _home_of(user: str) -> str | None:
    try:
        return pwd.getpwnam(user).pw_dir
    except KeyError:
        return None
