"""The official conformance suite through the gateway and directly at the server behind it: no check that passes directly is lost.

The servers are the tests' own and pass all of the suite that is to be passed, so that nothing can be lost unseen.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conformance import Check, installed, ran
from gateway_stage import rule
from servers.newer import Newer
from servers.older import Older

from interlock.connectors.configuration import Connector, Http

RULES = (rule("all", "allow", "tool.call", "tool.list", "resource.read", "prompt.get", "log.level"),)
#: Checks that pass directly and may not through the gateway, each with the reason.
LOST: dict[str, dict[Check, str]] = {
    "2025-11-25": {
        (
            "server-sse-polling",
            "server-sse-disconnect-resume",
            1,
        ): "a server that breaks its stream off before the answer is asked again by the"
        " gateway, while the agent's own stream stays open: the agent has nothing to come back for, which the suite calls INFO",
    },
    "2026-07-28": {},
}
#: How many checks pass directly, at least: fewer, and the suite has not run.
PASSED_MIN = {"2025-11-25": 83, "2026-07-28": 196}


@pytest.fixture(scope="session")
def modules(tmp_path_factory: Any) -> Path:
    return installed(tmp_path_factory.mktemp("conformance"))


@pytest.fixture(params=["2025-11-25", "2026-07-28"])
def revision(request: Any) -> str:
    return str(request.param)


@pytest.fixture
def servers(revision: str) -> Iterator[list[Older | Newer]]:
    """Two alike: what one client changes at its server, no other client is to hear of."""
    two: list[Older | Newer] = [Older(), Older()] if revision == "2025-11-25" else [Newer(), Newer()]
    yield two
    for server in two:
        server.shutdown()
        server.server_close()


def test_no_check_is_lost(
    start: Any, tmp_path: Path, modules: Path, revision: str, servers: list[Older | Newer]
) -> None:
    connector = Connector("up", Http(servers[1].url), client_requests=("elicitation", "sampling", "roots"))
    stage = start(connector, rules=RULES, anonymous="conformance")
    urls = {"directly": servers[0].url, "through": f"{stage.url}/mcp/up"}
    with ThreadPoolExecutor(2) as both:
        directly, through = both.map(lambda way: ran(modules, urls[way], revision, tmp_path / way), urls)
    assert fallen(directly) == {}, "the server of this test does not pass"
    passed = {check for check, status in directly.items() if status == "SUCCESS"}
    assert len(passed) >= PASSED_MIN[revision], "the suite has not run"
    lost = {check: through.get(check) for check in passed if through.get(check) != "SUCCESS"}
    assert {check: status for check, status in lost.items() if check not in LOST[revision]} == {}
    assert not [check for check in LOST[revision] if check not in lost], "a reason that does not hold any more"
    assert fallen(through) == {}, "fails through the gateway alone"


def fallen(found: dict[Check, str]) -> dict[Check, str]:
    """What failed, or was warned of."""
    return {check: status for check, status in found.items() if status in ("FAILURE", "WARNING")}
