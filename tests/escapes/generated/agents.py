"""The start of real agents, as a person starts them in the folder where a session worked: Claude Code and Codex from npm. The only stand-in is the model.

Nothing is configured by a file: what they read at their start is what the session left.
"""

from __future__ import annotations

import os
from pathlib import Path

from examples.agents.drive import NotInstallable, install, prepare
from examples.agents.model import Say, ScriptedModel

from tests.escapes.generated.house import House

PLACE = Path(os.environ.get("INTERLOCK_TEST_AGENTS", "/var/tmp/interlock-test-agents"))
NAMES = ("claude", "codex")
SECONDS_MAX = 60.0


def installed() -> dict[str, Path] | None:
    """Their programs; nothing where they cannot be had."""
    try:
        PLACE.mkdir(parents=True, exist_ok=True)
        return {name: install(name, PLACE) for name in NAMES}
    except (NotInstallable, OSError):
        return None


def start(name: str, program: Path, house: House) -> bool:
    """Starts one and says a word to it. Whether it asked its model, so that it came up whole."""
    with ScriptedModel([Say("ready")]) as model:
        command, environment = _called(name, program, house, model.url)
        house.person(command, seconds=SECONDS_MAX, **environment)
        return model.asked > 0


def _called(name: str, program: Path, house: House, url: str) -> tuple[list[str], dict[str, str]]:
    if name == "claude":
        prepared = prepare(name, program, house.home, url, "say ready")
        return prepared.command, prepared.environment
    provider = f'{{name = "scripted", base_url = "{url}/v1", wire_api = "responses", env_key = "SCRIPTED_KEY"}}'
    options = {"model": '"scripted"', "model_provider": '"scripted"', "approval_policy": '"never"', "model_providers.scripted": provider}
    given = [word for key, value in options.items() for word in ("-c", f"{key}={value}")]
    return [str(program), "exec", *given, "--skip-git-repo-check", "--sandbox", "danger-full-access", "say ready"], {"SCRIPTED_KEY": "dummy"}
