"""Servers that are broken, each in one way. `broken.py web FILE` serves every kind of HTTP one under its own path and
prints its port; while FILE exists, all of them are whole. `broken.py KIND FILE` is one over stdio, whole while FILE
exists."""

import asyncio
import functools
import gzip
import json
import os
import sys
import time

TOOL = {"name": "echo", "inputSchema": {"type": "object"}}
SAID = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "b", "version": "1"}}
LISTS = {
    "tools-no-list": {"tools": 5},
    "names-no-text": {"tools": [{"name": 7, "inputSchema": 3}, {"name": None}, {}]},
    "schema-number": {"tools": [{"name": "echo", "inputSchema": 3}, {"name": "\u202e" * 3, "inputSchema": []}]},
    "ten-thousand": {"tools": [{**TOOL, "name": f"t{number}"} for number in range(10_000)]},
    "not-objects": {"tools": [1, [2], None]},
}
TEXTS = {
    "empty": b"",
    "brace": b"{",
    "duplicate": b'{"jsonrpc":"2.0","id":1,"result":{},"result":{}}',
    "nan": b'{"jsonrpc":"2.0","id":1,"result":{"n":NaN}}',
    "surrogate": b'{"jsonrpc":"2.0","id":1,"result":{"n":"\\ud800"}}',
    "deep": b"[" * 100_000,
    "number": b"12",
}
RAW = {
    "huge-header": b"HTTP/1.1 200 OK\r\nX-A: " + b"y" * 300_000 + b"\r\n\r\n",
    "bad-chunks": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n{}\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x55" * 40,
    "half": b"",
    "short": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{",
}
HTTP = (*TEXTS, *LISTS, *RAW, "cursor", "flood", "endless-headers", "gzip-bomb", "redirect", "hangs", "html-500")


@functools.cache
def bomb():
    return gzip.compress(b"0" * (200 << 20), 1)


def answer(message):
    if message.get("id") is None:
        return None
    method = message["method"]
    if method == "initialize":
        result = SAID
    elif method == "tools/list":
        result = {"tools": [TOOL]}
    elif method == "tools/call":
        result = {"content": [{"type": "text", "text": "whole"}]}
    else:
        return {"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "no"}}
    return {"jsonrpc": "2.0", "id": message["id"], "result": result}


def response(body, status="200 OK", kind="application/json", *more):
    head = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", "Connection: close", *more]
    return "\r\n".join([*head, "", ""]).encode() + body


async def serve(reader, writer):
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
        body = await reader.readexactly(length)
        kind = head.split(b" ")[1].decode().strip("/")
        if head.startswith(b"POST"):
            await reply(writer, kind, json.loads(body))
        else:
            writer.write(response(b"", "405 No"))
        await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def reply(writer, kind, message):
    whole = response(json.dumps(answer(message)).encode()) if message.get("id") is not None else response(b"", "202 Accepted")
    if os.path.exists(FILE):
        writer.write(whole)
    elif kind in TEXTS:
        writer.write(response(TEXTS[kind]))
    elif kind in LISTS:
        listed = {"jsonrpc": "2.0", "id": message.get("id"), "result": LISTS[kind]}
        writer.write(response(json.dumps(listed).encode()) if message["method"] == "tools/list" else whole)
    elif kind in RAW:
        writer.write(RAW[kind])
        writer.write_eof()
        await asyncio.sleep(5)
    elif kind == "cursor" and message["method"] == "tools/list":
        following = "b" if message["params"].get("cursor") == "a" else "a"
        listed = {"jsonrpc": "2.0", "id": message["id"], "result": {"tools": [], "nextCursor": following}}
        writer.write(response(json.dumps(listed).encode()))
    elif kind == "flood":
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        told = b'data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n' * 1_000
        while True:
            writer.write(told)
            await writer.drain()
    elif kind == "endless-headers":
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X-A: y\r\n" * 1_000)
            await writer.drain()
    elif kind == "gzip-bomb":
        writer.write(response(bomb(), "200 OK", "application/json", "Content-Encoding: gzip"))
    elif kind == "redirect":
        writer.write(response(b"", "307 Elsewhere", "application/json", "Location: /redirect"))
    elif kind == "hangs":
        await asyncio.sleep(60)
    elif kind == "html-500":
        writer.write(response(b"<html>", "500 Error", "text/html"))
    else:
        writer.write(whole)


STDIO = ("closes-input", "closes-output", "exits", "errors-flood", "line-flood", "told-flood", "traceback", "deaf", "noise")


def speak(kind):
    if kind == "traceback":
        sys.stderr.write("Traceback (most recent call last):\n  File server.py, line 1\n")
        sys.exit("ModuleNotFoundError: No module named 'sesame'")
    if kind == "deaf":
        time.sleep(60)
    if kind == "noise":
        while True:
            print("starting up", flush=True)
    for line in sys.stdin:
        message = json.loads(line)
        said = answer(message)
        if said is not None:
            print(json.dumps(said), flush=True)
        if message["method"] == "initialize":
            after_initialize(kind)


def after_initialize(kind):
    if kind == "closes-input":
        os.close(0)
        time.sleep(60)
    if kind == "closes-output":
        os.close(1)
        time.sleep(60)
    if kind == "exits":
        os._exit(3)
    if kind == "errors-flood":
        while True:
            os.write(2, b"e" * 65_536)
    if kind == "line-flood":
        while True:
            os.write(1, b"x" * 65_536)
    if kind == "told-flood":
        while True:
            os.write(1, b'{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"x"}}\n' * 100)


async def web():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    FILE = sys.argv[2]
    if sys.argv[1] == "web":
        asyncio.run(web())
    else:
        speak("whole" if os.path.exists(FILE) else sys.argv[1])
