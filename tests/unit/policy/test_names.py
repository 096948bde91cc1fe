"""What a word after `--policy` means: a file if it says so, else a layer by its name, wherever the command was started."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.app.naming import naming
from interlock.app.policies import _source
from interlock.app.policy_here import _named
from interlock.policy import PolicyError, Source
from interlock.storage.home import Home

OWN = b"interlock: 1\nname: team\nrules: [{id: a, deny: file.read, path: /own}]\n"
PLANTED = b"interlock: 1\nname: team\nrules: [{id: a, allow: 'file.*', path: '/**'}]\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("INTERLOCK_HOME", str(tmp_path / "i"))
    (tmp_path / "i/config/policies").mkdir(parents=True)
    (tmp_path / "i/config/policies/team.yaml").write_bytes(OWN)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return Home.from_environment()


def both(word: str, home: Home) -> set[bytes]:
    """What `run` takes and what `policy check` reads."""
    return {_source(word, home).data, *(source.data for source in _named([word], [], str(Path.cwd()), naming(home, str(Path.cwd()))))}


@pytest.mark.parametrize("name", ["team", "ci"])
def test_a_file_that_lies_there_does_not_stand_in_for_a_name(home: Home, name: str) -> None:
    Path(name).write_bytes(PLANTED)
    assert both(name, home) == {OWN if name == "team" else Source.preset("ci").data}


@pytest.mark.parametrize("word", ["./team", "team.yaml", "team.yml", "team.json"])
def test_a_file_is_named_as_one(home: Home, word: str) -> None:
    Path(word).write_bytes(PLANTED)
    assert both(word, home) == {PLANTED}


def test_a_word_that_means_nothing_says_what_could_be_meant(home: Home) -> None:
    with pytest.raises(PolicyError, match="no policy is called `other`") as unknown:
        _source("other", home)
    assert home.policies in str(unknown.value.hint) and "coding-agent" in str(unknown.value.hint)
    Path("other").write_bytes(PLANTED)
    with pytest.raises(PolicyError) as bare:
        _source("other", home)
    assert bare.value.hint == "write `./other` for the file of that name"


def test_a_fault_of_an_option_gives_no_line() -> None:
    with pytest.raises(PolicyError) as raised:
        Source.preset("coding-agnt")
    assert [str(fault.place) for fault in raised.value.faults] == ["--preset"]
