"""What the official conformance suite looks for at a server, whatever the revision: its tools, prompts and resources by their names, and
what each answers. How a server asks and what it tells on the way is the revision's (`older.py`, `newer.py`).
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _picture() -> str:
    """One red pixel."""
    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    parts = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(b"\0\xff\0\0")) + _chunk(b"IEND", b"")
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + parts).decode()


def _sound() -> str:
    """Eight samples of silence."""
    form = struct.pack("<HHIIHH", 1, 1, 8_000, 8_000, 1, 8)
    whole = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", 8) + b"\x80" * 8
    return base64.b64encode(b"RIFF" + struct.pack("<I", len(whole)) + whole).decode()


def text(words: str) -> Json:
    return {"type": "text", "text": words}


def _resource(uri: str, words: str, kind: str = "text/plain") -> Json:
    return {"type": "resource", "resource": {"uri": uri, "mimeType": kind, "text": words}}


PICTURE = {"type": "image", "data": _picture(), "mimeType": "image/png"}
SOUND = {"type": "audio", "data": _sound(), "mimeType": "audio/wav"}
DIALECT = "https://json-schema.org/draft/2020-12/schema"
#: Keywords of the newest dialect that have to arrive as they were written.
WORDY = {
    "$schema": DIALECT, "type": "object",
    "$defs": {"address": {"$anchor": "addressDef", "type": "object", "properties": {"street": {"type": "string"}, "city": {"type": "string"}}}},
    "properties": {"name": {"type": "string"}, "address": {"$ref": "#/$defs/address"},
                   "contactMethod": {"type": "string", "enum": ["phone", "email"]}, "phone": {"type": "string"}, "email": {"type": "string"}},
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]}, "else": {"required": ["email"]}, "additionalProperties": False,
}  # fmt: skip


def tool(name: str, schema: Json | None = None, **more: Any) -> Json:
    return {"name": name, "description": f"For the suite: {name}.", "inputSchema": schema or {"type": "object"}, **more}


def taking(*names: str) -> Json:
    """The schema of arguments that are texts, each required."""
    return {"type": "object", "properties": {name: {"type": "string"} for name in names}, "required": [*names]}


#: Tools whose answer is always the same.
SAID: dict[str, Json] = {
    "test_simple_text": {"content": [text("This is a simple text response for testing.")]},
    "test_image_content": {"content": [PICTURE]},
    "test_audio_content": {"content": [SOUND]},
    "test_embedded_resource": {
        "content": [_resource("test://embedded-resource", "This is an embedded resource content.")]
    },
    "test_multiple_content_types": {
        "content": [
            text("Multiple content types test:"),
            PICTURE,
            _resource("test://mixed-content-resource", '{"test":"data","value":123}', "application/json"),
        ]
    },
    "test_error_handling": {"isError": True, "content": [text("This tool intentionally returns an error for testing")]},
    "json_schema_2020_12_tool": {"content": [text("taken")]},
}
#: The tools of every revision.
TOOLS = [tool(name, WORDY if name == "json_schema_2020_12_tool" else None) for name in SAID] + [
    tool("test_tool_with_progress")
]


def form(message: str, properties: Json, required: list[str] | None = None) -> Json:
    schema = {"type": "object", "properties": properties, **({"required": required} if required else {})}
    return {"message": message, "requestedSchema": schema}


def messages(words: str, tokens: int = 100) -> Json:
    return {"messages": [{"role": "user", "content": text(words)}], "maxTokens": tokens}


PROMPTS = [
    {"name": "test_simple_prompt", "description": "A prompt without arguments."},
    {"name": "test_prompt_with_arguments", "description": "A prompt with two.",
     "arguments": [{"name": name, "description": name, "required": True} for name in ("arg1", "arg2")]},
    {"name": "test_prompt_with_embedded_resource", "description": "A prompt with a resource.",
     "arguments": [{"name": "resourceUri", "description": "which", "required": True}]},
    {"name": "test_prompt_with_image", "description": "A prompt with a picture."},
]  # fmt: skip


def prompt(name: str, arguments: Mapping[str, str]) -> Json | None:
    """A prompt's messages; None where there is none of the name."""
    parts: dict[str, list[Json]] = {
        "test_simple_prompt": [text("This is a simple prompt for testing.")],
        "test_prompt_with_arguments": [
            text(f"Prompt with arguments: arg1='{arguments.get('arg1')}', arg2='{arguments.get('arg2')}'")
        ],
        "test_prompt_with_embedded_resource": [
            _resource(arguments.get("resourceUri", ""), "Embedded resource content for testing."),
            text("Please process the embedded resource above."),
        ],
        "test_prompt_with_image": [PICTURE, text("Please analyze the image above.")],
    }
    return {"messages": [{"role": "user", "content": part} for part in parts[name]]} if name in parts else None


RESOURCES = [
    {"uri": "test://static-text", "name": "text", "description": "A text.", "mimeType": "text/plain"},
    {"uri": "test://static-binary", "name": "picture", "description": "A picture.", "mimeType": "image/png"},
    {"uri": "test://watched-resource", "name": "watched", "description": "One that changes.", "mimeType": "text/plain"},
]
TEMPLATES = [
    {
        "uriTemplate": "test://template/{id}/data",
        "name": "by number",
        "description": "One of many.",
        "mimeType": "application/json",
    }
]


def contents(uri: str) -> Json | None:
    """What a resource contains; None where there is none."""
    number = uri.removeprefix("test://template/").removesuffix("/data")
    if uri == f"test://template/{number}/data":
        words = f'{{"id":"{number}","templateTest":true,"data":"Data for ID: {number}"}}'
        return {"contents": [{"uri": uri, "mimeType": "application/json", "text": words}]}
    said: dict[str, Json] = {
        "test://static-text": {"mimeType": "text/plain", "text": "This is the content of the static text resource."},
        "test://static-binary": {"mimeType": "image/png", "blob": PICTURE["data"]},
        "test://watched-resource": {"mimeType": "text/plain", "text": "watched"},
    }
    return {"contents": [{"uri": uri, **said[uri]}]} if uri in said else None


COMPLETION: Json = {"completion": {"values": ["test-one", "test-two"], "total": 2, "hasMore": False}}


def is_foreign(headers: Any, port: int) -> bool:
    """Whether a request comes by another name than this machine's own, or from a page of elsewhere."""
    own = {f"127.0.0.1:{port}", f"localhost:{port}"}
    origin = headers["Origin"]
    return headers["Host"] not in own or (origin is not None and origin.removeprefix("http://") not in own)
