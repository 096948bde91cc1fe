"""Clients that an operator makes known: which agent one acts as, and how it proves who it is."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from interlock.identity.oauth.assertion import read_keys
from interlock.identity.oauth.clients import is_redirect, made
from interlock.identity.oauth.limits import REDIRECTS_MAX
from interlock.storage.logins import Logins
from interlock.vocabulary.errors import OperatorError
from interlock.vocabulary.printable import printable

if TYPE_CHECKING:
    from interlock.identity.oauth.clients import Made
    from interlock.storage.home import Home

KEYS_BYTES_MAX: Final = 64 * 1024


class Proven(NamedTuple):
    """How a client proves who it is: `none` by where its answers go alone, or a secret, or the keys in a file."""

    method: str
    keys: str | None = None


def make_known(home: Home, agent: str, redirects: list[str], by: Proven) -> Made:
    """One more client of an agent. Raises `OperatorError` for what cannot be one, and `HostError`."""
    for each in redirects:
        if not is_redirect(each):
            words = f"`{printable(each)}` cannot be a redirect URI"
            raise OperatorError(words, hint="for example http://127.0.0.1/callback")
    if (by.method == "none" and not redirects) or len(redirects) > REDIRECTS_MAX:
        hint = "--redirect URI, or --secret or --keys FILE for a program without a person"
        raise OperatorError(f"a client has 1 to {REDIRECTS_MAX} redirect URIs, or proves who it is", hint=hint)
    keys, thumbprints = read_keys(_text(by.keys)) if by.keys is not None else (None, [])
    home.ensure(home.state)
    home.check_file(home.registry)
    store = Logins(home.registry)
    try:
        now_ms = time.time_ns() // 1_000_000
        client = made(agent, redirects, by.method, f"uid:{os.getuid()}", now_ms)
        with store.whole():
            if not store.is_active(agent):
                raise OperatorError(f"no agent is called `{printable(agent)}`", hint=f"interlock agent add {agent}")
            _check_alone(store, agent, set(thumbprints))
            store.put_client(client.row._replace(agent=agent, keys=keys))
        return client
    finally:
        store.close()


def _check_alone(store: Logins, agent: str, thumbprints: set[str]) -> None:
    """One key is one agent's: two that sign with the same one could not be told apart."""
    for other in store.clients_with_keys():
        if other.agent != agent and thumbprints & set(read_keys(other.keys or "")[1]):
            raise OperatorError(f"agent `{other.agent}` has this key", hint="make another key for this agent")


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read(KEYS_BYTES_MAX)
    except (OSError, ValueError) as error:
        raise OperatorError(f"cannot read `{printable(path)}`: {error}", hint="a JSON Web Key Set") from error
