"""The version, read from the package's metadata so that it is written once."""

from __future__ import annotations


def version() -> str:
    """The installed version; `0+unknown` in a source tree that was never installed."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("interlock-security")
    except PackageNotFoundError:
        return "0+unknown"
