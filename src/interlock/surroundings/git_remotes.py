"""The hosts of a repository's remotes, as git would reach them: for the set `@git-remotes`.

Read are the configuration of the repository and of its submodules, the person's own, and names of hosts in the person's
ssh configuration; never a `.gitmodules`, which is part of the work. Whether what is found is believed is `app`'s to say
(`app/known_remotes.py`). Left out: remotes of helpers (`name::address`), whose hosts only they know, and ports.
Source: git-config(1), gitremote-helpers(7), git-fetch(1) "GIT URLS", ssh_config(5).
"""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from interlock.surroundings.git_config import settings
from interlock.surroundings.included import git_files, included_by
from interlock.surroundings.repository import configurations
from interlock.surroundings.text import own_text_of, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from interlock.surroundings.git_config import Setting

#: Remotes of one repository that are looked at.
_REMOTES_MAX: Final = 1024
_URL: Final = re.compile(r"([a-z][a-z0-9+.-]*)://(?:[^/?#]*@)?(\[[^\]/]*\]|[^/:]*)", re.I)
_SHORT: Final = re.compile(r"(?:[^/:]*@)?([^/@:\[\]]+):(?!:)")
#: Hosts of a forge's own, where nobody but that forge answers.
_COMPANIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "github.com": (
        *("api.github.com", "codeload.github.com", "ssh.github.com", "uploads.github.com"),
        *("github-cloud.githubusercontent.com", "media.githubusercontent.com", "objects.githubusercontent.com"),
        *("raw.githubusercontent.com", "release-assets.githubusercontent.com"),
    ),
    "ssh.github.com": ("github.com", "api.github.com"),
    "gitlab.com": ("altssh.gitlab.com",),
    "bitbucket.org": ("api.bitbucket.org", "altssh.bitbucket.org"),
}
_BY_SSH: Final = frozenset({"ssh", "git+ssh", "ssh+git"})
_BY_NET: Final = frozenset({"http", "https", "git", "ftp", "ftps"})


class _Place(NamedTuple):
    """Where an address leads: a host, or a name of the person's ssh configuration."""

    host: str
    by_ssh: bool


def with_companions(hosts: Sequence[str]) -> tuple[str, ...]:
    """With the hosts to which the forge of one of them leads its own clients: releases, archives, large files."""
    return tuple(sorted({*hosts, *(beside for host in hosts for beside in _COMPANIONS.get(host, ()))}))


def remote_hosts(workspace: str, environment: Mapping[str, str], home: str) -> tuple[str, ...]:
    """The hosts of the remotes of the repository whose top is `workspace`, sorted. `environment` and `home` are the
    person's own.

    Raises `OperatorError` when there is more configuration than is searched.
    """
    found = configurations(workspace)
    theirs = [text_of(path) for path in (*found, *included_by(found, home)[0])]
    own_files = git_files(environment, home)
    own = [own_text_of(path) for path in (*own_files, *included_by(own_files, home)[0])]
    said = [setting for text in (*own, *theirs) for setting in settings(text)]
    addresses = [address for text in theirs for address in _addresses(list(settings(text)), said)]
    places = {place for address in addresses[:_REMOTES_MAX] if (place := _place(address)) is not None}
    names = list(_names(own_text_of(f"{home}/.ssh/config"))) if any(place.by_ssh for place in places) else []
    return tuple(sorted({_meant(place, names).lower().rstrip(".") for place in places}))


def _addresses(own: Sequence[Setting], said: Sequence[Setting]) -> Iterator[str]:
    """What is fetched from and pushed to, each as git rewrites it: `own` are the settings of one repository."""
    for setting in own:
        name = (setting.section, setting.key)
        if name in (("remote", "url"), ("submodule", "url")):
            yield _rewritten(setting.value, "insteadof", said)
            yield _rewritten(setting.value, "pushinsteadof", said)
        elif name == ("remote", "pushurl"):
            yield _rewritten(setting.value, "insteadof", said)


def _rewritten(address: str, key: str, said: Sequence[Setting]) -> str:
    """By the longest beginning that some `url.BASE.KEY` names."""
    fitting = [each for each in said if (each.section, each.key) == ("url", key) and address.startswith(each.value)]
    longest = max(fitting, key=lambda each: len(each.value), default=None)
    return address if longest is None else f"{longest.subsection}{address[len(longest.value) :]}"


def _place(address: str) -> _Place | None:
    """None for a path, a helper's address, and what is no name of a host."""
    if url := _URL.match(address):
        scheme, host = url[1].lower(), url[2]
        known = scheme in _BY_SSH | _BY_NET and host and not host.startswith("[")
        return _Place(host, scheme in _BY_SSH) if known else None
    short = _SHORT.match(address)
    return _Place(short[1], True) if short and "/" not in address[: short.end()] else None


def _names(text: str) -> Iterator[tuple[Sequence[str], str]]:
    """`HostName` of each `Host` of an ssh configuration, in order."""
    patterns: Sequence[str] = ("*",)
    for line in text.splitlines():
        keyword, *words = line.replace("=", " ", 1).split() or [""]
        if keyword.lower() in ("host", "match"):
            # What hangs on more than the name is not known here.
            patterns = [word.strip('"') for word in words] if keyword.lower() == "host" else ()
        elif keyword.lower() == "hostname" and words:
            yield patterns, words[0].strip('"')


def _meant(place: _Place, names: Iterable[tuple[Sequence[str], str]]) -> str:
    """The host that ssh connects to: by the first that fits (ssh_config(5))."""
    for patterns, meant in names if place.by_ssh else ():
        unless = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
        fits = any(fnmatch.fnmatchcase(place.host, pattern) for pattern in patterns if not pattern.startswith("!"))
        if fits and not any(fnmatch.fnmatchcase(place.host, pattern) for pattern in unless):
            return meant.replace("%h", place.host)
    return place.host
