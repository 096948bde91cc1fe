"""The official conformance suite, run at a URL: which checks of which scenarios passed. Needs Node 22 or newer and npm."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

SUITE = "@modelcontextprotocol/conformance@0.2.0-alpha.12"
NODE = "node@24"
#: A scenario, a check in it, and which of its appearances there.
Check = tuple[str, str, int]


def installed(folder: Path) -> Path:
    """The suite and a Node for it, in a folder of their own; where that cannot be had the test is skipped, with the reason."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("needs npm, to install the MCP conformance suite")
    (folder / "package.json").write_text("{}")
    done = subprocess.run([npm, "install", "--no-audit", "--no-fund", NODE, SUITE], cwd=folder, capture_output=True, timeout=240)
    if done.returncode:
        pytest.skip(f"npm could not install the MCP conformance suite: {done.stderr.decode()[-300:]}")
    return folder / "node_modules"


def ran(modules: Path, url: str, revision: str, results: Path) -> dict[Check, str]:
    """What came of each check at a server, by the statuses of the suite."""
    node, suite = modules / ".bin/node", modules / "@modelcontextprotocol/conformance/dist/index.js"
    command = [str(node), str(suite), "server", "--url", url, "--requirements", revision, "-o", str(results)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    found: dict[Check, str] = {}
    for file in sorted(results.glob("*/checks.json")):
        scenario = re.sub(r"-\d{4}-\d\d-\d\dT.*", "", file.parent.name.removeprefix("server-"))
        seen: dict[str, int] = {}
        for check in json.loads(file.read_text()):
            number = seen[check["id"]] = seen.get(check["id"], 0) + 1
            found[scenario, check["id"], number] = str(check["status"])
    assert found, done.stdout + done.stderr
    return found
