"""Home: where directories are, and that one which others could reach is refused with words that say what to do."""

import os
import stat

import pytest

from interlock.storage.home import Home
from interlock.vocabulary.errors import OperatorError


def home_in(path):
    return Home.from_environment({"INTERLOCK_HOME": str(path)})


def test_interlock_home_moves_all_four():
    home = home_in("/x/y")
    assert home.all_directories() == ("/x/y/config", "/x/y/state", "/x/y/cache", "/x/y/runtime")


def test_xdg_directories_and_their_defaults(tmp_path):
    home = Home.from_environment({"HOME": "/h", "XDG_CACHE_HOME": "/c", "XDG_CONFIG_HOME": "relative"})
    assert home.all_directories() == (
        "/h/.config/interlock",
        "/h/.local/state/interlock",
        "/c/interlock",
        "/h/.local/state/interlock/runtime",
    )


def test_runtime_directory_of_another_mode_is_not_trusted(tmp_path):
    tmp_path.chmod(0o755)
    open_to_others = Home.from_environment({"HOME": "/h", "XDG_RUNTIME_DIR": str(tmp_path)})
    tmp_path.chmod(0o700)
    private = Home.from_environment({"HOME": "/h", "XDG_RUNTIME_DIR": str(tmp_path)})
    assert open_to_others.runtime == "/h/.local/state/interlock/runtime"
    assert private.runtime == f"{tmp_path}/interlock"


def test_without_any_variable_the_password_entry_is_home():
    assert Home.from_environment({}).state.endswith("/.local/state/interlock")


def test_relative_interlock_home_is_refused():
    with pytest.raises(OperatorError, match="not an absolute path"):
        Home.from_environment({"INTERLOCK_HOME": "here"})


def test_directories_are_made_0700_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        home = home_in(tmp_path / "i")
        home.ensure(home.sessions)
    finally:
        os.umask(before)
    for directory in (home.state, f"{home.state}/ledger", home.sessions):
        assert stat.S_IMODE(os.stat(directory).st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o750, 0o701, 0o777])
def test_wider_rights_are_refused_and_the_hint_mends_them(tmp_path, mode):
    home = home_in(tmp_path)
    home.ensure(home.state)
    os.chmod(home.state, mode)
    with pytest.raises(OperatorError, match="open to others") as caught:
        home.ensure(home.keys)
    assert caught.value.hint == f"run: chmod 700 {home.state}"


def test_a_symbolic_link_in_place_of_a_directory_is_refused(tmp_path):
    home = home_in(tmp_path / "i")
    os.makedirs(tmp_path / "i")
    os.makedirs(tmp_path / "elsewhere", 0o700)
    os.symlink(tmp_path / "elsewhere", home.state)
    with pytest.raises(OperatorError, match="not a directory"):
        home.ensure(home.state)


def test_another_owner_is_refused(tmp_path):
    home = Home.from_environment({"INTERLOCK_HOME": str(tmp_path)}, uid=os.geteuid() + 1)
    with pytest.raises(OperatorError, match="belongs to uid"):
        home.ensure(home.state)


def test_a_file_that_others_may_read_is_refused(tmp_path):
    home = home_in(tmp_path)
    path = tmp_path / "inbox"
    home.check_file(str(path))
    path.touch(0o600)
    home.check_file(str(path))
    path.chmod(0o640)
    with pytest.raises(OperatorError, match="open to others"):
        home.check_file(str(path))
