"""Colour for people: on a terminal only, and never where NO_COLOR is set."""

from __future__ import annotations

import os
import sys


def bold(text: str) -> str:
    """What stands out."""
    return _coloured("1", text)


def red(text: str) -> str:
    """What is wrong."""
    return _coloured("31", text)


def green(text: str) -> str:
    """What is right."""
    return _coloured("32", text)


def _coloured(code: str, text: str) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if sys.stdout.isatty() and not os.environ.get("NO_COLOR") else text
