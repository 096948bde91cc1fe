"""The hosts that a person's own clients are configured for."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock._native import match_pattern
from interlock.policy.pattern import expand_braces
from interlock.policy.set_startup import AGENTS, PACKAGES
from interlock.surroundings.registries import _CLIENTS, _MODELS, hosts_here

USUAL = {
    "pypi.org",
    "files.pythonhosted.org",
    "registry.npmjs.org",
    "index.crates.io",
    "static.crates.io",
    "proxy.golang.org",
    "repo.maven.apache.org",
    "rubygems.org",
    "conda.anaconda.org",
}


def registries(home: Path, **environment: str) -> set[str]:
    return set(hosts_here(environment, home=str(home))["package-registries"])


def test_without_configuration_they_are_the_usual_ones(tmp_path: Path) -> None:
    assert registries(tmp_path) >= USUAL
    assert "api.anthropic.com" in hosts_here({}, home=str(tmp_path))["model-api"]


@pytest.mark.parametrize(
    ("file", "text", "gone", "there"),
    [
        (".config/pip/pip.conf", "[global]\nindex-url = https://u:p@Mirror.corp.example/simple\n", "pypi.org", "mirror.corp.example"),
        (".config/pip/pip.conf", "[global]\nextra-index-url = https://more.example/simple\n", "", "more.example"),
        (".config/uv/uv.toml", 'index-url = "https://mirror.example/simple"\n', "files.pythonhosted.org", "mirror.example"),
        (".npmrc", "registry=https://npm.corp.example:4873/\n", "registry.npmjs.org", "npm.corp.example"),
        (".npmrc", "@corp:registry=https://npm.corp.example/\n//npm.corp.example/:_authToken=x\n", "", "npm.corp.example"),
        (".yarnrc.yml", 'npmRegistryServer: "https://yarn.example"\n', "registry.yarnpkg.com", "yarn.example"),
        (
            ".cargo/config.toml",
            '[source.crates-io]\nreplace-with = "m"\n[source.m]\nregistry = "sparse+https://crates.example/index/"\n',
            "index.crates.io",
            "crates.example",
        ),
        (".config/go/env", "GOPROXY=https://go.example,direct\n", "proxy.golang.org", "go.example"),
        (".m2/settings.xml", "<mirror><url>https://maven.example/all</url></mirror>\n", "", "maven.example"),
    ],
)
def test_a_file_of_the_person_tells_them(tmp_path: Path, file: str, text: str, gone: str, there: str) -> None:
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(text)
    found = registries(tmp_path)
    assert there in found and gone not in found
    assert len(USUAL - found) <= 3
    (tmp_path / file).write_text("".join(f"# {line}\n" for line in text.splitlines()))
    assert registries(tmp_path) >= USUAL and there not in registries(tmp_path)


def test_the_environment_tells_them(tmp_path: Path) -> None:
    found = registries(tmp_path, PIP_INDEX_URL="https://mirror.example/simple", UV_INDEX="corp=https://more.example/simple", GOPROXY="off")
    assert {"mirror.example", "more.example"} <= found
    assert not found & {"pypi.org", "files.pythonhosted.org", "proxy.golang.org"}
    models = hosts_here({"ANTHROPIC_BASE_URL": "http://localhost:4000/v1"}, home=str(tmp_path))["model-api"]
    assert {"api.anthropic.com", "localhost"} <= set(models)


def test_no_session_writes_what_says_where_the_next_one_may_go() -> None:
    """Every file of a person's that the sets are read from is one that the presets keep, wherever the workspace is."""
    kept = [plain for pattern in (*PACKAGES, *AGENTS) for plain in expand_braces(pattern.replace("~", "/h")) or ()]
    files = {path.replace("~", "/h") for client in (*_CLIENTS, _MODELS) for path in client.files if path.startswith("~")}
    folders = {path for path in files if path.endswith("init.d")}
    names = sorted((files - folders) | {f"{folder}/x.gradle" for folder in folders})
    assert len(names) > 20
    assert [name for name in names if not any(match_pattern(each, name.encode()) for each in kept if "$" not in each)] == []
