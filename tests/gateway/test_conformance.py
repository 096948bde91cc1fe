"""The official conformance suite through the gateway and directly at the server behind it: no check that passes directly is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conformance import Check, installed, ran
from gateway_stage import rule
from servers.tasks import Tasks

from interlock.connectors.configuration import Connector, Http

RULES = (rule("all", "allow", "tool.call", "tool.list", "resource.read", "prompt.get", "log.level"),)
#: Checks that pass directly and may fail through the gateway, each with the reason. Empty: nothing is lost.
LOST: dict[Check, str] = {}


@pytest.fixture(scope="session")
def modules(tmp_path_factory: Any) -> Path:
    return installed(tmp_path_factory.mktemp("conformance"))


@pytest.fixture
def server() -> Iterator[Tasks]:
    server = Tasks()
    yield server
    server.shutdown()
    server.server_close()


def test_no_check_of_the_newest_revision_and_of_tasks_is_lost(start: Any, tmp_path: Path, modules: Path, server: Tasks) -> None:
    connector = Connector("up", Http(server.url), client_requests=("elicitation", "sampling", "roots"))
    stage = start(connector, rules=RULES, anonymous="conformance")
    directly = ran(modules, server.url, "2026-07-28", tmp_path / "directly")
    through = ran(modules, f"{stage.url}/mcp/up", "2026-07-28", tmp_path / "through")
    passed = {check for check, status in directly.items() if status == "SUCCESS"}
    assert len([check for check in passed if check[0].startswith("tasks-")]) >= 40, "the suite has not run"
    lost = {check: through.get(check) for check in passed if through.get(check) != "SUCCESS" and check not in LOST}
    assert not lost
    assert not [check for check in LOST if through.get(check) == "SUCCESS"], "a reason that does not hold any more"
