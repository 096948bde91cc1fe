"""Install and prepare two real coding agents, Claude Code and Codex, to be run headless against the scripted model.

Installed from npm into a folder of the caller's choice, once; nothing of the user's own configuration is touched.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

PACKAGES = {"claude": "@anthropic-ai/claude-code@2.1.197", "codex": "@openai/codex@0.169.0"}
INSTALL_SECONDS_MAX = 300
#: Of what npm says of a failure: its first lines name it.
LINES_MAX = 6


class NotInstallable(Exception):
    """The agent cannot be had here; the message says why."""


@dataclass(frozen=True)
class Prepared:
    """How to start an agent: its command, and the environment it needs beside PATH and HOME."""

    command: list[str]
    environment: dict[str, str]


@dataclass(frozen=True)
class Tools:
    """The MCP endpoint an agent is given: its name, URL, the variable that holds the token, the hook that tells prompts."""

    name: str
    url: str
    token_variable: str = "INTERLOCK_TOKEN"
    hook: str | None = None


def install(name: str, place: Path) -> Path:
    """The agent's executable below `place`, installed there if it is not yet."""
    program = place / "node_modules" / ".bin" / name
    if program.exists():
        return program
    if not shutil.which("npm"):
        raise NotInstallable("npm is missing: apt-get install npm")
    place.mkdir(parents=True, exist_ok=True)
    command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(place), PACKAGES[name]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS_MAX)
    if done.returncode != 0 or not program.exists():
        said = [line for line in done.stderr.splitlines() if line.strip()][:LINES_MAX]
        raise NotInstallable("\n      ".join([f"npm could not install {PACKAGES[name]}:", *said]))
    return program


def prepare(name: str, program: Path, home: Path, model_url: str, prompt: str, tools: Tools | None = None) -> Prepared:
    """Write the agent's configuration into `home` and say how to start it."""
    return {"claude": _claude, "codex": _codex}[name](program, home, model_url, prompt, tools)


def _claude(program: Path, home: Path, model_url: str, prompt: str, tools: Tools | None) -> Prepared:
    allowed = ["Bash", "Edit", "Write", "Read"]
    command = [str(program), "-p", prompt, "--output-format", "json", "--dangerously-skip-permissions"]
    if tools:
        server = {"type": "http", "url": tools.url, "headers": {"Authorization": f"Bearer ${{{tools.token_variable}}}"}}
        configuration = home / ".claude" / "tools.json"
        configuration.parent.mkdir(exist_ok=True)
        configuration.write_text(json.dumps({"mcpServers": {tools.name: server}}))
        command += ["--mcp-config", str(configuration), "--strict-mcp-config"]
        allowed.append(f"mcp__{tools.name}")
        if tools.hook:
            prompt_hook = [{"hooks": [{"type": "command", "command": tools.hook}]}]
            command += ["--settings", json.dumps({"hooks": {"UserPromptSubmit": prompt_hook}})]
    environment = {
        "ANTHROPIC_BASE_URL": model_url,
        "ANTHROPIC_API_KEY": "dummy",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "IS_SANDBOX": "1",
    }
    return Prepared([*command, "--allowedTools", ",".join(allowed)], environment)


def _codex(program: Path, home: Path, model_url: str, prompt: str, tools: Tools | None) -> Prepared:
    state = home / ".codex"
    state.mkdir(exist_ok=True)
    lines = [
        'model = "scripted"',
        'model_provider = "scripted"',
        'approval_policy = "never"',
        "[model_providers.scripted]",
        'name = "scripted"',
        f'base_url = "{model_url}/v1"',
        'wire_api = "responses"',
        'env_key = "SCRIPTED_KEY"',
    ]
    if tools:
        lines += [
            f"[mcp_servers.{tools.name}]",
            f'url = "{tools.url}"',
            f'bearer_token_env_var = "{tools.token_variable}"',
        ]
        lines += ['default_tools_approval_mode = "approve"']
    (state / "config.toml").write_text("\n".join(lines) + "\n")
    command = [str(program), "exec", "--skip-git-repo-check", "--sandbox", "danger-full-access", prompt]
    return Prepared(command, {"CODEX_HOME": str(state), "SCRIPTED_KEY": "dummy"})
