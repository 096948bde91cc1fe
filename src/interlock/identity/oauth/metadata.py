"""What a client finds out by itself: which authorization server a resource has (RFC 9728), and what that can do
(RFC 8414).

The gateway is one resource under several names: its paths, and the names of loopback. A token for any of them is for
the gateway, whose URL is the audience; a name of another host or port is another resource (RFC 8707, 2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from interlock.identity.oauth.assertion import ALGORITHMS

if TYPE_CHECKING:
    from collections.abc import Callable

PROTECTED_RESOURCE: Final = "/.well-known/oauth-protected-resource"
AUTHORIZATION_SERVER: Final = "/.well-known/oauth-authorization-server"
SCOPE: Final = "mcp"
METHODS: Final = ("none", "client_secret_basic", "private_key_jwt")
GRANTS: Final = ("authorization_code", "refresh_token", "client_credentials")


class Resources:
    """The names of this gateway. `url` is its first one, `hosts` its values of `Host`, `connectors` what stands below a
    path."""

    def __init__(self, url: str, hosts: frozenset[str], connectors: Callable[[], list[str]]) -> None:
        self._url = url
        self._hosts = hosts
        self._connectors = connectors

    def is_one(self, resource: str) -> bool:
        """Whether this is a name of the gateway, as RFC 8707 and MCP write one."""
        try:
            parts = urlsplit(resource)
        except ValueError:
            return False
        plain = not parts.query and not parts.fragment and parts.scheme.lower() == "http"
        return plain and parts.netloc.lower() in self._hosts and self._is_place(parts.path.rstrip("/"))

    def described(self, host: str, path: str) -> dict[str, object] | None:
        """The metadata of the resource at `path`; none where none is."""
        if not self._is_place(path):
            return None
        return {
            "resource": f"http://{host}{path}",
            "authorization_servers": [self._url],
            "scopes_supported": [SCOPE],
            "bearer_methods_supported": ["header"],
            "resource_name": "Interlock gateway",
        }

    def _is_place(self, path: str) -> bool:
        if path in ("", "/mcp", "/brief", "/sse"):
            return True
        above, _, name = path.rpartition("/")
        return above in ("/mcp", "/brief", "/sse") and name in self._connectors()


def server(issuer: str) -> dict[str, object]:
    """The authorization server's metadata."""
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "registration_endpoint": f"{issuer}/register",
        "revocation_endpoint": f"{issuer}/revoke",
        "scopes_supported": [SCOPE],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(GRANTS),
        "token_endpoint_auth_methods_supported": list(METHODS),
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "revocation_endpoint_auth_methods_supported": list(METHODS),
        "revocation_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "code_challenge_methods_supported": ["S256"],
        "client_id_metadata_document_supported": True,
        "authorization_response_iss_parameter_supported": True,
    }
