"""What git is told to leave out: the denied names before the person's own patterns, after the person's own variables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.unit.policy.test_presets import context

from interlock.policy import Source, load
from interlock.surroundings.git_excludes import excludes, with_excludes


def document(preset):
    return json.loads(load([Source.preset(preset)], context(), workspace_layer=False).json)


@pytest.mark.parametrize("preset", ["coding-agent", "ci", "strict"])
def test_what_is_denied_by_name_is_left_out_and_the_persons_own_patterns_come_last(tmp_path: Path, preset: str) -> None:
    (tmp_path / ".config/git").mkdir(parents=True)
    (tmp_path / ".config/git/ignore").write_text("*.own\n!.env.mine\n")
    text = excludes(document(preset), {"GIT_CONFIG_SYSTEM": "/dev/null"}, str(tmp_path))
    assert text is not None
    lines = text.splitlines()
    assert {"**/.env", "**/.env.*", "**/id_rsa", "!**/.env.example"} <= set(lines) and "!**/.env" not in lines
    assert lines.index("**/.env.*") < lines.index("!**/.env.example") < lines.index("*.own")
    assert not any(line.startswith(("/", "!/")) for line in lines)


def test_what_allows_reading_leaves_out_nothing(tmp_path: Path) -> None:
    assert excludes(document("observe"), {"GIT_CONFIG_SYSTEM": "/dev/null"}, str(tmp_path)) is None


@pytest.mark.parametrize(
    ("named", "taken"), [("~/.gitignore_global", True), ("~/.ssh/id_rsa", False), ("~/exclude-link", False)]
)
def test_of_the_persons_files_only_what_is_called_so_is_copied(tmp_path: Path, named: str, taken: bool) -> None:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/id_rsa").write_text("SECRET\n")
    (tmp_path / "exclude-link").symlink_to(".ssh/id_rsa")
    (tmp_path / ".gitignore_global").write_text("*.own\n")
    (tmp_path / ".gitconfig").write_text(f"[core]\n\texcludesFile = {named}\n")
    text = excludes(document("coding-agent"), {"GIT_CONFIG_SYSTEM": "/dev/null"}, str(tmp_path))
    assert (text is not None) == taken
    assert "SECRET" not in (text or "") and ("*.own" in (text or "")) == taken


def test_the_persons_own_variables_stay() -> None:
    said = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "a.b", "GIT_CONFIG_VALUE_0": "c"}
    added = with_excludes(said, "/t/x")
    assert added == {
        "GIT_CONFIG_COUNT": "3", "GIT_CONFIG_KEY_1": "core.excludesFile", "GIT_CONFIG_VALUE_1": "/t/x",
        "GIT_CONFIG_KEY_2": "add.ignoreErrors", "GIT_CONFIG_VALUE_2": "true",
    }  # fmt: skip
    assert with_excludes({"GIT_CONFIG_COUNT": "x"}, "/t/x") == {}
