"""printable: what could deceive is escaped, and two different texts never look the same."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from interlock.vocabulary.printable import printable, shell_words, text_of


@given(st.text(max_size=60))
def test_nothing_deceptive_is_left(text):
    for character in printable(text):
        assert unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
        assert character == " " or not character.isspace()


@given(st.text(max_size=12), st.text(max_size=12))
def test_two_texts_never_look_the_same(one, other):
    if one != other:
        assert printable(one) != printable(other)


@given(st.binary(max_size=30))
def test_any_bytes_can_be_shown(data):
    printable(data.decode("utf-8", "surrogateescape")).encode()


def test_a_cut_is_said():
    assert "(400 more)" in printable("a" * 700)


def test_words_are_quoted_like_a_shell_would():
    assert shell_words(["git", "commit", "-m", "it's; rm"]) == """git commit -m 'it'"'"'s; rm'"""


def test_base64_paths_and_nonsense():
    assert printable(text_of({"base64": "/w=="})) == "\\xff"
    assert text_of({"base64": "%%"}) == "(not base64)"
    assert text_of(5) == "(not text)"
