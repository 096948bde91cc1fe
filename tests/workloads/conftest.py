"""The arena of the escapes serves honest work as well."""

from tests.escapes.conftest import arena, programs

__all__ = ["arena", "programs"]
