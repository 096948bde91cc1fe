"""What an Action is about, read off its JSON (spec/action.md) into one small value for each kind of target.
Reading only.

The Action itself stays the JSON object that the engine decides on and the ledger keeps. Named tuples, since words
about acts are needed while `interlock run` starts, where each import counts.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from interlock.vocabulary.json_value import JsonObject
from interlock.vocabulary.printable import dotted, text_of


class ProgramTarget(NamedTuple):
    """A program to be run. `arguments` begin with its own name."""

    path: str
    arguments: tuple[str, ...]
    directory: str | None


class KeyChange(NamedTuple):
    """A key of a structured file by its dotted names, none of which can be taken for two, and the value that it would
    have; none where it would be gone."""

    key: str
    value: str | None


class FileTarget(NamedTuple):
    """A file or folder by its resolved name; `to` where it goes by another one, `aliases` what it is called besides,
    `changes` the guarded keys that would change there."""

    path: str
    to: str | None
    aliases: tuple[str, ...]
    changes: tuple[KeyChange, ...] = ()


class NetTarget(NamedTuple):
    """An address of the network, and the name that led there if one did."""

    address: str
    port: str
    protocol: str
    host: str | None = None


#: What a session answers for names that are not asked for outside: the connect then says which name it was.
_STANDS_FOR_NAMES: Final = "198.19."


def stands_for_a_name(address: str) -> bool:
    """Whether an address that a name led to is a session's own word for that name (docs/adr/0036)."""
    return address.startswith(_STANDS_FOR_NAMES)


class SocketTarget(NamedTuple):
    """A socket with an abstract name."""

    name: str


class ProcessTarget(NamedTuple):
    """Another process; `signal` where one is sent, `to` whether it is inside the session."""

    process: str
    signal: str | None
    to: str


class ToolTarget(NamedTuple):
    """A tool, resource or prompt of a connector."""

    connector: str
    name: str
    operation: str
    arguments: JsonObject | None
    beside: JsonObject | None = None


class KeyTarget(NamedTuple):
    """A key by its fingerprint, and what would be signed with it: a login as somebody at a host, where the request is
    bound to one. `connected` is what whoever asks is connected to."""

    key: str
    purpose: str
    user: str | None
    host: str | None
    port: str
    connected: tuple[str, ...]


class CallTarget(NamedTuple):
    """A system call that nothing more is known of."""

    call: str


Target = ProgramTarget | FileTarget | NetTarget | SocketTarget | ProcessTarget | ToolTarget | KeyTarget | CallTarget


def verb_of(action: object) -> str:
    """The verb, as it stands there."""
    return str(action.get("verb")) if isinstance(action, dict) else ""


def target_of(action: object) -> Target | None:
    """What the Action is about; none where it does not say, or in no way known here."""
    target = action.get("target") if isinstance(action, dict) else None
    if not isinstance(target, dict):
        return None
    if "connector" in target:
        arguments, beside = target.get("arguments"), target.get("beside")
        return ToolTarget(
            connector=str(target["connector"]),
            name=str(target.get("tool") or target.get("name") or ""),
            operation=str(target.get("operation") or ""),
            arguments=arguments if isinstance(arguments, dict) else None,
            beside=beside if isinstance(beside, dict) else None,
        )
    if "purpose" in target:
        return _key(target)
    if "address" in target:
        host = target.get("host")
        return NetTarget(
            str(target["address"]),
            str(target.get("port")),
            str(target.get("protocol")),
            host if isinstance(host, str) else None,
        )
    if "signal" in target or "process" in target:
        signal = str(target["signal"]) if "signal" in target else None
        return ProcessTarget(str(target.get("process")), signal, str(target.get("to")))
    if "call" in target:
        return CallTarget(str(target["call"]))
    if "abstract" in target:
        return SocketTarget(text_of(target["abstract"]))
    return _named(target) if "path" in target else None


def _key(target: JsonObject) -> KeyTarget:
    user, host, connected = target.get("user"), target.get("host"), target.get("connected")
    return KeyTarget(
        str(target.get("key")),
        str(target["purpose"]),
        user if isinstance(user, str) else None,
        host if isinstance(host, str) else None,
        str(target.get("port")),
        tuple(map(str, connected)) if isinstance(connected, list) else (),
    )


def _named(target: JsonObject) -> ProgramTarget | FileTarget:
    path, arguments, to = text_of(target["path"]), target.get("arguments"), target.get("to")
    if isinstance(arguments, list):
        directory = text_of(target["directory"]) if "directory" in target else None
        return ProgramTarget(path, tuple(text_of(word) for word in arguments), directory)
    aliases = target.get("aliases")
    return FileTarget(
        path,
        text_of(to.get("path")) if isinstance(to, dict) else None,
        tuple(text_of(alias) for alias in aliases) if isinstance(aliases, list) else (),
        tuple(change for end in (target, to) if isinstance(end, dict) for change in _changes(end.get("content"))),
    )


def _changes(content: object) -> list[KeyChange]:
    readings = content.get("read") if isinstance(content, dict) else None
    if not isinstance(readings, dict):
        return []
    found = []
    for kind, reading in readings.items():
        listed = reading.get("changes") if isinstance(reading, dict) else None
        for change in listed if isinstance(listed, list) else ():
            if isinstance(change, dict) and isinstance(change.get("key"), list):
                # Git's keys always have three parts, of which the second may be nothing.
                parts = [str(part) for part in change["key"] if part != "" or kind != "git"]
                value = change.get("to")
                found.append(KeyChange(dotted(parts), None if value is None else str(value)))
    return found
