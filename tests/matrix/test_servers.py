"""Each server behind the gateway: started, listed, called, killed, restarted, slow, lying."""

from __future__ import annotations

import concurrent.futures
import signal
import time
from collections.abc import Iterator

import pytest

from tests.matrix.packages import NotInstalled, installed
from tests.matrix.servers import QUICK_SERVERS, SERVERS, Server
from tests.matrix.stage import SHORT_TIMEOUT_S, MatrixStage
from tests.matrix.table import NotAsked, Table

#: Beside the timeout of a call: what a machine with other work may need.
SLACK_S = 15
#: What is said of the effect where a server lies: under another's id, nobody knows; in a form that is not a result's, it answered all the same.
LIES = {"other-id": "unknown", "wrong-result": "done"}


@pytest.fixture
def stage() -> Iterator[MatrixStage]:
    stage = MatrixStage()
    yield stage
    stage.close()


def called(stage: MatrixStage, server: Server, connector: str = "") -> None:
    """The call of the row, answered as it should be."""
    text, effect = stage.call(f"{connector or server.name}__{server.tool}", server.arguments(stage.place(server.name)))
    assert effect is None and server.says in text, text


def failed(stage: MatrixStage, server: Server, connector: str, told: str) -> None:
    """The call of the row, which ends in time with this said of its effect."""
    begun = time.monotonic()
    text, effect = stage.call(f"{connector}__{server.tool}", server.arguments(stage.place(server.name)))
    assert effect == told, text
    assert time.monotonic() - begun < SHORT_TIMEOUT_S + SLACK_S


def killed(stage: MatrixStage, server: Server) -> None:
    """In the middle of a call, and the next one works."""
    stage.send(server, signal.SIGSTOP)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        call = pool.submit(stage.call, f"{server.name}__{server.tool}", server.arguments(stage.place(server.name)))
        time.sleep(1.0)
        assert not call.done(), "the call did not wait for the server"
        stage.send(server, signal.SIGKILL)
        text, effect = call.result(60)
    assert effect == "unknown", text
    if server.transport != "stdio":
        text, effect = stage.call(f"{server.name}__{server.tool}", server.arguments(stage.place(server.name)))
        assert effect == "not sent", text
        stage.start(server)
    called_after_a_pause(stage, server)


def called_after_a_pause(stage: MatrixStage, server: Server) -> None:
    """A server that was lost is started again at the next call; one elsewhere after a pause that grows with each failure."""
    until = time.monotonic() + (SLACK_S if server.transport != "stdio" else 0)
    while True:
        try:
            return called(stage, server)
        except AssertionError:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)


def restarted(stage: MatrixStage, server: Server) -> None:
    if server.transport == "stdio":
        stage.serve_again()
    else:
        stage.send(server, signal.SIGKILL)
        stage.start(server)
    called_after_a_pause(stage, server)


def row(stage: MatrixStage, server: Server, table: Table) -> None:
    tried, label = table.trying, server.label
    with tried(label, "started"):
        stage.add(server)
        said = stage.run("connector", "test", server.name)
        assert server.tool in said, said
        between = stage.add_between(server)
        stage.serve()
    if table.rows[label]["started"][0] != "✓":
        for column in table.columns[1:]:
            with tried(label, column):
                raise NotAsked("it was not started")
        return
    with tried(label, "listed"):
        assert f"{server.name}__{server.tool}" in stage.tools()
    with tried(label, "called"):
        called(stage, server)
    with tried(label, "killed"):
        killed(stage, server)
    with tried(label, "restarted"):
        restarted(stage, server)
    with tried(label, "slow"):
        called(stage, server, between)
        with stage.mood(server, "slow"):
            failed(stage, server, between, "unknown")
        called(stage, server, between)
    with tried(label, "lying"):
        for lie, told in LIES.items():
            with stage.mood(server, lie):
                failed(stage, server, between, told)
            called(stage, server, between)


def play(stage: MatrixStage, server: Server, table: Table) -> None:
    try:
        installed(server.environment)
    except NotInstalled as why:
        table.not_installed(server.label, str(why))
        pytest.skip(f"not installed here: {why}; expected on a machine with the registries of npm, PyPI and Go")
    row(stage, server, table)
    faults = table.faults(server.label, server.name)
    assert not faults, "\n".join([*faults, stage.said.read_text()[-2_000:] if stage.said.exists() else ""])


@pytest.mark.parametrize("server", QUICK_SERVERS, ids=lambda server: server.name)
def test_a_server_of_the_sdk_that_the_tests_have(stage: MatrixStage, tables: dict[str, Table], server: Server) -> None:
    play(stage, server, tables["servers"])


@pytest.mark.matrix
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.name)
def test_a_server(stage: MatrixStage, tables: dict[str, Table], server: Server) -> None:
    play(stage, server, tables["servers"])
