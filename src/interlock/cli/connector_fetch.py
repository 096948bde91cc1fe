"""Packages of connectors, for a person: the yes before one is fetched, and fetching it anew (`connector update`)."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from interlock.app.package_command import PackageWanted, wanted_of
from interlock.app.package_fetch import fetch, fetching
from interlock.cli.connector_document import ConnectorWanted, keep
from interlock.connectors.configuration import Connector, Stdio
from interlock.connectors.package import Package
from interlock.storage.home import Home
from interlock.vocabulary.errors import OperatorError
from interlock.vocabulary.printable import printable

_REGISTRIES: Final = {"npm": "npm", "pypi": "PyPI"}


@contextlib.contextmanager
def with_package(name: str, wanted: ConnectorWanted, home: Home, *, yes: bool) -> Iterator[ConnectorWanted]:
    """What is to be kept of a connector: where its command fetches a package, that is fetched now, after a `yes`, and
    the command is the program that came. A command with a layer of its own is left as it is: it may have a network.
    """
    found = wanted_of(wanted.command) if wanted.command and not wanted.policies else None
    if found is None:
        yield wanted
        return
    _agreed(found, yes=yes)
    with fetching(home):
        fetched = fetch(home, name, found)
        yield dataclasses.replace(wanted, command=fetched.command, package=fetched.package)


def update(connector: Connector, home: Home, *, yes: bool) -> int:
    """Fetch a connector's package anew, and let its file name what came. Everything else in the file stays."""
    server = connector.server
    if not isinstance(server, Stdio) or server.package is None:
        raise OperatorError(f"connector `{connector.name}` has no package that was fetched")
    old, file = server.package, Path(home.connectors, f"{connector.name}.yaml")
    program = next(word for word in server.command if word.startswith(f"{old.folder}/")).rpartition("/")[2]
    found = PackageWanted(old.source, old.asked, _name(old), program, ())
    _agreed(found, yes=yes)
    with fetching(home):
        new = fetch(home, connector.name, found).package
        text = file.read_text(encoding="utf-8")
        versions = [f'"version": "{each.version}"' for each in (old, new)]
        for before, after in ((old.folder, new.folder), (old.digest, new.digest), versions):
            text = text.replace(before, after)
        keep(connector.name, text, home.connectors, replace=True)
    print(f"updated `{connector.name}`: {told(old)} is now {told(new)}")
    print("  a running gateway keeps the old one until it is started again")
    return 0


def told(package: Package) -> str:
    """A package in a few words."""
    return printable(f"{package.asked} {package.version} ({package.digest[:19]}…)")


def _name(package: Package) -> str:
    command = {"npm": "npx", "pypi": "uvx"}[package.source]
    found = wanted_of((command, package.asked))
    assert found is not None
    return found.name


def _agreed(wanted: PackageWanted, *, yes: bool) -> None:
    """Raises `OperatorError` without a yes."""
    what = f"`{printable(wanted.asked)}` from {_REGISTRIES[wanted.source]}"
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise OperatorError(f"this command fetches {what}", hint="--fetch says yes: it is fetched once, now")
    print(f"This command fetches {what}. It is fetched once, now, in a session of its own; no script of it")
    print("runs then. Later it runs from what was fetched, without network.")
    if input("Fetch it? [y/N] ").strip().lower() not in ("y", "yes"):
        raise OperatorError("nothing was fetched, and the connector was not added")
