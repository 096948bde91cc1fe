"""Every kind of mistake in a policy, held to the words a stranger reads: `tests/policy_golden/*.yaml` and its `.expected`.

`INTERLOCK_UPDATE_GOLDEN=1` writes the expectations anew; read the difference before you commit it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from interlock.policy import Context, Origin, PolicyError, Source, load

GOLDEN = Path(__file__).parents[2] / "policy_golden"
CASES = sorted(GOLDEN.glob("*.yaml"))


def context() -> Context:
    return Context(
        home="/home/ada",
        workspace="/home/ada/work",
        user="ada",
        state="/home/ada/.local/state/interlock",
        config="/home/ada/.config/interlock",
        cache="/home/ada/.cache/interlock",
        runtime="/run/user/1000/interlock",
        interlock=("/opt/interlock",),
        root="/nonexistent",
    )


def said_about(path: Path) -> str:
    origin = Origin.WORKSPACE if path.stem.startswith("workspace") else Origin.USER
    with pytest.raises(PolicyError) as caught:
        load([Source(path.name, path.read_bytes(), origin)], context(), workspace_layer=False)
    assert caught.value.exit_code == 121
    return caught.value.text() + "\n"


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_mistake_is_said_in_these_words(path: Path) -> None:
    said = said_about(path)
    expected = path.with_suffix(".expected")
    if os.environ.get("INTERLOCK_UPDATE_GOLDEN"):
        expected.write_text(said)
    assert said == expected.read_text()


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_every_mistake_names_a_place_in_the_file(path: Path) -> None:
    for line in said_about(path).splitlines():
        assert line.startswith((f"{path.name}:", "  hint: ")), line
        assert line.isprintable()


def test_the_designs_example_is_refused_for_what_is_not_enforced_and_nothing_else() -> None:
    said = said_about(GOLDEN / "design-example.yaml")
    messages = [line.split(": ", 1)[1] for line in said.splitlines() if not line.startswith("  ")]
    assert messages
    assert all(message.endswith("is not enforced yet") for message in messages), said
