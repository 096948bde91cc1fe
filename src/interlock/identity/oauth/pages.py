"""The pages that a browser is shown while a person decides: text alone, no script, no form, nothing to press.

A yes is given at the approval inbox and nowhere in a browser, so that there is nothing for another page to frame, to
post or to click (docs/adr/0050).
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from interlock.identity.oauth.clients import DOCUMENT, ITSELF, place_of
from interlock.identity.oauth.metadata import SCOPE
from interlock.identity.oauth.wire import Fault, HeaderList, Reply
from interlock.vocabulary.printable import printable

if TYPE_CHECKING:
    from interlock.storage.logins import ClientRow, WishRow

_HEADERS: Final[HeaderList] = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"content-security-policy", b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
]
_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Interlock</title>{more}</head>
<body><h1>{title}</h1>
{body}
</body></html>
"""


def waiting(wish: WishRow, client: ClientRow, at: str, cookie: HeaderList) -> Reply:
    """Who asks for what, and how a person answers; it looks again by itself, `at` a path of this gateway."""
    question = _text(wish.question)
    words = [
        f"<p><strong>{_text(client.name)}</strong> wants to use the tools behind this gateway.</p>",
        "<p>The name is the client's own, and nobody has checked it.</p>" if client.by in (ITSELF, DOCUMENT) else "",
        "<dl>",
        *(_row("described at", client.id) if client.by == DOCUMENT else ()),
        *_row("acts as agent", wish.agent),
        *_row("may", f"{SCOPE}: call tools, as far as the policy lets this agent"),
        *_row("answer goes to", place_of(wish.redirect)),
        *_row("on this page", wish.words),
        "</dl>",
        "<p>If you began this, look at the question in a terminal of your own, and say yes only if it shows"
        f" <strong>{_text(wish.words)}</strong> as well:</p>",
        f"<pre>interlock approvals show {question}\ninterlock approvals approve {question}</pre>",
        "<p>This page goes on by itself.</p>",
    ]
    more = f'<meta http-equiv="refresh" content="1; url={escape(at)}">'
    return _page(200, "A client wants to log in", "\n".join(words), more, cookie)


def faulty(fault: Fault) -> Reply:
    """What is wrong, where the browser goes nowhere."""
    body = f"<p>{_text(fault.words)}.</p><p>Nothing was allowed. You can close this page.</p>"
    return _page(fault.status, "This login cannot go on", body)


def _page(status: int, title: str, body: str, more: str = "", cookie: HeaderList | None = None) -> Reply:
    text = _PAGE.format(title=title, body=body, more=more)
    return Reply(status, [*_HEADERS, *(cookie or [])], text.encode("utf-8", "replace"))


def _row(label: str, value: str) -> tuple[str, str]:
    return f"<dt>{label}</dt>", f"<dd>{_text(value)}</dd>"


def _text(value: str) -> str:
    return escape(printable(value))
