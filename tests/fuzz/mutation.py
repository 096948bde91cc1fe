"""Texts made of other texts by small wrongs: bytes changed, cut, repeated, joined, and words that parsers trip over."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

SIZE_MAX = 20_000
#: What has troubled parsers of JSON, HTTP, event streams and command lines.
WORDS = (
    b'"', b"\\", b"{", b"}", b"[", b"]", b":", b",", b"null", b"true", b"NaN", b"-Infinity", b"1e999", b"-0", b"0.1e-400", b"9007199254740993",
    b"18446744073709551616", b"\\u0000", b"\\ud800", b"\\udc00\\ud800", b"\xff\xfe", b"\xef\xbb\xbf", b"\x00", b"\r", b"\n", b"\r\n", b"\r\n\r\n",
    b"\t", b" ", b"\x0b", b"\xc2\xa0", b"\xe2\x80\xa8", b"\xe2\x80\xae", b"data:", b"id:", b"event:", b": ", b"jsonrpc", b"2.0", b"id", b"method", b"params",
    b"result", b"error", b"_meta", b"__proto__", b"$ref", b"name", b"uri", b"tools/call", b"initialize", b"..", b"%2e%2e", b"//", b"\\", b"${", b"${env:", b"}",
    b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Content-Length: -1", b"HTTP/1.1 200 OK", b"0\r\n\r\n", b"ffffffffffffffff", b"=?base64?", b"?=",
    b"\xf0\x9f\x92\xa9", b"i\xcc\x87", b"\xc4\xb0", b"/*", b"*/", b"//", b"#", b"'", b"`", b"-", b"--", b"@", b"=", b"<", b">",
)  # fmt: skip


class Mutation:
    """Makes texts from a corpus. Two with the same seed make the same."""

    def __init__(self, seed: int, corpus: Sequence[bytes]) -> None:
        self._random = random.Random(seed)
        self._corpus = list(corpus)

    def next(self) -> bytes:
        """Another text; one in sixteen is nobody's child."""
        if self._random.randrange(16) == 0:
            return self._random.randbytes(self._random.randrange(64))
        text = self._random.choice(self._corpus)
        for _ in range(self._random.choice((0, 1, 1, 1, 2, 2, 4, 8))):
            text = self._random.choice(_WAYS)(self._random, text, self._corpus)
        return text[:SIZE_MAX]

    def cuts(self, text: bytes) -> list[bytes]:
        """The same text in parts."""
        parts = []
        while text:
            at = self._random.choice((1, 1, 2, 3, 7, len(text)))
            parts.append(text[:at])
            text = text[at:]
        return parts


Way = Callable[[random.Random, bytes, list[bytes]], bytes]


def _flipped(rng: random.Random, text: bytes, _: list[bytes]) -> bytes:
    if not text:
        return text
    at = rng.randrange(len(text))
    return text[:at] + bytes([text[at] ^ (1 << rng.randrange(8))]) + text[at + 1 :]


def _put_in(rng: random.Random, text: bytes, _: list[bytes]) -> bytes:
    at = rng.randint(0, len(text))
    return text[:at] + rng.choice(WORDS) + text[at:]


def _put_over(rng: random.Random, text: bytes, _: list[bytes]) -> bytes:
    at, word = rng.randint(0, len(text)), rng.choice(WORDS)
    return text[:at] + word + text[at + len(word) :]


def _cut(rng: random.Random, text: bytes, _: list[bytes]) -> bytes:
    begin = rng.randint(0, len(text))
    return text[:begin] + text[rng.randint(begin, len(text)) :]


def _ended(rng: random.Random, text: bytes, _: list[bytes]) -> bytes:
    return text[: rng.randint(0, len(text))]


def _repeated(rng: random.Random, text: bytes, _: list[bytes]) -> bytes:
    begin = rng.randint(0, len(text))
    end = rng.randint(begin, min(len(text), begin + 40))
    return text[:begin] + text[begin:end] * rng.choice((2, 3, 50, 400)) + text[end:]


def _joined(rng: random.Random, text: bytes, corpus: list[bytes]) -> bytes:
    other = rng.choice(corpus)
    return text[: rng.randint(0, len(text))] + other[rng.randint(0, len(other)) :]


def _nested(rng: random.Random, text: bytes, _: list[bytes]) -> bytes:
    deep = rng.choice((2, 60, 70, 2_000))
    opening, closing = rng.choice(((b"[", b"]"), (b'{"a":', b"}")))
    return opening * deep + text + closing * deep


_WAYS: tuple[Way, ...] = (_flipped, _flipped, _put_in, _put_in, _put_over, _cut, _ended, _repeated, _joined, _nested)
