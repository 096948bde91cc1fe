"""The table of what runs later: docs/presets.md prints it, and what it says of each kind is what the presets do."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from tests.unit.policy.test_presets import context

from interlock.policy import Source, load
from interlock.policy.runs_later import KINDS, RUNS_LATER_SETS, Kind, layer, to_look_for
from interlock.policy.set_keys import KEY_SETS
from interlock.policy.set_startup import STARTUP_SETS

native = pytest.importorskip("interlock._native", reason="the native module is not built here")
PRESETS_PAGE = Path(__file__).parents[3] / "docs" / "presets.md"
FOUND = {
    "hooks": "what git's configuration leads to or names as a program",
    "git": "what git's configuration includes; a folder that git takes for a repository",
    "links": "a link that leads out of the workspace; a changed file with names that were not found (`shared`)",
    "programs": "an executable bit, `#!`, or compiled code",
    "named": "any other file whose name a file of these kinds, or a program, has as a word",
    "others": "any other file, but pictures, fonts, sounds, films, logs and tables",
    "documents": "texts for people",
}


def row(kind: Kind) -> str:
    denied = " ".join(f"`{each}`" for each in kind.denied) or "–"
    denied += "" if kind.rule == "runs-later" else f" (rule `{kind.rule}`)"
    listed = "; ".join(filter(None, (" ".join(f"`{each}`" for each in kind.listed), FOUND.get(kind.finds or ""))))
    listed = (listed or "–") + (": each folder one thing" if kind.tree else "") + (" (by keys)" if kind.keys else "")
    return f"| `{kind.name}` | {kind.runner} | {denied} | {listed} | {kind.reason} |"


def test_the_page_prints_the_table() -> None:
    printed = [line for line in PRESETS_PAGE.read_text().splitlines() if re.match(r"\| `[a-z-]+` \| .* \| .* \| .* \| .* \|$", line)]
    assert printed == [row(kind) for kind in KINDS], "\n".join(row(kind) for kind in KINDS)


def test_the_page_prints_the_sets_of_keys() -> None:
    printed = [line for line in PRESETS_PAGE.read_text().splitlines() if re.match(r"\| `@[a-z-]+-keys` \|", line)]
    assert printed == [f"| `@{name}` | {' '.join(f'`{key}`' for key in keys)} |" for name, keys in KEY_SETS.items()]


def test_every_kind_says_why_and_is_found_somehow() -> None:
    for kind in KINDS:
        assert kind.reason and kind.runner, kind.name
        assert kind.denied or kind.listed or kind.finds, kind.name


def test_a_pattern_stands_on_one_side_only() -> None:
    assert not set(RUNS_LATER_SETS["runs-later"]) & set(RUNS_LATER_SETS["runs-later-listed"])


def test_the_presets_refuse_and_ask_about_what_the_table_says_and_nothing_else() -> None:
    """Of what runs later: each rule about it names the sets of the table, whole, and the table names each such rule."""
    rules = {kind.rule for kind in KINDS if kind.denied} | {"runs-anywhere", "runs-later-listed"}
    parted = {"@opened-folders", "@runs-anywhere"}
    for preset in ("coding-agent", "ci", "strict", "mcp-server"):
        found = {rule["id"]: rule for rule in yaml.safe_load(Source.preset(preset).data)["rules"] if rule["id"] in rules}
        missing = {"git-elsewhere", "git-borrowed"} if preset == "mcp-server" else set()  # it has no repository
        for kind in KINDS:
            if kind.denied and kind.name not in missing:
                rule = found[kind.rule]
                assert (rule.get("deny") or rule.get("approve")) == "file.change", (preset, kind.name)
                paths = set(rule["path"])
                if kind.rule == "runs-later" and "runs-anywhere" in found:
                    assert paths | set(found["runs-anywhere"]["path"]) == parted, preset
                    continue
                expected = {"@runs-later"} if kind.rule == "runs-later" else set(kind.denied)
                assert expected == paths, (preset, kind.name)
        listed = found.get("runs-later-listed", {"path": []})
        assert ("@runs-later-listed" in listed["path"]) == (preset == "strict")


def test_what_is_opened_and_the_rest_are_the_whole() -> None:
    whole, rest = set(RUNS_LATER_SETS["runs-later"]), set(RUNS_LATER_SETS["runs-anywhere"])
    assert (whole - rest, rest - whole) == ({"@agent-config", "@editor-config"}, {"@agent-user-config"})
    parted = {*STARTUP_SETS["opened-folders"], *STARTUP_SETS["agent-user-config"]}
    assert parted == {*STARTUP_SETS["agent-config"], *STARTUP_SETS["editor-config"]}


@pytest.mark.parametrize("preset", ["coding-agent", "ci", "strict", "mcp-server"])
def test_what_is_denied_is_denied_by_every_preset_that_confines(preset: str) -> None:
    policy = native.Policy(load([Source.preset(preset)], context(), workspace_layer=False).json)
    for path in (
        "/home/ada/.bashrc", "/home/ada/.cache/zsh/zcompdump", "/home/ada/.config/systemd/user/x.service", "/home/ada/.ssh/rc",
        "/home/ada/.local/share/claude/versions/2", "/home/ada/work/.git/hooks/pre-commit", "/home/ada/.gitconfig",
        "/home/ada/work/.mcp.json", "/home/ada/work/.vscode/tasks.json", "/home/ada/.config/pip/pip.conf",
    ):  # fmt: skip
        action = {"id": "s/1", "plane": "host", "verb": "file.write", "target": {"path": path}, "subject": {"session": "s"}}
        said = json.loads(policy.decide(json.dumps(action)))
        assert said["decision"] == "deny", path
        assert said["rules"], path


def test_the_supervisor_is_told_of_every_kind_in_the_order_of_danger() -> None:
    from interlock.policy.origin import Origin

    aside = Source("runs-later.yaml", json.dumps(layer()).encode(), Origin.BUILTIN)
    found = load([Source.preset("observe")], context(), workspace_layer=False, aside=aside).aside
    assert found is not None
    told = to_look_for(dict(found))
    assert [kind["name"] for kind in told["kinds"]] == [kind.name for kind in KINDS]
    assert all(kind["paths"] or kind["finds"] for kind in told["kinds"])
    assert all("@" not in path and "${" not in path for kind in told["kinds"] for path in kind["paths"])
