"""What a session's own fetch brings at a name that editors and agents run: git does not install it, and says so.

Git never ends well with something else in the work tree than it says: it fails, names the file where it is heard, and
`git reset --hard` undoes what it began. What the repository had before the session is installed as ever.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.workloads.test_repositories import Copies, bare_copies, files

__all__ = ["bare_copies"]

#: A clone, a branch of it with other tasks, and a bundle of what was committed upstream since, which nobody has fetched.
SETUP = """
git init -q -b main repo
cd repo
git config commit.gpgsign false
mkdir -p .vscode src
echo '{"a": 1}' > .vscode/tasks.json
echo one > src/one
git add -A
git commit -qm first
git checkout -q -b known
echo '{"known": 1}' > .vscode/tasks.json
git commit -qam known
git checkout -q main
cp -r . ../up
cd ../up
echo '{"fetched": 2}' > .vscode/tasks.json
echo onetwo > src/one
echo two > src/two
git add -A
git commit -qm second
git bundle create -q ../repo/.git/up.bundle main
cd ../repo
git remote add origin .git/up.bundle
"""
LOCAL = "echo l > local; git add local; git commit -qm local; "
STASH = (
    'stash=$(git commit-tree -m w -p HEAD -p $(git commit-tree -m i -p HEAD "HEAD^{tree}") "origin/main^{tree}"); '
    "git stash store $stash; "
)
#: A command after a fetch, and what comes before it.
COMMANDS = {
    "pull --rebase": (LOCAL, "git pull -q --rebase origin main"),
    "pull": ("", "git pull -q origin main"),
    "merge": ("", "git merge -q origin/main"),
    "merge of two": (LOCAL, "git merge -q -m m origin/main"),
    "checkout": ("", "git checkout -q origin/main"),
    "switch": ("", "git switch -q -d origin/main"),
    "checkout of a folder": ("", "git checkout -q origin/main -- .vscode"),
    "restore of both": ("", "git restore -SW --source origin/main .vscode/tasks.json"),
    "reset --hard": ("", "git reset -q --hard origin/main"),
    "cherry-pick": (LOCAL, "git cherry-pick origin/main"),
    "rebase": (LOCAL, "git rebase -q origin/main"),
    "stash pop": (STASH, "git stash pop -q"),
    "read-tree": ("", "git read-tree -u -m HEAD origin/main"),
    "workers": ("", "git -c checkout.workers=2 -c checkout.thresholdForParallelism=0 checkout -q origin/main"),
}
#: The same in a submodule, which the repository around it moves on.
SUBMODULE = """
git init -q -b main inner
cd inner
mkdir .vscode && echo '{"a": 1}' > .vscode/tasks.json && git add -A && git commit -qm first
cd ..
git init -q -b main repo
cd repo
git -c protocol.file.allow=always submodule --quiet add ../inner lib
git commit -qm outer
cd ../inner
echo '{"fetched": 2}' > .vscode/tasks.json && git commit -qam second
git bundle create -q ../repo/.git/up.bundle main
cd ../repo
git -C lib remote set-url origin "$PWD/.git/up.bundle"
"""


def _run(copies: Copies, side: str, script: str, *options: str) -> subprocess.CompletedProcess[str]:
    """What git says is passed on by a pipe of the script's own, as an agent hears it."""
    command = ["sh", "-c", script]
    if side == "inside":
        command = [str(copies.installed.interlock), "run", "--no-ask", *options, "--", *command]
    return copies._run(command, copies.root / side / "repo")


def _heard(before: str, command: str) -> str:
    return f"git fetch -q origin; {before}{{ {command}; echo status $?; }} 2>&1 | cat"


@pytest.fixture
def copies(bare_copies: Copies) -> Copies:
    bare_copies.prepare(SETUP)
    return bare_copies


#: What cannot be told from the words is found out when it is written.
UNTOLD = "origin/main~0"


@pytest.mark.parametrize("name", COMMANDS, ids=lambda name: name.replace(" ", "-"))
@pytest.mark.parametrize(("preset", "revision"), [("coding-agent", "origin/main"), ("coding-agent", UNTOLD), ("ci", UNTOLD)])
def test_git_fails_over_what_was_fetched_and_names_it(copies: Copies, name: str, preset: str, revision: str) -> None:
    before, command = COMMANDS[name][0], COMMANDS[name][1].replace("origin/main", revision)
    assert "status 0" in _run(copies, "outside", _heard(before, command)).stdout
    assert "fetched" in (copies.root / "outside/repo/.vscode/tasks.json").read_text()

    top = copies.root / "inside/repo"
    ran = _run(copies, "inside", _heard(before, command), "--preset", preset)
    assert "status " in ran.stdout and "status 0" not in ran.stdout, ran.stdout
    assert "interlock: git was refused " in ran.stdout and ".vscode/tasks.json" in ran.stdout, (ran.stdout, ran.stderr)
    assert f"interlock: git was refused {top}/.vscode/tasks.json" in ran.stderr, ran.stderr
    tasks = top / ".vscode/tasks.json"
    assert not tasks.exists() or "fetched" not in tasks.read_text()


def test_under_strict_nothing_moves_without_a_yes(copies: Copies) -> None:
    """Each rename of git's asks there, and nobody answers."""
    was = files(copies.root / "inside/repo")
    for name in ("pull", "checkout", "reset --hard"):
        ran = _run(copies, "inside", _heard(*COMMANDS[name]), "--preset", "strict")
        assert "status " in ran.stdout and "status 0" not in ran.stdout, ran.stdout
    assert files(copies.root / "inside/repo") == was


@pytest.mark.parametrize("name", [
    "pull --rebase", "pull", "merge", "merge of two", "checkout", "switch", "reset --hard", "cherry-pick", "rebase", "stash pop", "read-tree", "workers",
], ids=lambda name: name.replace(" ", "-"))  # fmt: skip
def test_nothing_moves_where_its_words_tell_what_it_checks_out(copies: Copies, name: str) -> None:
    before, command = COMMANDS[name]
    top = copies.root / "inside/repo"
    was = files(top)
    state = "git rev-parse HEAD; git status --porcelain; git stash list; ls .git | grep -i rebase"
    ran = _run(copies, "inside", f"git fetch -q origin; {before} a=$({state}); {command} 2>&1; echo status $?; test \"$a\" = \"$({state})\" && echo still")
    assert "status 0" not in ran.stdout and ran.stdout.endswith("still\n"), (ran.stdout, ran.stderr)
    assert files(top) == {**was, **({"local": "l\n"} if before == LOCAL else {})}
    assert f"interlock: git was refused {top}/.vscode/tasks.json" in ran.stderr


@pytest.mark.parametrize("name", ["merge", "checkout", "reset --hard", "restore of both", "rebase"])
def test_what_git_began_is_undone_by_a_reset(copies: Copies, name: str) -> None:
    before, command = COMMANDS[name][0], COMMANDS[name][1].replace("origin/main", UNTOLD)
    top = copies.root / "inside/repo"
    was = files(top)
    ran = _run(copies, "inside", f"{_heard(before, command)}; git reset -q --hard && git clean -fdq; git log -1 --format=%s", "--quiet")
    assert ran.stdout.endswith("local\n" if before else "first\n"), ran.stdout
    assert "interlock: git was refused" in ran.stderr  # in a quiet session too
    assert files(top) == {**was, **({"local": "l\n"} if before else {})}
    # And outside the person has it.
    done = copies._run(["sh", "-c", command], top)
    assert done.returncode == 0 and "fetched" in (top / ".vscode/tasks.json").read_text(), done.stderr


@pytest.mark.parametrize("command", [
    "git restore --source origin/main .vscode/tasks.json",
    "git read-tree origin/main && git checkout-index -f -a",
    "rm -r .vscode && git archive origin/main .vscode | tar x",
])  # fmt: skip
def test_who_writes_no_index_is_told_at_least(copies: Copies, command: str) -> None:
    assert "fetched" in _run(copies, "outside", _heard("", command) + "; cat .vscode/tasks.json").stdout
    ran = _run(copies, "inside", _heard("", command))
    assert f"interlock: not put in place: {copies.root}/inside/repo/.vscode/tasks.json; interlock why\n" in ran.stdout
    assert "interlock: denied file.create" in ran.stderr and "fetched" not in _text(copies.root / "inside/repo/.vscode/tasks.json")


def test_a_session_checks_out_commits_of_its_own_that_bring_nothing_of_the_kind(copies: Copies) -> None:
    script = (
        "git checkout -q -b mine && echo x > src/x && git add src && git commit -qm x && git checkout -q known && git merge -q -m m mine "
        "&& git rebase -q main && git reset -q --hard mine && git cherry-pick main~0 --allow-empty --keep-redundant-commits "
        "&& git checkout -q main && git stash -u -q; git merge -q mine && git log --format=%s && cat .vscode/tasks.json src/x; echo status $?"
    )
    outside, inside = _run(copies, "outside", script), _run(copies, "inside", script)
    assert (inside.stdout, inside.returncode) == (outside.stdout, outside.returncode), inside.stderr
    assert "denied" not in inside.stderr and "status 0" in inside.stdout, inside.stderr


def test_what_was_there_before_is_installed_after_a_fetch(copies: Copies) -> None:
    script = (
        "git fetch -q origin && git checkout -q known && git checkout -q main && git merge -q known && git reset -q --hard main~1 "
        "&& git cherry-pick known && git stash list && git log --format=%s && cat .vscode/tasks.json; echo status $?"
    )
    outside, inside = _run(copies, "outside", script), _run(copies, "inside", script)
    assert (inside.stdout, inside.returncode) == (outside.stdout, outside.returncode), inside.stderr
    assert "status 0" in inside.stdout and "known" in inside.stdout


@pytest.mark.parametrize("script", ["git clone -q . copy", "git worktree add -q copy origin/main", "git clone -q .git/up.bundle -b main copy"])
def test_in_a_new_folder_it_is_installed_and_listed(copies: Copies, script: str) -> None:
    ran = _run(copies, "inside", f"git fetch -q origin && git branch -q -f next origin/main && {script} && cat copy/.vscode/tasks.json")
    assert ran.returncode == 0 and "copy/.vscode/tasks.json" in ran.stderr, ran.stderr


def test_a_submodule_is_not_moved_on_to_it(bare_copies: Copies) -> None:
    bare_copies.prepare(SUBMODULE)
    script = _heard("git -C lib fetch -q origin; git update-index --cacheinfo 160000,$(git -C lib rev-parse origin/main),lib; ", "git submodule --quiet update")
    assert "status 0" in _run(bare_copies, "outside", script).stdout
    assert "fetched" in (bare_copies.root / "outside/repo/lib/.vscode/tasks.json").read_text()
    ran = _run(bare_copies, "inside", script)
    assert "status 0" not in ran.stdout and "interlock: git was refused" in ran.stdout, ran.stdout
    assert "lib/.vscode/tasks.json" in ran.stderr
    assert "fetched" not in _text(bare_copies.root / "inside/repo/lib/.vscode/tasks.json")


def test_one_operation_that_lacks_something_does_not_end_the_next(copies: Copies) -> None:
    """In one process: what was refused before its lock was taken has nothing to do with what is recorded under it."""
    script = (
        "import os\n"
        "def index():\n"
        "    file = os.open('.git/index.lock', os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)\n"
        "    os.write(file, open('.git/index', 'rb').read())\n"
        "    os.close(file)\n"
        "def install():\n"
        "    try:\n"
        "        os.rename('.git/index.lock', '.git/index')\n"
        "    except PermissionError:\n"
        "        os.unlink('.git/index.lock')\n"
        "        return 'refused'\n"
        "    return 'done'\n"
        "def write():\n"
        "    file = os.open('.vscode/tasks.json', os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)\n"
        "    os.write(file, b'evil')\n"
        "    os.close(file)\n"
        "os.unlink('.vscode/tasks.json')\n"
        "write()\nindex()\nprint(install())\n"
        "index()\nwrite()\nprint(install())\n"
        "index()\nprint(install())\n"
        "index()\nwrite()\nchild = os.fork()\n"
        "if child == 0: os._exit(0 if install() == 'done' else 1)\n"
        "print(os.waitpid(child, 0)[1])\n"
    )
    ran = _run(copies, "inside", f"python3 - <<'EOF'\n{script}\nEOF\n")
    assert ran.stdout.split() == ["done", "refused", "done", "0"], (ran.stdout, ran.stderr)


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
