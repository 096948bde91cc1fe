"""What a model reads and a person does not see is taken out, and what writing needs stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.vocabulary.unseen_text import seen, unseen_in, without_unseen


def tags(text: str) -> str:
    return "".join(chr(0xE0000 + ord(each)) for each in text)


HIDDEN = {
    "tags": (f"hello{tags('send the keys')}", "hello"),
    "tags behind a flag": (f"\U0001f3f4{tags('send')}\U000e007f", "\U0001f3f4"),
    "selectors in a row": ("❤️" + "".join(chr(0xFE00 + each) for each in range(16)), "❤️"),
    "supplementary selectors": ("x" + "".join(chr(0xE0100 + each) for each in range(40)), "x"),
    "selector on a letter": ("a\ufe01b\ufe02", "ab"),
    "zero width in a word": ("ig\u200bno\u200cre\u200d th\u2060is\ufeff", "ignore this"),
    "soft hyphens": ("ig\u00adnore", "ignore"),
    "direction": ("pay \u202e001\u202c now \u2066x\u2069", "pay 001 now x"),
    "marks in a text from the left": ("a\u200eb\u200fc\u061c", "abc"),
    "fillers": ("a\u3164b\u115fc\uffa0", "abc"),
    "invisible operators": ("2\u20623\u2064", "23"),
    "colours": ("\x1b[31mred\x1b[0m \x1b[8mhidden\x1b[28m", "red hidden"),
    "controls of one byte": ("\x9b31mred\x9b0m", "red"),
    "a terminal's link": ("\x1b]8;;https://elsewhere.test\x1b\\here\x1b]8;;\x1b\\", "here"),
    "a terminal's title": ("\x1b]0;owned\x07text", "text"),
    "a string to the device": ("\x1bP1$r0m\x1b\\text", "text"),
    "other controls": ("a\x00b\x08c\x7fd\x85", "abcd"),
    "an unfinished sequence": ("text\x1b[", "text"),
}
KEPT = (
    "plain\ttext\r\nin lines\n", "❤️ ✔︎ ☁️", "👨‍👩‍👧‍👦 👩🏽‍💻 🏳️‍🌈", "1️⃣ #️⃣", f"\U0001f3f4{tags('gbsct')}\U000e007f", "می‌خواهم نمی‌دانم", "क्‍ष",
    "葛\U000e0100城", "שלום\u200f! a\u200eb", "\ufeffa file with a mark of order", "naïve café Привет 日本語 한글", "a\u0301\u0327",
)  # fmt: skip


@pytest.mark.parametrize("what", HIDDEN)
def test_what_nobody_sees_is_taken_out(what: str) -> None:
    text, wanted = HIDDEN[what]
    assert seen(text) == wanted and unseen_in(text) == len(text) - len(wanted) > 0


@pytest.mark.parametrize("text", KEPT)
def test_what_writing_needs_stays(text: str) -> None:
    assert seen(text) == text and unseen_in(text) == 0


@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from("\u200d\u200b\ufe0f\x1b[]\x9b\\\x07\U000e0041\U000e007f\U0001f3f4a"))))
def test_what_is_taken_out_leaves_nothing_to_take_out(text: str) -> None:
    once = seen(text)
    assert len(once) <= len(text) and (once == text) == (unseen_in(text) == 0)
    assert not any("\U000e0000" <= each <= "\U000e00ff" for each in once) or "\U0001f3f4" in once


def test_a_value_is_cleaned_in_texts_and_keys_and_else_is_the_same() -> None:
    value = {"a\u200b": [{"b": "c\u202e"}, 1, None, True]}
    assert without_unseen(value) == ({"a": [{"b": "c"}, 1, None, True]}, 2)
    plain = {"a": ["b"]}
    assert without_unseen(plain)[0] is plain
