"""Clients that are known by a document at an address: the SDK's logs in so, and the gateway reaches nothing private for a stranger."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from gateway_stage import connector
from login_stage import REDIRECT, Browser, exchanged, fetch, next_page, person, proof, wish
from test_login import Kept, provider

from interlock.identity.oauth.documents import Documents, is_document, is_public

ID = "https://app.example.com/client.json"
PUBLIC = "93.184.216.34"
DOCUMENT = {"client_id": ID, "client_name": "An App", "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none"}


class Site:
    """The place of documents: what it answers, and what it was asked."""

    def __init__(self) -> None:
        self.status, self.headers, self.body = 200, {"Content-Type": "application/json"}, json.dumps(DOCUMENT).encode()
        self.asked: list[str] = []
        self.addresses = [PUBLIC]
        self.looked_up = 0
        self.reached: list[tuple[str, str]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append(self.path)
                assert self.headers["Host"] == "app.example.com" and "Authorization" not in self.headers and "Cookie" not in self.headers
                self.send_response(site.status)
                for name, value in site.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(site.body)))
                self.end_headers()
                self.wfile.write(site.body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    async def look_up(self, host: str) -> list[str]:
        self.looked_up += 1
        return self.addresses if self.looked_up == 1 else ["127.0.0.1"]  # another answer at a second look

    async def connect(self, address: str, host: str) -> Any:
        self.reached.append((address, host))
        return await asyncio.open_connection("127.0.0.1", self.server.server_address[1])


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.server.shutdown()
    site.server.server_close()


@pytest.fixture
def stage(start: Any, tmp_path: Any, site: Site) -> Any:
    return start(connector("notes", root=tmp_path), oauth=True, documents=Documents(site.look_up, site.connect))


def test_a_client_with_a_document_logs_in(stage: Any, site: Site) -> None:
    secret, browser = proof(), Browser(stage)
    page = browser.open(wish(stage, ID, secret.challenge))
    assert ID in page.body.decode() and "An App" in page.body.decode()
    shown = person(stage).action["target"]["arguments"]
    assert shown["name"] == f"as {ID} says" and shown["agent"].startswith("an-app-")
    got = exchanged(stage, ID, browser.log_in(next_page(page))["code"], secret.verifier)
    assert got.status == 200 and site.asked == ["/client.json"]
    assert site.reached == [(PUBLIC, "app.example.com")] and site.looked_up == 1, "looked up once, and there it went"


def test_the_sdk_logs_in_by_its_document(stage: Any) -> None:
    import mcp
    from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

    url, kept = f"{stage.url}/mcp", Kept()
    auth = provider(stage, kept, url)
    auth.context.client_metadata_url = ID

    async def called() -> Any:
        async with (
            create_mcp_http_client(auth=auth) as http,
            mcp.Client(streamable_http_client(url, http_client=http), mode="legacy") as client,
        ):
            return await client.call_tool("notes__echo", {"text": "hi"})

    human = threading.Thread(target=person, args=(stage,))
    human.start()
    assert asyncio.run(called()).content[0].text == "echo: hi"
    human.join()
    assert kept.client.client_id == ID and "client.registered" not in [each["type"] for each in stage.records()]


PRIVATE = [
    "127.0.0.1", "127.9.9.9", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255",
    "::1", "::", "fe80::1%eth0", "fd00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::",
]  # fmt: skip


def test_no_private_address_is_reached(stage: Any, site: Site) -> None:
    assert is_public(PUBLIC) and is_public("2606:4700::1111") and not [each for each in PRIVATE if is_public(each)]
    for addresses in ([], ["10.0.0.1"], [PUBLIC, "127.0.0.1"], ["::ffff:169.254.169.254"]):
        site.addresses, site.looked_up = addresses, 0
        got = fetch(stage, "GET", wish(stage, ID, proof().challenge))
        assert got.status == 400 and "Location" not in got.headers, addresses
    assert site.reached == []


def test_what_is_no_address_of_a_document_is_never_looked_up(stage: Any, site: Site) -> None:
    for identity in (
        "http://app.example.com/client.json", "https://app.example.com", "https://app.example.com/", "https://app.example.com:8443/x",
        "https://user@app.example.com/x", "https://app.example.com/x#y", "https://app.example.com/../x", "https://127.0.0.1/x", "https://[::1]/x",
        "https://localhost/x", "https://2130706433/x", "https://0x7f.1/x", "https://app.example.com./x", "file:///etc/passwd", "https://app.example.com\r\n/x",
    ):  # fmt: skip
        assert not is_document(identity)
        assert fetch(stage, "GET", wish(stage, identity, proof().challenge)).status == 400
    assert site.looked_up == 0 and is_document(ID)


def test_a_document_that_does_not_describe_its_client_is_refused(stage: Any, site: Site) -> None:
    def refused() -> bool:
        site.looked_up = 0
        got = fetch(stage, "GET", wish(stage, ID, proof().challenge))
        return got.status == 400 and "Location" not in got.headers

    for change in (
        {"client_id": "https://other.example/x"},
        {"client_id": None},
        {"redirect_uris": ["http://evil.example/x"]},
        {"redirect_uris": ["http://127.0.0.1:3030/other"]},
        {"token_endpoint_auth_method": "client_secret_basic"},
        {"client_secret": "x"},
        {"client_name": "x" * 65},
        {"padding": "x" * 9_000},
    ):
        site.body = json.dumps({**DOCUMENT, **change}).encode()
        assert refused(), change
    for body in (b"", b"[]", b"<html>", b'{"client_id": "a", "client_id": "b"}', b"x" * 100_000):
        site.body = body
        assert refused(), body[:20]
    site.body = json.dumps(DOCUMENT).encode()
    for status in (301, 302, 307, 404, 500):
        site.status, site.headers = status, {"Location": "http://127.0.0.1/secret"}
        before = len(site.reached)
        assert refused() and len(site.reached) == before + 1, "a redirect leads nowhere"
    assert "approval.asked" not in [each["type"] for each in stage.records()]


def test_a_certificate_of_another_host_is_none(tmp_path: Any, monkeypatch: Any) -> None:
    import ssl
    import subprocess

    from interlock.identity.oauth import documents

    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=other.example", "-days", "2"]
    subprocess.run([*made, "-keyout", tmp_path / "key", "-out", tmp_path / "certificate"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate", tmp_path / "key")

    async def tried() -> None:
        async with await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0, ssl=context) as server:
            monkeypatch.setattr(documents, "PORT", server.sockets[0].getsockname()[1])
            with pytest.raises(ssl.SSLCertVerificationError):
                await documents.connected("127.0.0.1", "app.example.com")

    asyncio.run(tried())
