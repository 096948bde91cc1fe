"""`interlock connector changes` and `approve`: what servers list and nobody has approved, and a person's yes to it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from interlock.vocabulary.errors import OperatorError
from interlock.vocabulary.printable import printable

if TYPE_CHECKING:
    import argparse

    from interlock.app.gateway_definitions import Change
    from interlock.storage.home import Home

_CHANGES = "what servers list and nobody has approved: what differs from what was taken, and under which id it waits"
_APPROVE = "take what waits, in the place of what was taken before"


def configure(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """changes, approve."""
    showing = actions.add_parser("changes", help="definitions that wait for a person", description=_CHANGES)
    showing.add_argument("name", nargs="?", help="of this connector only")
    showing.add_argument("--json", action="store_true", help="one JSON object a line")
    approving = actions.add_parser("approve", help="take a definition that waits", description=_APPROVE)
    approving.add_argument("name", help="the connector, as `changes` names it")
    approving.add_argument("id", nargs="*", help="of a definition, as `changes` shows it, or its beginning")
    approving.add_argument("--all", action="store_true", dest="every", help="everything that waits of it now")
    approving.add_argument("--beside", action="store_true", help="what was taken before stays good as well")


def show(name: str | None, home: Home, *, as_json: bool) -> int:
    """What waits."""
    from interlock.app.gateway_definitions import changes

    found = changes(home, name)
    if as_json:
        for each in found:
            print(json.dumps(each._asdict()))
        return 0
    if not found:
        print("no definition waits for a person")
    for each in found:
        print(f"{_named(each)}: {printable(each.why)}")
        for line in each.difference:
            print(f"    {line}")
        print(f"  approve it: interlock connector approve {printable(each.connector)} {each.id}")
    return 0


def approve(arguments: argparse.Namespace, home: Home) -> int:
    """Take what is named."""
    from interlock.app.gateway_definitions import approve as taken

    if bool(arguments.id) == arguments.every:
        raise OperatorError("name the ids of what you looked at, or `--all`", hint="see: interlock connector changes")
    found = taken(home, arguments.name, arguments.id, every=arguments.every, beside=arguments.beside)
    for each in found:
        print(f"approved: {_named(each)}")
    if not found:
        print(f"no definition of `{printable(arguments.name)}` waits")
    return 0


def _named(each: Change) -> str:
    return f"{each.id}  {printable(each.connector)}, {each.kind}: `{printable(each.name, 64)}`"
