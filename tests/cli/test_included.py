"""What the person's git and ssh configuration names besides itself is readable, and out of a session's reach."""

import os
import shutil
import subprocess

import pytest


class Place:
    """A home with dotfiles in it, and a project."""

    def __init__(self, cli, installed, user):
        self.home, self.root, self.installed = cli.human, cli.root, installed
        # Not below the temporary folder of the session, which is open to it.
        self.environment = cli.environment | {"TMPDIR": str(cli.root / "t")}
        (cli.root / "t").mkdir()
        self.options = {} if user is None else {"user": user, "extra_groups": []}
        if user is not None:
            for path in (cli.root, *cli.root.iterdir()):
                shutil.chown(path, user)

    def outside(self, script, directory="."):
        return subprocess.run(
            ["sh", "-ec", script], cwd=self.home / directory, env=self.environment, timeout=60, check=True,
            capture_output=True, text=True, stdin=subprocess.DEVNULL, **self.options,
        )  # fmt: skip

    def inside(self, script, directory="project", *options):
        return subprocess.run(
            [str(self.installed.interlock), "run", "--quiet", *options, "--", "sh", "-c", script], timeout=120,
            cwd=self.home / directory, env=self.environment, capture_output=True, text=True, stdin=subprocess.DEVNULL,
            **self.options,
        )  # fmt: skip


CONFIG = """\
[user]
	name = a
	email = a@example.org
[include]
	path = dotfiles/current/git ; a comment
	path = \\"dotfiles/none yet\\"
[includeIf \\"gitdir:~/project/\\"]
	path = ~/work.gitconfig
[core] excludesFile = ~/lists/ignore
[init]
	templateDir = ~/template
"""


@pytest.fixture
def place(cli, installed, user):
    found = Place(cli, installed, user)
    found.outside(
        f"printf '%s' \"{CONFIG}\" > .gitconfig && mkdir -p dotfiles/v1 lists template/hooks private .ssh/team project "
        "&& ln -s v1 dotfiles/current && printf '[alias]\\n\\thello = !echo hello\\n[include]\\n\\tpath = more\\n' > dotfiles/v1/git "
        "&& printf '[alias]\\n\\tmore = !echo more\\n' > dotfiles/v1/more && printf '[user]\\n\\tname = worker\\n' > work.gitconfig "
        "&& echo '*.o' > lists/ignore && echo 'exit 0' > template/hooks/pre-commit.sample "
        "&& chmod 700 .ssh && printf 'Include team/* other\\nHost x\\n' > .ssh/config && echo 'Host y' > .ssh/team/hosts "
        "&& printf -- '-----BEGIN OPENSSH PRIVATE KEY-----\\n' > .ssh/team/key && echo hidden > private/f "
        "&& cd project && git init -q . && touch a.o a.c"
    )
    return found


@pytest.mark.parametrize("preset", ["coding-agent", "ci"])
def test_git_works_with_all_that_its_configuration_names(place, preset):
    script = "git hello && git more && git status --short && git config user.name && git init -q new && ls new/.git/hooks"
    expected = place.outside(script.replace("new", "other"), "project").stdout.replace("other", "new")
    shutil.rmtree(place.home / "project/other")
    ran = place.inside(script, "project", "--preset", preset)
    assert (ran.returncode, ran.stdout) == (0, expected), ran.stderr
    assert "worker" in expected and "a.o" not in expected


def test_what_ssh_includes_is_readable_and_a_key_among_it_is_not(place):
    ran = place.inside("cat ~/.ssh/config ~/.ssh/team/hosts; cat ~/.ssh/team/key")
    assert "Host y" in ran.stdout and "PRIVATE" not in ran.stdout


#: renameat2(2) with RENAME_EXCHANGE, by its number on x86_64.
EXCHANGE = (
    "mkdir -p v2 && echo evil > v2/git && python3 -c 'import ctypes; "
    'ctypes.CDLL(None).syscall(316, -100, b"v2", -100, b"dotfiles/v1", 2)\''
)
WAYS = {
    "written": "echo evil >> dotfiles/v1/git",
    "replaced": "echo evil > x && mv x dotfiles/v1/git",
    "by the link": "echo evil >> dotfiles/current/more",
    "re-pointed": "mkdir -p v2 && echo evil > v2/git && ln -sfn ../v2 dotfiles/current",
    "link moved away": "mv dotfiles/current dotfiles/old",
    "folder moved away": "mv dotfiles/v1 dotfiles/v3 && mkdir dotfiles/v1 && echo evil > dotfiles/v1/git",
    "parent moved away": "mv dotfiles old && mkdir -p dotfiles/current && echo evil > dotfiles/current/git",
    "exchanged": EXCHANGE,
    "not there yet": "echo evil > 'dotfiles/none yet'",
    "a link not there yet": "echo evil > x; ln -s ../x 'dotfiles/none yet'",
    "the list": "echo evil > lists/ignore",
    "a template's hook": "echo evil > template/hooks/post-checkout",
    "another name": "ln dotfiles/v1/more more && echo evil > more",
    "conditional": "echo evil > work.gitconfig",
    "of ssh": "echo evil > .ssh/team/hosts",
}
LOOK = (
    "cat dotfiles/current/git dotfiles/current/more 'dotfiles/none yet' lists/ignore work.gitconfig .ssh/team/hosts "
    "template/hooks/* 2>/dev/null || true"
)


@pytest.mark.parametrize("way", WAYS)
def test_a_dotfiles_folder_as_workspace_does_not_open_what_runs_outside(place, way):
    """The whole home is the workspace, said aloud: nothing but these rules keeps it."""
    before = place.outside(LOOK).stdout
    place.inside(WAYS[way], ".", "--workspace", ".", "--no-ask")
    assert place.outside(LOOK).stdout == before
    place.outside(WAYS[way])  # without Interlock it is done
    assert place.outside(LOOK).stdout != before


def test_a_repositorys_own_configuration_opens_nothing(place):
    private = place.home / "private"
    place.outside(f"cd project && git config include.path {private}/f; git config core.hooksPath {private}; git config core.excludesFile {private}/f")
    assert "private" in (place.home / "project/.git/config").read_text()
    assert place.inside(f"cat {private}/f").stdout == ""


def test_a_folder_that_holds_the_home_is_not_opened(place):
    place.outside("printf '[core]\\n\\thooksPath = /\\n[init]\\n\\ttemplateDir = ~\\n' >> .gitconfig")
    assert place.inside(f"cat {place.home}/private/f").stdout == ""
    assert os.path.exists(place.home / "private/f")


def test_links_on_the_way_to_the_configuration_itself_are_kept(place):
    place.outside("mv .gitconfig dotfiles/v1/config && ln -s v1 dotfiles/now && ln -s dotfiles/now/config .gitconfig && mkdir v2 && echo '[alias]' > v2/config")
    before = (place.home / ".gitconfig").read_text()
    place.inside("ln -sfn ../v2 dotfiles/now", ".", "--workspace", ".", "--no-ask")
    assert (place.home / ".gitconfig").read_text() == before
    place.outside("ln -sfn ../v2 dotfiles/now")
    assert (place.home / ".gitconfig").read_text() != before


@pytest.mark.parametrize("kind", ["long", "many"])
def test_however_long_a_configuration_is_what_it_names_is_readable_and_kept(place, kind):
    """70 KiB in front of the include, or 300 files of which the last one matters."""
    if kind == "long":
        place.outside("(head -c 70000 /dev/zero | tr '\\0' '#'; echo; printf '[include]\\n\\tpath = ~/last\\n') >> .gitconfig")
    else:
        place.outside(
            "mkdir many; for n in $(seq 300); do printf '[include]\\n\\tpath = many/%s\\n' $n; : > many/$n; done >> .gitconfig;"
            "printf '[include]\\n\\tpath = ~/last\\n' >> .gitconfig"
        )
    place.outside("printf '[alias]\\n\\tlast = !echo last\\n' > last")
    ran = place.inside("git last; echo '[core]' >> ~/last")
    assert ran.stdout == "last\n", ran.stderr
    # The home is the workspace of somebody who works on their dotfiles: there nothing but this protection denies it.
    ran = place.inside("echo '[core]' >> last; ls", ".", "--workspace", ".")
    assert "last" in ran.stdout and "[core]" not in (place.home / "last").read_text(), ran.stderr


@pytest.mark.parametrize("kind", ["git", "ssh", "many"])
def test_what_nobody_searches_is_refused_aloud(place, kind):
    long = "head -c 5000000 /dev/zero | tr '\\0' '#'"
    place.outside(
        {
            "git": f"({long}) >> .gitconfig",
            "ssh": f"({long}) >> .ssh/config",
            "many": "for n in $(seq 4200); do printf '[include]\\n\\tpath = many/%s\\n' $n; done >> .gitconfig",
        }[kind]
    )
    ran = place.inside("echo began")
    assert (ran.returncode, ran.stdout) == (121, "")
    assert {"git": ".gitconfig` is longer than 4 MiB", "ssh": ".ssh/config` is longer than 4 MiB", "many": "more than 4096"}[kind] in ran.stderr
    assert "hint:" in ran.stderr
