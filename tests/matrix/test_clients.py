"""Each client through the gateway, with every server behind one endpoint: lists, calls, and what else may come of a call."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.matrix import known
from tests.matrix.clients import CLIENTS, QUICK_CLIENTS, Client, Errand, Seen
from tests.matrix.packages import NotInstalled, installed
from tests.matrix.servers import QUICK_SERVERS, SERVERS, Server
from tests.matrix.stage import MatrixStage
from tests.matrix.table import NotAsked, Table, reason

#: What is called after the servers of the table, in this order.
ACTS = [("say", "hello"), ("say", "my password"), ("ask_first", "may I"), ("die", "now"), ("say", "again"), ("steps", "on")]


def furnished(stage: MatrixStage, servers: list[Server]) -> dict[str, str]:
    """Every server that can be had behind one gateway; of the others, why not."""
    missing = {}
    for server in servers:
        try:
            installed(server.environment)
            stage.add(server)
            stage.run("connector", "test", server.name)
        except (NotInstalled, AssertionError) as why:
            missing[server.name] = known.SERVERS.get((server.name, "started")) or reason(why)
            with contextlib.suppress(AssertionError):
                stage.run("connector", "remove", server.name)
    stage.add_stagehand()
    stage.serve()
    stage.tools()
    return missing


@pytest.fixture(scope="module")
def quick() -> Iterator[tuple[MatrixStage, dict[str, str]]]:
    stage = MatrixStage()
    yield stage, furnished(stage, QUICK_SERVERS)
    stage.close()


@pytest.fixture(scope="module")
def whole() -> Iterator[tuple[MatrixStage, dict[str, str]]]:
    stage = MatrixStage()
    yield stage, furnished(stage, [*QUICK_SERVERS, *SERVERS])
    stage.close()


def played(stage: MatrixStage, client: Client, servers: list[Server]) -> Seen:
    calls = [(f"{server.name}__{server.tool}", server.arguments(stage.place(server.name))) for server in servers]
    calls += [(f"stagehand__{tool}", {"text": text}) for tool, text in ACTS]
    home = stage.root / f"home-{CLIENTS.index(client) if client in CLIENTS else 'quick'}"
    with stage.human():
        return client.play(Errand(f"{stage.url}/mcp", stage.token, calls, home))


def crossed(seen: Seen, label: str, servers: list[Server], missing: dict[str, str], table: Table) -> None:
    for server in servers:
        with table.trying(label, server.name):
            if server.name in missing:
                raise NotAsked(f"{server.name}: {missing[server.name]}")
            answer = seen.answers[[each.name for each in servers if each.name not in missing].index(server.name)]
            assert server.says in answer.text and not answer.error, answer.text


def tried(seen: Seen, label: str, servers: list[Server], table: Table) -> None:
    said, denied, asked, died, again, steps = seen.answers[-len(ACTS) :]
    with table.trying(label, "lists"):
        absent = [server.name for server in servers if not any(server.tool in name for name in seen.tools)]
        assert not absent and any("stagehand" in name for name in seen.tools), f"{absent} in {seen.tools}"
    with table.trying(label, "denied"):
        assert said.text.endswith("say: hello") and denied.error is not False, said.text
        assert "matrix/passwords" in denied.text, denied.text
    with table.trying(label, "asked"):
        assert "ask_first: may I" in asked.text and not asked.error, asked.text
    with table.trying(label, "killed"):
        assert died.error is not False and "is unknown" in died.text, died.text
    with table.trying(label, "mended"):
        assert "say: again" in again.text and not again.error, again.text
    with table.trying(label, "progress"):
        if seen.steps is None:
            raise NotAsked("this client has no way to show progress")
        assert "steps: on" in steps.text and seen.steps[-3:] == [0, 1, 2], f"{steps.text} {seen.steps}"


def play(stage: MatrixStage, missing: dict[str, str], client: Client, tables: dict[str, Table], servers: list[Server]) -> None:
    try:
        client.install()
    except NotInstalled as why:
        for name in ("crossing", "clients"):
            tables[name].not_installed(client.label, str(why))
        pytest.skip(f"not installed here: {why}; expected on a machine with the registries of npm and PyPI")
    there = [server for server in servers if server.name not in missing]
    try:
        seen = played(stage, client, there)
        assert len(seen.answers) == len(there) + len(ACTS), f"{len(seen.answers)} answers; the last: {seen.answers[-1:]}"
    except Exception as why:
        for name in ("crossing", "clients"):
            for column in tables[name].columns:
                tables[name].mark(client.label, column, "✗", reason(why))
        raise
    crossed(seen, client.label, servers, missing, tables["crossing"])
    tried(seen, client.label, there, tables["clients"])
    faults = [fault for name in ("crossing", "clients") for fault in tables[name].faults(client.label, client.name)]
    assert not faults, "\n".join([*faults, stage.said.read_text()[-2_000:]])


@pytest.mark.parametrize("client", QUICK_CLIENTS, ids=lambda client: client.name)
def test_a_client_of_the_sdk_that_the_tests_have(
    quick: tuple[MatrixStage, dict[str, str]], tables: dict[str, Table], client: Client
) -> None:
    play(*quick, client, tables, QUICK_SERVERS)


@pytest.mark.matrix
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_a_client(whole: tuple[MatrixStage, dict[str, str]], tables: dict[str, Table], client: Client) -> None:
    play(*whole, client, tables, [*QUICK_SERVERS, *SERVERS])
