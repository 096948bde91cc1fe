"""Between showing a change and writing it: what was not shown is not overwritten, and a reader never sees half a file."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from interlock.app.allowing import Proposal, adopt
from interlock.app.own_layers import OwnLayer
from interlock.policy.allowance import Rule
from interlock.storage.home import Home
from interlock.vocabulary.denial import Denial
from interlock.vocabulary.errors import OperatorError

DENIAL = Denial("file.read", {"path": "/srv/x/y"}, False, (), (), "no rule allows it")
RULE = Rule(("file.read",), (("path", ("/srv/x/y",)),))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    tmp_path.chmod(0o700)
    return Home.from_environment({"INTERLOCK_HOME": str(tmp_path)})


def proposal(home: Home, before: bytes | None, after: bytes) -> Proposal:
    return Proposal(OwnLayer("always", home.always, None), before, after, DENIAL, RULE)


def test_a_file_that_changed_since_it_was_shown_is_left_alone(home: Home) -> None:
    adopt(proposal(home, None, b"one\n"), home)
    for before in (None, b"other\n"):
        with pytest.raises(OperatorError, match="was changed meanwhile"):
            adopt(proposal(home, before, b"two\n"), home)
    assert Path(home.always).read_bytes() == b"one\n"
    adopt(proposal(home, b"one\n", b"two\n"), home)
    assert Path(home.always).read_bytes() == b"two\n"
    assert [path.name for path in Path(home.policies).iterdir()] == ["always.yaml"]


def test_of_many_at_once_one_is_written_and_the_others_are_told(home: Home) -> None:
    told: list[str] = []

    def one(number: int) -> None:
        try:
            adopt(proposal(home, None, b"%d\n" % number), home)
        except OperatorError as error:
            told.append(str(error))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 7 and all("changed meanwhile" in text for text in told)


def test_a_file_put_in_the_way_is_not_written_through(home: Home, tmp_path: Path) -> None:
    Path(home.policies).mkdir(parents=True, mode=0o700)
    os.chmod(home.config, 0o700)
    victim = tmp_path / "victim"
    victim.write_text("mine\n")
    Path(f"{home.always}.{os.getpid()}").symlink_to(victim)
    with pytest.raises(Exception, match="cannot write"):
        adopt(proposal(home, None, b"one\n"), home)
    assert victim.read_text() == "mine\n" and not Path(home.always).exists()
