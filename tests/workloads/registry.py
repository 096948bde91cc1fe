"""One server that is everybody's: a page, a git repository, a wheel, an npm package, a crate and a Go module, over TLS with a certificate of its own.

Made anew for each test, in a folder of its own; it listens on every address of the world that the test made, and counts who came to which.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import http.server
import io
import json
import os
import socket
import ssl
import subprocess
import tarfile
import threading
import zipfile
from pathlib import Path

HOST = "registry.example.com"
PORT = 8443
DATABASE_PORT = 5432
BASE = f"https://{HOST}:{PORT}"
_QUIET = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}


class Registry:
    """`folder` holds what is served (`site`) and the certificate that clients are told to trust (`ca`)."""

    def __init__(self, folder: Path) -> None:
        self.site, self.ca = folder / "site", folder / "ca.pem"
        self._certificate, self._key = folder / "server.pem", folder / "key.pem"
        self.reached: list[str] = []
        self.site.mkdir()
        self._certify()
        (self.site / "hello").write_text("well-met")
        for make in (self._wheel, self._npm, self._crate, self._module, self._repository):
            make()

    def serve(self, *addresses: str) -> None:
        """In threads, to the end of this process."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._certificate, self._key)
        handler = functools.partial(_Quiet, directory=str(self.site))
        for address in addresses:
            server = _Counting((address, PORT), handler)
            server.reached = self.reached
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            threading.Thread(target=self._database, args=(address,), daemon=True).start()

    def _database(self, address: str) -> None:
        """Speaks as much of PostgreSQL's protocol as says no: no TLS, then an error with words that clients show."""
        server = socket.create_server((address, DATABASE_PORT))
        fields = b"SFATAL\0VFATAL\0C28000\0Mwell-met\0\0"
        while True:
            peer, _ = server.accept()
            self.reached.append(address)
            with contextlib.suppress(OSError), peer:
                while (message := peer.recv(4096)) and message[4:8] in (b"\x04\xd2\x16\x2f", b"\x04\xd2\x16\x30"):
                    peer.sendall(b"N")
                peer.sendall(b"E" + (len(fields) + 4).to_bytes(4) + fields)

    def _certify(self) -> None:
        """An authority, and what it says of the server: some clients take no authority for a server."""
        folder = self.ca.parent
        self._made(self.ca, folder / "authority.pem", "-subj", "/CN=authority")
        names = [
            "-addext",
            f"subjectAltName=DNS:{HOST},DNS:*.example.com",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ]
        by = ["-CA", str(self.ca), "-CAkey", str(folder / "authority.pem")]
        self._made(self._certificate, self._key, "-subj", f"/CN={HOST}", *names, *by)

    @staticmethod
    def _made(certificate: Path, key: Path, *more: str) -> None:
        words = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ]
        subprocess.run([*words, "-keyout", str(key), "-out", str(certificate), *more], check=True, capture_output=True)

    def _put(self, place: str, content: bytes) -> bytes:
        path = self.site / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return content

    def _wheel(self) -> None:
        files = {
            "demo.py": "said = 'well-met'\n",
            "demo-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n",
            "demo-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        files["demo-1.0.dist-info/RECORD"] = "".join(f"{name},,\n" for name in [*files, "demo-1.0.dist-info/RECORD"])
        wheel = self._put("wheels/demo-1.0-py3-none-any.whl", _zip(files))
        link = f"/wheels/demo-1.0-py3-none-any.whl#sha256={hashlib.sha256(wheel).hexdigest()}"
        self._put("simple/demo/index.html", f'<!DOCTYPE html><a href="{link}">demo-1.0-py3-none-any.whl</a>'.encode())

    def _npm(self) -> None:
        about = {"name": "demo", "version": "1.0.0", "main": "index.js"}
        package = _tar({"package/package.json": json.dumps(about), "package/index.js": "module.exports = 'well-met'\n"})
        self._put("npm-files/demo-1.0.0.tgz", package)
        integrity = "sha512-" + base64.b64encode(hashlib.sha512(package).digest()).decode()
        version = {
            **about,
            "dist": {
                "tarball": f"{BASE}/npm-files/demo-1.0.0.tgz",
                "integrity": integrity,
                "shasum": hashlib.sha1(package).hexdigest(),
            },
        }
        self._put(
            "npm/demo",
            json.dumps({"name": "demo", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}).encode(),
        )

    def _crate(self) -> None:
        manifest = '[package]\nname = "demo"\nversion = "1.0.0"\nedition = "2021"\n'
        crate = self._put(
            "crates/demo/1.0.0.crate", _tar({"demo-1.0.0/Cargo.toml": manifest, "demo-1.0.0/src/lib.rs": ""})
        )
        entry = {
            "name": "demo",
            "vers": "1.0.0",
            "deps": [],
            "cksum": hashlib.sha256(crate).hexdigest(),
            "features": {},
            "yanked": False,
        }
        self._put("index/config.json", json.dumps({"dl": f"{BASE}/crates/{{crate}}/{{version}}.crate"}).encode())
        self._put("index/de/mo/demo", json.dumps(entry).encode() + b"\n")

    def _module(self) -> None:
        place = "go/example.com/demo/@v"
        self._put(f"{place}/v1.0.0.info", b'{"Version":"v1.0.0","Time":"2024-01-01T00:00:00Z"}')
        self._put(f"{place}/v1.0.0.mod", b"module example.com/demo\n")
        files = {"go.mod": "module example.com/demo\n", "demo.go": "package demo\n"}
        self._put(
            f"{place}/v1.0.0.zip", _zip({f"example.com/demo@v1.0.0/{name}": text for name, text in files.items()})
        )

    def _repository(self) -> None:
        """As files alone, which every web server can serve (gitprotocol-http(5), the dumb way)."""
        work, bare = self.site.parent / "work", self.site / "repo.git"
        environment = {**os.environ, **_QUIET, "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.com"}
        environment |= {"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.com"}
        (work / "sub").mkdir(parents=True)
        (work / "hello").write_text("well-met\n")
        steps = [
            ["init", "-q", "-b", "main"],
            ["add", "hello"],
            ["commit", "-q", "-m", "hello"],
            ["clone", "-q", "--bare", ".", str(bare)],
        ]
        for words in steps:
            subprocess.run(["git", *words], cwd=work, env=environment, check=True, capture_output=True)
        subprocess.run(["git", "update-server-info"], cwd=bare, env=environment, check=True)


class _Counting(http.server.ThreadingHTTPServer):
    daemon_threads = True
    reached: list[str]

    def get_request(self) -> tuple[socket.socket, object]:
        peer, client = super().get_request()
        self.reached.append(str(self.server_address[0]))
        return peer, client

    def handle_error(self, request: object, client_address: object) -> None:
        """Who only looks whether it can connect is gone by then."""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Nobody reads it."""


def _zip(files: dict[str, str]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return made.getvalue()


def _tar(files: dict[str, str]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, text in files.items():
            about = tarfile.TarInfo(name)
            about.size = len(text)
            archive.addfile(about, io.BytesIO(text.encode()))
    return made.getvalue()
