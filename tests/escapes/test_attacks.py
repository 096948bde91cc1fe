"""Attacks on the design's meaning that are no route of one call: what it loads itself, aliases, origin, names that move (see README.md)."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.escapes.arena import SECRET, Arena, both_ways


@pytest.mark.parametrize("preset", ["coding-agent", "observe"])
@pytest.mark.parametrize("what", ["path file", "package", "console script", "supervisor"])
def test_what_the_next_interlock_loads_stays_as_it_is(arena: Arena, what: str, preset: str) -> None:
    """As root the installation is writable: the control writes it, and takes it back."""
    if arena.user is not None:
        pytest.skip("here the installation belongs to root, who alone could write it natively")
    packages = next((arena.python.parent.parent / "lib").glob("python3*/site-packages"))
    target = {
        "path file": packages / "zz-owned.pth",
        "package": packages / "interlock" / "owned.py",
        "console script": arena.python.parent / "interlock.owned",
        "supervisor": packages / "interlock" / "_bin" / "owned",
    }[what]

    def attack(run: object) -> bool:
        try:
            run("sh", "-c", f"echo import this_does_not_exist > '{target}'", **({} if run == arena.run else {"preset": preset}))  # type: ignore[operator]
            return target.exists()
        finally:
            target.unlink(missing_ok=True)

    arena.build()
    assert attack(arena.run)
    assert not attack(arena.held)


def test_a_bind_mount_made_before_is_no_other_way_in(arena: Arena) -> None:
    if arena.user is not None:
        pytest.skip("mounting needs root; the root run shows it")
    arena.build()
    alias = arena.work / "alias"
    alias.mkdir()
    subprocess.run(["mount", "--bind", arena.key.parent, alias], check=True)
    try:
        assert SECRET in arena.run("cat", alias / "id_rsa").output
        assert SECRET not in arena.held("cat", alias / "id_rsa").output
        assert SECRET not in arena.held("sh", "-c", f"mv {alias}/id_rsa moved; ln {alias}/id_rsa linked; cat moved linked").output
        assert arena.key.read_text() == SECRET + "\n"
    finally:
        subprocess.run(["umount", alias], check=True)


DESTROYS = {
    "unlink": "rm precious",
    "rename over": "mv spare precious",
    "link over": "ln -f spare precious",
    "parent removed": "rm -rf folder",
}


@pytest.mark.parametrize("name", DESTROYS)
def test_what_was_there_before_is_not_destroyed(arena: Arena, name: str) -> None:
    """Whatever takes a name's object away is a deletion. Truncating and moving out have verbs of their own, which a rule names as well."""
    policy = arena.root / "before.yaml"
    policy.write_text(f"interlock: 1\nname: before\nrules:\n  - id: keep\n    deny: file.delete\n    path: {arena.work}/**/precious\n")

    def attack(run: object) -> bool:
        for place in (arena.work / "precious", arena.work / "folder" / "precious"):
            place.parent.mkdir(exist_ok=True)
            place.write_text("precious\n")
        (arena.work / "spare").write_text("other\n")
        arena._own()
        more = {} if run == arena.run else {"policy": policy}
        run("sh", "-c", DESTROYS[name], **more)  # type: ignore[operator]
        places = [arena.work / "precious", arena.work / "folder" / "precious"]
        return any(not place.exists() or place.read_text() != "precious\n" for place in places)

    control, won = both_ways(arena, attack)
    assert control
    assert not won


def test_a_git_file_that_leads_elsewhere_is_asked_and_unanswered_is_not_there(arena: Arena) -> None:
    """`gitdir:` cannot be followed by name, so what it would set is asked about. Nobody says yes: no such file is left."""
    arena.build()
    done = arena.held("sh", "-c", "mkdir sub && echo 'gitdir: ../meta' > sub/.git")
    assert not (arena.work / "sub" / ".git").exists()
    assert "sub/.git" in done.errors and "coding-agent/git-led" in done.errors


MEMORY = """
import os, sys
child = os.fork()
if child == 0:
    import time; time.sleep(20); os._exit(0)
for path in (f"/proc/{child}/mem", f"/proc/{child}/task/{child}/mem", "/proc/self/mem", "/proc/thread-self/mem"):
    try:
        with open(path, "r+b", buffering=0) as memory:
            start = int(open(path.replace("mem", "maps")).readline().split("-")[0], 16)
            memory.seek(start)
            memory.write(b"OWNED")
            print("written", path)
    except OSError as error:
        print("errno", error.errno, path)
os.kill(child, 9)
"""


def test_no_image_is_rewritten_through_proc_mem(arena: Arena) -> None:
    def attack(run: object) -> bool:
        return "written" in run("/usr/bin/python3", "-c", MEMORY).output  # type: ignore[operator]

    control, won = both_ways(arena, attack)
    assert control
    assert not won


ODD = ["new\nline", "gone (deleted)", "\udcff\udcfe", "a b", "x" * 255, "-rf", "*", "\\134"]


@pytest.mark.parametrize("name", ODD)
def test_odd_names_are_decided_as_they_are(arena: Arena, name: str) -> None:
    """A secret below a folder of this name, reached plainly, by descriptor, after its name is gone, and from a removed directory."""
    script = (
        "import os,sys\nplace = os.fsencode(sys.argv[1])\ndef show(path):\n  try:\n    print(open(path,'rb').read())\n"
        "  except OSError as e: print(e.errno)\n"
        "show(place)\nfd = os.open(place, os.O_PATH)\nshow(b'/proc/self/fd/%d' % fd)\nos.chdir(os.path.dirname(place))\n"
        "show(os.path.basename(place))\nshow(b'/proc/self/cwd/' + os.path.basename(place))\n"
        "try: os.rename(place, place + b'2')\nexcept OSError: pass\nshow(b'/proc/self/fd/%d' % fd)\nshow(place + b'2')\n"
    )

    def attack(run: object) -> bool:
        folder = arena.work / name
        folder.mkdir()
        (folder / ".env").write_text(SECRET)
        arena._own()
        return SECRET in run("/usr/bin/python3", "-c", script, str(folder / ".env")).output  # type: ignore[operator]

    control, won = both_ways(arena, attack)
    assert control
    assert not won


def test_a_path_deeper_than_any_path_is_decided_too(arena: Arena) -> None:
    """Walked step by step to more than PATH_MAX: the kernel has no name for it any more, and so nothing may be opened there."""
    script = (
        "import os\n"
        "for _ in range(30):\n  os.mkdir('d'*200); os.chdir('d'*200)\n"
        "try:\n  open('.mcp.json','w').write('OWNED'); print('planted')\nexcept OSError as e: print('errno', e.errno)\n"
    )

    def attack(run: object) -> bool:
        return "planted" in run("/usr/bin/python3", "-c", script).output  # type: ignore[operator]

    control, won = both_ways(arena, attack)
    subprocess.run(["rm", "-rf", arena.work], check=True)
    assert control
    assert not won


def test_a_read_only_descriptor_is_not_reopened_for_writing(arena: Arena) -> None:
    script = "import os\nfd=os.open('.claude/settings.json', os.O_RDONLY)\nfor p in (f'/proc/self/fd/{fd}', f'/dev/fd/{fd}', f'/proc/thread-self/fd/{fd}'):\n  try:\n    os.write(os.open(p, os.O_WRONLY|os.O_TRUNC), b'OWNED')\n  except OSError as e: print(e.errno)\n"
    script += "try:\n  os.truncate(f'/proc/self/fd/{fd}', 0)\nexcept OSError as e: print(e.errno)\n"

    def attack(run: object) -> bool:
        run("/usr/bin/python3", "-c", script)  # type: ignore[operator]
        return (arena.work / ".claude" / "settings.json").read_text() != "{}\n"

    control, won = both_ways(arena, attack)
    assert control
    assert not won


def test_asynchronous_signals_do_not_reach_outside(arena: Arena) -> None:
    """fcntl(F_SETOWN) names any process for the signal that a pipe's readiness sends."""
    from tests.escapes.arena import outside

    script = (
        "import fcntl,os,sys,time\nr,w=os.pipe()\nfcntl.fcntl(r, 8, int(sys.argv[1]))\nfcntl.fcntl(r, 10, 15)\n"
        "fcntl.fcntl(r, fcntl.F_SETFL, os.O_ASYNC|os.O_NONBLOCK)\nos.write(w, b'x')\ntime.sleep(0.2)\n"
    )

    def attack(run: object) -> bool:
        with outside(arena, "sleep", "60") as victim:
            run("/usr/bin/python3", "-c", script, str(victim.pid))  # type: ignore[operator]
            return victim.poll() is not None

    control, won = both_ways(arena, attack)
    assert control
    assert not won


def test_a_hard_link_made_before_the_session_is_the_named_file(arena: Arena) -> None:
    policy = arena.root / "named.yaml"
    policy.write_text(f"interlock: 1\nname: named\nrules:\n  - id: named\n    deny: file.read\n    path: {arena.key}\n")

    def attack(run: object) -> bool:
        os.link(arena.key, arena.work / "innocent")
        more = {} if run == arena.run else {"policy": policy}
        return SECRET in run("cat", arena.work / "innocent", **more).output  # type: ignore[operator]

    control, won = both_ways(arena, attack)
    assert control
    assert not won


def test_the_door_has_no_powers_that_its_caller_lacks(arena: Arena) -> None:
    """A service's user with capabilities of root's (ambient): its programs lose them in the jail, so the door must not use them for it."""
    if arena.user is None or os.geteuid() != 0:
        pytest.skip("takes root to give an ordinary user such powers: the ordinary run of a root's shows it")
    arena.build()
    locked = arena.home / "locked"
    locked.write_text(SECRET)
    locked.chmod(0o600)
    os.chown(locked, 0, 0)
    policy = arena.root / "all.yaml"
    policy.write_text("interlock: 1\nname: all\nrules:\n  - {id: all, allow: ['file.*', process.exec], path: '/**'}\n")
    powers = "+dac_override,+setpcap"
    user = ["setpriv", f"--reuid={arena.user}", "--regid=nogroup", "--clear-groups", f"--inh-caps={powers}", f"--ambient-caps={powers}"]
    interlock = [arena.python.parent / "interlock", "run", "--policy", policy, "--workspace", arena.work]
    give = {"cwd": arena.work, "env": arena._environment(), "capture_output": True, "text": True}
    control = subprocess.run([*user, "cat", locked], **give)  # type: ignore[call-overload]
    assert control.stdout == SECRET
    done = subprocess.run([*user, *interlock, "--", "sh", "-c", f"echo begun; cat {locked}"], **give)  # type: ignore[call-overload]
    assert done.stdout == "begun\n", done.stderr


def test_faults_are_not_taken_through_the_device(arena: Arena) -> None:
    """What the table refuses as a call has a device as well; a page that its holder never brings holds whoever reads it: the supervisor."""
    if arena.user is not None or not os.path.exists("/dev/userfaultfd"):
        pytest.skip("the device is root's, where there is one")
    take = "import fcntl, os; fcntl.ioctl(os.open('/dev/userfaultfd', os.O_RDWR), 0xAA00); print('taken')"
    arena.build()
    assert arena.run("/usr/bin/python3", "-c", take).output == "taken\n"
    held = arena.held("/usr/bin/python3", "-c", take, preset="observe")
    assert "taken" not in held.output
    assert "PermissionError" in held.errors
