"""A repository that tracks what editors and agents run, and environment files: git, copies and archives work as outside.

Each row runs in one copy of the same repository without Interlock and in another one under it. Compared are what it
printed, its status, and what lies in the workspace afterwards.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

WHO = {
    "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org", "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
    "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z", "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C",
}  # fmt: skip

#: What the repository tracks, on its two branches.
SETUP = """
git init -q -b main repo
cd repo
git config commit.gpgsign false
mkdir -p .vscode .claude/skills/x src packages/app/.vscode
echo '{"a": 1}' > .vscode/settings.json
echo '{}' > .claude/settings.json
echo skill > .claude/skills/x/SKILL.md
echo A=1 > .env.development
echo one > src/one
echo '{}' > packages/app/.vscode/settings.json
echo '{}' > packages/app/package.json
git add -A
git commit -qm first
git checkout -q -b b
echo '{"a": 2}' > .vscode/settings.json
echo '{"b": 2}' > .claude/settings.json
mkdir .claude/skills/y && echo other > .claude/skills/y/SKILL.md
git rm -q -r .claude/skills/x
echo A=2 > .env.development
echo two > src/two
git add -A
git commit -qm second
git checkout -q main
echo three > src/three
git add -A
git commit -qm third
git checkout -q b
git checkout -q -b d main~1
for n in 1 2 3 4 5; do echo "{\"d\": $n}" > .vscode/settings.json; git commit -qam d$n; done
git checkout -q main
cd ..
git clone -q --bare repo upstream.git
git -C repo remote add origin ../upstream.git
git -C repo fetch -q origin
"""

ROWS = {
    "checkout": "git checkout b && cat .vscode/settings.json .claude/settings.json .claude/skills/*/SKILL.md",
    "checkout and back": "git checkout -q b && git checkout -q main && git checkout b && git checkout -",
    "switch detached": "git switch -d b && git switch main",
    "checkout of one file": "git checkout b -- .vscode/settings.json && git status --short && git diff --cached --stat",
    "restore": "git restore --source b .vscode/settings.json && git diff --stat && git restore . && git status --short",
    "stash": "echo x >> src/one && git stash && git stash list && git stash pop",
    "stash with untracked": "echo x > new && git stash -u && ls && git stash pop",
    "merge": "git merge -q -m merged b && git log --oneline | wc -l && cat .vscode/settings.json",
    "merge fast forward": "git checkout -q -b c main~1 && git merge b",
    "rebase of many": "git checkout -q d && git rebase main && git log --format=%s && cat .vscode/settings.json",
    "cherry-pick of many": "git cherry-pick d~4 d~3 d~2 d~1 d && git log --format=%s && git diff-files",
    "rebase": "git checkout -q b && git rebase main && git log --format=%s",
    "pull --rebase": "git checkout -q -b c main~1 && echo c > c && git add c && git commit -qm c "
    "&& git pull -q --rebase . b && git log --format=%s && cat .env.development",
    "reset --hard": "git reset --hard b && git reset --hard main",
    "cherry-pick": "git cherry-pick b && git log --format=%s",
    "revert": "git checkout -q b && git revert --no-edit HEAD && cat .vscode/settings.json",
    "bisect": "git bisect start -q main main~1 && git bisect reset -q && git status --short",
    "clone": "git clone -q . ../repo/copy && ls -A copy && cat copy/.vscode/settings.json",
    "worktree": "git worktree add -q tree b && cat tree/.claude/settings.json && git worktree remove tree",
    "add": "echo x >> src/one && git add -A && git status --short",
    "status and diff": "git status --short && git diff b --stat && git grep -c A=1",
    "clean": "mkdir -p junk/.vscode && echo x > junk/.vscode/tasks.json && git clean -fdxq && ls",
    "cp -a": "mkdir copy && cp -a .git .vscode .claude .env.development src packages copy && git -C copy status --short "
    "&& cp -a packages/app packages/other && cat packages/other/.vscode/settings.json",
    "cp -r of all that is tracked": "mkdir copy && cp -r .vscode .claude .env.development src packages copy && find copy | sort",
    "tar": "tar c . | tar t | LC_ALL=C sort | grep -v '\\.git/'",
    "tar of an archive": "tar czf a.tgz packages && mkdir out && tar xzf a.tgz -C out && find out | sort && rm -r out",
    "git archive": "git archive b | tar t",
    "mv": "mv packages/app packages/web && git status --short && cat packages/web/.vscode/settings.json",
    "git mv": "git mv packages/app packages/web && git status --short",
    "rm -r": "rm -r packages/app && git status --short && git checkout -q . && cat packages/app/.vscode/settings.json",
    "rm -rf of a tree of dependencies": "mkdir -p node_modules/x/.vscode && echo x > node_modules/x/.vscode/settings.json "
    "&& cp -r node_modules/x node_modules/y && mv node_modules/y node_modules/z && rm -rf node_modules && ls -A",
    "read a tracked environment file": "cat .env.development && . ./.env.development && echo $A && sed -n 1p .env.development",
}  # fmt: skip


class Copies:
    """The same repository twice: one to work in outside, one under Interlock."""

    def __init__(self, root: Path, installed, user: str | None) -> None:
        self.root, self.installed = root, installed
        self.options = {} if user is None else {"user": user, "extra_groups": []}
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(root / "home"), "TMPDIR": str(root / "t"), **WHO}
        self.environment["INTERLOCK_HOME"] = str(root / "state")
        for name in ("home", "t", "outside", "inside"):
            (root / name).mkdir()
        root.chmod(0o755)
        if user is not None:
            for path in (root, *root.iterdir()):
                shutil.chown(path, user)

    def prepare(self, setup: str = SETUP) -> None:
        for side in ("outside", "inside"):
            done = self._run(["sh", "-ec", setup], self.root / side)
            assert done.returncode == 0, done.stderr

    def outside(self, script: str) -> tuple[int, str, str, dict[str, str]]:
        return self._told("outside", ["sh", "-c", script])

    def inside(self, script: str, preset: str) -> tuple[int, str, str, dict[str, str]]:
        held = [str(self.installed.interlock), "run", "--quiet", "--preset", preset, "--", "sh", "-c", script]
        return self._told("inside", held)

    def _told(self, side: str, command: list[str]) -> tuple[int, str, str, dict[str, str]]:
        top = self.root / side / "repo"
        done = self._run(command, top)
        words = [text.replace(str(self.root / side), "TOP") for text in (done.stdout, done.stderr)]
        words = [re.sub(r"\b[0-9a-f]{7,40}\b", "ID", text) for text in words]
        # That something would run later is said at the end, and nothing else is.
        words = [re.sub(r"interlock: \d+ changes? would run later outside; .*\n", "", text) for text in words]
        after = self._run(["sh", "-c", "git status --porcelain; git log --format='%s %T'; git stash list | wc -l"], top)
        return done.returncode, *words, {"git": after.stdout, **files(top)}

    def _run(self, command: list[str], directory: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=directory, env=self.environment, capture_output=True, text=True, timeout=120,
            stdin=subprocess.DEVNULL, **self.options,
        )  # fmt: skip


def files(top: Path) -> dict[str, str]:
    """What lies below, but for git's own."""
    found = {}
    for path in sorted(top.rglob("*")):
        name = str(path.relative_to(top))
        if ".git" not in path.relative_to(top).parts and path.suffix != ".tgz":
            found[name] = path.read_text() if path.is_file() else "folder"
    return found


@pytest.fixture
def copies(bare_copies):
    bare_copies.prepare()
    return bare_copies


@pytest.fixture
def bare_copies(tmp_path_factory, installed, user):
    root = tmp_path_factory.mktemp("r")  # short: names of sockets lie below it
    for folder in (root, *root.parents):
        if folder == Path("/tmp"):
            break
        folder.chmod(folder.stat().st_mode | 0o011)
    yield Copies(root, installed, user)
    shutil.rmtree(root, ignore_errors=True)


@pytest.mark.parametrize("row", ROWS, ids=lambda name: name.replace(" ", "-"))
def test_a_tracked_repository_is_worked_in_as_outside(copies: Copies, row: str) -> None:
    assert copies.inside(ROWS[row], "coding-agent") == copies.outside(ROWS[row])


@pytest.mark.parametrize("row", ["checkout", "stash", "merge", "pull --rebase", "reset --hard", "tar"])
def test_so_is_one_whose_ids_are_of_sha_256(bare_copies: Copies, row: str) -> None:
    bare_copies.prepare(SETUP.replace("git init -q", "git init -q --object-format=sha256"))
    assert bare_copies.inside(ROWS[row], "coding-agent") == bare_copies.outside(ROWS[row])


#: The repository once more, as a submodule of another, and one that is a submodule of that one.
SUBMODULES = (
    SETUP
    + """
mv repo inner
git init -q -b main middle
cd middle
git -c protocol.file.allow=always submodule --quiet add ../inner deep
git commit -qm middle
cd ..
git init -q -b main repo
cd repo
git -c protocol.file.allow=always submodule --quiet add ../inner libs/inner
git -c protocol.file.allow=always submodule --quiet add ../middle middle
git -c protocol.file.allow=always submodule --quiet update --init --recursive
git -C libs/inner branch -q b origin/b
git -C middle/deep branch -q b origin/b
git commit -qm outer
"""
)
IN_SUBMODULES = (
    "git -C libs/inner checkout b && cat libs/inner/.vscode/settings.json && git -C libs/inner checkout main && git status --short",
    "git -C middle/deep checkout -q b && cat middle/deep/.claude/settings.json middle/deep/.env.development && git status --short",
    "cd libs/inner && git reset -q --hard origin/b && git merge -q -m m origin/main && cat .vscode/settings.json",
    "rm -r libs/inner/.vscode && git submodule --quiet foreach 'git checkout -q .' && cat libs/inner/.vscode/settings.json",
)


@pytest.mark.parametrize("script", IN_SUBMODULES)
def test_submodules_are_worked_in_as_outside(bare_copies: Copies, script: str) -> None:
    bare_copies.prepare(SUBMODULES)
    assert bare_copies.inside(script, "coding-agent") == bare_copies.outside(script)


#: A repository in the workspace, to be a submodule. One with a name of two parts has its work tree four folders up.
PART = "git init -q -b main repo && cd repo && git config protocol.file.allow always && git init -q -b main part && cd part && echo p > p && git add p && git commit -qm part"
LINKED = "git -c protocol.file.allow=always "
MAKING_SUBMODULES = (
    LINKED + "submodule add ./part libs/part && git submodule status && git -C libs/part status --short && cat libs/part/p libs/part/.git",
    LINKED + "submodule --quiet add ./part sub && git commit -qm sub && " + LINKED + "clone -q --recurse-submodules . copy && cat copy/sub/p",
    LINKED + "submodule --quiet add ./part sub && git commit -qm sub && git submodule deinit -f --all && git submodule update --init && cat sub/p",
    # What git itself tries in the directory of each submodule.
    "mkdir -p .git/modules/s && ln -s testing .git/modules/s/a && rm .git/modules/s/a && ln -s x .git/modules/s/b && ln -sfn y .git/modules/s/b && rm -r .git/modules/s",
)


@pytest.mark.parametrize("script", MAKING_SUBMODULES)
def test_submodules_are_made_as_outside(bare_copies: Copies, script: str) -> None:
    bare_copies.prepare(PART)
    outside = bare_copies.outside(script)
    assert outside[0] == 0, outside
    assert bare_copies.inside(script, "coding-agent") == outside


#: Each leads git's work tree elsewhere than to the folder of the submodule's name, without writing to the configuration.
ELSEWHERE = (
    "mkdir -p .git/modules/deep && mv .git/modules/sub .git/modules/deep/",
    "mkdir -p .git/modules/deep && cp -r .git/modules/sub .git/modules/deep/",
    "mkdir -p x .git/modules && mv .git/modules x/ && mkdir -p .git/modules/deep && mv x/modules/sub .git/modules/deep/",
    "mv .git/modules/sub/config .git/modules/c && mkdir -p .git/modules/deep && mv .git/modules/c .git/modules/deep/config",
    "mkdir -p .git/modules/deep && ln .git/modules/sub/config .git/modules/deep/config",
)


@pytest.mark.parametrize("script", ELSEWHERE)
def test_the_work_tree_of_a_submodule_leads_nowhere_else(bare_copies: Copies, script: str) -> None:
    """Nobody is there to say yes."""
    bare_copies.prepare(f"{PART} && cd .. && {LINKED}submodule --quiet add ./part sub")
    modules = bare_copies.root / "inside/repo/.git"

    def led() -> list[str]:
        of = sorted(str(path.relative_to(modules)) for path in modules.rglob("config") if "worktree" in path.read_text())
        return [*of, *(line for name in of for line in (modules / name).read_text().splitlines() if "worktree" in line)]

    before = led()
    bare_copies.inside(script, "coding-agent")
    assert [name for name in led() if name not in before] == []
    bare_copies.inside(script, "observe")
    assert led() != before, "the control"


def test_a_submodule_has_no_content_of_the_repository_around_it_and_the_other_way_round(bare_copies: Copies) -> None:
    bare_copies.prepare(SUBMODULES)
    for script in (
        "mkdir .vscode && cp libs/inner/.vscode/settings.json .vscode/",
        "cd libs/inner && echo '{\"evil\": 1}' > .vscode/settings.json",
        "cd libs/inner && rm .vscode/settings.json && echo '{\"evil\": 1}' > .vscode/settings.json",
    ):
        assert bare_copies.outside(script)[0] == 0
        bare_copies.inside(script, "coding-agent")
    assert not (bare_copies.root / "inside/repo/.vscode/settings.json").exists()
    settings = bare_copies.root / "inside/repo/libs/inner/.vscode/settings.json"
    assert not settings.exists() or "evil" not in settings.read_text()


#: A file that policy denies reading, which nobody has ignored.
SECRET = "echo SECRET=1 > .env && echo k > src/id_rsa && echo more >> src/one && echo new > src/new"


def test_git_leaves_out_what_may_not_be_read_and_adds_the_rest(copies: Copies) -> None:
    before = copies._run(["sh", "-ec", SECRET], copies.root / "inside/repo")
    assert before.returncode == 0
    code, out, errors, _ = copies.inside("git add -A && git commit -qm c && git status --short && git show --stat --format=", "coding-agent")
    assert (code, errors) == (0, "")
    assert "src/new" in out and "src/one" in out and ".env" not in out and "id_rsa" not in out
    code, out, errors, _ = copies.inside("echo x > y; git stash -u -q && git stash pop -q && git clean -fdq; ls -A . src", "coding-agent")
    assert code == 0 and "\n.env\n" in out and "id_rsa" in out, (out, errors)
    code, out, errors, _ = copies.inside("echo z > z; git add -f .env z; echo $?; git diff --cached --name-only", "coding-agent")
    assert out == "1\nz\n" and 'open(".env"): Permission denied' in errors
    # What the person ignores stays ignored.
    (copies.root / "home/.config/git").mkdir(parents=True, exist_ok=True)
    (copies.root / "home/.config/git/ignore").write_text("*.own\n")
    code, out, errors, _ = copies.inside("echo a > a.own; git status --short; git config --get-all core.excludesFile | wc -l", "coding-agent")
    assert ".own" not in out, out


def test_archives_and_copies_name_what_may_not_be_read_and_have_the_rest(copies: Copies) -> None:
    copies._run(["sh", "-ec", SECRET], copies.root / "inside/repo")
    code, out, errors, _ = copies.inside("tar cf ../repo.tar --exclude=.git . ; echo $?; mkdir ../copy; cp -a .env src ../copy", "observe")
    assert code == 0, errors  # the control
    code, out, errors, _ = copies.inside("tar cf r.tar --exclude=.git --exclude=r.tar . ; echo $?; tar tf r.tar | grep -c src/new", "coding-agent")
    assert out == "2\n1\n" and "./.env: Cannot open: Permission denied" in errors
    code, out, errors, _ = copies.inside("mkdir copy; cp -a .env src copy; echo $?; ls copy/src | grep -c new", "coding-agent")
    assert out == "1\n1\n" and "cannot open '.env' for reading: Permission denied" in errors
