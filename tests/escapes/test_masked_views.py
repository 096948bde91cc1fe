"""Files of clusters, clouds and projects are read with placeholders (`steer: file.read`, `to: masked`), and a file that is read so stays as it is.

The judge is outside: it looks through the memory of every process of the session, and at the file afterwards.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.escapes.arena import Arena
from tests.escapes.test_masked_configuration import CONFIGURATIONS, ENCODED, SECRET, written
from tests.escapes.test_races import lay, race

CERTIFICATE = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUR0MDEyMzQ1Njc4OQ=="
#: A file, and what of it is shown.
FILES = {
    "home/.kube/config": (
        "apiVersion: v1\nkind: Config\nclusters:\n- cluster:\n"
        f"    certificate-authority-data: {CERTIFICATE}\n    server: https://k.example:6443\n  name: prod\n"
        f"users:\n- name: me\n  user:\n    token: {SECRET}\n    client-key-data: {ENCODED}\n    password: {SECRET}\n"
        f"    exec:\n      args:\n      - --secret\n      - {SECRET}\n      env:\n      - name: X\n        value: {SECRET}\n",
        ["    server: https://k.example:6443", f"certificate-authority-data: {CERTIFICATE}", "token: interlock-masked"],
    ),
    "home/.config/gh/hosts.yml": (
        f"github.com:\n    users:\n        me:\n            oauth_token: {SECRET}\n    user: me\n    oauth_token: {SECRET}\n",
        ["    user: me", "    oauth_token: interlock-masked"],
    ),
    "home/.aws/credentials": (
        f"# old: {SECRET}\n[default]\naws_access_key_id = A{SECRET}\naws_secret_access_key={SECRET}\n",
        ["[default]", "aws_secret_access_key = interlock-masked"],
    ),
    "home/.aws/config": (
        f"[profile dev]\nregion = eu-west-1\nexternal_id = {SECRET}\ncredential_process = /x --key {SECRET}\n",
        ["[profile dev]", "region = eu-west-1"],
    ),
    "work/.env": (
        f"PORT=3000\nDB=postgres://me:{SECRET}@localhost:5432/app\nTOKEN='{SECRET}\n{SECRET}'\nPLAIN={SECRET}\n",
        ["PORT=3000", "DB=postgres://interlock-masked@localhost:5432/app", "TOKEN='interlock-masked'"],
    ),
}
PATHS = ["~/.kube/config", "~/.config/gh/hosts.yml", "~/.aws/*", "**/.env", *(f"~/{name}" for name in CONFIGURATIONS)]


@pytest.fixture
def own(arena: Arena) -> dict[str, object]:
    """A policy of a person's own that allows everything else with these files; and the files."""
    policy = arena.root / "own.yaml"
    policy.write_text(
        "interlock: 1\nname: own\nrules:\n  - {id: files, allow: ['file.*', process.exec], path: '/**'}\n"
        "  - {id: calls, allow: ['net.*', 'unix.*', process.signal]}\n"
        f"  - {{id: shown, steer: file.read, path: {json.dumps(PATHS)}, to: masked}}\n"
    )
    for name, (text, _) in FILES.items():
        written(arena, f"../{name}", text)
    return {"preset": "observe", "policy": policy}


@pytest.mark.parametrize("name", FILES)
def test_what_a_program_goes_by_is_there_and_what_opens_it_is_not(
    arena: Arena, own: dict[str, object], name: str
) -> None:
    place, (text, needed) = arena.root / name, FILES[name]
    assert arena.run("cat", place).output == text
    done = arena.held("cat", place, place, **own)
    assert done.code == 0, done.errors
    assert [line for line in needed if line not in done.output] == []
    assert SECRET not in done.output
    assert ENCODED not in done.output
    assert "# Interlock shows this file without its credentials" in done.output
    assert done.errors.count("shown without its credentials") == 1, "told once"


def test_a_view_has_the_modes_the_owner_and_the_errors_of_its_file(arena: Arena, own: dict[str, object]) -> None:
    place = arena.root / "home/.aws/credentials"
    script = (
        "import os, sys; f = os.open(sys.argv[1], os.O_RDONLY); a, b = os.fstat(f), os.stat(sys.argv[1])\n"
        "print(a.st_mode == b.st_mode, a.st_uid == b.st_uid, a.st_gid == b.st_gid, a.st_size >= b.st_size)\n"
        "for flags in os.O_DIRECTORY, os.O_CREAT | os.O_EXCL | os.O_RDWR:\n"
        "    try: os.open(sys.argv[1], flags)\n    except OSError as error: print(error.errno)\n"
        "try: os.write(os.open(f'/proc/self/fd/{f}', os.O_RDWR), b'x')\nexcept OSError as error: print('unchanged')\n"
    )
    done = arena.held("/usr/bin/python3", "-c", script, place, **own)
    assert done.output == "True True True True\n20\n17\nunchanged\n", done.errors
    missing = arena.held("cat", arena.home / ".kube" / "other", **own)
    assert "No such file" in missing.errors


def test_what_is_not_understood_is_refused(arena: Arena, own: dict[str, object]) -> None:
    for name, text in {
        "home/.kube/config": f"users: [{{token: {SECRET}}}]\n",
        "home/.config/gh/hosts.yml": f"a:\n  oauth_token:\n    {SECRET}\n",
        "home/.aws/credentials": f"[a]\naws_secret_access_key = x\n  {SECRET}=\n",
        "work/.env": f"A=x\n{SECRET}\n",
    }.items():
        place = written(arena, f"../{name}", text)
        done = arena.held("cat", place, **own)
        assert (done.code, done.output) == (1, ""), name
        assert "Permission denied" in done.errors
        why = arena.run(arena.python.parent / "interlock", "why", "last")
        assert "without its secrets" in why.output, why.output + why.errors


#: Ways to change what is read masked.
CHANGES = {
    "written": "open(path, 'w').write('x')",
    "added to": "open(path, 'a').write('x')",
    "in place": "f = os.open(path, os.O_WRONLY); os.write(f, b'x')",
    "read and written": "f = os.open(path, os.O_RDWR); os.write(f, b'x')",
    "truncated": "os.truncate(path, 1)",
    "replaced": "open('new', 'w').write('x'); os.rename('new', path)",
    "exchanged": "open('new', 'w').write('x'); ctypes.CDLL(None).syscall(316, -100, os.fsencode(path), -100, b'new', 2)",
    "moved": "os.rename(path, 'other')",
    "linked": "os.link(path, 'other')",
    "linked by a descriptor": "f = os.open(path, os.O_RDONLY); os.link(f'/proc/self/fd/{f}', 'other', follow_symlinks=True)",
    "removed": "os.unlink(path)",
    "opened to others": "os.chmod(path, 0o666)",
    "held without rights": "f = os.open(path, os.O_PATH); os.write(os.open(f'/proc/self/fd/{f}', os.O_WRONLY), b'x')",
    "reopened": "f = os.open(path, os.O_RDONLY); os.write(os.open(f'/proc/self/fd/{f}', os.O_WRONLY), b'x')",
    "mapped": "f = os.open(path, os.O_RDWR); import mmap; mmap.mmap(f, 4)[:] = b'xxxx'",
    "by a symlink": "os.symlink(path, 'way'); open('way', 'w').write('x')",
    "by a hard link from before": "open('from-before', 'w').write('x')",
    "its folder": "os.rename(os.path.dirname(path), 'folder')",
    "copied over": "open('new', 'w').write('x'); shutil.copyfile('new', path)",
    "sent": "open('new', 'w').write('x'); os.sendfile(os.open(path, os.O_WRONLY), os.open('new', os.O_RDONLY), 0, 1)",
}


def state(place: Path) -> object:
    try:
        found = place.stat()
        return place.read_bytes(), stat.S_IMODE(found.st_mode), found.st_ino, found.st_nlink
    except OSError as error:
        return error.errno


@pytest.mark.parametrize("way", CHANGES)
def test_what_is_read_masked_is_not_changed(arena: Arena, own: dict[str, object], way: str) -> None:
    place = arena.root / "home/.aws/credentials"
    os.link(place, arena.work / "from-before")
    script = f"import ctypes, os, shutil, sys; path = sys.argv[1]\n{CHANGES[way]}"
    before = state(place)
    done = arena.held("/usr/bin/python3", "-c", script, place, **own)
    assert state(place) == before
    if way not in ("linked by a descriptor", "reopened"):
        why = arena.run(arena.python.parent / "interlock", "why", "last")
        assert "change it outside" in why.output, why.output + done.errors
    elif way == "reopened":
        assert "not permitted" in done.errors, done.errors
    for left in ("way", "new", "other"):
        (arena.work / left).unlink(missing_ok=True)
    arena.run("/usr/bin/python3", "-c", script, place)
    if way not in ("linked by a descriptor", "reopened"):
        assert state(place) != before, "the control failed"


def test_what_is_read_masked_is_not_run(arena: Arena, own: dict[str, object]) -> None:
    place = written(arena, "../work/.env", f"#!/bin/echo {SECRET}\nA=1\n")
    place.chmod(0o755)
    assert SECRET in arena.run(place).output
    done = arena.held("sh", "-c", f"exec {place}", **own)
    assert SECRET not in done.output + done.errors
    assert done.code != 0


def test_a_session_makes_such_a_file_where_none_is(arena: Arena, own: dict[str, object]) -> None:
    (arena.root / "work/.env").unlink()
    done = arena.held("sh", "-c", "echo A=1 > .env", **own)
    assert done.code == 0, done.errors
    assert (arena.root / "work/.env").read_text() == "A=1\n"


def test_the_rule_is_explained(arena: Arena, own: dict[str, object]) -> None:
    interlock = arena.python.parent / "interlock"
    shown = arena.run(interlock, "policy", "explain", "--policy", str(own["policy"])).output
    assert "DONE INSTEAD" in shown, shown
    assert "to masked" in shown, shown


#: Reads everything by each way, keeps it, has others read it, and waits.
READER = r"""
import mmap, os, subprocess, sys
kept = []
for path in sys.argv[1:]:
    for way in (lambda: open(path, "rb").read(), lambda: mmap.mmap(os.open(path, os.O_RDONLY), 0, prot=mmap.PROT_READ),
                lambda: open(f"/proc/self/fd/{os.open(path, os.O_PATH)}", "rb").read()):
        try: kept.append(way())
        except OSError as error: print(error, file=sys.stderr)
code = "import sys; kept = [open(path, 'rb').read() for path in sys.argv[1:]]; print(flush=True); sys.stdin.read()"
others = [["/usr/bin/python3", "-c", code, *sys.argv[1:]],
          ["sh", "-c", 'for f; do K="$K$(cat $f)"; done; echo; read X', "sh", *sys.argv[1:]]]
if node := [each for each in os.environ["PATH"].split(":") if os.path.exists(each + "/node")]:
    others.append([node[0] + "/node", "-e",
                   "kept = process.argv.slice(1).map(f => require('fs').readFileSync(f)); console.log(); process.stdin.resume()",
                   *sys.argv[1:]])
running = [subprocess.Popen(each, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for each in others]
[each.stdout.readline() for each in running]
print("ready", flush=True)
sys.stdin.read()
"""


def descendants(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield int(child)
            yield from descendants(int(child))


def holds(pid: int, secrets: list[bytes]) -> bool:
    """Whether a process has one of them in its memory."""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights, *_ = line.split()
            if not rights.startswith("r") or line.endswith(("[vvar]", "[vvar_vclock]", "[vsyscall]")):
                continue
            first, last = (int(each, 16) for each in span.split("-"))
            try:
                memory.seek(first)
                content = memory.read(last - first)
            except (OSError, ValueError, OverflowError):
                continue
            if any(each in content for each in secrets):
                return True
    return False


def searched(arena: Arena, command: list[str]) -> dict[str, bool]:
    """Each process below the command by its name, with whether it holds a secret."""
    started = [*arena._as_user(), *command]
    process = subprocess.Popen(
        started, cwd=arena.work, env=arena._environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        found = {}
        for pid in [process.pid, *descendants(process.pid)]:
            name = Path(f"/proc/{pid}/comm").read_text().strip()
            found[f"{name} {pid}"] = holds(pid, [SECRET.encode(), ENCODED.encode()])
        return found
    finally:
        process.stdin.close()
        process.wait(timeout=60)


def test_no_process_of_a_session_has_a_secret_in_its_memory(arena: Arena, own: dict[str, object]) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: reads the memory of other processes")
    for name, (text, _) in CONFIGURATIONS.items():
        written(arena, name, text)
    places = [str(arena.root / name) for name in FILES] + [str(arena.home / name) for name in CONFIGURATIONS]
    reader = ["/usr/bin/python3", "-c", READER, *places]
    open_to_all = searched(arena, reader)
    assert sum(open_to_all.values()) >= 3, "the control failed"
    layers = ["--preset", "observe", "--policy", str(own["policy"]), "--workspace", str(arena.work)]
    held = searched(arena, [str(arena.python.parent / "interlock"), "run", *layers, "--", *reader])
    # The supervisor is not of the session: it made the views.
    inside = {name: has for name, has in held.items() if not name.startswith("interlock-super")}
    assert len(inside) > len(open_to_all)
    assert [name for name, has in inside.items() if has] == []


@pytest.mark.race
@pytest.mark.parametrize("kind", ["read-text", "read-exchange"])
def test_racing_names_never_get_the_file(arena: Arena, own: dict[str, object], kind: str) -> None:
    """What is read of the file begins with its secret's line, and of its view with none."""
    lay(arena)
    secret = written(arena, ".npmrc", f"SECRET-token={SECRET}\nregistry=https://r.example/\n")
    public = arena.work / "race-aaaa" / ".npmrc"
    public.write_text("public\n")
    link = arena.work / "race-link"
    link.unlink()
    link.symlink_to(arena.home)
    arena._own()
    race(arena, kind, public, secret, arena.work / "race-aaaa", link)
