"""Where the running gateway is, and how it stands with its servers: two files in the runtime directory, written by the
gateway and believed only while the process that wrote them lives.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from typing import TYPE_CHECKING, Final, NamedTuple

from interlock.approvals.inbox import is_alive, process_identity
from interlock.vocabulary.errors import InterlockError
from interlock.vocabulary.json_text import JsonObject, is_object

if TYPE_CHECKING:
    from collections.abc import Callable

    from interlock.storage.home import Home

#: How often the gateway looks whether anything changed with its servers, in seconds.
LOOK_S: Final = 0.5
FILE_BYTES_MAX: Final = 4 * 1024 * 1024


class ServerStanding(NamedTuple):
    """How the gateway stands with one server for one agent: `running`, `starting` or `not running`, what is wrong in
    Interlock's words, what the server wrote itself, what its policy refused it last, and what it lists and nobody is
    shown."""

    connector: str
    agent: str
    state: str
    faults: list[str]
    detail: str | None
    denied: list[str]
    left_out: list[str]


def announce(home: Home, url: str) -> None:
    """Say where this process serves."""
    _write(_place(home), {"url": url, "process": process_identity(os.getpid())})


def withdraw(home: Home) -> None:
    """This process serves no longer."""
    for path in (_place(home), _standings(home)):
        if os.path.lexists(path):
            os.unlink(path)


def running(home: Home) -> str | None:
    """The URL of the gateway that runs for this home; None when none does."""
    said = _read(_place(home), home)
    url = said.get("url")
    return url if isinstance(url, str) and is_alive(str(said.get("process"))) else None


def standings(home: Home) -> list[ServerStanding]:
    """What the running gateway says of its servers; nothing where none runs, or no agent has asked for one yet."""
    if running(home) is None:
        return []
    told = _read(_standings(home), home).get("servers")
    return [_standing(each) for each in told if is_object(each)] if isinstance(told, list) else []


async def keep_told(
    home: Home, look: Callable[[], list[ServerStanding]], tell: Callable[[list[ServerStanding]], None]
) -> None:
    """Write down how it stands with each server, and `tell` it, whenever that changes, until cancelled."""
    last: list[ServerStanding] | None = None
    while True:
        now = look()
        if now != last:
            with contextlib.suppress(OSError):  # a full disk: what is wrong is told again when it changes again
                _write(_standings(home), {"servers": [each._asdict() for each in now]})
            tell(now)
            last = now
        await asyncio.sleep(LOOK_S)


def _place(home: Home) -> str:
    return f"{home.runtime}/gateway.json"


def _standings(home: Home) -> str:
    return f"{home.runtime}/gateway-servers.json"


def _write(path: str, value: JsonObject) -> None:
    beside = f"{path}.{os.getpid()}.new"
    descriptor = os.open(beside, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(value, file)
    os.replace(beside, path)


def _read(path: str, home: Home) -> JsonObject:
    try:
        home.check_file(path)
        with open(path, "rb") as file:
            value = json.loads(file.read(FILE_BYTES_MAX))
    except (OSError, ValueError, InterlockError):
        return {}  # not there, or not what a gateway writes: then none is known to run
    return value if is_object(value) else {}


def _standing(each: JsonObject) -> ServerStanding:
    detail = each.get("detail")
    return ServerStanding(
        connector=str(each.get("connector")),
        agent=str(each.get("agent")),
        state=str(each.get("state")),
        faults=_texts(each.get("faults")),
        detail=str(detail) if detail is not None else None,
        denied=_texts(each.get("denied")),
        left_out=_texts(each.get("left_out")),
    )


def _texts(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []
