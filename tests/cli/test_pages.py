"""What a page shows as a command is one: the command line takes it, with those options."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from interlock.cli.commands import COMMANDS
from interlock.cli.parser import command_parser

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "spec").glob("*.md")])
BLOCK = re.compile(r"^```\w*\n(.*?)^```", re.DOTALL | re.MULTILINE)


def words_of(line: str) -> list[str]:
    """A shell line's words up to the first pipe, redirection, `&` or comment."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in lexer:
        if word[0] in "|&;<>":
            break
        words.append(word)
    return words


def whole(page: Path) -> list[list[str]]:
    """The lines of its blocks that begin with `interlock`."""
    lines = [line.strip().removeprefix("$ ") for block in BLOCK.findall(page.read_text()) for line in block.splitlines()]
    return [words_of(line)[1:] for line in lines if re.match(r"interlock [a-z]", line)]


def named(page: Path) -> list[list[str]]:
    """What stands between backticks in its text: often the beginning of a command only."""
    return [words_of(span)[1:] for span in re.findall(r"`(interlock [a-z][^`]*)`", BLOCK.sub("", page.read_text()))]


def test_the_pages_show_commands() -> None:
    assert sum(len(whole(page)) for page in PAGES) > 20 and sum(len(named(page)) for page in PAGES) > 30


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_line_of_a_block_is_taken_whole(page: Path) -> None:
    for words in whole(page):
        assert words[0] in COMMANDS, words
        command_parser(words[0]).parse_args(words[1:])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_stands_in_a_sentence_is_there(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in named(page):
        assert words[0] in COMMANDS, words
        own = words[1 : words.index("--") if "--" in words else None]
        path = own[:1] if own and re.fullmatch(r"[a-z]+", own[0]) and words[0] != "completion" else []
        with pytest.raises(SystemExit) as left:
            command_parser(words[0]).parse_args([*path, "--help"])
        shown = capsys.readouterr().out
        assert left.value.code == 0, words
        assert all(word in shown for word in own if re.match(r"--?[a-z]", word)), words
