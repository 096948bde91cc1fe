"""Where packages come from on this machine, as its own clients say: the registries' hosts, and a layer that lets a
session reach them. By name, and by the addresses that they have now, where no session can answer names."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import urlsplit

from interlock.vocabulary.errors import HostError

_ASK_S_MAX: Final = 20.0
_PYPI: Final = "https://pypi.org/simple"
#: The index of PyPI leads there.
_PYPI_FILES: Final = "https://files.pythonhosted.org/"
_ADDRESS: Final = frozenset("0123456789abcdef.:%")
_NPM: Final = "https://registry.npmjs.org/"


def registries_of(source: str, package: str, client: Sequence[str]) -> list[str]:
    """The URLs that `client` (a command) would ask for this package."""
    if source == "npm":
        scope = [f"{package.partition('/')[0]}:registry"] if package.startswith("@") else []
        said = [_asked([*client, "config", "get", key]) for key in (*scope, "registry")]
        return [each for each in said if each.startswith("http")] or [_NPM]
    places = ("global", "user", "install", "site", ":env:")
    keys = [f"{place}.{key}" for place in places for key in ("index-url", "extra-index-url")]
    listed = [line.partition("=") for line in _asked([*client, "config", "list"]).splitlines()]
    said = [value.strip("'\"") for key, _, value in listed if key in keys]
    found = [word for each in said for word in each.split() if word.startswith("http")]
    return found or [_PYPI, _PYPI_FILES]


def layer_of(urls: Iterable[str]) -> str:
    """A layer that allows connections to these hosts alone. Raises `HostError` for a host that has no address."""
    rules: list[dict[str, object]] = []
    for number, url in enumerate(dict.fromkeys(urls)):
        parts = urlsplit(url)
        port = parts.port or (80 if parts.scheme == "http" else 443)
        addresses = _addresses(parts.hostname or "", port)
        both = ["net.connect", "net.send"]
        rules.append({"id": f"registry-{number}", "allow": both, "address": addresses, "port": port})
        if _is_name(parts.hostname or ""):
            named = {"host": parts.hostname, "private": True, "port": port, "best_effort": True}
            rules.append({"id": f"registry-{number}-by-name", "allow": "net.connect", **named})
    # Where a session does not answer names itself.
    rules.append({"id": "names", "allow": ["net.connect", "net.send"], "address": ["@resolvers"], "port": 53})
    return json.dumps({"interlock": "1", "name": "registries", "rules": rules})


def _is_name(host: str) -> bool:
    return not _ADDRESS.issuperset(host) and host.isascii()


def _addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise HostError(f"the registry `{host}` is not found: {error}", hint="is there a network?") from error
    return sorted({str(each[4][0]) for each in found})


def _asked(command: list[str]) -> str:
    """What a client says of its own configuration; nothing where it has nothing to say."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_ASK_S_MAX, stdin=subprocess.DEVNULL, cwd="/"
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
