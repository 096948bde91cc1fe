"""Which places may be a session's own, and what of them is kept: read off a compiled policy, paths and words."""

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from interlock.surroundings import private_places as module
from interlock.surroundings.private_places import KEPT_MAX, private_places

PLACES = ["/tmp", "/var/tmp", "/dev/shm"]


@pytest.fixture(autouse=True)
def may_mount(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_may_mount", lambda: True)


@pytest.fixture
def folder() -> Iterator[str]:
    made = tempfile.mkdtemp(prefix="own-", dir="/tmp")
    yield made
    shutil.rmtree(made)


def policy(
    *paths: str, decision: str = "allow", when: object = None, origin: str = "user", verbs: tuple[str, ...] = ("file.read",), **match: object
) -> dict[str, object]:
    matched = {"path": list(paths)} if paths else {}
    rule = {"decision": decision, "verbs": list(verbs), "when": when, "match": matched | match}
    return {"layers": [{"origin": origin, "rules": [rule]}]}


NOTHING = policy("/usr/**")


def kept(found: dict[str, object], *, needed: tuple[str, ...] = (), **more: object) -> tuple[str, ...] | None:
    """What is kept of /tmp; None where it stays everybody's."""
    return dict(private_places(found, needed=needed, **more)).get("/tmp")  # type: ignore[arg-type]


def test_nothing_said_of_them_they_are_empty() -> None:
    assert private_places(policy("/usr/**"), needed=["/home/u", "/"]) == tuple((place, ()) for place in PLACES)


def test_the_top_folder_of_what_is_needed_is_kept(folder: str) -> None:
    name = os.path.basename(folder)
    assert kept(NOTHING, needed=(f"{folder}/a/b",)) == (name,)
    assert kept(NOTHING, needed=("/tmp",)) is None
    assert kept(NOTHING, needed=(f"{folder}-never-made/a",)) is None
    os.symlink(folder, link := f"/var/tmp/{os.path.basename(folder)}")
    try:
        assert kept(NOTHING, needed=(f"{link}/a",)) == (name,)
    finally:
        os.unlink(link)


WORDS = [
    "%", "%/x", "--output=%/x", "-o=%", "-I%/include", "@%/body", "/tmp/../%", "//%", "file://%/x",
    "make >%/log 2>&1", "cat '%/a b'", "--volume=/usr:%", "look at %/shot.png, please",
]  # fmt: skip


@pytest.mark.parametrize("word", WORDS)
def test_words_that_hold_paths_are_kept(folder: str, word: str) -> None:
    assert kept(NOTHING, words=(word.replace("%", folder),)) == (os.path.basename(folder),)


def test_a_path_is_read_from_the_directory_and_a_name_that_is_there_as_a_whole(folder: str) -> None:
    name = os.path.basename(folder)
    assert kept(NOTHING, words=(f"../{name}/x",), directory="/tmp/elsewhere") == (name,)
    assert kept(NOTHING, words=("..",), directory="/tmp/elsewhere") is None
    assert kept(NOTHING, words=(f"./{name}", "a/b"), directory="/usr") == ()
    os.mkdir(f"{folder} of mine")
    try:
        assert kept(NOTHING, words=(f"{folder} of mine",)) == (f"{name} of mine",)
    finally:
        os.rmdir(f"{folder} of mine")


@pytest.mark.parametrize(
    "word", ["/tmp", "/tmp/", "/tmp/own-not-there", "--output=/tmp/own-not-there", "echo /tmp/own-x", "ls /tmp/*.log", "x=/tmp/$NAME", "touch /tmp/a /usr"]
)
def test_a_word_for_what_is_not_there_yet_leaves_the_place_as_it_is(word: str) -> None:
    assert kept(NOTHING, words=(word,)) is None


@pytest.mark.parametrize("word", ["tmp/x", "/tmpx/y", "usr/tmp/y", "/home/u/tmp/x", "$HOME/tmp/x", "https://example.org/tmp/x", "/var/tmp/x", ""])
def test_text_that_is_not_a_path_there_says_nothing(word: str) -> None:
    assert kept(NOTHING, words=(word,), directory="/usr") == ()


def test_settings_keep_what_is_there_and_what_is_not_says_nothing(folder: str) -> None:
    name = os.path.basename(folder)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{folder}.sock")
        try:
            assert kept(NOTHING, settings=(f"/usr/bin:{folder}/bin", f"unix:path={folder}.sock,guid=1", "/tmp")) == (name, f"{name}.sock")
        finally:
            os.unlink(f"{folder}.sock")
    assert kept(NOTHING, settings=("/tmp/own-not-there", "/tmp/*", ":0", "")) == ()
    assert kept(NOTHING, known=(f"{folder}/bin/interlock", "/tmp/own-not-there/interlock")) == (name,)


def test_policy_keeps_folders_and_opens_the_place_for_the_rest(folder: str) -> None:
    name = os.path.basename(folder)
    Path(folder, "file").touch()
    os.symlink(folder, f"{folder}-link")
    Path(f"{folder}-file").touch()
    try:
        assert kept(policy(f"{folder}/**")) == (name,)
        assert kept(policy(f"{folder}/file")) == (name,)
        for pattern in (f"{folder}-link/**", f"{folder}-file", f"{folder}-gone", "/tmp/**", "/tmp/*", "/**", "/*/own", "/t?p/**", "/tmp/own-*/**", "**"):
            assert kept(policy(pattern)) is None, pattern
        for pattern in ("/tmp", "**/.env", "/tmpx/**", "/var/**", "/", "/*"):
            assert kept(policy(pattern)) == (), pattern
    finally:
        os.unlink(f"{folder}-link")
        os.unlink(f"{folder}-file")


def test_each_place_is_for_itself(folder: str) -> None:
    assert [place for place, _ in private_places(policy("/var/**"), needed=[])] == ["/tmp", "/dev/shm"]
    assert [place for place, _ in private_places(policy("/dev/shm/sem.*"), needed=[])] == ["/tmp", "/var/tmp"]


def test_a_ready_layers_pattern_means_what_is_there(folder: str) -> None:
    name = os.path.basename(folder)
    os.symlink(folder, f"{folder}x")
    try:
        assert kept(policy(f"/tmp/{name}*/**", origin="builtin")) == (name,)
        assert kept(policy("/tmp/own-no-such-*/**", origin="builtin")) == ()
        assert kept(policy("/tmp/**", origin="builtin")) is None
    finally:
        os.unlink(f"{folder}x")


def test_denials_and_what_the_session_made_say_nothing() -> None:
    assert kept(policy("/tmp/**", decision="deny")) == ()
    assert kept(policy("/tmp/**", when={"origin": "session"})) == ()
    for decision in ("approve", "steer", "allow"):
        assert kept(policy("/tmp/**", decision=decision)) is None
    assert kept(policy("/tmp/**", when={"origin": "before"})) is None


def test_a_rule_without_a_path_speaks_of_every_name() -> None:
    assert kept(policy(verbs=("unix.connect",))) is None
    assert kept(policy(verbs=("unix.connect",), to="outside")) is None
    assert kept(policy(verbs=("unix.connect",), to="inside")) == ()
    assert kept(policy(verbs=("process.exec",), command={"program": "git"})) == ()
    assert kept(policy(verbs=("net.connect",))) == ()


def test_more_than_can_be_kept_leaves_the_place_as_it_is(folder: str) -> None:
    made = [tempfile.mkdtemp(prefix=f"{os.path.basename(folder)}-", dir="/tmp") for _ in range(KEPT_MAX + 1)]
    try:
        assert len(kept(NOTHING, needed=tuple(made[1:])) or ()) == KEPT_MAX
        assert kept(NOTHING, needed=tuple(made)) is None
    finally:
        for each in made:
            os.rmdir(each)


def test_without_the_capability_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    status = Path("/proc/self/status").read_text()
    holds = int(status.partition("CapEff:")[2].split()[0], 16) >> 21 & 1
    assert bool(private_places(policy("/usr/**"), needed=[])) == bool(holds)
