"""The prompt's words: nothing in an action can move the cursor, pose as another row or be cut without being said."""

import re

import pytest

from interlock.approvals.terminal import TerminalPrompt, layout
from interlock.vocabulary.question import Question
from interlock.vocabulary.words import rows

HOSTILE = [
    "\x1b[2J\x1b[H",
    "\r\n  rule       guard/ok",
    "\x9b31m",
    "\u202egnp.exe",
    "a\u200bb",
    "\x1b]0;owned\x07",
    "\udcff",
    "tag\U000e0041",
    "\u2028line",
    "\u3164filler",
]


def question(word="x", because="why", arguments=None):
    action = {
        "verb": "process.exec",
        "target": {"path": f"/bin/{word}", "arguments": arguments or ["p", word], "directory": f"/{word}"},
        "subject": {"process": {"id": 3, "program": f"/bin/{word}"}},
    }
    return Question("q-1", "s-1", "run", word, "d", action, {"rules": [f"a/{word}"], "because": because}, 0, 60_000)


def text(question):
    return TerminalPrompt("1", question, phrase="calm otter", alike=0, now_ms=0).text()


@pytest.mark.parametrize("word", HOSTILE)
def test_hostile_text_is_shown_escaped(word):
    shown = text(question(word, because=word))
    assert all(
        character == "\n" or (character.isprintable() and ord(character) not in range(0x80, 0xA0))
        for character in shown
    )
    assert not re.search("[\u200b-\u200f\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]", shown)


def test_the_act_the_rule_and_the_phrase_are_there():
    shown = text(question("push", because="outward"))
    for part in (
        "calm otter",
        "process.exec /bin/push",
        "a/push",
        "outward",
        "interlock approvals approve q-1",
        "[y/N]",
    ):
        assert part in shown


def test_a_long_value_cannot_pose_as_the_next_row():
    spaces = " " * 200
    lines = layout(rows(question(arguments=["p", f"x{spaces}rule       guard/innocent"]), now_ms=0), columns=60)
    starts = [line[2:11].strip() for line in lines]
    assert [start for start in starts if start].count("rule") == 1
    assert all(len(line) <= 60 for line in lines)


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("y", "once"),
        ("YES", "once"),
        ("n", "no"),
        ("", "no"),
        ("yy", None),
        ("\x1b[Ay", None),
        ("y y", None),
        ("s", None),
        ("session", None),
    ],
)
def test_only_a_plain_yes_is_a_yes(line, meant):
    assert TerminalPrompt("1", question(), phrase="p", alike=0, now_ms=0).read(line) == meant


def connecting(**target):
    place = {"protocol": "tcp", "address": "198.19.0.1", "port": 443, "to": "outside", "host": "new.example.org"}
    action = {"verb": "net.connect", "target": place | target, "subject": {"session": "s-1"}}
    return Question("q-1", "s-1", "run", "x", "d", action, {"rules": ["a/x"], "because": "why"}, 0, 60_000)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ({}, "net.connect new.example.org:443/tcp at its public addresses"),
        ({"address": "10.1.2.3"}, "net.connect new.example.org:443/tcp (10.1.2.3) and its other public addresses"),
        ({"host": None, "address": "203.0.113.7"}, "net.connect 203.0.113.7:443/tcp"),
    ],
)
def test_a_yes_for_the_session_says_what_it_covers(target, said, monkeypatch):
    monkeypatch.setenv("COLUMNS", "110")
    prompt = TerminalPrompt("1", connecting(**target), phrase="p", alike=0, now_ms=0)
    assert f"covers {said}\n" in prompt.text() and "s for the session" in prompt.text()
    assert [prompt.read(line) for line in ("s", "Session", "y", "ss")] == ["session", "session", "once", None]


@pytest.mark.parametrize("target", [{"to": "inside"}, {"protocol": "other"}])
def test_what_goes_nowhere_is_approved_once(target):
    prompt = TerminalPrompt("1", connecting(**target), phrase="p", alike=0, now_ms=0)
    assert "session " not in prompt.text().replace("session s-1", "") and prompt.read("s") is None


def test_an_act_too_long_to_show_whole_cannot_be_approved_here():
    prompt = TerminalPrompt("1", question(arguments=["p", "x" * 9000]), phrase="p", alike=0, now_ms=0)
    assert "too long" in prompt.text()
    assert prompt.read("y") is None
    assert prompt.read("n") == "no"


def asked_of_keys(*changes, format="json", aliases=()):
    read = {format: {"changes": [{"key": list(key), **({} if to is None else {"to": to})} for key, to in changes]}}
    target = {"path": "/w/.mcp.json", "aliases": list(aliases), "content": {"read": read}}
    action = {"verb": "file.write", "target": target, "subject": {}}
    return dict(rows(Question("q-1", "s-1", "run", "x", "d", action, {"rules": ["a/x"], "because": "why"}, 0, 60_000), now_ms=0))


#: Changes of keys of which the one could be read as the other.
TWO_READINGS = [
    ([(("a", "b"), "x")], [(("a.b",), "x")]),
    ([(("a",), "x"), (("b",), "y")], [(("a: x; b",), "y")]),
    ([(("a",), "x"), (("b",), "y")], [(("a",), "x; b: y")]),
    ([(("a",), None)], [(("a",), "gone")]),
    ([(("a",), "x")], [(("a",), '"x"')]),
    ([(("a",), 'x"; b: "y')], [(("a",), "x"), (("b",), "y")]),
    ([(("a", "", "b"), "x")], [(("a", "b"), "x")]),
    ([(("a\\",), "x")], [(("a",), "\\x")]),
    ([(("a",), "x ")], [(("a",), "x")]),
]


@pytest.mark.parametrize(("one", "other"), TWO_READINGS)
def test_no_key_and_no_value_can_be_read_as_two(one, other):
    shown = asked_of_keys(*one)["keys"], asked_of_keys(*other)["keys"]
    assert shown[0] != shown[1]
    for text, changes in zip(shown, (one, other), strict=True):
        # What stands in quotation marks aside, as many as there are.
        assert len(re.sub(r'"(\\.|[^"\\])*"', "q", text).split("; ")) == len(changes), text


def test_plain_keys_stand_as_people_write_them():
    assert asked_of_keys((("mcpServers", "old", "command"), "/bin/true"))["keys"] == "mcpServers.old.command: /bin/true"
    assert asked_of_keys((("include", "", "path"), "../more"), format="git")["keys"] == "include.path: ../more"
    assert asked_of_keys((("a",), None), (("b",), "x y"))["keys"] == 'a: gone; b: "x y"'


def test_no_other_name_of_a_file_can_be_read_as_two():
    one, two = (asked_of_keys((("a",), "x"), aliases=names)["also known"] for names in (["/a, /b"], ["/a", "/b"]))
    assert one != two == "/a, /b"
