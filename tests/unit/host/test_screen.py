"""Screen: between which bytes a line of ours may be written."""

import random

import pytest

from interlock.host.screen import Screen


def fed(*parts):
    screen = Screen()
    for part in parts:
        screen.feed(part)
    return screen


@pytest.mark.parametrize(
    "torn",
    [
        b"\x1b",
        b"\x1b[",
        b"\x1b[38;5",
        b"\x1b]0;title",
        b"\x1bPq#0",
        b"a\xe2\x82",
        b"\xf0\x9f\x98",
        b"\x1b(",
        b"x\x1b]8;;http://h\x1b",
    ],
)
def test_inside_a_sequence_is_not_between(torn):
    assert not fed(torn).is_between


@pytest.mark.parametrize(
    "whole",
    [b"a", b"\x1b[0m", b"\x1b]0;t\x07", b"\x1b]0;t\x1b\\", b"\xe2\x82\xac", b"\x1b(B", b"\x1b7", b"\x1bPq\x1b\\z"],
)
def test_after_a_sequence_is_between(whole):
    assert fed(whole).is_between


def test_where_the_stream_is_cut_makes_no_difference():
    stream = b"a\x1b[1;31mred\x1b[0m\xe2\x82\xac\x1b]0;title\x1b\\\x1b[?1049hfull\x1b[?1049l\r\n"
    generator = random.Random(7)
    for _ in range(300):
        cuts = sorted(generator.sample(range(1, len(stream)), 5))
        parts = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
        screen = fed(*parts)
        assert (screen.is_between, screen.full_screen, screen.at_line_start) == (True, False, True), parts


def test_full_screen_is_followed():
    assert fed(b"\x1b[?1049h", b"x").full_screen
    assert not fed(b"\x1b[?10", b"49h", b"x", b"\x1b[?1049l").full_screen


def test_a_sequence_that_never_ends_does_not_silence_us_for_ever():
    screen = fed(b"\x1b]0;", *[b"x" * 1000] * 10)
    assert screen.is_between


@pytest.mark.parametrize(
    ("written", "line"),
    [
        (b"", b""),
        (b"a\nb", b"b"),
        (b"a\n", b""),
        (b"45%\r46%", b"45%\r46%"),
        (b"x\n\x1b[1mbold\x1b[0m ", b"\x1b[1mbold\x1b[0m "),
        (b"a\b\x1b[Kb", b"a\b\x1b[Kb"),
        ("naïve ".encode(), "naïve ".encode()),
        (b"x" * 79, b"x" * 79),
        # What may be wider than the terminal, moves the cursor elsewhere, or is not over yet.
        (b"x" * 80, None),
        ("漢".encode() * 40, None),
        (b"\t" * 10, None),
        (b"\x1b[2Jx", None),
        (b"\x1b[5;5Hx", None),
        (b"\x1b[A", None),
        (b"a\x0bb", None),
        (b"\x1b]0;title\x07x", None),
        (b"x\x1b[1", None),
        (b"x\xe2\x82", None),
        (b"y" * 5000, None),
    ],
)
def test_an_unfinished_line_is_known_only_where_it_can_be_written_again(written, line):
    assert fed(written).unfinished_line(80) == line
    assert fed(*(written[index : index + 1] for index in range(len(written)))).unfinished_line(80) == line


def test_after_a_line_that_was_not_known_the_next_one_is():
    assert fed(b"\x1b[5;5Hx", b"y" * 5000, b"\nshort").unfinished_line(80) == b"short"
