"""Cookies of one server, told back to it alone: a balancer knows by them which of its machines has the session.

RFC 6265, section 5, for one origin: without domains (the cookie is that host's own) and without dates (one that is to
end later ends with the connections, at the latest). Bounded in number and size.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

COOKIES_MAX: Final = 32
COOKIE_CHARACTERS_MAX: Final = 4_096
_PLAIN: Final = re.compile(r"[\x21-\x7e]+=[\x20-\x3a\x3c-\x7e]*", re.ASCII)


class Cookies:
    """What is told to `path` of one server, over a connection that is `secure` or not."""

    def __init__(self, path: str, *, secure: bool) -> None:
        self._path = path
        self._secure = secure
        self._kept: dict[str, str] = {}
        #: The value of the header; empty where there are none.
        self.header = ""

    def take(self, headers: Iterable[str]) -> None:
        """What the `Set-Cookie` headers of an answer say."""
        for text in headers:
            self._take(*text.partition(";")[::2])
        self.header = "; ".join(f"{name}={value}" for name, value in self._kept.items())

    def _take(self, pair: str, rest: str) -> None:
        name, _, value = (part.strip() for part in pair.partition("="))
        if len(pair) > COOKIE_CHARACTERS_MAX or _PLAIN.fullmatch(f"{name}={value}") is None:
            return
        split = (each.partition("=") for each in rest.split(";"))
        attributes = {key.strip().lower(): said.strip() for key, _, said in split}
        self._kept.pop(name, None)
        if len(self._kept) < COOKIES_MAX and self._lasts(value, attributes):
            self._kept[name] = value

    def _lasts(self, value: str, attributes: dict[str, str]) -> bool:
        """Whether it is to be told back: it is not over, and meant for this path and this kind of connection."""
        age = attributes.get("max-age", "1")
        if not value or age.startswith("-") or not age.strip("0"):
            return False
        if "secure" in attributes and not self._secure:
            return False
        path = attributes.get("path", "/")
        return not path.startswith("/") or self._path == path or self._path.startswith(path.rstrip("/") + "/")
