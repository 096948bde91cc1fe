"""Where a person's own clients go on this machine: the hosts of package registries and of models, for the sets
`@package-registries` and `@model-api`.

Read are the environment and the configuration of the person and of the machine, never that of a workspace, which a
session may write. Left out: what a project names for itself, and credentials, which nobody needs here.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_BYTES_MAX: Final = 1 << 20
_FILES_MAX: Final = 64
_URL: Final = re.compile(r"\b(?:sparse\+)?https?://(?:[^\s/@\"']*@)?([A-Za-z0-9_.-]+)")


class _Client(NamedTuple):
    """A family of clients: where it goes unless told otherwise (`usual`), what in the environment tells it so
    (`variables`) or adds to that (`more`), its files, and what a line that tells it begins with (`told`)."""

    usual: tuple[str, ...]
    variables: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    told: str = r"(?!)"


_CLIENTS: Final = (
    _Client(
        ("pypi.org", "files.pythonhosted.org"),
        ("PIP_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX"),
        ("PIP_EXTRA_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_INDEX"),
        ("/etc/pip.conf", "~/.pip/pip.conf", "~/.config/pip/pip.conf", "/etc/uv/uv.toml", "~/.config/uv/uv.toml"),
        r"\s*index-url\s*=",
    ),
    _Client(
        ("registry.npmjs.org", "registry.yarnpkg.com"),
        ("NPM_CONFIG_REGISTRY", "npm_config_registry", "YARN_NPM_REGISTRY_SERVER"),
        (),
        ("/etc/npmrc", "~/.npmrc", "~/.config/pnpm/rc", "~/.yarnrc", "~/.yarnrc.yml"),
        r"\s*(?:registry\s*[= ]|npmRegistryServer\s*:)",
    ),
    _Client(
        ("index.crates.io", "static.crates.io", "crates.io"),
        (),
        (),
        ("~/.cargo/config.toml", "~/.cargo/config"),
        r"\s*replace-with\s*=",
    ),
    _Client(
        ("proxy.golang.org", "sum.golang.org"), ("GOPROXY",), (), ("~/.config/go/env",), r"\s*GOPROXY\s*=\s*\S*://"
    ),
    _Client(
        ("repo.maven.apache.org", "repo1.maven.org", "plugins.gradle.org", "services.gradle.org"),
        (),
        (),
        ("~/.m2/settings.xml", "~/.gradle/init.gradle"),
    ),
    _Client(("rubygems.org", "index.rubygems.org"), (), (), ("~/.gemrc", "~/.bundle/config")),
    _Client(("conda.anaconda.org", "repo.anaconda.com"), (), (), ("~/.condarc", "/etc/conda/.condarc")),
    _Client((), (), (), ("/etc/apt/sources.list", "/etc/apt/sources.list.d")),
)

#: The agents' own endpoints, and where they sign a person in.
_MODELS: Final = _Client(
    (
        "api.anthropic.com",
        "claude.ai",
        "platform.claude.com",
        "console.anthropic.com",
        "api.openai.com",
        "auth.openai.com",
        "chatgpt.com",
        "generativelanguage.googleapis.com",
        "cloudcode-pa.googleapis.com",
    ),
    (),
    (
        "ANTHROPIC_BASE_URL",
        "ANTHROPIC_BEDROCK_BASE_URL",
        "ANTHROPIC_VERTEX_BASE_URL",
        "OPENAI_BASE_URL",
        "OPENAI_API_BASE",
        "AZURE_OPENAI_ENDPOINT",
        "GOOGLE_GEMINI_BASE_URL",
    ),
)


def hosts_here(environment: Mapping[str, str], *, home: str) -> dict[str, tuple[str, ...]]:
    """The members of the two sets, as the environment and the files below `home` and /etc say it."""
    registries = [host for client in _CLIENTS for host in _hosts(client, environment, home)]
    return {
        "package-registries": tuple(sorted(set(registries))),
        "model-api": tuple(sorted(set(_hosts(_MODELS, environment, home)))),
    }


def _hosts(client: _Client, environment: Mapping[str, str], home: str) -> Iterator[str]:
    said = [environment[name] for name in client.variables if environment.get(name)]
    lines = [line for path in client.files for line in _lines(path.replace("~", home, 1))]
    told = [*_named(said), *_named(line for line in lines if re.match(client.told, line))]
    replaced = said or any(re.match(client.told, line) for line in lines)
    yield from () if replaced else client.usual
    yield from told
    yield from _named((*(environment.get(name, "") for name in client.more), *lines))


def _named(texts: Iterable[str]) -> list[str]:
    """The hosts of URLs, each as it stands there."""
    return [match[1].lower().rstrip(".") for text in texts for match in _URL.finditer(text)]


def _lines(path: str) -> Sequence[str]:
    """The lines of a file, or of all in a folder, that are no comments."""
    if os.path.isdir(path):
        names = sorted(os.listdir(path))[:_FILES_MAX]
        return [line for name in names for line in _lines(os.path.join(path, name))]
    try:
        with open(path, encoding="utf-8", errors="replace") as opened:
            lines = opened.read(_BYTES_MAX).splitlines()
    except OSError:
        return ()
    return [line for line in lines if not line.lstrip().startswith(("#", ";", "//"))]
