"""A session cannot have a person's `session restore` do what policy kept it from doing, nor have it lose what the session
never touched. Each attack is shown to work where what was moved is moved back by hand.
"""

from __future__ import annotations

import json
import os
import subprocess

import pytest

EVIL = "evil\n"
#: A folder in which nothing is that policy speaks of, and what policy refuses to have made in it.
FOLDERS = {
    ".vscode": "tasks.json",
    ".claude": "settings.json",
    ".idea": "workspace.xml",
    ".zed": "tasks.json",
    "pkg/.vscode": "tasks.json",
    "deep/down/.vscode": "settings.json",
}
#: How what is evil comes into the folder under its other name (`B`).
WAYS = {
    "written": "cp evil B/NAME",
    "linked": "ln evil B/NAME",
    "moved": "mv evil B/NAME",
    "exchanged": "echo x > B/NAME; exchange evil B/NAME",
    "in a folder of before": "mv B/sub B/sub2; cp evil B/NAME; cp evil B/sub2/more",
    "by way of another folder": "mkdir C; cp evil C/NAME; mv C/NAME B/NAME",
    "moved twice": "mv B D; cp evil D/NAME; mv D B",
    "a folder made afresh": "mv B D; mkdir B; ln evil B/NAME; echo >> B/NAME; rm -r B; mv D B; cp evil B/NAME",
    "when nothing is noted any more": "until [ -e full ]; do long; done; cp evil B/NAME",
}
TOOLS = """
exchange() { /usr/bin/python3 -c "import ctypes, sys; ctypes.CDLL(None).renameat2(-100, sys.argv[1].encode(), -100, sys.argv[2].encode(), 2)" "$1" "$2"; }
long() { /usr/bin/python3 -c "
import os
name = 'x' * 240
open(name + 'a', 'w').close()
for _ in range(1500): os.rename(name + 'a', name + 'b'), os.rename(name + 'b', name + 'a')
open('full', 'w').close()"; }
"""


def workspace(place, user, files):
    for name, text in files.items():
        path = place.workspace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    if user is not None:
        subprocess.run(["chown", "-R", f"{user}:", place.workspace], check=True)
    return place.workspace


def in_session(run, script, size="1MiB", preset="coding-agent"):
    return run("run", "--preset", preset, "--journal", size, "--", "bash", "-c", TOOLS + script)


def restored(run, *arguments):
    done = run("session", "restore", *arguments, "--json")
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)


def planted_by(run, place, user, folder, way):
    name = FOLDERS[folder]
    work = workspace(place, user, {f"{folder}/readme.txt": "old", f"{folder}/sub/inner": "old", "evil": EVIL})
    refused = in_session(run, f"cp evil {folder}/{name}")
    assert refused.returncode != 0 and not (work / folder / name).exists(), "policy lets it be made"
    done = in_session(run, f"set -e; mv {folder} B; " + WAYS[way].replace("NAME", name))
    assert done.returncode == 0, done.stderr
    assert (work / "B" / name).exists(), done.stderr
    return work, work / folder / name


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_came_into_a_folder_under_another_name_does_not_come_back_with_it(run, place, user, folder):
    work, planted = planted_by(run, place, user, folder, "written")
    restored(run)
    assert not planted.exists()
    assert (work / folder / "readme.txt").read_text() == "old" and (
        work / folder / "sub" / "inner"
    ).read_text() == "old"
    assert (work / "B" / planted.name).read_text() == EVIL, "it stays where the session put it"
    assert not [path for path in work.rglob("*") if "interlock" in path.name]
    (work / "B" / planted.name).rename(planted)  # by hand it would have worked
    assert planted.read_text() == EVIL


@pytest.mark.parametrize("way", WAYS)
def test_however_it_came_there(run, place, user, way):
    work, planted = planted_by(run, place, user, ".vscode", way)
    restored(run)
    assert not planted.exists()
    assert (work / ".vscode" / "readme.txt").read_text() == "old"
    assert not (work / ".vscode" / "sub" / "more").exists()


def test_one_path_alone_brings_nothing_else_back(run, place, user):
    work, planted = planted_by(run, place, user, ".vscode", "moved")
    restored(run, "last", str(work / ".vscode"))
    assert (work / ".vscode" / "readme.txt").exists() and not planted.exists()


def test_a_folder_of_the_same_name_is_not_the_one_of_before(run, place, user):
    work = workspace(place, user, {"A/F2": "precious", "C0/F": "other"})
    done = in_session(run, "mv A B; mv B C; mkdir B; ln C0/F B/F2; echo more >> B/F2; rm -r B; mv C A")
    assert done.returncode == 0, done.stderr
    restored(run)
    assert (work / "A" / "F2").read_text() == "precious", "the session never touched it"
    assert (work / "C0" / "F").read_text() == "other"


def test_what_else_has_the_name_is_not_written_into(run, place, user):
    work = workspace(place, user, {"F": "of F", "V": "of V"})
    done = in_session(run, "echo >> F; rm F; ln V F")
    assert done.returncode == 0, done.stderr
    restored(run)
    assert ((work / "F").read_text(), (work / "V").read_text()) == ("of F", "of V")


def test_what_else_has_the_name_gets_no_rights_of_what_had_it(run, place, user):
    work = workspace(place, user, {"tool": "t" * 9000})
    (work / "tool").chmod(0o777)
    done = in_session(run, "touch tool; rm tool; cp /dev/null tool; chmod 600 tool", "4k")
    assert done.returncode == 0, done.stderr
    left = restored(run)["left"]
    assert [each["why"] for each in left if each["path"] == str(work / "tool")] == ["No such file or directory"], left
    assert (work / "tool").stat().st_mode & 0o777 == 0o600


def test_attributes_changed_by_another_name_are_those_of_before(run, place, user):
    work = workspace(place, user, {"F": "of F"})
    os.setxattr(work / "F", "user.kind", b"old")
    os.link(work / "F", work / "G")
    done = in_session(
        run, "rm F; /usr/bin/python3 -c \"import os; os.setxattr('G', 'user.kind', b'forged')\"; chmod 777 G; rm G"
    )
    assert done.returncode == 0, done.stderr
    restored(run)
    for name in "FG":
        assert os.getxattr(work / name, "user.kind") == b"old"
        assert (work / name).stat().st_mode & 0o777 == 0o644


def test_exchanged_names_are_exchanged_again(run, place, user):
    work = workspace(place, user, {"one": "1", "two": "2", "d/x": "dx", "e/y": "ey", "f/z": "fz"})
    done = in_session(run, "exchange one two; exchange d e; echo more >> one; exchange one f; rm f; echo new > d/new")
    assert done.returncode == 0, done.stderr
    assert restored(run)["left"] == []
    assert {name: (work / name).read_text() for name in ("one", "two", "d/x", "e/y", "f/z")} == {
        "one": "1", "two": "2", "d/x": "dx", "e/y": "ey", "f/z": "fz",
    }  # fmt: skip


def test_what_of_before_stands_at_a_name_is_not_replaced_but_moved_back(run, place, user):
    work = workspace(place, user, {"s/t/F": "of F", "u/x": "of x", "blocked/F": "of blocked", "v": "of v"})
    script = "rm u/x; mv s/t/F u/x; rmdir s/t; rm v; mv blocked/F v; rmdir blocked; echo made > blocked"
    done = in_session(run, script)
    assert done.returncode == 0, done.stderr
    (work / "blocked").write_text("a person's\n")
    restored(run)
    assert ((work / "s/t/F").read_text(), (work / "u/x").read_text()) == ("of F", "of x")
    assert "of blocked" in {path.read_text() for path in work.rglob("*") if path.is_file()}, "it is nowhere else"


def test_renames_without_end_do_not_fill_the_disk(run, place, user):
    work = workspace(place, user, {"tool": "t"})
    done = in_session(run, "long; long; rm tool")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("its list of what was done has no more room") == 1, done.stderr
    [lines] = (place.home / "state" / "journals").glob("*/lines")
    assert 1 << 20 <= lines.stat().st_size < (1 << 20) + (64 << 10), "three times as much was done"
    assert not (work / "tool").exists() and run("session", "diff", "--stat").returncode == 0


def test_a_name_is_taken_by_a_whole_file_that_had_none(run, place, user):
    """While a file is brought back, no other name of it is there to be opened."""
    work = workspace(place, user, {"F": "before\n"})
    assert in_session(run, "echo session > F").returncode == 0
    (work / "F").chmod(0o600)
    watch = subprocess.Popen(
        ["/usr/bin/python3", "-c", WATCH, str(work)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert watch.stdout.readline() == "ready\n"
    restored(run, "--force")
    seen, _ = watch.communicate("\n", timeout=30)
    assert (work / "F").read_text() == "before\n"
    assert "before" not in seen, "the content of before had another name"


WATCH = """
import os, select, sys, ctypes
libc = ctypes.CDLL(None)
watch = libc.inotify_init1(os.O_NONBLOCK)
libc.inotify_add_watch(watch, sys.argv[1].encode(), 0x100 | 0x80 | 0x2)  # created, moved to, written
print("ready", flush=True)
seen = set()
while not select.select([0], [], [], 0)[0]:
    for name in os.listdir(sys.argv[1]):
        if name.startswith(".interlock"):
            try:
                seen.add(open(os.path.join(sys.argv[1], name)).read())
            except OSError:
                pass
print(seen)
"""


SHUT = {
    "of before": "rm d/a/f; chmod 000 d/a",
    "made afresh": "rm -r d; mkdir -p d/a; echo evil > d/a/f; chmod 000 d/a d",
    "moved away": "mv d B; rm B/a/f; chmod 100 B/a B",
    "without its right to be looked into": "echo evil > d/a/f; chmod 600 d/a; chmod 300 d",
}


@pytest.mark.parametrize("way", SHUT)
def test_a_folder_that_the_session_shut_keeps_nothing_from_coming_back(run, place, user, way):
    work = workspace(place, user, {"d/a/f": "old", "d/g": "old", "z": "old"})
    done = in_session(run, f"{SHUT[way]}; echo evil > z")
    assert done.returncode == 0, done.stderr
    shown = run("session", "diff", "--stat")
    assert shown.returncode == 0 and f"M  {work}/z" in shown.stdout, shown.stderr
    told = restored(run)
    assert [(work / name).read_text() for name in ("d/a/f", "d/g", "z")] == ["old"] * 3, told
    assert [oct((work / name).stat().st_mode & 0o777) for name in ("d", "d/a")] == ["0o755"] * 2 and told["left"] == []


#: A file of the names f, g and h, of which one is taken away before it is written to by another; and the names that are looked at afterwards. Another name
#: by which nothing was done keeps what was written (docs/limits.md).
SEVERAL = {
    "the other went too": ("rm f; echo evil > g; rm g", "fg"),
    "all but one went": ("rm f h; echo evil > g", "fgh"),
    "replaced": ("echo x > n; mv n f; echo evil >> g; rm g", "fg"),
    "one after the other": ("rm f; rm g; echo evil > h; rm h", "fgh"),
}


@pytest.mark.parametrize("way", SEVERAL)
def test_a_name_gets_what_its_object_held_whatever_was_written_by_another(run, place, user, way):
    work = workspace(place, user, {"f": "old"})
    for name in "gh":
        os.link(work / "f", work / name)
    script, names = SEVERAL[way]
    done = in_session(run, script)
    assert done.returncode == 0, done.stderr
    told = restored(run)
    assert {name: (work / name).read_text() for name in names} == dict.fromkeys(names, "old"), told
