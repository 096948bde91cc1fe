"""What counts as content that the repository had is what it named when the session began: nothing that is committed,
fetched or put into the object store afterwards, nothing from another path, and nothing that is written after the look.

Each attack is first seen to succeed without Interlock. The judge looks, outside, at the name that an editor reads.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.escapes.arena import Arena, both_ways

IDENTITY = {f"GIT_{who}_{what}": "a@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
SETUP = """
rm -rf .git && git init -q -b main . && mkdir -p .vscode packages/evil/.vscode
echo tracked > .vscode/tasks.json && echo evil > packages/evil/.vscode/tasks.json && echo A=1 > .env.development
git add -f .vscode packages .env.development && git commit -qm first
git checkout -q -b other && echo second > .vscode/tasks.json && git commit -qam second && git checkout -q main
echo 'SECRET-f00d5eed' > .env
"""
CRAFT = (
    "blob=$(echo evil | git hash-object -w --stdin); git update-index --cacheinfo 100644,$blob,.vscode/tasks.json; "
    "git commit -qm evil; "
)
#: A file made anew, as git makes one: it may hold what another commit had at the path.
MADE = (
    "import os,mmap,time,subprocess\nos.unlink('.vscode/tasks.json')\nf=os.open('.vscode/tasks.json',{flags},0o644)\n"
)
LINK = "import ctypes; ctypes.CDLL(None).linkat(-100,f'/proc/self/fd/{{{0}}}'.encode(),-100,b'mine',0x400)\n"
EXCHANGE = "python3 -c 'import ctypes; ctypes.CDLL(None).renameat2(-100, b\"{}\", -100, b\"{}\", 2)'"
EXCLUSIVE = MADE.format(flags="os.O_RDWR|os.O_CREAT|os.O_EXCL")


AGAIN = """
import os, threading, time
name, reader, end = '.vscode/tasks.json', [-1], time.time() + 3
def again():
    while time.time() < end:
        for way in (os.O_WRONLY, os.O_RDWR | os.O_TRUNC):
            try:
                file = os.open(f'/proc/self/fd/{reader[0]}', way)
                os.pwrite(file, b'evil\\n\\n\\n', 0)
                os.close(file)
            except OSError:
                pass
threads = [threading.Thread(target=again) for _ in range(2)]
[thread.start() for thread in threads]
while time.time() < end - 0.5:
    os.unlink(name)
    file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
    os.write(file, b'second\\n')
    last, reader[0] = reader[0], os.open(f'/proc/self/fd/{file}', os.O_RDONLY)
    os.close(file)
    open('x', 'w').close()
    last < 0 or os.close(last)
[thread.join() for thread in threads]
"""


def script(text: str) -> str:
    return f"python3 - <<'EOF'\n{text}\nEOF\n"


ATTACKS = {
    "a commit made in the session": CRAFT + "rm -f .vscode/tasks.json; git checkout -q -- .vscode/tasks.json",
    "a branch made in the session": "git checkout -q -b mine; " + CRAFT + "git checkout -qf main; git checkout -q mine",
    "a commit, and a reset to it": CRAFT + "git reset -q --hard",
    "a merge of it": "git checkout -q -b mine; " + CRAFT + "git checkout -qf main; git merge -q mine",
    "a clone, committed to and pulled from": "git clone -q . clone; (cd clone && echo evil > .vscode/tasks.json && "
    "git commit -qam evil); git pull -q clone main",
    "a blob replaced": "git replace $(git rev-parse HEAD:.vscode/tasks.json) $(echo evil | git hash-object -w --stdin); "
    "rm -f .vscode/tasks.json; git checkout -q -- .vscode/tasks.json",
    "a commit replaced": "git branch keep; " + CRAFT + "evil=$(git rev-parse HEAD); git reset -q --soft keep; "
    "git replace keep $evil; rm -f .vscode/tasks.json; git reset -q --hard",
    "a tag moved": CRAFT + "git tag -f v1; git checkout -q --detach v1; git reset -q --hard v1",
    "objects borrowed": "mkdir -p other.git; git clone -q --bare . other.git/o; "
    "blob=$(echo evil | git -C other.git/o hash-object -w --stdin); "
    "export GIT_ALTERNATE_OBJECT_DIRECTORIES=$PWD/other.git/o/objects; "
    "git update-index --cacheinfo 100644,$blob,.vscode/tasks.json; rm -f .vscode/tasks.json; git checkout -q -- .vscode",
    "content of another path": "rm -f .vscode/tasks.json; cp packages/evil/.vscode/tasks.json .vscode/tasks.json",
    "moved from another path": "mv -f packages/evil/.vscode/tasks.json .vscode/tasks.json",
    "exchanged, the tracked name first": "echo evil > e.json; " + EXCHANGE.format(".vscode/tasks.json", "e.json"),
    "exchanged, its folder first": "mkdir e; echo evil > e/tasks.json; " + EXCHANGE.format(".vscode", "e"),
    "exchanged with another path": EXCHANGE.format(".vscode/tasks.json", "packages/evil/.vscode/tasks.json"),
    "written in place": "echo evil > .vscode/tasks.json",
    "removed and written": "rm -f .vscode/tasks.json; echo evil > .vscode/tasks.json",
    "made anew": script(EXCLUSIVE + "os.write(f,b'evil\\n')"),
    "made anew, written twice": script(
        EXCLUSIVE + "os.write(f,b'second\\n')\ng=os.dup(f)\nos.close(f)\nos.listdir('.')\nopen('x','w').close()\n"
        "os.ftruncate(g,0)\nos.pwrite(g,b'evil\\n',0)"
    ),
    "made anew, held by a child": script(
        EXCLUSIVE + "os.write(f,b'second\\n')\n"
        "p=subprocess.Popen(['sh','-c',f'sleep 0.5; printf evil\\\\\\\\n >&{f}'],pass_fds=[f])\n"
        "os.ftruncate(f,0)\nos.lseek(f,0,0)\nos.close(f)\nopen('x','w').close()\np.wait()"
    ),
    "made anew, mapped": script(
        EXCLUSIVE + "os.write(f,b'second\\n')\nm=mmap.mmap(f,0)\nos.close(f)\nopen('x','w').close()\n"
        "m[:5]=b'evil\\n'\nm.flush()\nm.close()\nos.truncate('.vscode/tasks.json',5)"
    ),
    "made anew, opened again": script(
        EXCLUSIVE + "os.write(f,b'second\\n')\ng=os.open(f'/proc/self/fd/{f}',os.O_RDWR)\nos.close(f)\n"
        "open('x','w').close()\nos.ftruncate(g,0)\nos.pwrite(g,b'evil\\n',0)"
    ),
    "made anew, linked beside": script(
        EXCLUSIVE + "os.write(f,b'second\\n')\n" + LINK.format("f") + "os.close(f)\n"
        "open('x','w').close()\nopen('mine','w').write('evil\\n')"
    ),
    "made anew, read again and linked": script(
        EXCLUSIVE + "os.write(f,b'second\\n')\ng=os.open(f'/proc/self/fd/{f}',os.O_RDONLY)\nos.close(f)\n"
        + LINK.format("g") + "open('mine','w').write('evil\\n')"
    ),
    "made anew, opened again while it gets its name": script(AGAIN),
    "made anew, its folder moved": script(
        EXCLUSIVE.replace("'.vscode/tasks.json'", "'packages/evil/.vscode/tasks.json'")
        + "os.write(f,b'evil\\n')\nos.rename('packages/evil/.vscode','packages/evil/v')\nos.rename('.vscode','old')\n"
        "os.rename('packages/evil/v','.vscode')\nos.close(f)\nopen('x','w').close()"
    ),
}  # fmt: skip

READS = {
    "another one": "cat .env",
    "by a commit": "git add -f .env; git commit -qm x; git show HEAD:.env",
    "by the name of a tracked one": "rm .env.development; mv .env .env.development; cat .env.development",
    "by a link": "rm .env.development; ln .env .env.development; cat .env.development",
    "by a symlink": "rm .env.development; ln -s .env .env.development; cat .env.development",
    "by a tree of packages": "mkdir node_modules; mv .env node_modules/; cat node_modules/.env",
    "by a folder called so": "mkdir d; mv .env d/; mv d node_modules; cat node_modules/.env",
    "by a link out of a tree": "mkdir node_modules; ln -s ../.env node_modules/.env; cat node_modules/.env",
    "by a hard link in a tree": "mkdir node_modules; ln .env node_modules/.env; cat node_modules/.env",
    "by its folder": "mkdir d; mv .env d/; cat d/.env",
    "a tracked one that a person changed": "cat .env.local",
}


def git(arena: Arena, text: str) -> None:
    arena.environment.update(IDENTITY | {"GIT_CONFIG_NOSYSTEM": "1"})
    done = arena.run("sh", "-ec", text)
    assert done.code == 0, done.errors


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda name: name.replace(" ", "-"))
def test_only_what_the_repository_had_is_installed(arena: Arena, attack: str) -> None:
    def won(run) -> bool:
        git(arena, SETUP)
        run("sh", "-c", f"{ATTACKS[attack]}\ntrue")
        return "evil" in text_of(arena.work / ".vscode/tasks.json")

    assert both_ways(arena, won) == (True, False)


@pytest.mark.parametrize("way", READS, ids=lambda name: name.replace(" ", "-"))
def test_only_what_the_repository_had_is_read(arena: Arena, way: str) -> None:
    def won(run) -> bool:
        git(arena, SETUP + "echo x > .env.local && git add -f .env.local && git commit -qm local && cp .env .env.local")
        return "SECRET-f00d5eed" in run("sh", "-c", f"{READS[way]}\ntrue").output

    assert both_ways(arena, won) == (True, False)


def test_a_link_to_a_tracked_environment_file_is_not_kept_for_later(arena: Arena) -> None:
    """The person writes a secret into the file where it is, when the session is over or still runs."""

    def won(run) -> bool:
        git(arena, SETUP)
        run("sh", "-c", "ln .env.development kept")
        with (arena.work / ".env.development").open("a") as file:
            file.write("SECRET-f00d5eed\n")
        return "SECRET-f00d5eed" in run("cat", "kept").output

    assert both_ways(arena, won) == (True, False)


def text_of(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def test_the_control_of_a_draft_is_what_git_does(arena: Arena) -> None:
    """The same calls with content of another commit: the file is there, with its mode and its owner."""
    arena.build()
    git(arena, SETUP)
    ran = arena.held(
        "sh", "-c", script(EXCLUSIVE + "os.write(f,b'second\\n')\nos.close(f)\n") + "cat .vscode/tasks.json"
    )
    assert ran.output == "second\n", ran.errors
    made = (arena.work / ".vscode/tasks.json").stat()
    assert (made.st_mode & 0o777, made.st_uid) == (0o644, (arena.work / ".vscode").stat().st_uid)


def test_a_file_made_anew_takes_its_mode_by_its_descriptor(arena: Arena) -> None:
    """As tar and `cp -p` give it."""
    arena.build()
    git(arena, SETUP)
    changed = script(EXCLUSIVE + "os.write(f,b'second\\n')\nos.fchmod(f,0o600)\nos.close(f)\n")
    ran = arena.held("sh", "-c", changed + "stat -c %a .vscode/tasks.json")
    assert ran.output == "600\n", ran.errors
