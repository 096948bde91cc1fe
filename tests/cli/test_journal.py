"""What was there before a session: kept before it is lost, shown as a diff, brought back to the byte with modes and
times. As root and as an ordinary user, in the workspace as it lies on the disk.
"""

from __future__ import annotations

import json
import os
import pwd
import signal
import stat
import subprocess
import time

import pytest

AT_NS = 1_600_000_000_123_456_789


def tree_of(folder):
    """Everything below a folder: kind, mode, owner, times, content."""
    found = {}
    for here, folders, files in os.walk(folder):
        for name in [*folders, *files, "."]:
            path = os.path.normpath(os.path.join(here, name))
            there = os.lstat(path)
            content = os.readlink(path) if stat.S_ISLNK(there.st_mode) else None
            if stat.S_ISREG(there.st_mode):
                with open(path, "rb") as file:
                    content = file.read()
            changed = None if stat.S_ISLNK(there.st_mode) else there.st_mtime_ns
            found[os.path.relpath(path, folder)] = (there.st_mode, there.st_uid, there.st_gid, changed, content)
    return found


def work_in(place, user):
    """A working tree with all that a person may have in one, of another time."""
    folder = place.workspace
    (folder / "src" / "deep" / "er").mkdir(parents=True)
    (folder / "src" / "main.c").write_text("int main(void) { return 0; }\n")
    (folder / "src" / "deep" / "er" / "data.bin").write_bytes(os.urandom(70_000))
    (folder / "src" / "deep" / "empty").write_text("")
    (folder / "run.sh").write_text("#!/bin/sh\necho one\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "secret.txt").write_text("hidden\n")
    (folder / "secret.txt").chmod(0o400)
    (folder / "unreadable").write_text("nobody reads this\n")
    (folder / "unreadable").chmod(0o000)
    (folder / "link").symlink_to("src/main.c")
    (folder / "dangling").symlink_to("nowhere")
    os.link(folder / "run.sh", folder / "also-run.sh")
    os.mkfifo(folder / "pipe")
    (folder / "odd \n name\tü").write_text("odd\n")
    os.open(os.fsencode(folder) + b"/not-\xff-utf8", os.O_CREAT | os.O_WRONLY)
    with open(folder / "sparse", "wb") as file:
        file.seek(5_000_000)
        file.write(b"end")
    (folder / "locked").mkdir()
    (folder / "locked" / "inside").write_text("inside\n")
    (folder / "node_modules" / "left").mkdir(parents=True)
    (folder / "node_modules" / "left" / "index.js").write_text("module.exports = 1\n")
    for path in [*folder.rglob("*"), folder]:
        if user is not None:
            owner = pwd.getpwnam(user)
            os.lchown(path, owner.pw_uid, -1)
        os.utime(path, ns=(AT_NS, AT_NS - 1), follow_symlinks=False)
    (folder / "locked").chmod(0o500)
    return folder


@pytest.fixture
def folder(place, user):
    folder = work_in(place, user)
    yield folder
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o700)


def in_session(run, script, *options):
    done = run("run", *options, "--", "sh", "-c", script)
    assert done.returncode == 0, done.stderr
    return done


def said(run, *arguments):
    done = run("session", *arguments, "--json")
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)


ACTS = {
    "everything is removed": "chmod 700 locked; rm -rf -- * ",
    "in place": "sed -i s/main/niam/ src/main.c; sed -i d run.sh; truncate -s 3 src/deep/er/data.bin; echo x >> also-run.sh",
    "written over": "echo gone > src/main.c; chmod 600 secret.txt; echo gone > secret.txt; cp run.sh src/deep/empty",
    "replaced": "echo new > t; mv t src/main.c; echo new > t; mv t link; echo new > t; mv -f t unreadable",
    "moved": "mv src lib; mv run.sh lib/deep/ran; mv lib/deep/er er; echo x > lib/main.c; rm er/data.bin; rmdir er",
    "moved around": "mv src/main.c a; mv run.sh src/main.c; mv a run.sh; mv src s2; mkdir src; echo f > src/main.c",
    "modes and times": "chmod 777 run.sh src src/deep; touch src/main.c; touch -d 2001-01-01 locked; chmod +x src/main.c",
    "cut": "python3 -c \"import os; f=open('src/deep/er/data.bin','r+b'); f.truncate(9); os.truncate('run.sh', 0)\"",
    "mapped": "python3 -c \"import mmap; f=open('src/deep/er/data.bin','r+b'); m=mmap.mmap(f.fileno(),0); m[5:9]=b'MMAP'\"",
    "by another name": "rm run.sh; echo more >> also-run.sh",
    "by a name of the session's": "ln src/main.c l; rm src/main.c; echo more >> l; mv l src/main.c; rm src/main.c",
    "by a new name that goes": "ln src/main.c l; echo x > l; rm l; ln run.sh k; chmod 700 k; rm k",
    "exchanged": "python3 -c \"import ctypes; c=ctypes.CDLL(None); print(c.renameat2(-100,b'src',-100,b'run.sh',2))\"; echo x > src; rm -rf run.sh",
    "a link in the place of a folder": "mv src away; ln -s / src; rm -rf away",
}


@pytest.mark.parametrize("name", ACTS)
def test_what_a_session_did_is_undone_to_the_byte(run, folder, name):
    before = tree_of(folder)
    in_session(run, ACTS[name])
    changed = tree_of(folder)
    assert changed != before
    shown = said(run, "diff")
    assert shown["items"] and shown["ended"] and not shown["unkept"]
    done = said(run, "discard")
    assert done["left"] == []
    assert tree_of(folder) == before
    assert said(run, "diff")["items"] == []


def test_restore_leaves_what_the_session_made(run, folder):
    before = tree_of(folder)
    in_session(run, "rm -rf src; echo made > made; mkdir -p new/deep; echo x > new/deep/er")
    done = said(run, "restore")
    assert done["left"] == [] and done["removed"] == []
    after = tree_of(folder)
    assert {path: after[path] for path in before if path != "."} == {
        path: before[path] for path in before if path != "."
    }
    assert after["made"][4] == b"made\n" and after["new/deep/er"][4] == b"x\n"


def test_one_path_alone_is_restored(run, folder):
    before = tree_of(folder)
    in_session(run, "rm -rf src run.sh")
    done = said(run, "restore", "src/deep")
    after = tree_of(folder)
    assert "run.sh" not in after and "src/main.c" not in after and done["left"] == []
    assert after["src/deep/er/data.bin"] == before["src/deep/er/data.bin"]
    assert said(run, "restore")["left"] == []
    assert tree_of(folder) == before


def test_git_clean_is_undone(run, folder, user):
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-C", str(folder)]
    who = {} if user is None else {"user": user, "extra_groups": []}
    (folder / "unreadable").unlink()
    for words in (["init", "-q"], ["add", "run.sh", "src"], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *words], check=True, capture_output=True, **who)
    (folder / ".gitignore").write_text("*.bin\nnode_modules\n")
    before = tree_of(folder)
    in_session(
        run,
        "git -c safe.directory=* clean -fdxq; git -c safe.directory=* status --short; chmod 700 locked; rm -rf locked",
    )
    assert "node_modules" not in tree_of(folder)
    done = said(run, "restore")
    assert done["left"] == []
    after = tree_of(folder)
    differing = {path for path in before if before[path] != after.get(path)}
    assert {path for path in differing if not path.startswith(".git")} <= {"."} and "." not in differing, differing


def test_a_session_killed_at_any_moment_is_undone(installed, run, place, folder, user):
    """The supervisor too: what it kept was written before each effect."""
    before = tree_of(folder)
    script = "i=0; while :; do i=$((i+1)); echo $i >> src/main.c; rm -f run.sh link; mv src/deep src/d2; mv src/d2 src/deep; rm -rf node_modules; echo $i > m$i; done"
    who = {} if user is None else {"user": user, "extra_groups": []}
    for delay in (0.15, 0.4):
        process = subprocess.Popen(
            [str(installed.interlock), "run", "--quiet", "--", "sh", "-c", script], env=place.environment, cwd=folder,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, **who,
        )  # fmt: skip
        deadline = time.monotonic() + 30
        while not (folder / "m1").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(delay)
        for child in supervisors_of(process.pid):
            os.kill(child, signal.SIGKILL)
        process.kill()
        process.wait()
        time.sleep(0.5)
        done = said(run, "discard")
        assert done["left"] == []
        assert tree_of(folder) == before


def supervisors_of(pid):
    found = subprocess.run(["ps", "-o", "pid=,comm=", "--ppid", str(pid)], capture_output=True, text=True).stdout
    return [int(line.split()[0]) for line in found.splitlines() if "interlock" in line]


def test_what_changed_outside_since_stays(run, folder):
    in_session(run, "echo session > src/main.c; rm run.sh; echo made > made; echo made > mine")
    time.sleep(0.05)
    (folder / "src" / "main.c").write_text("a person's\n")
    (folder / "made").write_text("a person's too\n")
    done = run("session", "discard")
    assert done.returncode == 1
    assert "LEFT" in done.stdout and "main.c" in done.stdout and "--force" in done.stdout
    assert (folder / "src" / "main.c").read_text() == "a person's\n" and (
        folder / "made"
    ).read_text() == "a person's too\n"
    assert (folder / "run.sh").exists() and not (folder / "mine").exists()
    assert said(run, "discard", "--force")["left"] == []
    assert (folder / "src" / "main.c").read_text().startswith("int main") and not (folder / "made").exists()


def test_the_diff_shows_lines_and_no_control_characters(run, folder):
    in_session(run, "printf 'int main(void) { return 1; }\\n\\033[2Jx\\n' > src/main.c; rm 'run.sh'; echo n > new")
    shown = run("session", "diff").stdout
    assert "-int main(void) { return 0; }" in shown and "+int main(void) { return 1; }" in shown
    assert "-echo one" in shown and "+n" in shown and "\x1b" not in shown
    short = run("session", "diff", "--stat").stdout
    assert "M  " in short and "D  " in short and "A  " in short and "+int" not in short


def test_a_session_that_runs_shows_what_it_did_so_far(run, installed, place, folder, user):
    who = {} if user is None else {"user": user, "extra_groups": []}
    process = subprocess.Popen(
        [str(installed.interlock), "run", "--quiet", "--", "sh", "-c", "rm run.sh; touch done; sleep 60"],
        env=place.environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, **who,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 30
        while not (folder / "done").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        shown = said(run, "diff")
        assert not shown["ended"] and [item["did"] for item in shown["items"] if item["path"].endswith("/run.sh")] == [
            "deleted"
        ]
        assert said(run, "restore", "last", str(folder / "run.sh"))["left"] == []
        assert (folder / "run.sh").read_text() == "#!/bin/sh\necho one\n"
    finally:
        process.terminate()
        process.wait()


def test_the_store_is_out_of_the_sessions_reach(run, place, folder):
    """By its name, by a link, by the descriptor of what went there, and as a goal of a rename."""
    script = f"""
    exec 7< run.sh; rm run.sh
    cat {place.home}/state/journals/*/lines; ls {place.home}/state/journals/*/ 2>&1 | head -3
    ln -s {place.home}/state/journals j; cat j/*/lines
    readlink /proc/self/fd/7; cp /dev/null /proc/self/fd/7; (echo x >> /proc/self/fd/7)
    cat <&7
    mv src {place.home}/state/journals/; rm -rf {place.home}/state/journals
    true
    """
    done = in_session(run, script)
    assert '"did"' not in done.stdout
    assert "echo one" in done.stdout, "what is open stays open"
    assert said(run, "discard")["left"] == []
    assert (folder / "run.sh").read_text() == "#!/bin/sh\necho one\n" and (folder / "src" / "main.c").exists()


def test_where_the_room_is_used_up_it_is_said_once(run, folder, place):
    for number in range(20):
        (folder / f"large{number}").write_bytes(os.urandom(40_000))
    done = in_session(run, "rm large*", "--journal", "200k")
    assert done.stderr.count("cannot be restored") == 1, done.stderr
    assert not list(folder.glob("large*"))
    said(run, "restore")
    assert 0 < len(list(folder.glob("large*"))) < 20
    record = run("session", "show", "last", "--json").stdout
    assert '"journal.short"' in record


@pytest.mark.parametrize("options", [["--journal", "off"], ["--preset", "ci"], ["--preset", "observe"]])
def test_off_keeps_nothing(run, folder, options):
    done = in_session(run, "rm run.sh", *options)
    assert "of before" not in done.stderr
    done = run("session", "restore")
    assert done.returncode != 0 and "nothing of before is kept" in done.stderr


def test_forgotten_is_gone(run, folder):
    in_session(run, "rm run.sh")
    assert run("session", "forget").returncode == 0
    assert "nothing of before is kept" in run("session", "diff").stderr


def test_a_link_that_was_left_in_the_way_leads_nowhere(run, folder, place):
    """What the session made of a folder's name is no way out of the workspace for what is restored."""
    outside = place.root / "outside"
    outside.mkdir()
    in_session(run, f"mv src away; rm -rf away; ln -s {outside} src")
    assert said(run, "restore")["left"] == []
    assert list(outside.iterdir()) == [] and (folder / "src" / "main.c").exists()


def test_one_line_says_how_many_files_of_before_are_not_as_they_were(run, folder):
    done = in_session(
        run, "rm run.sh 'dangling'; echo x >> src/main.c; sed -i s/h/h/ secret.txt; mv pipe p; echo n > new"
    )
    lines = [line for line in done.stderr.splitlines() if "of before" in line]
    assert len(lines) == 1 and "files of before: 1 changed, 2 removed; interlock session diff s-" in lines[0]
    assert "of before" not in in_session(run, "echo x >> src/main.c", "--quiet").stderr


def test_honest_work_ends_without_a_word_of_it(run, folder, user):
    """What it makes itself, what builds make again, what git keeps, and files that end as they were."""
    (folder / "build").mkdir()
    (folder / "build" / "main.o").write_text("old\n")
    for path in (folder / "build", folder / "build" / "main.o"):
        os.chown(path, folder.stat().st_uid, -1)
    who = {} if user is None else {"user": user, "extra_groups": []}
    (folder / "unreadable").unlink()
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-C", str(folder)]
    for words in (["init", "-q"], ["add", "run.sh", "src"], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *words], check=True, capture_output=True, **who)
    script = """
    echo a > a; echo b > a; rm a; echo new > build/main.o; rm -rf node_modules; cat src/main.c > /dev/null
    cp src/main.c keep; echo x >> src/main.c; cat keep > src/main.c; rm keep
    git -c safe.directory=* -c user.name=t -c user.email=t@x commit -q --allow-empty -m two; git -c safe.directory=* status > /dev/null
    """
    done = in_session(run, script)
    assert "of before" not in done.stderr, done.stderr
    assert any(item["path"].endswith("main.o") for item in said(run, "diff")["items"]), "it is kept all the same"


def test_a_large_store_keeps_no_session_from_starting(run, folder):
    """Not by how many files lie in it, nor by other names that files in it have: those are no secrets of Interlock's."""
    many = folder / "many"
    many.mkdir()
    for number in range(4_200):
        (many / f"f{number}").write_text("x\n")
        os.chown(many / f"f{number}", folder.stat().st_uid, -1)
    os.chown(many, folder.stat().st_uid, -1)
    before = tree_of(folder)
    done = in_session(run, "rm -rf many run.sh")
    assert "changed or removed" in done.stderr or "4201 removed" in done.stderr, done.stderr
    done = in_session(
        run, "cat also-run.sh; echo more >> also-run.sh; ls ../i/state/journals; cat ../i/state/journals/*/0; true"
    )
    assert done.stdout.startswith("#!/bin/sh\necho one\n") and "Permission denied" in done.stderr
    assert said(run, "discard")["left"] == []
    first = sorted((folder.parent / "i" / "state" / "journals").iterdir())[0].name
    assert said(run, "discard", first)["left"] == []
    after = tree_of(folder)
    # The folder itself was changed since the first session's end, by what was brought back.
    assert {path for path in before | after if before.get(path) != after.get(path)} <= {"."}


def test_what_is_moved_where_nothing_is_kept_is_kept_all_the_same(run, folder):
    """To the temporary folder, which goes with the session, to a cache, and by way of a folder that the session made."""
    before = tree_of(folder)
    script = """
    mv src run.sh "$TMPDIR/"; mkdir -p own ~/.cache/x; mv secret.txt link own/; mv own "$TMPDIR/own"; rm -rf "$TMPDIR/own"
    ln also-run.sh ~/.cache/x/l 2>/dev/null && echo linked; mv also-run.sh ~/.cache/x/; rm -rf ~/.cache/x
    python3 -c "import os; os.mkdir(os.environ['TMPDIR'] + '/d'); os.rename('locked', os.environ['TMPDIR'] + '/d')" 2>&1 | tail -1
    """
    done = in_session(run, script)
    assert "linked" not in done.stdout and "cross-device" in done.stdout
    assert not (folder / "src").exists() and not (folder / "own").exists()
    assert said(run, "discard")["left"] == []
    assert tree_of(folder) == before


def test_what_could_not_be_taken_from_its_old_name_is_not_exchanged_with_it(run, folder, user):
    """In a sticky folder nobody removes what is another's: the file that is replaced must not get a name there."""
    for name, mode in (("sticky", 0o1777), ("open", 0o777)):
        (folder / name).mkdir()
        (folder / name).chmod(mode)
        os.chown(folder / name, 0, 0)
    (folder / "open" / "old").write_text("another's\n")
    in_session(run, "echo mine > sticky/new; mv -f sticky/new open/old; cat open/old")
    assert (folder / "open" / "old").read_text() == "mine\n" and list((folder / "sticky").iterdir()) == []
    assert said(run, "restore")["left"] == []
    assert (folder / "open" / "old").read_text() == "another's\n"
