"""Where a person's own clients go on this machine: the hosts of package registries and of models, for the sets
`@package-registries` and `@model-api`.

Read are the environment and the configuration of the person and of the machine, never that of a workspace, which a
session may write. Left out: what a project names for itself, and credentials, which nobody needs here.
"""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_BYTES_MAX: Final = 1 << 20
_FILES_MAX: Final = 64
_HOST_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_.-")


class _Client(NamedTuple):
    """A family of clients: where it goes unless told otherwise (`usual`), what in the environment tells it so
    (`variables`) or adds to that (`more`), its files, and the keys of lines that tell it (`told`)."""

    usual: tuple[str, ...]
    variables: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    told: tuple[str, ...] = ()


_CLIENTS: Final = (
    _Client(
        ("pypi.org", "files.pythonhosted.org"),
        ("PIP_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX"),
        ("PIP_EXTRA_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_INDEX"),
        ("/etc/pip.conf", "~/.pip/pip.conf", "~/.config/pip/pip.conf", "/etc/uv/uv.toml", "~/.config/uv/uv.toml"),
        ("index-url",),
    ),
    _Client(
        ("registry.npmjs.org", "registry.yarnpkg.com", "repo.yarnpkg.com"),
        ("NPM_CONFIG_REGISTRY", "npm_config_registry", "YARN_NPM_REGISTRY_SERVER"),
        ("COREPACK_NPM_REGISTRY", "BUN_CONFIG_REGISTRY"),
        (
            *("/etc/npmrc", "/usr/etc/npmrc", "/usr/local/etc/npmrc", "~/.npmrc", "~/.config/pnpm/rc"),
            *("~/.yarnrc", "~/.yarnrc.yml", "~/.bunfig.toml"),
        ),
        ("registry", "npmRegistryServer"),
    ),
    # Headers that node-gyp builds against, and Node itself.
    _Client(("nodejs.org",), ("NODEJS_ORG_MIRROR", "NVM_NODEJS_ORG_MIRROR"), ("npm_config_disturl",)),
    _Client(
        ("index.crates.io", "static.crates.io", "crates.io"),
        (),
        (),
        ("~/.cargo/config.toml", "~/.cargo/config"),
        ("replace-with",),
    ),
    _Client(("static.rust-lang.org",), ("RUSTUP_DIST_SERVER",), ("RUSTUP_UPDATE_ROOT",)),
    _Client(("proxy.golang.org",), ("GOPROXY",), (), ("~/.config/go/env",), ("GOPROXY",)),
    _Client(("sum.golang.org",), ("GOSUMDB",)),
    _Client(
        (
            *("repo.maven.apache.org", "repo1.maven.org", "maven.google.com", "dl.google.com", "plugins.gradle.org"),
            *("plugins-artifacts.gradle.org", "services.gradle.org", "downloads.gradle.org"),
        ),
        (),
        (),
        ("~/.m2/settings.xml", "~/.gradle/init.gradle", "~/.gradle/init.gradle.kts", "~/.gradle/init.d"),
    ),
    _Client(("rubygems.org", "index.rubygems.org"), (), (), ("~/.gemrc", "~/.bundle/config")),
    _Client(("conda.anaconda.org", "repo.anaconda.com"), (), (), ("~/.condarc", "/etc/conda/.condarc")),
    _Client(("api.nuget.org",), (), (), ("~/.nuget/NuGet/NuGet.Config",)),
    _Client(("repo.packagist.org", "packagist.org"), (), (), ("~/.config/composer/config.json",)),
    _Client(("repo.hex.pm", "hex.pm"), ("HEX_MIRROR", "HEX_MIRROR_URL")),
    _Client(("pub.dev",), ("PUB_HOSTED_URL",)),
    _Client(("jsr.io", "npm.jsr.io"), ("JSR_URL",)),
    _Client((), (), (), ("/etc/apt/sources.list", "/etc/apt/sources.list.d")),
)

#: The agents' own endpoints, and where they sign a person in. Of their files, only what says where a model is.
_MODELS: Final = _Client(
    (
        *("api.anthropic.com", "claude.ai", "platform.claude.com", "console.anthropic.com", "statsig.anthropic.com"),
        *("api.openai.com", "auth.openai.com", "chatgpt.com", "ab.chatgpt.com"),
        *("generativelanguage.googleapis.com", "cloudcode-pa.googleapis.com", "oauth2.googleapis.com"),
        *("opencode.ai", "models.dev"),
    ),
    (),
    (
        *("ANTHROPIC_BASE_URL", "ANTHROPIC_BEDROCK_BASE_URL", "ANTHROPIC_VERTEX_BASE_URL"),
        *("ANTHROPIC_FOUNDRY_BASE_URL", "OPENAI_BASE_URL", "OPENAI_API_BASE", "AZURE_OPENAI_ENDPOINT"),
        *("GOOGLE_GEMINI_BASE_URL", "GOOGLE_VERTEX_BASE_URL", "CODE_ASSIST_ENDPOINT"),
    ),
    (
        *("~/.claude/settings.json", "~/.codex/config.toml"),
        *("~/.config/opencode/opencode.json", "~/.config/opencode/opencode.jsonc"),
    ),
)
_MODEL_KEYS: Final = ("_BASE_URL", "OPENAI_API_BASE", "base_url", "baseURL")
#: Clouds where an agent's model may be: what says that it is there, what says in which region, the usual one, and the
#: hosts of a region.
_CLOUDS: Final = (
    (
        ("CLAUDE_CODE_USE_BEDROCK", "AWS_BEARER_TOKEN_BEDROCK"),
        ("AWS_REGION", "AWS_DEFAULT_REGION"),
        "us-east-1",
        ("bedrock-runtime.{}.amazonaws.com", "bedrock.{}.amazonaws.com", "sts.{}.amazonaws.com"),
    ),
    (
        ("CLAUDE_CODE_USE_VERTEX", "GOOGLE_GENAI_USE_VERTEXAI"),
        ("CLOUD_ML_REGION", "GOOGLE_CLOUD_LOCATION"),
        "global",
        ("{}-aiplatform.googleapis.com", "aiplatform.googleapis.com", "oauth2.googleapis.com"),
    ),
)
_REGION_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


def hosts_here(environment: Mapping[str, str], *, home: str) -> dict[str, tuple[str, ...]]:
    """The members of the two sets, as the environment and the files below `home` and /etc say it."""
    registries = [host for client in _CLIENTS for host in _hosts(client, environment, home)]
    return {
        "package-registries": tuple(sorted(set(registries))),
        "model-api": tuple(sorted({*_hosts(_MODELS, environment, home, _MODEL_KEYS), *_in_clouds(environment)})),
    }


def _hosts(
    client: _Client, environment: Mapping[str, str], home: str, about: tuple[str, ...] = ("",)
) -> Iterator[str]:
    """Of its files, the lines whose keys end so (`about`)."""
    said = [environment[name] for name in client.variables if environment.get(name)]
    files = (_lines(path.replace("~", home, 1)) for path in client.files)
    lines = [line for file in files for line in file if _key(line).endswith(about)]
    tells = any(_key(line) in client.told for line in lines)
    yield from () if said or tells else client.usual
    yield from _named([*said, *(environment.get(name, "") for name in client.more), *lines])


def _in_clouds(environment: Mapping[str, str]) -> Iterator[str]:
    for told, regions, usual, hosts in _CLOUDS:
        if any(environment.get(name, "") not in ("", "0", "false") for name in told):
            region = next((environment[name] for name in regions if environment.get(name)), usual)
            yield from (host.format(region) for host in hosts if _REGION_CHARACTERS.issuperset(region))


def _key(line: str) -> str:
    """What stands before `=`, `:` or a space, without quotation marks."""
    words = line.replace("=", " ").replace(":", " ").split(maxsplit=1)
    return words[0].strip("\"'") if words else ""


def _named(texts: Iterable[str]) -> Iterator[str]:
    """The hosts of URLs, each as it stands there, without who is named before an `@`."""
    for text in texts:
        parts = text.lower().split("://")
        for scheme, rest in itertools.pairwise(parts):
            if scheme.endswith(("http", "https")):
                place = rest.replace("/", " ").replace('"', " ").replace("'", " ").split(maxsplit=1)
                name = place[0].rpartition("@")[2] if place and not rest[:1].isspace() else ""
                host = "".join(itertools.takewhile(_HOST_CHARACTERS.__contains__, name)).rstrip(".")
                if host:
                    yield host


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
