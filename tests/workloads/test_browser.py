"""A browser: Chromium without a window takes a picture of a page on loopback. Its many processes ask their sockets who is at the other end."""

from __future__ import annotations

import shutil
import struct
import zlib

import pytest

from tests.escapes.arena import Arena

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --hide-scrollbars --window-size=120,80"
)
WORK = f"""
mkdir site profile && echo '<body style="background: #0a0b0c"></body>' > site/index.html
/usr/bin/python3 -u -m http.server --bind 127.0.0.1 --directory site 0 > serving 2>&1 & server=$!
trap 'kill $server' EXIT
while ! port=$(grep -o 'port [0-9]*' serving | cut -d' ' -f2) || [ -z "$port" ]; do sleep 0.1; done
timeout 150 chromium {FLAGS} --user-data-dir="$PWD/profile" --screenshot="$PWD/picture.png" http://127.0.0.1:$port/ > chromium.log 2>&1
status=$?
tail -n 5 chromium.log >&2
exit $status
"""


def middle(png: bytes) -> tuple[int, ...]:
    """Red, green and blue in the first row of a PNG: what colour the page has."""
    width, _, depth, colours = struct.unpack(">IIBB", png[16:26])
    at, data = 8, b""
    while at < len(png):
        size = int.from_bytes(png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            data += png[at + 8 : at + 8 + size]
        at += size + 12
    assert (depth, width) == (8, 120) and colours in (2, 6)
    # The first pixel is written plainly under every filter of the first row.
    return tuple(zlib.decompress(data)[1:4])


@pytest.mark.parametrize("preset", ["observe"])
def test_chromium_takes_a_picture_of_a_loopback_page(arena: Arena, preset: str) -> None:
    if not shutil.which("chromium"):
        pytest.skip("chromium is missing; expected where .ci/prepare ran")
    held = arena.held("sh", "-c", WORK, preset=preset, seconds=200)
    picture = arena.work / "picture.png"
    assert picture.exists(), (held.code, held.output, held.errors[-3000:])
    assert middle(picture.read_bytes()) == (0x0A, 0x0B, 0x0C)
