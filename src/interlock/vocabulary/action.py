"""An Action: what is about to happen, normalised, on either plane (spec/action.md).

Values and their JSON, nothing else: whether paths are clean and numbers in range is checked by the engine, which every
Action meets.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias, cast

from interlock.vocabulary.reading import Fields, Json, Malformed, base64_or_text, bytes_of
from interlock.vocabulary.verb import FILE_VERBS, GATEWAY_VERBS, HOST_VERBS, NET_VERBS

__all__ = [
    "Action",
    "ExecTarget",
    "FileTarget",
    "Inode",
    "NetTarget",
    "PairTarget",
    "Plane",
    "Process",
    "ProcessTarget",
    "Side",
    "SignalTarget",
    "Subject",
    "Target",
    "ToolTarget",
    "UnixAbstractTarget",
    "UnixPathTarget",
    "action_from_json",
    "action_to_json",
    "target_from_json",
    "target_to_json",
]

Plane: TypeAlias = Literal["host", "gateway"]
Side: TypeAlias = Literal["inside", "outside"]


@dataclass(frozen=True, slots=True)
class Inode:
    """A file object's identity on this machine."""

    device: int
    number: int


@dataclass(frozen=True, slots=True)
class FileTarget:
    """One file by its name, its other names through other mounts, and its object if it exists."""

    path: bytes
    aliases: tuple[bytes, ...] = ()
    inode: Inode | None = None


@dataclass(frozen=True, slots=True)
class PairTarget:
    """`file.rename`, `file.link`: source and destination."""

    source: FileTarget
    to: FileTarget
    exchange: bool = False


@dataclass(frozen=True, slots=True)
class ExecTarget:
    """`process.exec`: the program, its argument vector, and where it runs."""

    program: FileTarget
    arguments: tuple[bytes, ...]
    directory: bytes


@dataclass(frozen=True, slots=True)
class SignalTarget:
    """`process.signal`"""

    to: Side
    signal: int
    process: int


@dataclass(frozen=True, slots=True)
class ProcessTarget:
    """`process.ptrace`"""

    to: Side
    process: int


@dataclass(frozen=True, slots=True)
class NetTarget:
    """`net.*`: the address is a literal."""

    protocol: Literal["tcp", "udp"]
    address: str
    port: int
    to: Side


@dataclass(frozen=True, slots=True)
class UnixPathTarget:
    """`unix.connect` to a path."""

    path: bytes
    to: Side
    aliases: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class UnixAbstractTarget:
    """`unix.connect` to an abstract name."""

    abstract: bytes
    to: Side


@dataclass(frozen=True, slots=True)
class ToolTarget:
    """The gateway's verbs. `arguments` is not to be changed once here."""

    connector: str
    tool: str
    operation: str
    arguments: dict[str, Json]
    definition: str | None = None


Target: TypeAlias = (
    FileTarget
    | PairTarget
    | ExecTarget
    | SignalTarget
    | ProcessTarget
    | NetTarget
    | UnixPathTarget
    | UnixAbstractTarget
    | ToolTarget
)


@dataclass(frozen=True, slots=True)
class Process:
    """The process that acts."""

    id: int
    program: bytes | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """Who acts, as far as it is known."""

    agent: str | None = None
    session: str | None = None
    task: str | None = None
    process: Process | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """What is about to happen. `id` is the action's own; `nonce` tells one question from the next."""

    id: str
    plane: Plane
    verb: str
    target: Target
    subject: Subject = field(default_factory=Subject)
    nonce: str | None = None


def action_from_json(value: Json) -> Action:
    """Reads an Action strictly.

    Raises:
        Malformed: a key is missing, unknown or of the wrong type, or the target is not of the verb's shape.
    """
    fields = Fields(value, "an action")
    verb = fields.text("verb")
    action = Action(
        id=fields.text("id"),
        plane=fields.one("plane", _plane),
        verb=verb,
        target=target_from_json(verb, fields.value("target")),
        subject=fields.optional("subject", _subject) or Subject(),
        nonce=fields.optional_text("nonce"),
    )
    fields.end()
    if verb not in (HOST_VERBS if action.plane == "host" else GATEWAY_VERBS):
        raise Malformed(f"`{verb}` is not a verb of the {action.plane} plane")
    return action


def action_to_json(action: Action) -> dict[str, Json]:
    """The Action as the JSON of spec/action.md."""
    value: dict[str, Json] = {
        "id": action.id,
        "plane": action.plane,
        "verb": action.verb,
        "target": target_to_json(action.target),
        "subject": _present(
            agent=action.subject.agent,
            session=action.subject.session,
            task=action.subject.task,
            process=_process_json(action.subject.process),
        ),
    }
    return value | _present(nonce=action.nonce)


def target_from_json(verb: str, value: Json) -> Target:
    """Reads the target of an act with this verb. Raises `Malformed`."""
    fields = Fields(value, f"the target of `{verb}`")
    target = _target(verb, fields)
    fields.end()
    return target


def _target(verb: str, fields: Fields) -> Target:
    match verb:
        case "file.rename" | "file.link":
            return PairTarget(_file(fields), fields.one("to", _end), fields.claim("exchange", default=False))
        case "process.exec":
            return ExecTarget(_file(fields), fields.each("arguments", bytes_of), fields.one("directory", bytes_of))
        case "process.signal":
            return SignalTarget(fields.one("to", _side), fields.integer("signal"), fields.integer("process"))
        case "process.ptrace":
            return ProcessTarget(fields.one("to", _side), fields.integer("process"))
        case "unix.connect" if fields.has("abstract"):
            return UnixAbstractTarget(fields.one("abstract", bytes_of), fields.one("to", _side))
        case "unix.connect":
            aliases = fields.each("aliases", bytes_of, required=False)
            return UnixPathTarget(fields.one("path", bytes_of), fields.one("to", _side), aliases)
        case _ if verb in NET_VERBS:
            return _net(fields)
        case _ if verb in GATEWAY_VERBS:
            return _tool(fields)
        case _ if verb in FILE_VERBS:
            return _file(fields)
    raise Malformed(f"`{verb}` is no verb")


def target_to_json(target: Target) -> dict[str, Json]:
    """The target as JSON; what is empty or unknown is left out."""
    match target:
        case FileTarget():
            return _file_json(target)
        case PairTarget():
            exchange: dict[str, Json] = {"exchange": True} if target.exchange else {}
            return _file_json(target.source) | {"to": _file_json(target.to)} | exchange
        case ExecTarget():
            arguments: list[Json] = [base64_or_text(argument) for argument in target.arguments]
            return _file_json(target.program) | {"arguments": arguments, "directory": base64_or_text(target.directory)}
        case SignalTarget():
            return {"to": target.to, "signal": target.signal, "process": target.process}
        case ProcessTarget():
            return {"to": target.to, "process": target.process}
        case NetTarget():
            return {"protocol": target.protocol, "address": target.address, "port": target.port, "to": target.to}
        case UnixPathTarget():
            return _file_json(FileTarget(target.path, target.aliases)) | {"to": target.to}
        case UnixAbstractTarget():
            return {"abstract": base64_or_text(target.abstract), "to": target.to}
        case ToolTarget():
            value: dict[str, Json] = {"connector": target.connector, "tool": target.tool, "operation": target.operation}
            return value | {"arguments": target.arguments} | _present(definition=target.definition)


def _net(fields: Fields) -> NetTarget:
    protocol = fields.text("protocol")
    if protocol not in ("tcp", "udp"):
        raise Malformed(f"`{protocol}` is no protocol")
    return NetTarget(
        cast(Literal["tcp", "udp"], protocol), fields.text("address"), fields.integer("port"), fields.one("to", _side)
    )


def _tool(fields: Fields) -> ToolTarget:
    arguments = fields.value("arguments")
    if not isinstance(arguments, dict):
        raise Malformed("`arguments` of a tool call is not an object")
    definition = fields.optional_text("definition")
    return ToolTarget(fields.text("connector"), fields.text("tool"), fields.text("operation"), arguments, definition)


def _end(value: Json) -> FileTarget:
    fields = Fields(value, "`to`")
    end = _file(fields)
    fields.end()
    return end


def _file(fields: Fields) -> FileTarget:
    aliases = fields.each("aliases", bytes_of, required=False)
    return FileTarget(fields.one("path", bytes_of), aliases, fields.optional("inode", _inode))


def _inode(value: Json) -> Inode:
    fields = Fields(value, "an inode")
    inode = Inode(fields.integer("device"), fields.integer("number"))
    fields.end()
    return inode


def _subject(value: Json) -> Subject:
    fields = Fields(value, "a subject")
    subject = Subject(
        fields.optional_text("agent"),
        fields.optional_text("session"),
        fields.optional_text("task"),
        fields.optional("process", _process),
    )
    fields.end()
    return subject


def _process(value: Json) -> Process:
    fields = Fields(value, "a process")
    process = Process(fields.integer("id"), fields.optional("program", bytes_of))
    fields.end()
    return process


def _plane(value: Json) -> Plane:
    if value not in ("host", "gateway"):
        raise Malformed(f"`{value}` is no plane")
    return cast(Plane, value)


def _side(value: Json) -> Side:
    if value not in ("inside", "outside"):
        raise Malformed(f"`{value}` is neither `inside` nor `outside`")
    return cast(Side, value)


def _file_json(end: FileTarget) -> dict[str, Json]:
    value: dict[str, Json] = {"path": base64_or_text(end.path)}
    if end.aliases:
        value["aliases"] = [base64_or_text(alias) for alias in end.aliases]
    if end.inode is not None:
        value["inode"] = {"device": end.inode.device, "number": end.inode.number}
    return value


def _process_json(process: Process | None) -> Json:
    if process is None:
        return None
    program = None if process.program is None else base64_or_text(process.program)
    return {"id": process.id} | _present(program=program)


def _present(**values: Json) -> dict[str, Json]:
    return {key: value for key, value in values.items() if value is not None}
