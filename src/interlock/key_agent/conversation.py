"""One program at the key agent: what it asks for, in order, and what it is answered. No I/O of its own.

A program says by a binding which connection it will ask for. What is signed then is a login in that very SSH session,
at a host that the person knows, and policy decides about that host. What is bound to none could be good for anybody:
it goes before the line as that. INVARIANT: nothing is signed but what the line allowed, byte for byte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from interlock.key_agent import wire
from interlock.key_agent.host_signature import is_signed
from interlock.key_agent.known_hosts import Host, RevokedKeyError
from interlock.policy.host import host_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from interlock.key_agent.known_hosts import KnownHosts
    from interlock.vocabulary.json_value import JsonObject

#: Names of one host that are put before the line.
_NAMES_MAX: Final = 16
_UNKNOWN: Final = "unknown"


class Gate(Protocol):
    """Where the line is asked."""

    def may(self, targets: Sequence[JsonObject]) -> bool:
        """Whether the key may be used so: for a host with several names, the same by each."""

    def refused(self, target: JsonObject, because: str) -> None:
        """Have it recorded that this is not done, whatever policy says."""


class Signer(Protocol):
    """Who has the person's keys."""

    def identities(self) -> bytes:
        """The answer to a request for identities."""

    def bound(self, request: bytes) -> None:
        """A binding, passed on: keys may be for some hosts only."""

    def signed(self, request: wire.SignRequest) -> bytes | None:
        """The answer to a request for a signature, if there is one."""

    def close(self) -> None:
        """The program has left."""


class Heard(NamedTuple):
    """What the program hears; `done` where what the line allowed was done."""

    data: bytes
    done: bool = False


_NO: Final = Heard(wire.FAILURE)


class Conversation:
    """What is known of one connection to the agent."""

    def __init__(self, *, known: KnownHosts, asked: Sequence[Host], signer: Signer, gate: Gate) -> None:
        """`asked`: hosts that policy names, whose hashed names are looked for."""
        self._known = known
        self._asked = tuple(asked)
        self._signer = signer
        self._gate = gate
        self._binding: wire.Binding | None = None
        self._spoilt: str | None = None

    def answer(self, request: bytes, connected: Sequence[str]) -> Heard:
        """To one message. `connected`: what the program is connected to just now, as `HOST:PORT`."""
        try:
            return self._answered(request, connected)
        except wire.MalformedMessage:
            return _NO

    def close(self) -> None:
        """The program has left."""
        self._signer.close()

    def _answered(self, request: bytes, connected: Sequence[str]) -> Heard:
        match request[0]:
            case wire.REQUEST_IDENTITIES:
                return Heard(self._signer.identities())
            case wire.SIGN_REQUEST:
                return self._sign(wire.sign_request(request[1:]), connected)
            case wire.EXTENSION:
                return self._extension(request)
            case _:
                return _NO

    def _extension(self, request: bytes) -> Heard:
        reader = wire.Reader(request[1:])
        name = reader.string()
        if name != wire.SESSION_BIND:
            return _NO
        binding = wire.binding(request[1 + 4 + len(name) :])
        self._spoilt = self._spoilt or self._unbindable(binding)
        if self._spoilt is not None:
            self._gate.refused({"key": _UNKNOWN, "purpose": "binding"}, self._spoilt)
            return _NO
        self._binding = binding
        self._signer.bound(request)
        return Heard(wire.SUCCESS)

    def _unbindable(self, binding: wire.Binding) -> str | None:
        if binding.forwarded:
            return "an agent that is forwarded to another machine would be used there"
        if not is_signed(binding):
            return "the host did not sign for this connection"
        if self._binding is not None and self._binding[:2] != binding[:2]:
            return "it was bound to another connection already"
        return None

    def _sign(self, request: wire.SignRequest, connected: Sequence[str]) -> Heard:
        if request.key not in wire.identities(self._signer.identities()):
            return _NO
        login = wire.login(request.data)
        target = _target(request, login, connected)
        reason = self._spoilt or self._unfit(request, login)
        if reason is not None:
            self._gate.refused(target, reason)
            return _NO
        try:
            targets = self._targets(target, connected)
        except (RevokedKeyError, LookupError) as error:
            self._gate.refused(target, str(error))
            return _NO
        if not self._gate.may(targets):
            return _NO
        signed = self._signer.signed(request)
        return _NO if signed is None else Heard(signed, done=True)

    def _unfit(self, request: wire.SignRequest, login: wire.Login | None) -> str | None:
        """Why what is to be signed is not what the connection was bound for."""
        if login is not None and login.key != request.key:
            return "what is to be signed is a login with another key"
        if self._binding is None:
            return None
        if login is None or login.session != self._binding.session:
            return "what is to be signed is not for the connection that it was bound to"
        if login.host_key not in (None, self._binding.host_key):
            return "what is to be signed is for another host than the one that it was bound to"
        return None

    def _targets(self, target: JsonObject, connected: Sequence[str]) -> list[JsonObject]:
        """The act, by each name of the host; without one where it is bound to none, or to one without a name."""
        if self._binding is None:
            return [target]
        asked = [host for text in connected if (host := _host(text)) is not None]
        found = self._known.named(self._binding.host_key, [*asked, *self._asked])
        if not found:
            raise LookupError("the host's key is in none of your known_hosts")
        named = [(name, host.port) for host in found if (name := host_name(host.name)) is not None]
        return [target | {"host": name, "port": port} for name, port in named[:_NAMES_MAX]] or [target]


def _target(request: wire.SignRequest, login: wire.Login | None, connected: Sequence[str]) -> JsonObject:
    namespace = None if login is not None else wire.namespace(request.data)
    purpose = "login" if login is not None else _UNKNOWN if namespace is None else _text(namespace)
    target: JsonObject = {"key": wire.fingerprint(request.key), "purpose": purpose, "connected": list(connected)}
    return target if login is None else target | {"user": _text(login.user)}


def _text(name: bytes) -> str:
    """For people and rules. What is no name becomes one that no rule means by accident."""
    if len(name) > wire.NAME_BYTES_MAX:
        raise wire.MalformedMessage("a name is too long")
    return name.decode("utf-8", "backslashreplace")


def _host(text: str) -> Host | None:
    name, _, port = text.rpartition(":")
    return Host(name.strip("[]").lower(), int(port)) if name and port.isascii() and port.isdigit() else None
