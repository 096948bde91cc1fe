"""The endpoints of logging in, wired to what is kept, to the inbox and to the log.

Everything but metadata is for the operator's own processes outside of every session: of another user and from inside a
session nothing is taken, so that a jailed agent can neither log in nor have a person asked. Who a person is, is proven
where they answer, at the approval inbox. What gives anything out is recorded first.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from interlock.identity.oauth import authorize, clients, metadata, pages, tokens
from interlock.identity.oauth.asking import question_about
from interlock.identity.oauth.documents import Documents, is_document
from interlock.identity.oauth.limits import BODY_BYTES_MAX, DOCUMENTS_AT_ONCE_MAX, WISH_MS_MAX
from interlock.identity.oauth.wire import (
    Fault,
    Faulty,
    HeaderList,
    Reply,
    Visit,
    digest_of,
    form,
    parameters,
    secret,
    sent_back,
    told,
)
from interlock.identity.oauth.wire import refused as refusal
from interlock.identity.principal import Peer
from interlock.mediate.ports import RecordFailed
from interlock.mediate.principal import Unknown
from interlock.storage.logins import Logins, WishRow
from interlock.vocabulary.errors import HostError, InterlockError
from interlock.vocabulary.question import Answer

if TYPE_CHECKING:
    from interlock.identity.authenticate import Connection
    from interlock.mcp.request_headers import Headers
    from interlock.mediate.ports import Clock, Inbox, Recorder
    from interlock.vocabulary.json_text import JsonObject
    from interlock.vocabulary.question import Question

T = TypeVar("T")
WAIT: Final = "/authorize/wait"
_EXCHANGES: Final[dict[str, Callable[[Logins, dict[str, str], tokens.Exchange], tokens.Issued | Fault]]] = {
    "authorization_code": tokens.redeem,
    "refresh_token": tokens.refresh,
    "client_credentials": lambda store, _, by: tokens.for_itself(store, by),
}
_ALPHABET: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


class Kept(Protocol):
    """Where logins are kept, away from the loop."""

    async def __call__(self, work: Callable[[Logins], T]) -> T:
        """Do it there. Raises `HostError`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What the endpoints need of the rest. `url` is the gateway's own, `uid` its owner, `caller` says who is at the
    other end of a connection, outside of every session."""

    url: str
    uid: int
    hosts: frozenset[str]
    connectors: Callable[[], list[str]]
    caller: Callable[[Connection], Peer | Unknown]
    kept: Kept
    inbox: Inbox
    recorder: Recorder
    clock: Clock
    session: str
    documents: Documents = field(default_factory=Documents)


class LoginServer:
    """See the module. Belongs to the running loop."""

    body_bytes_max = BODY_BYTES_MAX

    def __init__(self, around: Around) -> None:
        self._around = around
        self._resources = metadata.Resources(around.url, around.hosts, around.connectors)
        self._fetching = asyncio.Semaphore(DOCUMENTS_AT_ONCE_MAX)
        self._asking: set[asyncio.Task[None]] = set()
        self._routes: dict[str, tuple[str, Callable[[Visit], Awaitable[Reply]]]] = {
            "/register": ("POST", self._register),
            "/authorize": ("GET", self._authorize),
            WAIT: ("GET", self._wait),
            "/token": ("POST", self._token),
            "/revoke": ("POST", self._revoke),
        }

    def serves(self, path: str) -> bool:
        """Whether a path is one of these endpoints."""
        return path in self._routes or path.startswith("/.well-known/oauth-")

    def challenge(self, host: str, path: str, *, reason: str | None) -> str:
        """How who is nobody gets a token (RFC 9728, 5.1; RFC 6750, 3); `reason` where one was shown that is none."""
        error = f'error="invalid_token", error_description="{reason}", ' if reason is not None else ""
        place = f"http://{host}{metadata.PROTECTED_RESOURCE}{path}"
        return f'Bearer {error}resource_metadata="{place}", scope="{metadata.SCOPE}"'

    async def answer(
        self, method: str, path: str, query: bytes, headers: Headers, body: bytes, connection: Connection
    ) -> tuple[int, HeaderList, bytes]:
        """The answer to one request."""
        try:
            return await self._answered(Visit(method, path, query, headers, body), connection)
        except Faulty as faulty:
            return pages.faulty(faulty.fault) if path.startswith("/authorize") else refusal(faulty.fault)
        except (HostError, RecordFailed):
            return refusal(Fault("server_error", "the state of the gateway cannot be read or written", 503))

    async def close(self) -> None:
        """Withdraw what was asked."""
        for task in tuple(self._asking):
            task.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)

    async def _answered(self, visit: Visit, connection: Connection) -> Reply:
        if visit.path not in self._routes:
            return self._metadata(visit)
        allowed, route = self._routes[visit.path]
        if visit.method != allowed:
            return told({"error": "invalid_request"}, 405)._replace(headers=[(b"allow", allowed.encode())])
        caller = self._around.caller(connection)
        if isinstance(caller, Unknown):
            raise Faulty("access_denied", caller.reason, 403)
        if caller.uid != self._around.uid:
            raise Faulty("access_denied", "this gateway is another user's", 403)
        return await route(visit)

    def _metadata(self, visit: Visit) -> Reply:
        if visit.method != "GET":
            return told({"error": "invalid_request"}, 405)._replace(headers=[(b"allow", b"GET")])
        found: dict[str, object] | None = None
        if visit.path == metadata.AUTHORIZATION_SERVER:
            found = metadata.server(self._around.url)
        elif visit.path.startswith(metadata.PROTECTED_RESOURCE):
            host = visit.headers.one("host") or ""
            found = self._resources.described(host, visit.path.removeprefix(metadata.PROTECTED_RESOURCE))
        return told(found) if found is not None else told({"error": "not_found"}, 404)

    async def _register(self, visit: Visit) -> Reply:
        now_ms = self._around.clock.steady_ms()
        made = clients.registration(visit, now_ms)
        fault = await self._around.kept(lambda store: clients.keep(store, made.row, now_ms))
        if fault is not None:
            return refusal(fault)
        row = made.row
        about: JsonObject = {"client": row.id, "name": row.name, "redirects": list(row.places), "method": row.method}
        await self._around.recorder.ordered({"type": "client.registered", **about, "by": row.by})
        return told(clients.described(made), 201)

    # A person is asked

    async def _authorize(self, visit: Visit) -> Reply:
        _check_whole_page(visit.headers)
        said, now_ms = parameters(visit.query), self._around.clock.steady_ms()
        await self._read_document(said.get("client_id", ""), now_ms)
        wish = await self._around.kept(lambda store: authorize.wished(store, said, self._resources, now_ms))
        if isinstance(wish, authorize.GoesBack):
            fault = wish.fault
            about = {"error": fault.code, "error_description": fault.words, "state": wish.back}
            return sent_back(wish.redirect, self._around.url, about)
        handle, cookie = secret("ilw_"), secret("")
        row = WishRow(
            handle=digest_of(handle),
            cookie=digest_of(cookie),
            client=wish.client.id,
            redirect=wish.redirect,
            back=wish.back,
            challenge=wish.challenge,
            audience=self._around.url,
            scope=metadata.SCOPE,
            uid=self._around.uid,
            agent=wish.agent,
            question=f"q-{secrets.token_hex(4)}",
            words="".join(secrets.choice(_ALPHABET) for _ in range(6)),
            expires_ms=now_ms + WISH_MS_MAX,
        )
        await self._around.kept(lambda store: store.put_wish(row))
        question = question_about(row, wish.client, session=self._around.session, clock=self._around.clock)
        task = asyncio.create_task(self._asked(row, question))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)
        kept = f"{_cookie(row)}={cookie}; Path={WAIT}; HttpOnly; SameSite=Strict; Max-Age={WISH_MS_MAX // 1_000}"
        return pages.waiting(row, wish.client, f"{WAIT}?login={handle}", [(b"set-cookie", kept.encode("ascii"))])

    async def _read_document(self, identity: str, now_ms: int) -> None:
        """Where a client's id is the address of a document, have what that says now. Raises `Faulty`."""
        if not is_document(identity):
            return
        if self._fetching.locked():
            raise Faulty("temporarily_unavailable", "too many clients are being looked up", 503)
        async with self._fetching:
            row = await self._around.documents.client(identity, now_ms)
        fault = await self._around.kept(lambda store: clients.keep(store, row, now_ms))
        if fault is not None:
            raise Faulty(fault.code, fault.words, fault.status)

    async def _asked(self, wish: WishRow, question: Question) -> None:
        """Ask at the inbox, record, and turn the wish. What fails on the way is a no."""
        recorder, about = self._around.recorder, {"action": question.action["id"], "digest": question.digest}
        answer = Answer("nobody")
        try:
            await recorder.ordered({"type": "approval.asked", **about, "question": question.id})
            answer = await self._around.inbox.ask(question)
            said: JsonObject = {"answer": answer.word, "approver": answer.approver, "grant": None}
            await recorder.durable({"type": "approval.answered", **about, **said})
            if answer.word == "yes" and answer.approver is not None:
                await self._granted(wish, answer.approver)
                return
        except (InterlockError, RecordFailed):
            pass  # nobody is let in over what cannot be asked or recorded
        await self._around.kept(lambda store: store.turn(wish.handle, "asked", "refused"))

    async def _granted(self, wish: WishRow, approver: str) -> None:
        record: JsonObject = {
            "type": "login.granted",
            "client": wish.client,
            "agent": wish.agent,
            "approver": approver,
            "scope": wish.scope,
            "audience": wish.audience,
            "redirect": wish.redirect,
        }
        await self._around.recorder.durable(record)
        now_ms = self._around.clock.steady_ms()
        await self._around.kept(lambda store: authorize.grant(store, wish, approver, now_ms))

    async def _wait(self, visit: Visit) -> Reply:
        """What became of a wish, for the browser that made it."""
        _check_whole_page(visit.headers)
        handle, now_ms = parameters(visit.query).get("login", ""), self._around.clock.steady_ms()
        wish = await self._around.kept(lambda store: store.wish(digest_of(handle)))
        mine = wish is not None and digest_of(_cookies(visit.headers).get(_cookie(wish), "")) == wish.cookie
        if wish is None or not mine or wish.state == "fetched" or now_ms >= wish.expires_ms:
            raise Faulty("invalid_request", "this login is over, or was begun in another browser")
        if wish.state == "asked":
            client = await self._around.kept(lambda store: store.client(wish.client))
            if client is not None:
                return pages.waiting(wish, client, f"{WAIT}?login={handle}", [])
        code = await self._around.kept(lambda store: authorize.fetch(store, wish, now_ms))
        if code is None:
            about = {"error": "access_denied", "error_description": "nobody said yes", "state": wish.back}
            return sent_back(wish.redirect, self._around.url, about)
        return sent_back(wish.redirect, self._around.url, {"code": code, "state": wish.back})

    # Tokens

    async def _token(self, visit: Visit) -> Reply:
        said, now_ms = form(visit), self._around.clock.steady_ms()
        grant = said.get("grant_type", "")
        exchange = _EXCHANGES.get(grant)
        if exchange is None:
            raise Faulty("unsupported_grant_type", f"the grant types are {', '.join(metadata.GRANTS)}")
        fault = authorize.target_fault(said, self._resources) or authorize.scope_fault(said)
        if fault is not None:
            return refusal(fault)
        by = await self._by(visit, said, now_ms)
        fault = await self._around.kept(lambda store: tokens.too_many(store, by))
        if fault is not None:
            return refusal(fault)
        issued = await self._around.kept(lambda store: exchange(store, said, by))
        if isinstance(issued, Fault):
            return await self._refused(issued, by)
        record: JsonObject = {"agent": issued.agent, "client": by.client.id, "login": issued.login, "by": grant}
        await self._around.recorder.durable({"type": "token.issued", **record, "expires_ms": issued.expires_ms})
        return told(tokens.as_told(issued, now_ms))

    async def _revoke(self, visit: Visit) -> Reply:
        said, now_ms = form(visit), self._around.clock.steady_ms()
        by = await self._by(visit, said, now_ms)
        ended = await self._around.kept(lambda store: tokens.give_back(store, said, by))
        if isinstance(ended, Fault):
            return await self._refused(ended, by)
        if ended is not None:
            await self._record_end(ended, by, "the client gave its token back")
        return told({})

    async def _by(self, visit: Visit, said: dict[str, str], now_ms: int) -> tokens.Exchange:
        """The client that exchanges something. Raises `Faulty`."""
        audiences = (self._around.url, f"{self._around.url}{visit.path}", f"{self._around.url}/token")
        kept = self._around.kept
        client = await kept(lambda store: clients.authenticated(store, visit, said, audiences, now_ms))
        if isinstance(client, Fault):
            raise Faulty(client.code, client.words, client.status)
        return tokens.Exchange(client, self._around.url, self._around.uid, now_ms)

    async def _refused(self, fault: Fault, by: tokens.Exchange) -> Reply:
        """One credential in two hands is on record, and so is the end that this is to a login."""
        if fault.owner is not None:
            about: JsonObject = {"agent": fault.owner, "client": by.client.id, "reason": fault.words}
            await self._around.recorder.durable({"type": "credential.copied", **about})
        if fault.ended is not None:
            await self._record_end(fault.ended, by, fault.words)
        return refusal(fault)

    async def _record_end(self, login: str, by: tokens.Exchange, why: str) -> None:
        about: JsonObject = {"login": login, "client": by.client.id, "reason": why}
        await self._around.recorder.durable({"type": "login.ended", **about})


def _check_whole_page(headers: Headers) -> None:
    """What a browser loads into a part of another page has nobody asked (Fetch Metadata). Raises `Faulty`."""
    if headers.one("sec-fetch-dest") not in (None, "document"):
        raise Faulty("invalid_request", "a login is a page of its own", 403)


def _cookie(wish: WishRow) -> str:
    """One for each login: several may be under way in one browser."""
    return f"interlock-{wish.handle[:12]}"


def _cookies(headers: Headers) -> dict[str, str]:
    from http.cookies import CookieError, SimpleCookie

    read: SimpleCookie = SimpleCookie()
    try:
        read.load(headers.one("cookie") or "")
    except CookieError:
        return {}
    return {name: morsel.value for name, morsel in read.items()}
