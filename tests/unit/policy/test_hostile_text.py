"""Text nobody meant well: whatever the bytes, a policy loads or is refused with places; never a traceback, never a hang."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.policy import Context
from interlock.policy.compile import compile_layer
from interlock.policy.faults import Fault
from interlock.policy.layer import Origin
from interlock.policy.parse import parse_layer
from interlock.policy.pattern import expand_braces, problem_of, to_regex

CONTEXT = Context(
    home="/home/ada", workspace="/home/ada/work", user="ada", state="/il/state", config="/il/config", cache="/il/cache", runtime="/il/run"
)
WORDS = [
    "interlock: 1\n", "name: mine\n", "rules:\n", "  - id: one\n", "    allow: file.read\n", "    deny: [file.*, net.*]\n",
    "    path: ", "    except: ", "\"@system\"", "@secrets", "${workspace}", "${", "~", "/**", "**/", "{a,b}", "[a-", "]", "*x", "&x ",
    "!x ", "<<: ", "- ", ": ", ", ", "{", "}", "[", "]", "#", "'", '"', "\\", "\n", "\t", "  ", "|", ">", "---\n", "%", "`",
    "    address: 1.2.3.4/8\n", "    port: 0-1\n", "    arguments: [{at: /a, in: [1]}]\n", "sets:\n  a: [\"@a\"]\n", "\x00", "\ufeff",
    "\u202e", "é", "\r\n", "? ", "\u2028", "💥",
]  # fmt: skip
text_like_policy = st.lists(st.sampled_from(WORDS), max_size=40).map("".join)
GOOD = "interlock: 1\nname: mine\nrules:\n  - id: one\n    deny: file.read\n    path: /a/{b,c}\n"


def read(data: bytes) -> list[Fault]:
    faults: list[Fault] = []
    layer = parse_layer(data, file="x.yaml", origin=Origin.USER, faults=faults)
    if layer is not None:
        compile_layer(layer, CONTEXT, faults)
    assert layer is not None or faults
    for fault in faults:
        assert fault.text().replace("\n", "").isprintable(), fault
        assert fault.place.line >= 1
        assert fault.place.column >= 1
    return faults


@settings(max_examples=600, deadline=None)
@given(text_like_policy)
def test_text_that_looks_like_a_policy(text: str) -> None:
    read(text.encode("utf-8", "surrogatepass"))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    read(data)


@settings(max_examples=400, deadline=None)
@given(st.integers(0, len(GOOD)), st.sampled_from(WORDS))
def test_one_insertion_into_a_good_policy(where: int, word: str) -> None:
    read((GOOD[:where] + word + GOOD[where:]).encode())


@settings(max_examples=400, deadline=None)
@given(st.text(alphabet="/ab*?[]{}\\,!-^.~$", max_size=30))
def test_a_pattern_is_refused_or_expands_to_ones_that_hold(pattern: str) -> None:
    import re

    if problem_of(pattern) is None:
        for each in expand_braces(pattern) or ():
            if problem_of(each) is None:
                re.compile(to_regex(each))


@pytest.mark.parametrize("pattern", ["/\\/?", "/a\\/b", "**/\\/"])
def test_a_separator_is_not_escaped(pattern: str) -> None:
    assert problem_of(pattern) is not None


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + GOOD.encode(),
        GOOD.replace("\n", "\r\n").encode(),
    ],
    ids=["byte order mark", "crlf"],
)
def test_what_editors_do_is_no_mistake(data: bytes) -> None:
    assert read(data) == []


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 100_000,
        b"{a: " * 50_000,
        b"- " * 200_000,
        b"a: &a [" + b"*a," * 100_000 + b"]",
        GOOD.encode() + b"    because: " + b"x" * (1 << 20),
        GOOD.replace("{b,c}", "{" * 300 + "}" * 300).encode(),
        GOOD.replace("{b,c}", "{a,b}" * 30).encode(),
        GOOD.replace("/a/{b,c}", "{a," * 200).encode(),
        b"interlock: 1\nname: x\nsets:\n"
        + b"".join(b"  s%d: [%s]\n" % (n, b", ".join([b'"@s%d"' % (n + 1)] * 900)) for n in range(12))
        + b'  s12: ["/a"]\nrules: [{id: a, deny: file.read, path: "@s0"}]\n',
        "interlock: 1\nname: x\nrules: []\n".encode("utf-16"),
        b"interlock: 1\nname: x\nrules:\n" + b"".join(b"  - {id: r%d, deny: file.read}\n" % n for n in range(2_001)),
    ],
    ids=["brackets", "braces", "dashes", "aliases", "large", "nested", "wide", "open", "set-bomb", "utf-16", "rules"],
)
def test_bombs_are_refused_or_loaded_soon(data: bytes) -> None:
    begun = time.process_time()
    read(data)
    assert time.process_time() - begun < 10
