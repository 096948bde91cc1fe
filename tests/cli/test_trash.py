"""Deletions of what was there before are steered to the trash: kept and brought back, or not done. As root and as an
ordinary user, by a rule beside `coding-agent`.
"""

from __future__ import annotations

import json
import os
import subprocess

import pytest

LARGE = 150_000
WITH_RULE = ("--preset", "coding-agent", "--policy", "../trashing.yaml")
#: Room for one of the large files and not for two.
SMALL_ROOM = "400k"
RULE = """\
interlock: 1
name: trashing
rules:
  - id: before
    steer: file.delete
    path: ["${workspace}/**"]
    except: ["@dependency-trees", "@build-output"]
    when: {origin: before}
    to: trash
    because: what was there before can be had back
"""


@pytest.fixture
def work(place, user):
    """Files of before: three large ones, one small one, one in a tree of dependencies."""
    folder = place.workspace
    (folder / "node_modules").mkdir()
    (folder / "sub").mkdir()
    for name in ("a", "b", "c", "node_modules/dependency", "sub/d"):
        (folder / name).write_bytes(os.urandom(LARGE))
    (folder / "small").write_text("small\n")
    (place.root / "trashing.yaml").write_text(RULE)
    owner = folder.stat()
    for path in folder.rglob("*"):
        os.chown(path, owner.st_uid, owner.st_gid)
    return folder


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def shell(run, script, *options):
    done = run("run", *WITH_RULE, *options, "--", "sh", "-c", script)
    assert done.returncode == 0, done.stderr
    return done


def restored(run):
    said = json.loads(run("session", "restore", "--json").stdout)
    assert said["left"] == []
    return said["restored"]


def events(run):
    return json.loads(run("session", "show", "last", "--json").stdout)


def test_what_was_asked_steered_and_done_stands_in_the_record(run, work):
    before = contents(work)
    done = shell(run, "rm small; echo over > a")
    assert [line for line in done.stderr.splitlines() if "trash" in line] == []
    assert "1 changed, 1 removed" in done.stderr
    record = json.dumps(events(run))
    assert '"steer": "trash"' in record or '"steer":"trash"' in record
    assert "trashing/before" in record and "guard/trash" in record and "/trash" in record
    assert restored(run)
    assert contents(work) == before


LOSES = {
    "remove": "rm -f a b c",
    "write over": "for f in a b c; do echo x > $f; done",
    "write in place": "for f in a b c; do printf x | dd of=$f conv=notrunc status=none; done",
    "truncate": "truncate -s 1 a b c",
    "rename over": "for f in a b c; do echo x > new; mv -f new $f || rm new; done",
    "link over": "for f in a b c; do echo x > new; ln -f new $f; rm new; done",
    "sed": "sed -i 1d a b c; sed -i 1d b; sed -i 1d c",
    "by another name": "ln a a2; ln b b2; ln c c2; for f in a b c; do echo x > ${f}2; done; rm a2 b2 c2",
    "a folder": "mv sub s2; rm -rf a b s2/d",
}


@pytest.mark.parametrize("how", LOSES)
def test_what_finds_no_room_is_not_lost(run, work, how):
    before = contents(work)
    done = shell(run, f"{LOSES[how]}; true", "--journal", SMALL_ROOM)
    lost = [name for name, content in before.items() if contents(work).get(name) != content]
    assert "No space left on device" in done.stderr, done.stderr
    assert lost and len([name for name in lost if name in "abc"]) < 3
    restored(run)
    assert {name: content for name, content in contents(work).items() if name in before} == before
    assert "the session's journal has no room for it" in run("why", "last").stdout + run("why").stdout


def test_its_own_files_and_what_builds_make_go_as_ever(run, work):
    (work / "build").mkdir()
    (work / "build" / "out.o").write_bytes(os.urandom(LARGE * 4))
    for path in (work / "build", work / "build" / "out.o"):
        os.chown(path, work.stat().st_uid, -1)
    script = "rm -rf node_modules build; head -c 600000 /dev/urandom > own; echo x > own; rm own; mkdir d; mv small d/; mv d/small ."
    done = shell(run, script, "--journal", SMALL_ROOM)
    assert "No space" not in done.stderr and not (work / "node_modules").exists() and not (work / "build").exists()


def test_moving_out_of_where_it_holds_copies(run, work):
    before = contents(work)
    shell(run, "mkdir -p ~/.cache/x; mv a ~/.cache/x/; mv sub node_modules/; rm -rf ~/.cache/x node_modules/sub")
    restored(run)
    assert {name: content for name, content in contents(work).items() if name in before} == before


def test_a_rule_that_cannot_be_kept_is_refused(run, place, work):
    rule = "interlock: 1\nname: x\nrules:\n  - id: t\n    steer: file.delete\n    path: ['${workspace}/**']\n    to: trash\n"
    (place.root / "x.yaml").write_text(rule)
    refused = run("policy", "check", str(place.root / "x.yaml"))
    assert refused.returncode != 0 and "when: {origin: before}" in refused.stdout + refused.stderr
    for options in (["--journal", "off"], ["--preset", "ci"]):
        refused = run("run", *WITH_RULE, *options, "--", "true")
        assert refused.returncode == 121 and "steers deletions to the trash" in refused.stderr, refused.stderr


def test_a_store_on_another_file_system_keeps_it_all_the_same(run, place, work, user):
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount: run as root")
    state = place.home / "state"
    run("run", "--", "true")
    (state / "journals").mkdir(mode=0o700, exist_ok=True)
    owner = work.stat()
    options = f"size=8m,mode=0700,uid={owner.st_uid},gid={owner.st_gid}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", state / "journals"], check=True)
    try:
        before = contents(work)
        shell(run, "rm a; echo x > b; echo y > n; mv n c")
        assert not (work / "a").exists()
        restored(run)
        assert contents(work) == before
    finally:
        subprocess.run(["umount", "-l", state / "journals"], check=True)
