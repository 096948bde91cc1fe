"""A person's agent that is late, or no agent: what it says afterwards is nobody's answer."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path

import pytest

from interlock.key_agent import own_agent, wire
from interlock.key_agent.own_agent import AgentConnection

SIGNED = bytes([wire.SIGN_RESPONSE]) + wire.string(b"the signature of another request")


def heard(peer: socket.socket) -> None:
    peer.recv(int.from_bytes(peer.recv(4), "big"))


@pytest.mark.parametrize("first", [b"", bytes(4), (1 << 30).to_bytes(4, "big")], ids=["late", "empty", "endless"])
def test_what_comes_after_a_fault_is_nobodys_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: bytes) -> None:
    monkeypatch.setattr(own_agent, "LIST_SECONDS_MAX", 0.2)
    given_up = threading.Event()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "agent"))
        listening.listen()

        def speak() -> None:
            peer, _ = listening.accept()
            with peer, contextlib.suppress(OSError):
                heard(peer)
                peer.sendall(first)
                given_up.wait(10)
                peer.sendall(wire.string(SIGNED))
                heard(peer)

        speaking = threading.Thread(target=speak)
        speaking.start()
        agent = AgentConnection(str(tmp_path / "agent"))
        assert agent.identities() == bytes([wire.IDENTITIES_ANSWER, 0, 0, 0, 0])
        given_up.set()
        assert agent.signed(wire.SignRequest(b"key", b"data", 0)) is None
        agent.close()
        speaking.join(10)
