"""Every kind of connector is one everywhere: in its file, in what is told of it, and in the command that adds it."""

from __future__ import annotations

import argparse

import pytest

from interlock.cli import connector as command
from interlock.connectors.configuration import KINDS, parse
from interlock.connectors.kind import kind_of

#: The keys that each kind needs, with a secret beside them.
SMALLEST = {
    "stdio": "stdio:\n  command: [/bin/cat]\n  environment: {TOKEN: s3cr3t-value}\n",
    "sql": "sql:\n  engine: sqlite\n  path: /srv/shop.db\n",
    "http": "http:\n  url: https://crm.example/mcp\n  headers: {Authorization: s3cr3t-value}\n",
}


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_is_called_alike_in_its_file_and_beside_it_and_shows_no_secret(name: str) -> None:
    connector = parse(f"interlock: 1\n{SMALLEST[name]}", name="one", file="one.yaml")
    kind = kind_of(connector)
    assert kind.name == name and list(connector.server.secrets) == ["s3cr3t-value"] * ("s3cr3t" in SMALLEST[name])
    assert "s3cr3t" not in f"{kind.shown} {kind.told} {connector}"


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_can_be_added(name: str) -> None:
    parser = argparse.ArgumentParser()
    command.configure(parser)
    (actions,) = (each for each in parser._actions if isinstance(each, argparse._SubParsersAction))
    assert f"--{name}" in actions.choices["add"].format_help()
