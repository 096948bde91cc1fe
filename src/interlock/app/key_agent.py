"""The key agent of a session, wired: whether it is to have one, what the person knows, who has the keys.

A session has one where some rule lets a key be used and there is an agent or a key file to use. What is known of hosts
is read before the command starts, so that nothing that the session writes counts.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Final, NamedTuple

from interlock.policy.compiled_form import named_rules
from interlock.surroundings.text import own_text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from interlock.key_agent.conversation import Conversation, Gate
    from interlock.key_agent.own_agent import KeyFiles
    from interlock.policy.compiled_form import CompiledPolicy

_AGENT: Final = "SSH_AUTH_SOCK"
#: The keys that ssh-add takes by itself (ssh-add(1)).
_KEY_FILES: Final = ("id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk")
_KNOWN_HOSTS: Final = (
    "~/.ssh/known_hosts",
    "~/.ssh/known_hosts2",
    "/etc/ssh/ssh_known_hosts",
    "/etc/ssh/ssh_known_hosts2",
)
_SSH_PORT: Final = 22


class Keys(NamedTuple):
    """What a session has of it: variables for its programs, where the supervisor finds both ends, how it ends."""

    environment: Mapping[str, str]
    place: Mapping[str, str] | None
    end: Callable[[], None]


def open_keys(policy: CompiledPolicy, *, runtime: str, human_home: str, environment: Mapping[str, str]) -> Keys:
    """The agent, listening; nothing where the session is to have none. `environment` is the person's own."""
    rules = [rule for _, rule in named_rules(policy) if "key.use" in rule["verbs"] and rule["decision"] != "deny"]
    files = [path for name in _KEY_FILES if os.path.exists(path := f"{human_home}/.ssh/{name}")]
    if not rules or not (files or environment.get(_AGENT)):
        return Keys({}, None, lambda: None)
    from interlock.key_agent.serve import KeySocket

    known = [own_text_of(path.replace("~", human_home)) for path in _KNOWN_HOSTS]
    named = {name for rule in rules for name in rule["match"].get("host", ()) if "*" not in name}
    conversations = _Conversations(sorted(named), known, files=files, runtime=runtime, environment=environment)
    place = {"agent": f"{runtime}/agent.sock", "run": f"{runtime}/keys.sock"}
    socket = KeySocket(place["run"], conversations.begin)
    socket.start()

    def end() -> None:
        socket.close()
        conversations.end()

    return Keys({_AGENT: place["agent"]}, place, end)


class _Conversations:
    """Begins each. Most sessions use no key: what a conversation takes is imported with the first."""

    def __init__(
        self,
        named: Sequence[str],
        known: Sequence[str],
        *,
        files: Sequence[str],
        runtime: str,
        environment: Mapping[str, str],
    ) -> None:
        self._named = named
        self._known = known
        self._files = files
        self._runtime = runtime
        self._environment = environment
        self._key_files: KeyFiles | None = None
        self._lock = threading.Lock()

    def begin(self, gate: Gate) -> Conversation:
        """With the person's own agent; where that is gone or has no key, with one that has the person's key files."""
        from interlock.key_agent.conversation import Conversation
        from interlock.key_agent.known_hosts import Host, KnownHosts
        from interlock.key_agent.own_agent import AgentConnection
        from interlock.key_agent.wire import identities

        signer = AgentConnection(self._environment.get(_AGENT, ""))
        if self._files and not identities(signer.identities()):
            signer.close()
            signer = AgentConnection(self._agent_of_files().path())
        asked = [Host(name, _SSH_PORT) for name in self._named]
        return Conversation(known=KnownHosts(self._known), asked=asked, signer=signer, gate=gate)

    def end(self) -> None:
        """The session has ended."""
        if self._key_files is not None:
            self._key_files.close()

    def _agent_of_files(self) -> KeyFiles:
        from interlock.key_agent.own_agent import KeyFiles

        with self._lock:
            if self._key_files is None:
                self._key_files = KeyFiles(f"{self._runtime}/own-agent.sock", self._files, self._environment)
            return self._key_files
