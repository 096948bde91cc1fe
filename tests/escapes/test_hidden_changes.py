"""A session's list that cannot be emptied, crowded out or cut: by how much there is, by what is long, by folders that let nobody in.

The judge reads the list of the session's record, as `interlock session changes` gives it, and what `run` says at the end.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.escapes.arena import Arena
from tests.escapes.test_later import changes, listed, play


def inside_of(arena: Arena, work: Path, script: str) -> None:
    """Plays in another workspace."""
    done = arena.run(arena.python.parent / "interlock", "run", "--workspace", work, "--", "sh", "-c", f"cd '{work}' && {script}")
    assert done.code == 0, done.errors


@pytest.mark.parametrize("digits", [4, 900])
def test_many_keys_and_long_ones_do_not_crowd_out_what_runs(arena: Arena, digits: int) -> None:
    arena._own()
    write = rf"""for i in range(2500): print('[a "%0{digits}d"]\nk = v' % i)
print('[core]\nfsmonitor = ./evil')"""
    done = arena.held("sh", "-c", 'git init -q . && /usr/bin/python3 -c "$0" > .git/config', write, preset="observe")
    assert ".git/config (core.fsmonitor = ./evil; " in done.errors, done.errors
    item = listed(arena)[".git/config"]
    assert item["keys"]["core.fsmonitor"] == "./evil"
    assert len(item["keys"]) + item["keys_more"] == 2501


def test_keys_that_sort_first_are_not_told_first(arena: Arena) -> None:
    arena._own()
    keys = "aaa.a aab.b aac.c alias.x"
    done = arena.held("sh", "-c", f"git init -q .; for k in {keys}; do git config $k 1; done; git config filter.z.clean evil", preset="observe")
    assert ".git/config (filter.z.clean = evil; alias.x = 1; aaa.a = 1; 2 keys more)" in done.errors


def test_long_names_do_not_crowd_out_short_ones(arena: Arena) -> None:
    arena._own()
    long = "/".join(["x" * 200] * 15)
    script = f"for i in 1 2 3 4 5; do mkdir -p $i/{long} && echo x > $i/{long}/Makefile && echo x > $i/{long}/setup.py; done; printf '#!/bin/sh\\n' > tool"
    done = arena.held("sh", "-c", script)
    assert "whoever starts it: tool" in done.errors
    assert changes(arena)["counts"] == {"make": 5, "programs": 1, "python": 5}


@pytest.mark.parametrize("mode", ["0", "444", "111"])
def test_a_folder_that_lets_nobody_in_hides_nothing(arena: Arena, mode: str) -> None:
    script = f"mkdir d n; echo x > d/Makefile; echo x > d/other; mkdir n/node_modules; echo x > n/node_modules/x; chmod {mode} d n"
    found = play(arena, script)
    assert {"d/Makefile", "n/node_modules"} <= set(found)
    if arena.user is not None and mode != "111":
        assert changes(arena)["unseen"] > 0, "what is of no kind by its name could not be looked at"


def test_that_nothing_is_known_is_said_where_nothing_was_found(arena: Arena) -> None:
    if arena.user is None:
        pytest.skip("needs an ordinary user: root looks into every folder")
    arena._own()
    for quiet in ([], ["--quiet"]):
        run = [arena.python.parent / "interlock", "run", *quiet, "--workspace", arena.work, "--"]
        done = arena.run(*run, "sh", "-c", "mkdir -p d && echo x > d/other && chmod 0 d")
        assert "what of it would run later outside is not known" in done.errors, done.errors
        (arena.work / "d").chmod(0o700)


def test_what_goes_with_the_session_is_not_listed(arena: Arena) -> None:
    (arena.work / "Makefile").write_text("include more\n")
    assert set(play(arena, 'echo x > "$TMPDIR/more"; echo x > "$TMPDIR/a.py"; mkdir "$TMPDIR/node_modules"; echo x > "$TMPDIR/node_modules/x"')) == set()
    assert set(play(arena, 'echo x > "$TMPDIR/more"; mv "$TMPDIR/more" .; ln -s "$TMPDIR/a.py" .')) == {"more", "a.py"}


def test_a_name_that_is_too_long_to_ask_for_is_listed(arena: Arena) -> None:
    """A folder is moved into a deep one: what lies in it has a name of more than 4,096 bytes then."""
    chain = "import os\nfor top in 'ab':\n os.mkdir(top); os.chdir(top)\n for i in range(14): os.mkdir('y' * 200); os.chdir('y' * 200)\n"
    rest = " open('Makefile', 'w').close() if top == 'a' else os.rename(home + '/a', 'a')\n os.chdir(home)"
    done = arena.held("/usr/bin/python3", "-c", f"import os\nhome = os.getcwd()\n{chain}{rest}")
    assert done.code == 0, done.errors
    found = changes(arena)
    assert [item["kind"] for item in found["changes"]] == ["make"]
    assert len(found["changes"][0]["path"]) > 4_096


def test_more_repositories_than_are_looked_through_are_counted(arena: Arena) -> None:
    """Git follows the configuration of each; the last one's folder of hooks counts as the first one's does."""
    (arena.work / "Makefile").write_text("all:\n")
    for number in range(300):
        subprocess.run(["sh", "-c", f"mkdir -p r{number}/.git/objects r{number}/.git/refs; echo x > r{number}/.git/HEAD"], cwd=arena.work, check=True)
        (arena.work / f"r{number}/.git/config").write_text("[core]\n\thooksPath = my\n")
    found = play(arena, "for i in r[0-9]*; do mkdir $i/my; echo x > $i/my/pre-commit; done", preset="observe")
    assert {path for path, item in found.items() if item["kind"] == "git-hooks"} == {f"r{number}/my/pre-commit" for number in range(300)}


@pytest.mark.parametrize("place", [".cache/odd", "node_modules/odd", "go/pkg/odd", ".claude/projects/odd"])
def test_a_workspace_in_a_folder_that_counts_as_one_thing_is_looked_at_itself(arena: Arena, place: str) -> None:
    work = arena.home / place
    work.mkdir(parents=True)
    arena._own()
    inside_of(arena, work, "echo x > Makefile")
    assert listed(arena)[str(work / "Makefile")]["kind"] == "make"


def test_a_name_that_looks_like_several_stands_in_marks(arena: Arena) -> None:
    arena._own()
    done = arena.held("sh", "-c", "printf '#!/bin/sh\\n' > 'a, b'; printf '#!/bin/sh\\n' > c")
    assert 'whoever starts it: "a, b", c' in done.errors


def test_what_is_above_the_workspace_names_what_lies_in_it(arena: Arena) -> None:
    work = arena.home / "projects" / "one"
    work.mkdir(parents=True)
    (work.parent / ".cargo").mkdir()
    Path(work.parent / ".cargo" / "config.toml").write_text('[target.x]\nrunner = "one/helper"\n')
    arena._own()
    inside_of(arena, work, "echo x > helper")
    assert listed(arena)[str(work / "helper")]["kind"] == "named"


def test_a_repository_elsewhere_is_followed_too(arena: Arena) -> None:
    other = arena.home / "other"
    (other / ".git").mkdir(parents=True)
    (other / ".git/config").write_text("[core]\n\thooksPath = my\n")
    (other / "my").mkdir()
    found = play(arena, f"echo x > {other}/my/pre-commit", preset="observe")
    assert found[f"{other}/my/pre-commit"]["kind"] == "git-hooks"


def test_links_to_everything_make_no_second_list(arena: Arena) -> None:
    """Each link makes a name of each file: what the list costs does not grow with both."""
    make = "import os\nfor i in range(400): open(f'{i}.mk', 'w').close(); os.symlink('.', f'.l{i}'); open(f'{i}', 'w').close()"
    done = arena.held("/usr/bin/python3", "-c", make)
    assert done.code == 0, done.errors
    said = changes(arena)
    assert said["counts"]["make"] >= 400
    assert {item["path"] for item in said["changes"]} >= {str(arena.work / f"{number}.mk") for number in range(5)}


def test_links_that_stand_for_trees_are_counted_once_for_where_they_lead(arena: Arena) -> None:
    make = """import os
for i in range(1500): open(f'{i}', 'w').close()
for i in range(1500): os.makedirs(f'l/{i}'); os.symlink(os.getcwd(), f'l/{i}/node_modules')"""
    done = arena.held("/usr/bin/python3", "-c", make)
    assert done.code == 0, done.errors
    assert changes(arena)["counts"]["dependencies"] == 1500


def test_configuration_as_large_as_one_likes_does_not_keep_a_session_from_its_end(arena: Arena) -> None:
    """What is past the room for it is listed whole."""
    make = """import os
big = '[a "b"]\\n' + ''.join(f'k{i} = v\\n' for i in range(200_000))
for i in range(20):
    os.makedirs(f'r{i}/.git/objects'); os.makedirs(f'r{i}/.git/refs')
    open(f'r{i}/.git/HEAD', 'w').write('ref: refs/heads/main\\n'); open(f'r{i}/.git/config', 'w').write(big)"""
    done = arena.held("/usr/bin/python3", "-c", make, preset="observe")
    assert done.code == 0, done.errors
    items = listed(arena)
    assert all(f"r{number}/.git/config" in items for number in range(20))
