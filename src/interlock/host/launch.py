"""The `launch` message of `spec/supervisor.md`, built from values; and what of the environment reaches the jail."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple, NotRequired, TypedDict

from interlock.vocabulary.enforcement import written

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from interlock.policy.compiled_form import CompiledPolicy
    from interlock.vocabulary.enforcement import Enforcement
    from interlock.vocabulary.json_value import JsonObject

#: What becomes 0, 1 and 2 of the command; None is one that it is to find closed.
Stdio = tuple[int | None, int | None, int | None]
#: Interlock's own variables: those of the outside never reach the jail, those of `spec/home.md` are set anew.
_OWN_PREFIX: Final = "INTERLOCK_"


class GatewayAt(TypedDict):
    """The gateway's socket for what attests who is asking, and where it listens if the session is to call it."""

    address: NotRequired[str]
    port: NotRequired[int]
    socket: str


class Journal(TypedDict):
    """Where what was there before is kept, and how many bytes of it; patterns of what is not kept (never of what lies
    in the workspace), and of what has half of the room.
    """

    folder: str
    bytes: int
    workspace: str
    exempt: Sequence[str]
    derived: Sequence[str]


class Launch(NamedTuple):
    """Everything a session starts from. Fields as in the message of the same names; `short` is the state of each rule
    that this machine does not enforce fully; `private_places` are places, and the names in each that are kept.
    """

    session: str
    command: Sequence[str]
    program: str
    environment: Mapping[str, str]
    directory: str
    workspace: str
    home: str
    policy: CompiledPolicy
    human: str
    stdio: Stdio
    terminal: bool
    runtime: str
    ledger: Mapping[str, str]
    end: str
    agent: Mapping[str, str] | None = None
    parent: Mapping[str, str] | None = None
    prompt: str | None = None
    gateway: GatewayAt | None = None
    runs_later: JsonObject | None = None
    repository: tuple[str, str, Sequence[str]] | None = None
    submodules: Sequence[tuple[str, tuple[str, str, Sequence[str]]]] = ()
    sources: Sequence[Mapping[str, str]] = ()
    own_layers: Mapping[str, str] | None = None
    short: Mapping[str, Enforcement] = MappingProxyType({})
    private_places: Sequence[tuple[str, Sequence[str]]] = ()
    journal: Journal | None = None
    keys: Mapping[str, str] | None = None

    def message(self) -> JsonObject:
        """As it crosses the wire."""
        return {
            "type": "launch",
            "session": self.session,
            "command": [text(word) for word in self.command],
            "program": text(self.program),
            "environment": {name: text(value) for name, value in self.environment.items() if _is_utf8(name)},
            "directory": text(self.directory),
            "workspace": text(self.workspace),
            "home": text(self.home),
            "policy": self.policy,
            "agent": self.agent,
            "parent": self.parent,
            "human": self.human,
            "prompt": self.prompt,
            "stdio": list(self.stdio),
            "terminal": self.terminal,
            "runtime": text(self.runtime),
            "ledger": {name: text(path) for name, path in self.ledger.items()},
            "gateway": self.gateway,
            "end": self.end,
            "runs_later": self.runs_later or {"kinds": [], "calm": []},
            "repository": None if self.repository is None else _repository(self.repository),
            "submodules": [[text(top), _repository(repository)] for top, repository in self.submodules],
            "sources": list(self.sources),
            "own_layers": {name: text(path) for name, path in (self.own_layers or {}).items()},
            "private_places": [
                {"path": text(place), "kept": [text(name) for name in kept]} for place, kept in self.private_places
            ],
            "journal": None if self.journal is None else _journal(self.journal),
            "keys": None if self.keys is None else {name: text(path) for name, path in self.keys.items()},
            "short": {rule: written(state) for rule, state in self.short.items()},
        }


def _journal(journal: Journal) -> JsonObject:
    return {
        "folder": text(journal["folder"]),
        "bytes": journal["bytes"],
        "workspace": text(journal["workspace"]),
        "exempt": [text(each) for each in journal["exempt"]],
        "derived": [text(each) for each in journal["derived"]],
    }


def _repository(repository: tuple[str, str, Sequence[str]]) -> JsonObject:
    git, common, objects = repository
    return {"git": text(git), "common": text(common), "objects": [text(directory) for directory in objects]}


def jail_environment(
    outside: Mapping[str, str], *, session: str, inside: str, extra: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The environment of the command: the human's without Interlock's own variables, and the session's.

    Arguments: `inside` is the path of the session's `inside.sock`; `extra` what an agent's identity adds
    (`INTERLOCK_TOKEN`, …).
    """
    kept = {name: value for name, value in outside.items() if not name.startswith(_OWN_PREFIX)}
    return kept | {"INTERLOCK_SESSION": session, "INTERLOCK_INSIDE": inside} | dict(extra or {})


def text(value: str) -> str | dict[str, str]:
    """A path, argument or value as `spec/action.md` writes it: a string where its bytes are UTF-8, else base64 of
    the bytes.
    """
    if _is_utf8(value):
        return value
    import base64  # here, since nearly every text is UTF-8 and every start would pay

    return {"base64": base64.b64encode(value.encode("utf-8", "surrogateescape")).decode("ascii")}


def _is_utf8(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
