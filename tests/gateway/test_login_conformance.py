"""The official conformance suite's scenarios for authorization servers, at the gateway's own."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from conformance import installed
from gateway_stage import connector
from login_stage import Browser, next_page, person, registered


@pytest.fixture(scope="session")
def modules(tmp_path_factory: Any) -> Path:
    return installed(tmp_path_factory.mktemp("conformance"))


def test_the_suite_finds_nothing_amiss(start: Any, tmp_path: Path, modules: Path) -> None:
    stage = start(connector("notes", root=tmp_path), oauth=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    client = registered(stage, redirect_uris=[f"http://127.0.0.1:{port}/callback"])["client_id"]
    command = [
        str(modules / ".bin/node"), str(modules / "@modelcontextprotocol/conformance/dist/index.js"), "authorization",
        "--url", stage.url, "--client-id", client, "--resource", f"{stage.url}/mcp", "--port", str(port), "-o", str(tmp_path / "results"),
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as suite:
        assert suite.stdout is not None
        said = ""
        for line in suite.stdout:
            said += line
            if line.startswith(f"{stage.url}/authorize?"):
                answer_in_a_browser(stage, line.strip())
    found = {
        each["id"]: each["status"]
        for file in sorted((tmp_path / "results").rglob("checks.json"))
        for each in json.loads(file.read_text())
    }
    checks = ("authorization-server-metadata", "authorization-server-metadata-cimd", "authorization-code-grant")
    assert found == dict.fromkeys(checks, "SUCCESS"), said


def answer_in_a_browser(stage: Any, url: str) -> None:
    """Open the page, have a person say yes, and follow to the client."""
    browser, parts = Browser(stage), urlsplit(url)
    at = next_page(browser.open(f"{parts.path}?{parts.query}"))
    person(stage)
    got = browser.open(at)
    while got.status == 200:
        got = browser.open(next_page(got))
    assert re.match(r"http://127\.0\.0\.1:\d+/callback\?", got.headers["Location"])
    with urlopen(got.headers["Location"], timeout=30) as response:
        assert response.status == 200
