"""The HTTP client against servers that answer byte by byte as they please: what is kept, what is refused, what is never sent twice."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from interlock.connectors.http_client import UNREAD_BYTES_MAX, HttpClient, Unanswered

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: 2\r\n\r\n{}"


class Server:
    """Answers each request with the next of its answers, and keeps what came, by connection."""

    def __init__(self, answers: list[bytes], *, closes: bool = False) -> None:
        self.answers = answers
        self.closes = closes
        self.came: list[list[bytes]] = []
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mine: list[bytes] = []
        self.came.append(mine)
        self.writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
                mine.append(head + await reader.readexactly(size))
                writer.write(self.answers.pop(0))
                await writer.drain()
                if self.closes or not self.answers:
                    break
        if self.closes:
            writer.close()


@contextlib.asynccontextmanager
async def running(server: Server) -> AsyncIterator[HttpClient]:
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
        client = HttpClient(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/mcp?a=b c")
        try:
            yield client
        finally:
            client.close()
            for writer in server.writers:
                writer.transport.abort()


async def asked(client: HttpClient, headers: dict[str, str] | None = None) -> tuple[int, bytes | None]:
    with await client.send("POST", headers or {}, b"{}") as response:
        return response.status, await response.whole(1_000_000)


def run(work: Callable[[], Awaitable[Any]]) -> Any:
    async def within() -> Any:
        async with asyncio.timeout(20):
            return await work()

    return asyncio.run(within())


def test_one_connection_carries_request_after_request() -> None:
    server = Server([OK, OK, OK])

    async def work() -> None:
        async with running(server) as client:
            for _ in range(3):
                with await client.send("POST", {"X-One": "1"}, b'{"a":1}') as response:
                    assert (response.status, response.content_type) == (200, "application/json")
                    assert await response.whole(10) == b"{}"

    run(work)
    assert [len(each) for each in server.came] == [3]
    assert server.came[0][0].startswith(b"POST /mcp?a=b%20c HTTP/1.1\r\nHost: 127.0.0.1:")
    assert server.came[0][0].endswith(b'X-One: 1\r\nContent-Length: 7\r\n\r\n{"a":1}')


@pytest.mark.parametrize(
    "answer",
    [
        OK + OK,  # an answer to nothing: whoever reads it next takes it for its own
        OK + b"x",
        OK.replace(b"\r\nContent-Length", b"\r\nConnection: close\r\nContent-Length"),
        OK.replace(b"HTTP/1.1", b"HTTP/1.0"),
    ],
)
def test_what_may_not_be_used_again_is_not(answer: bytes) -> None:
    server = Server([answer, OK])

    async def work() -> None:
        async with running(server) as client:
            with contextlib.suppress(Unanswered):
                assert await asked(client) == (200, b"{}")
            assert await asked(client) == (200, b"{}")

    run(work)
    assert [len(each) for each in server.came] == [1, 1]


def test_an_answer_that_nobody_asked_for_ends_its_connection() -> None:
    server = Server([OK, OK])

    async def work() -> None:
        async with running(server) as client:
            await asked(client)
            server.writers[0].write(OK.replace(b"{}", b"[]"))
            await asyncio.sleep(0.05)
            assert await asked(client) == (200, b"{}")

    run(work)
    assert [len(each) for each in server.came] == [1, 1]


def test_a_request_is_never_sent_twice() -> None:
    server = Server([b"", b""], closes=True)

    async def work() -> None:
        async with running(server) as client:
            left: list[int] = []
            with pytest.raises(Unanswered, match="closed the connection"):
                await client.send("POST", {}, b"{}", lambda: left.append(1))
            assert left == [1]

    run(work)
    assert [len(each) for each in server.came] == [1]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
        b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * 70_000 + b"\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 300 + b"Content-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n",
        b"220 mail.example ESMTP\r\n",
    ],
)
def test_what_two_readers_could_read_otherwise_is_no_answer(answer: bytes) -> None:
    async def work() -> None:
        async with running(Server([answer], closes=True)) as client:
            with pytest.raises(Unanswered):
                await asked(client)

    run(work)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\nTrailer: a\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + OK,
    ],
)
def test_each_way_to_end_a_body_is_read(answer: bytes) -> None:
    async def work() -> None:
        async with running(Server([answer], closes=True)) as client:
            assert await asked(client) == (200, b"{}")

    run(work)


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nX: y", "a\0", "a\rb"])
def test_a_header_cannot_begin_another_one(value: str) -> None:
    server = Server([OK])

    async def work() -> None:
        async with running(server) as client:
            with pytest.raises(ValueError, match="no header may"):
                await client.send("POST", {"X-One": value}, b"{}")

    run(work)
    assert server.came == []


def test_what_is_not_read_waits_with_the_server() -> None:
    """A server that sends without end is read as far as the bound, and what was not read to its end is not used again."""
    endless = b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n" + b"x" * 50_000_000

    async def work() -> int:
        async with running(Server([endless, OK])) as client:
            with await client.send("POST", {}, b"{}") as response:
                await asyncio.sleep(0.3)
                unread = response._unread
                assert await response.whole(1_000_000) is None
            return unread

    assert run(work) <= UNREAD_BYTES_MAX + 256 * 1024


ENDLESS = {
    "head": (b"HTTP/1.1 200 OK\r\nX-A: ", b"a" * 8_192),
    "interim": (b"", b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" * 200),
    "chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1;" + b"x" * 8_192 + b"\r\n{\r\n"),
    "trailers": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\nX-A: ", b"a" * 8_192),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_what_is_around_a_body_has_an_end(name: str) -> None:
    begins, goes_on = ENDLESS[name]
    sent = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(begins)
        with contextlib.suppress(OSError):
            while sent < 64 << 20:
                writer.write(goes_on)
                await writer.drain()
                sent += len(goes_on)
        writer.close()

    async def work() -> None:
        async with await asyncio.start_server(flood, "127.0.0.1", 0) as listening:
            client = HttpClient(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/")
            with pytest.raises(Unanswered):
                await asked(client)
            client.close()

    run(work)
    assert sent < 16 << 20, "what the system holds of it, and not what the client would"


def test_a_server_that_answers_before_it_is_asked_is_not_waited_for() -> None:
    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        with contextlib.suppress(OSError):
            await reader.read()
        writer.close()

    async def work() -> None:
        async with await asyncio.start_server(early, "127.0.0.1", 0) as listening:
            client = HttpClient(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/")
            connection = await client._connected()
            await asyncio.sleep(0.1)
            with pytest.raises(Unanswered):
                await connection.asked(b"POST / HTTP/1.1\r\nHost: a\r\n\r\n")
            client.close()

    run(work)


def test_a_caller_that_goes_away_takes_its_connection_along() -> None:
    server = Server([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", OK])

    async def work() -> None:
        async with running(server) as client:
            task = asyncio.create_task(asked(client))
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asked(client) == (200, b"{}")

    run(work)
    assert [len(each) for each in server.came] == [1, 1]


def test_an_idle_connection_ends_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interlock.connectors.http_client.IDLE_S_MAX", 0.1)
    server = Server([OK, OK])

    async def work() -> int:
        async with running(server) as client:
            await asked(client)
            await asyncio.sleep(0.4)
            return len(client._open)

    assert run(work) == 0


@pytest.mark.parametrize(
    "said, told",
    [
        ([b"lb=a; Path=/; HttpOnly"], b"lb=a"),
        ([b"lb=a", b"lb=b"], b"lb=b"),
        ([b"lb=a; Path=/mcp"], b"lb=a"),
        ([b"lb=a; Path=/mc"], None),
        ([b"lb=a; Secure"], None),
        ([b"lb=a; Max-Age=0"], None),
        ([b"lb=a", b"lb=; Max-Age=-1"], None),
        ([b"lb=\xe9"], None),
        ([b"a=1", b"b=2"], b"a=1; b=2"),
        ([b"a=" + b"x" * 5_000], None),
    ],
)
def test_cookies_are_told_back_to_their_server(said: list[bytes], told: bytes | None) -> None:
    first = OK.replace(b"\r\nContent-Length", b"".join(b"\r\nSet-Cookie: " + each for each in said) + b"\r\nContent-Length")
    server = Server([first, OK])

    async def work() -> None:
        async with running(server) as client:
            await asked(client)
            await asked(client)

    run(work)
    lines = server.came[0][1].split(b"\r\n")
    assert [line for line in lines if line.startswith(b"Cookie")] == ([b"Cookie: " + told] if told else [])


def certificate(folder: Path) -> tuple[Path, Path]:
    """For `localhost`, signed by itself: its certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = serialization.Encoding.PEM
    (folder / "certificate").write_bytes(made.public_bytes(pem))
    form, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "key").write_bytes(key.private_bytes(pem, form, none))
    return folder / "certificate", folder / "key"


@pytest.mark.parametrize("host, trusted, answered", [("localhost", True, True), ("localhost", False, False), ("127.0.0.1", True, False)])
@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_server_over_tls_has_to_prove_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, trusted: bool, answered: bool, loop: Any
) -> None:
    shown, key = certificate(tmp_path)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(shown))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown, key)
    server = Server([OK, OK])

    async def work() -> None:
        async with await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=context) as listening:
            client = HttpClient(f"https://{host}:{listening.sockets[0].getsockname()[1]}/mcp")
            try:
                if answered:
                    assert [await asked(client), await asked(client)] == [(200, b"{}")] * 2
                    assert [len(each) for each in server.came] == [2]
                else:
                    with pytest.raises(ssl.SSLError):
                        await asked(client)
            finally:
                client.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(work())
