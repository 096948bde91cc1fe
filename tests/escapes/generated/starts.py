"""What an editor and two coding agents run of themselves when they start in a folder, as their manuals say: tasks, hooks, servers.

Run outside as a program, by the person: `starts.py editor|claude|codex`. Real agents need a model's endpoint and a
minute; what they read at their start and what they run of it is this.
"""

import glob
import json
import os
import subprocess
import sys

HOME = os.environ["HOME"]


def run(command):
    subprocess.run(command, shell=isinstance(command, str), stdin=subprocess.DEVNULL, timeout=10)


def read(path):
    try:
        with open(path) as file:
            return json.load(file)
    except (OSError, ValueError):
        return {}


def editor():
    """Tasks that run when a folder is opened, the interpreter that is looked at, commands of a development container."""
    for path in [".vscode/tasks.json", *glob.glob("*.code-workspace")]:
        found = read(path)
        for task in found.get("tasks", {}).get("tasks", []) if path.endswith("workspace") else found.get("tasks", []):
            if task.get("runOptions", {}).get("runOn") == "folderOpen":
                run(task["command"])
    if interpreter := read(".vscode/settings.json").get("python.defaultInterpreterPath"):
        run([interpreter, "--version"])
    if command := read(".devcontainer/devcontainer.json").get("initializeCommand"):
        run(command)
    for task in read(".zed/tasks.json") or []:
        run(task["command"])


def servers(of):
    for server in of.get("mcpServers", {}).values():
        run([server["command"], *server.get("args", [])])


def claude():
    """Settings of the person and of the folder, servers, plugins, the environment that hooks left for a session that is gone on with."""
    settings = [f"{HOME}/.claude/settings.json", ".claude/settings.json", ".claude/settings.local.json"]
    for path in [*settings, *glob.glob(f"{HOME}/.claude/plugins/*/hooks/hooks.json")]:
        found = read(path)
        for matcher in found.get("hooks", {}).get("SessionStart", []):
            for hook in matcher.get("hooks", []):
                run(hook["command"])
        for key in ("statusLine", "apiKeyHelper"):
            if command := found.get(key):
                run(command if isinstance(command, str) else command["command"])
    state = read(f"{HOME}/.claude.json")
    for each in (read(".mcp.json"), state, state.get("projects", {}).get(os.getcwd(), {})):
        servers(each)
    for script in sorted(glob.glob(f"{HOME}/.claude/session-env/*/*.sh")):
        run(["sh", script])
    for program in (f"{HOME}/.claude/local/claude", *glob.glob(f"{HOME}/.local/share/claude/versions/*")):
        if os.access(program, os.X_OK):
            run([program, "--version"])


def codex():
    """Its configuration and the folder's, and the environment that it gives to each command."""
    import tomllib

    for path in (f"{HOME}/.codex/config.toml", ".codex/config.toml"):
        try:
            with open(path, "rb") as file:
                found = tomllib.load(file)
        except (OSError, ValueError):
            continue
        if "notify" in found:
            run(found["notify"])
        for server in found.get("mcp_servers", {}).values():
            run([server["command"], *server.get("args", [])])
    run(["bash", "-c", f"set -a; [ -f {HOME}/.codex/.env ] && . {HOME}/.codex/.env; exec bash -c true"])


if __name__ == "__main__":
    for start in sys.argv[1:]:
        try:
            {"editor": editor, "claude": claude, "codex": codex}[start]()
        except (OSError, subprocess.SubprocessError, AttributeError, TypeError, KeyError, ValueError) as error:
            print(f"{start}: {error}", file=sys.stderr)
