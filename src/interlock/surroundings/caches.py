"""Where the environment says that package clients keep their caches, each variable with what of its folder is a cache.

Only the person's own environment is read, at the start. A folder that holds the home or the workspace is left out, and
so is one that another user owns or that is open to others: such a name would open more than a cache. What a policy
denies stays denied there.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

from interlock.surroundings.workspace import too_wide

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: A variable, and the folders below it that are caches; empty where it is one itself.
_NAMED: Final = (
    ("XDG_CACHE_HOME", ("",)),
    ("XDG_STATE_HOME", ("pnpm", "uv", "yarn")),
    ("XDG_DATA_HOME", ("pnpm/store", "virtualenvs", "NuGet")),
    ("PIP_CACHE_DIR", ("",)),
    ("UV_CACHE_DIR", ("",)),
    ("POETRY_CACHE_DIR", ("",)),
    ("PIPENV_CACHE_DIR", ("",)),
    ("WORKON_HOME", ("",)),
    ("PRE_COMMIT_HOME", ("",)),
    ("CONDA_PKGS_DIRS", ("",)),
    ("npm_config_cache", ("",)),
    ("NPM_CONFIG_CACHE", ("",)),
    ("npm_config_store_dir", ("",)),
    ("PNPM_HOME", ("store",)),
    ("YARN_CACHE_FOLDER", ("",)),
    ("YARN_GLOBAL_FOLDER", ("",)),
    ("BUN_INSTALL_CACHE_DIR", ("",)),
    ("BUN_INSTALL", ("install/cache",)),
    ("DENO_DIR", ("",)),
    ("COREPACK_HOME", ("",)),
    ("ELECTRON_CACHE", ("",)),
    ("PLAYWRIGHT_BROWSERS_PATH", ("",)),
    ("GOCACHE", ("",)),
    ("GOMODCACHE", ("",)),
    ("GOPATH", ("pkg",)),
    ("CARGO_HOME", ("registry", "git")),
    ("CCACHE_DIR", ("",)),
    ("SCCACHE_DIR", ("",)),
    ("GRADLE_USER_HOME", ("caches", "daemon", "native", "wrapper", "notifications", ".tmp", "jdks", "workers")),
    ("COMPOSER_CACHE_DIR", ("",)),
    ("NUGET_PACKAGES", ("",)),
)
#: Folders in one variable's value.
_FOLDERS_MAX: Final = 8
_OPEN_TO_OTHERS: Final = stat.S_IWOTH


def named_caches(environment: Mapping[str, str], *, workspace: str) -> tuple[str, ...]:
    """The folders, absolute and resolved; those that are not there yet, too."""
    found = dict.fromkeys(
        os.path.realpath(os.path.join(named, below))
        for variable, folders in _NAMED
        for named in environment.get(variable, "").split(os.pathsep)[:_FOLDERS_MAX]
        for below in folders
        if named.startswith("/")
    )
    return tuple(folder for folder in found if _is_cache(folder, environment, workspace))


def _is_cache(folder: str, environment: Mapping[str, str], workspace: str) -> bool:
    holds_workspace = workspace == folder or workspace.startswith(f"{folder.rstrip('/')}/")
    return not holds_workspace and too_wide(folder, environment) is None and all(_is_own(folder))


def _is_own(folder: str) -> Iterator[bool]:
    """Of the folder, or of the first one above that is there: whether it is this user's and nobody else's to write."""
    while not os.path.isdir(folder):
        if os.path.lexists(folder):
            yield False
            return
        folder = os.path.dirname(folder)
    status = os.stat(folder)
    yield status.st_uid == os.geteuid()
    yield not status.st_mode & _OPEN_TO_OTHERS
