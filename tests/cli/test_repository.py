"""The repository around the start folder is the workspace, with what git keeps of it elsewhere, and nothing that merely
says so.
"""

import json
import os
import shutil
import subprocess

import pytest

GIT = {
    "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org", "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "protocol.file.allow",
    "GIT_CONFIG_VALUE_0": "always",
}  # fmt: skip
#: What people do all day, in one go; it ends with a commit that is there.
WORK = (
    "git status --short && echo more > made && git add -A && git commit -qm made && git stash list "
    "&& git checkout -q -b branch-$$ && echo x >> made && git stash -q && git stash pop -q && git diff --stat && git gc -q "
    "&& git fsck --no-dangling --no-progress && git log --format=%s"
)


class Place:
    """A home with repositories of the user's, and a command line to work in them."""

    def __init__(self, cli, installed, user):
        self.home, self.root, self.installed = cli.human, cli.root, installed
        # Not below the temporary folder of the session, which is open to it.
        self.environment = cli.environment | GIT | {"TMPDIR": str(cli.root / "t")}
        (cli.root / "t").mkdir()
        self.options = {} if user is None else {"user": user, "extra_groups": []}
        if user is not None:
            for path in (cli.root, *cli.root.iterdir()):
                shutil.chown(path, user)

    def outside(self, script, directory="."):
        """A shell script of the person's own."""
        subprocess.run(
            ["sh", "-ec", script], cwd=self.home / directory, env=self.environment, check=True, timeout=60,
            stdin=subprocess.DEVNULL, **self.options,
        )  # fmt: skip

    def inside(self, script, directory, *options):
        return subprocess.run(
            [str(self.installed.interlock), "run", *options, "--", "sh", "-c", script], cwd=self.home / directory,
            env=self.environment, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, **self.options,
        )  # fmt: skip


@pytest.fixture
def place(cli, installed, user):
    found = Place(cli, installed, user)
    found.outside(
        "mkdir -p p && cd p && git init -q -b main lib && (cd lib && echo l > l && git add . && git commit -qm lib) "
        "&& git init -q -b main repo && cd repo && mkdir -p a/b && echo f > a/b/f && git add . && git commit -qm first "
        "&& git submodule --quiet add ../lib sub && git commit -qm sub && git worktree add -q ../tree "
        "&& git clone -q --shared . ../shared"
    )
    return found


@pytest.mark.parametrize("directory", ["p/repo/a/b", "p/tree", "p/tree/a", "p/repo/sub", "p/shared"])
@pytest.mark.parametrize("preset", ["coding-agent", "ci"])
def test_git_works_as_outside(place, directory, preset):
    ran = place.inside(WORK, directory, "--preset", preset, "--json", "--quiet")
    assert ran.returncode == 0 and "made\n" in ran.stdout, (ran.stdout, ran.stderr)


def test_the_start_says_whose_workspace_it_is(place):
    ran = place.inside("true", "p/repo/a/b", "--preset", "ci")
    assert "in ~/p/repo, the repository around ~/p/repo/a/b" in ran.stderr, ran.stderr
    assert "around" not in place.inside("true", "p/repo", "--preset", "ci").stderr


def test_a_named_workspace_is_taken_as_it_is(place):
    ran = place.inside("cat ../../.gitmodules || echo kept", "p/repo/a/b", "--workspace", ".", "--quiet")
    assert ran.stdout == "kept\n"
    assert place.inside("echo x > ../made", "p/repo/a/b", "--workspace", ".", "--quiet").returncode != 0


@pytest.mark.parametrize(
    "planted",
    ["config", "config.worktree", "hooks/post-commit", "info/attributes", "objects/info/alternates",
     "worktrees/tree/commondir", "worktrees/tree/gitdir", "worktrees/other/commondir", "modules/sub/config",
     "modules/sub/hooks/post-checkout"],
)  # fmt: skip
def test_what_git_would_run_or_follow_is_not_changed_from_a_worktree(place, planted):
    """The repository of the worktree lies outside of it: the person who works there is not asked."""
    before = "mkdir -p $(dirname .git/{0}); test -e .git/{0} || test {0} = worktrees/other/commondir || : > .git/{0}"
    place.outside(before.format(planted), "p/repo")
    path = place.home / "p/repo/.git" / planted
    text = path.read_bytes() if path.exists() else None
    script = f"mkdir -p {path.parent}; echo evil > {path}; echo evil > mine; mv mine {path}; ln -sf /tmp {path}; rm -f {path}"
    place.inside(script, "p/tree", "--quiet")
    assert (path.read_bytes() if path.exists() else None) == text and not path.is_symlink()
    place.outside("echo evil > " + str(path) if text is not None else f"mkdir -p {path.parent}; echo evil > {path}")
    assert path.read_bytes() == b"evil\n"  # without Interlock nothing keeps it


def test_a_repository_is_not_widened_by_what_a_session_can_write(place):
    """Each of these would have opened the private repository, or more, to the next session in the folder."""
    place.outside("git init -q -b main private && cd private && echo hidden > f && git add . && git commit -qm hidden")
    private = place.home / "private/.git"
    look = f"cat {private}/HEAD {private}/config {private}/objects/info/* 2>/dev/null; true"
    assert "ref:" in subprocess.run(["sh", "-c", look], capture_output=True, text=True, timeout=10).stdout
    forgeries = {
        "pointer": f"mkdir x && echo 'gitdir: {private}' > x/.git",
        "worktree": f"mkdir -p x/g && echo 'gitdir: g' > x/.git && cd x/g && echo $PWD/../.git > gitdir "
        f"&& echo {private} > commondir && echo 'ref: refs/heads/main' > HEAD",
        "listed": f"mkdir -p fake/worktrees/x fake/objects fake/refs x && cd fake && echo ref > HEAD && echo {private} > "
        "worktrees/x/commondir && echo $PWD/../x/.git > worktrees/x/gitdir && echo \"gitdir: $PWD/worktrees/x\" > ../x/.git",
        "submodule": f"mkdir x && ln -s {private} x/.git",
        "link": f"mkdir -p x && git init -q x && rm -rf x/.git/objects && ln -s {private}/objects x/.git/objects",
    }
    for name, forge in forgeries.items():
        made = place.inside(f"cd {place.home}/p && {forge}", "p", "--quiet", "--no-ask")
        assert (place.home / "p/x").is_dir(), (name, made.stderr)
        ran = place.inside(look, "p/x", "--quiet")
        assert ran.stdout == "", name
        shutil.rmtree(place.home / "p/x")


def test_what_a_repository_borrows_is_named_by_a_person(place):
    private = place.home / "secret-store"
    place.outside("mkdir -p secret-store/pack secret-store/other && echo hidden > secret-store/other/f "
                  "&& echo object > secret-store/pack/p")  # fmt: skip
    where = ".git/objects/info/alternates"
    for way in (
        f"echo {private} > {where}",
        f"echo {private} > x; ln x {where}",
        f"echo {private} > x; mv x {where}",
        f"mkdir -p x/info; echo {private} > x/info/alternates; mv .git/objects old; mv x .git/objects",
        f"mkdir -p x/o/info; echo {private} > x/o/info/alternates; mv x/o x/objects; mv .git old; mv x .git",
        f"echo {private} > x; ln -s $PWD/x {where}",
        f"mkdir x; echo {private} > x/alternates; rm -rf .git/objects/info; ln -s $PWD/x .git/objects/info",
        f"mkdir -p x/info; echo {private} > x/info/y; mv x/info/y x/info/alternates; mv .git/objects o; ln -s $PWD/x .git/objects",
    ):
        place.outside("cp -a repo copy", "p")
        place.inside(way, "p/copy", "--quiet", "--no-ask")
        assert place.inside(f"cat {private}/pack/p", "p/copy", "--quiet").stdout == "", way
        shutil.rmtree(place.home / "p/copy")
    place.outside(f"echo {private} > .git/objects/info/alternates", "p/repo")
    ran = place.inside(f"cat {private}/pack/p; cat {private}/other/f; echo x > {private}/pack/p", "p/repo", "--quiet")
    assert ran.stdout == "object\n" and ran.returncode != 0


def test_a_repository_that_is_a_home_or_everyones_is_no_workspace(place):
    place.outside("git init -q . && mkdir -p q/r")
    ran = place.inside("cat ../../.git/HEAD || echo kept", "q/r", "--quiet")
    assert ran.stdout == "kept\n"
    place.outside("git init -q open && chmod 777 open && mkdir open/sub", "q")
    assert place.inside("echo x > ../made", "q/open/sub", "--quiet").returncode != 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a folder of another owner")
def test_another_owners_repository_is_not_taken_in(place):
    sub = place.home / "p/repo/a/mine"
    sub.mkdir()
    os.chown(sub, 54321, 54321)
    sub.chmod(0o755)
    assert place.inside("cat ../../.git/HEAD || echo kept", "p/repo/a/mine", "--quiet").stdout == "kept\n"


def test_policy_commands_see_the_same_workspace(place):
    path = str(place.home / "p/repo/made")
    asked = json.dumps({"action": {"id": "s/0", "plane": "host", "verb": "file.write", "target": {"path": path}, "subject": {}}})
    for directory, decision in (("p/repo/a/b", "allow"), ("p/tree", "deny")):
        ran = subprocess.run(
            [str(place.installed.interlock), "policy", "decide"], cwd=place.home / directory, env=place.environment,
            capture_output=True, text=True, timeout=60, input=asked, **place.options,
        )  # fmt: skip
        assert json.loads(ran.stdout)["decision"] == decision, (ran.stdout, ran.stderr)
