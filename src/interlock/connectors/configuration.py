"""`config/connectors/<name>.yaml`: what a connector is. Strict: an unknown key, a wrong type or a repeated key is an
error that names file, line and column. Read as policies are (`policy/document.py`): scalars are text, typed by their
field; anchors, aliases, tags and merge keys are refused. Left out: starting anything.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection
from collections.abc import Mapping as Map
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final, TypedDict, TypeVar
from urllib.parse import urlsplit

from interlock.connectors.package import Package
from interlock.policy.document import Mapping, Node, Sequence, Text, read_document
from interlock.policy.faults import Fault, Place
from interlock.vocabulary.errors import OperatorError

NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,31}", re.ASCII)
OPERATIONS: Final = ("read", "write", "delete", "export", "execute", "admin")
CLIENT_REQUESTS: Final = ("elicitation", "sampling", "roots")
#: What one process of a stdio server serves: all of an agent's calls, those of one of its sessions, or one call.
PER: Final = ("agent", "session", "call")
#: When what a server says of its tools is taken: as it is first seen, or once a person has approved it.
DEFINITIONS: Final = ("first-use", "approve")
#: Databases, and the tools that each has.
ENGINES: Final = ("sqlite",)
SQL_TOOLS: Final = ("query", "describe")
_PATTERN: Final = re.compile(r"[*?\[\]{}\\$~]|[\x00-\x1f]")
REVISIONS: Final = ("auto", "legacy", "modern")
HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
HEADER_VALUE: Final = re.compile(r"[\x20-\x7e\t]*", re.ASCII)
#: What the HTTP side sets itself: a connector that could set them could lie about what it sends.
OWN_HEADERS: Final = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "content-type", "accept", "mcp-session-id"}
    | {"mcp-protocol-version", "mcp-method", "mcp-name", "te", "upgrade", "trailer"}
)
DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
FILE_BYTES_MAX: Final = 256 * 1024
_DURATION: Final = re.compile(r"(\d{1,6})(ms|s|m)", re.ASCII)
_DURATION_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000}
_SIZE: Final = re.compile(r"(\d{1,6})(MiB|GiB)", re.ASCII)
_SIZE_BYTES: Final = {"MiB": 1024**2, "GiB": 1024**3}

Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a started server may have of the machine."""

    memory_bytes: int = 4 * 1024**3
    disk_bytes: int = 1024**3
    processes: int = 256


@dataclass(frozen=True, slots=True)
class Stdio:
    """A server to start: its command, the directories of its code (it may read them), its environment (it gets no
    other), its policies beside the preset `mcp-server`; `hidden` is what of its arguments nobody is shown; the
    `package` that it comes from, if it was fetched; `files` that it may change besides those of its workspace."""

    command: tuple[str, ...]
    environment: Map[str, str] = field(default_factory=dict, repr=False)
    policies: tuple[str, ...] = ()
    workspace: str | None = None
    code: tuple[str, ...] = ()
    hidden: tuple[str, ...] = field(default=(), repr=False)
    package: Package | None = None
    limits: Limits = Limits()
    files: tuple[str, ...] = ()

    #: Whether one that a first question may have upset can be had anew.
    starts_afresh: ClassVar[bool] = True
    #: Whether it says what a call would do, before that is decided.
    observes: ClassVar[bool] = False

    @property
    def secrets(self) -> Collection[str]:
        """What nobody is shown."""
        return (*self.environment.values(), *self.hidden)


@dataclass(frozen=True, slots=True)
class Http:
    """A server to reach: its URL and the headers that carry our credential for it (never shown)."""

    url: str
    headers: Map[str, str] = field(default_factory=dict, repr=False)

    starts_afresh: ClassVar[bool] = False
    observes: ClassVar[bool] = False

    @property
    def secrets(self) -> Collection[str]:
        """See `Stdio`."""
        return self.headers.values()


@dataclass(frozen=True, slots=True)
class Sql:
    """A database: the file that holds it, whether statements may change it, and how many rows an answer may have."""

    engine: str
    path: str
    writes: bool = False
    rows: int = 1_000

    starts_afresh: ClassVar[bool] = True
    observes: ClassVar[bool] = True

    @property
    def secrets(self) -> Collection[str]:
        """See `Stdio`."""
        return ()


#: A server of any kind. What else a kind brings with it stands in `kind.py`.
Server = Stdio | Http | Sql


@dataclass(frozen=True, slots=True)
class Connector:
    """One connector. Times in milliseconds."""

    name: str
    server: Server
    revision: str = "auto"
    concurrency: int = 1
    timeout_ms: int = 60_000
    start_timeout_ms: int = 30_000
    trust_annotations: bool = False
    operations: Map[str, str] = field(default_factory=dict)
    client_requests: tuple[str, ...] = ()
    per: str = "agent"
    definitions: str = "first-use"


def load(path: Path) -> Connector:
    """Read one file. Raises `OperatorError` with its place."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise OperatorError(f"cannot read `{path}`: {error.strerror}") from error
    if len(raw) > FILE_BYTES_MAX:
        raise OperatorError(f"`{path}` is larger than {FILE_BYTES_MAX} bytes")
    return parse(raw.decode("utf-8", "strict") if _is_utf8(raw) else _not_utf8(path), name=path.stem, file=str(path))


def parse(text: str, *, name: str, file: str) -> Connector:
    """Read the text of one connector file. Raises `OperatorError` with file, line and column."""
    if NAME.fullmatch(name) is None:
        raise OperatorError(
            f"`{name}` cannot name a connector", file=file, hint="a-z, 0-9, `-`; from a letter, at most 32"
        )
    faults: list[Fault] = []
    node = None if _is_blank(text) else read_document(text.encode(), file, faults)
    if faults:
        raise OperatorError(faults[0].message, **_where(faults[0].place), hint=faults[0].hint)
    if node is None:
        raise OperatorError("the file is empty", file=file, hint="interlock connector add writes one")
    return _Reader().connector(name, node)


def _is_blank(text: str) -> bool:
    return all(not line.strip() or line.lstrip().startswith("#") for line in text.splitlines())


def _where(place: Place) -> _Where:
    return {"file": place.file, "line": place.line, "column": place.column}


class _Where(TypedDict):
    file: str
    line: int
    column: int


class _Reader:
    """Typed reading of a document's nodes with their places."""

    def connector(self, name: str, node: Node) -> Connector:
        top = self._mapping(node, _TOP_KEYS)
        self._require(top, node, "interlock")
        self._choice(top["interlock"], ("1",))
        kinds = [key for key in KINDS if key in top]
        if len(kinds) != 1:
            either = " or ".join(f"`{key}`" for key in KINDS)
            raise self._error(node, f"a connector is either {either}", "give exactly one of them")
        return Connector(
            name=name,
            server=KINDS[kinds[0]](self, top[kinds[0]]),
            revision=self._optional(top, "revision", lambda each: self._choice(each, REVISIONS), "auto"),
            concurrency=self._optional(top, "concurrency", lambda each: self._number(each, 1, 64), 1),
            timeout_ms=self._optional(top, "timeout", self._duration, 60_000),
            start_timeout_ms=self._optional(top, "start_timeout", self._duration, 30_000),
            trust_annotations=self._optional(top, "trust_annotations", self._claim, False),
            operations=self._operations_of(top),
            per=self._per(top),
            definitions=self._optional(top, "definitions", lambda each: self._choice(each, DEFINITIONS), "first-use"),
            client_requests=self._optional(top, "client_requests", self._client_requests, ()),
        )

    def _operations_of(self, top: dict[str, Node]) -> Map[str, str]:
        """What each tool does. The tools of a database are listed where reading is possible; what a call does is read
        off its statement, and is nobody's word."""
        if "sql" not in top:
            return self._optional(top, "operations", self._operations, {})
        if "operations" in top:
            raise self._error(top["operations"], "`operations` is read off each statement", "leave it out")
        return dict.fromkeys(SQL_TOOLS, OPERATIONS[0])

    def _per(self, top: Map[str, Node]) -> str:
        """How long a process serves: a server that is reached is not ours to start anew."""
        per = self._optional(dict(top), "per", lambda each: self._choice(each, PER), PER[0])
        if per != PER[0] and "stdio" not in top:
            raise self._error(top["per"], f"`per: {per}` belongs to `stdio`", "leave it out")
        return per

    def stdio(self, node: Node) -> Stdio:
        keys = self._mapping(node, ("command", "code", "environment", "policies", "workspace", "package", "limits"))
        self._require(keys, node, "command")
        command = self._texts(keys["command"])
        if not command or not command[0]:
            raise self._error(keys["command"], "the command is empty", "a list: the program, then its arguments")
        return Stdio(
            command=command,
            environment=self._optional(keys, "environment", self._text_map, {}),
            policies=self._optional(keys, "policies", self._texts, ()),
            workspace=self._optional(keys, "workspace", self._absolute, None),
            code=self._optional(keys, "code", self._code, ()),
            package=self._optional(keys, "package", self._package, None),
            limits=self._optional(keys, "limits", self._limits, Limits()),
        )

    def _limits(self, node: Node) -> Limits:
        keys = self._mapping(node, ("memory", "disk", "processes"))
        usual = Limits()
        return Limits(
            memory_bytes=self._optional(keys, "memory", self._size, usual.memory_bytes),
            disk_bytes=self._optional(keys, "disk", self._size, usual.disk_bytes),
            processes=self._optional(keys, "processes", lambda each: self._number(each, 1, 65_536), usual.processes),
        )

    def _size(self, node: Node) -> int:
        text = self._text(node)
        matched = _SIZE.fullmatch(text)
        if matched is None or int(matched[1]) == 0:
            raise self._error(node, f"`{text}` is not a size", "for example 512MiB, 4GiB")
        return int(matched[1]) * _SIZE_BYTES[matched[2]]

    def _package(self, node: Node) -> Package:
        names = ("source", "asked", "version", "folder", "digest")
        keys = self._mapping(node, names)
        for name in names:
            self._require(keys, node, name)
        if DIGEST.fullmatch(self._text(keys["digest"])) is None:
            raise self._error(keys["digest"], "this is not a digest", "sha256: and 64 hex digits")
        return Package(
            source=self._choice(keys["source"], ("npm", "pypi")),
            asked=self._text(keys["asked"]),
            version=self._text(keys["version"]),
            folder=self._absolute(keys["folder"]),
            digest=self._text(keys["digest"]),
        )

    def http(self, node: Node) -> Http:
        keys = self._mapping(node, ("url", "headers"))
        self._require(keys, node, "url")
        return Http(url=self._url(keys["url"]), headers=self._optional(keys, "headers", self._headers, {}))

    def sql(self, node: Node) -> Sql:
        keys = self._mapping(node, ("engine", "path", "writes", "rows"))
        for name in ("engine", "path"):
            self._require(keys, node, name)
        path = self._absolute(keys["path"])
        if _PATTERN.search(path) or posixpath.normpath(path) != path:
            raise self._error(keys["path"], f"`{path}` cannot be the path of a database", "a plain one: no `..`, no *")
        return Sql(
            engine=self._choice(keys["engine"], ENGINES),
            path=path,
            writes=self._optional(keys, "writes", self._claim, False),
            rows=self._optional(keys, "rows", lambda each: self._number(each, 1, 100_000), 1_000),
        )

    def _url(self, node: Node) -> str:
        url = self._text(node)
        try:
            parts = urlsplit(url)
            fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
            _ = parts.port
        except ValueError:
            fits = False
        if not fits or parts.fragment or any(ord(each) <= 0x20 or ord(each) >= 0x7F for each in url):
            raise self._error(node, f"`{url}` is not a URL of a server", "http:// or https://, no user, no fragment")
        return url

    def _code(self, node: Node) -> tuple[str, ...]:
        if not isinstance(node, Sequence):
            raise self._error(node, "a list is needed here", "[one, two]")
        return tuple(self._absolute(each) for each in node.items)

    def _absolute(self, node: Node) -> str:
        path = self._text(node)
        if not path.startswith("/"):
            raise self._error(node, f"`{path}` is not an absolute path", "write the whole path")
        return path

    def _headers(self, node: Node) -> dict[str, str]:
        headers = self._text_map(node)
        for name, value in headers.items():
            if HEADER_NAME.fullmatch(name) is None or HEADER_VALUE.fullmatch(value) is None:
                raise self._error(node, f"the header `{name}` cannot be sent", "RFC 9110 §5: a token, visible ASCII")
            if name.lower() in OWN_HEADERS or name.lower().startswith("mcp-param-"):
                raise self._error(node, f"the gateway sets the header `{name}` itself", "leave it out")
        return headers

    def _operations(self, node: Node) -> dict[str, str]:
        found = self._text_map(node)
        for tool, operation in found.items():
            if operation not in OPERATIONS:
                raise self._error(
                    node, f"`{operation}` (of `{tool}`) is not an operation", f"one of {', '.join(OPERATIONS)}"
                )
        return found

    def _client_requests(self, node: Node) -> tuple[str, ...]:
        found = self._texts(node)
        for each in found:
            if each not in CLIENT_REQUESTS:
                raise self._error(node, f"`{each}` cannot be forwarded", f"one of {', '.join(CLIENT_REQUESTS)}")
        return found

    def _mapping(self, node: Node, allowed: tuple[str, ...] | None) -> dict[str, Node]:
        if not isinstance(node, Mapping):
            raise self._error(node, "a map is needed here", "key: value")
        for key, _ in node.entries:
            if allowed is not None and key.value not in allowed:
                raise self._error(key, f"unknown key `{key.value}`", f"known here: {', '.join(allowed)}")
        return {self._text(key): value for key, value in node.entries}

    def _text_map(self, node: Node) -> dict[str, str]:
        return {key: self._text(value) for key, value in self._mapping(node, None).items()}

    def _texts(self, node: Node) -> tuple[str, ...]:
        if not isinstance(node, Sequence):
            raise self._error(node, "a list is needed here", "[one, two]")
        return tuple(self._text(each) for each in node.items)

    def _text(self, node: Node) -> str:
        if not isinstance(node, Text):
            raise self._error(node, "a text is needed here", "quote it if it looks like something else")
        if "\0" in node.value:
            raise self._error(node, "a text cannot hold a zero character", "remove it")
        return node.value

    def _choice(self, node: Node, choices: tuple[str, ...]) -> str:
        text = self._text(node)
        if text not in choices:
            raise self._error(node, f"`{text}` is not known here", f"one of {', '.join(choices)}")
        return text

    def _claim(self, node: Node) -> bool:
        return self._choice(node, ("true", "false")) == "true"

    def _number(self, node: Node, least: int, most: int) -> int:
        text = self._text(node)
        if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
            raise self._error(node, f"`{text}` is not a number from {least} to {most}", f"for example {least}")
        return int(text)

    def _duration(self, node: Node) -> int:
        text = self._text(node)
        matched = _DURATION.fullmatch(text)
        if matched is None or int(matched[1]) == 0:
            raise self._error(node, f"`{text}` is not a duration", "for example 500ms, 30s, 2m")
        return int(matched[1]) * _DURATION_MS[matched[2]]

    def _optional(self, found: dict[str, Node], key: str, read: Callable[[Node], Read], default: Read) -> Read:
        return read(found[key]) if key in found else default

    def _require(self, found: dict[str, Node], node: Node, key: str) -> None:
        if key not in found:
            raise self._error(node, f"`{key}` is missing", f"add `{key}: …`")

    def _error(self, node: Node, message: str, hint: str) -> OperatorError:
        return OperatorError(message, **_where(node.place), hint=hint)


#: The kinds by the key that says which it is, each with what reads its keys.
KINDS: Final[Map[str, Callable[[_Reader, Node], Server]]] = {
    "stdio": _Reader.stdio,
    "http": _Reader.http,
    "sql": _Reader.sql,
}
_TOP_KEYS: Final = (
    "interlock",
    *KINDS,
    "revision",
    "concurrency",
    "timeout",
    "start_timeout",
    "trust_annotations",
    "operations",
    "client_requests",
    "per",
    "definitions",
)


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _not_utf8(path: Path) -> str:
    raise OperatorError(f"`{path}` is not UTF-8")
