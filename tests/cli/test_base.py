"""What every program needs comes with any policy: a layer of one's own that speaks of none of it is enough.

Harmless devices, one's own folders in /proc, signals to one's own; and a layer that is closed goes without.
"""

import json
import os
import shutil

import pytest

#: The machine's programs and the workspace, and nothing else.
OWN = """\
interlock: 1
name: mine
rules:
  - id: machine
    allow: [file.read, process.exec]
    path: ["/usr/**", "/bin/**", "/lib*/**", "/etc/ld.so.*", "/", "/etc/passwd", "/etc/nsswitch.conf", "@python"]
"""
PROGRAM = r"""
echo gone > /dev/null && dd if=/dev/zero bs=1 count=1 of=/dev/full 2>/dev/null; cat /dev/null && head -c 1 /dev/urandom >/dev/null && echo devices
grep -c ^Pid: /proc/self/status
sleep 60 & kill -KILL $!; wait $!; echo $?
echo worker > /proc/self/comm && echo comm
"""
OOM = r"""
cat /proc/self/oom_score_adj > /dev/null
echo 700 > /proc/self/oom_score_adj && cat /proc/$$/oom_score_adj
sleep 60 & echo 800 > /proc/$!/oom_score_adj && cat /proc/$!/oom_score_adj; kill $!
python3 -c "open('/proc/self/oom_score_adj', 'w').write('750'); print(open('/proc/self/oom_score_adj').read().strip())"
echo 650 > /proc/self/oom_score_adj && cat /proc/$$/oom_score_adj
"""


def layer(place, text, name="mine.yaml"):
    path = place.write(name, text)
    os.chmod(path, 0o644)
    return path


def test_a_layer_of_ones_own_is_enough_for_ordinary_programs(run, place):
    policy = layer(place, OWN)
    ran = run("run", "--policy", policy, "--", "sh", "-c", PROGRAM)
    assert ran.stdout.split() == ["devices", "1", "137", "comm"], ran.stderr
    assert not any(word in ran.stderr for word in ("process.signal", "/dev/", "/proc/"))


def test_what_a_layer_denies_base_does_not_give_back(run, place):
    denying = "\nrules:\n".join(OWN.split("\nrules:\n")) + (
        "  - id: none\n    deny: file.write\n    path: /dev/null\n  - id: still\n    deny: process.signal\n    to: inside\n"
    )
    policy = layer(place, denying)
    ran = run("run", "--policy", policy, "--", "sh", "-c", "echo x > /dev/null; sleep 1 & kill $!")
    assert "mine/none" in ran.stderr and "mine/still" in ran.stderr


def test_under_a_closed_layer_there_is_no_base(run, place):
    policy = layer(place, OWN.replace("name: mine\n", "name: mine\nclosed: true\n"))
    ran = run("run", "--policy", policy, "--", "sh", "-c", "echo x > /dev/null; kill -0 $$")
    assert "denied file.write /dev/null" in ran.stderr and "denied process.signal" in ran.stderr
    explained = json.loads(run("policy", "explain", "--json", "--policy", policy).stdout)
    assert "base" not in json.dumps(explained)


def test_base_is_shown_as_the_layer_that_it_is(run, place):
    policy = layer(place, OWN)
    assert "base/own-signals" in run("policy", "explain", "--rules", "--policy", policy).stdout
    assert "closed" in run("policy", "presets", "show", "base").stdout


def test_a_keeper_is_out_of_reach_under_it(run, place):
    """What base gives is one's own: of the supervisor and the guardian, parents of the tree, nothing is read or set."""
    script = (
        "for p in $PPID $(cut -d' ' -f4 /proc/$PPID/stat 2>/dev/null) 1; do for f in oom_score_adj comm status environ; do\n"
        "echo 1 > /proc/$p/$f; cat /proc/$p/$f; done; kill -TERM $p; done 2>/dev/null | wc -c"
    )
    ran = run("run", "--preset", "observe", "--", "sh", "-c", script)
    assert ran.stdout.strip() == "0", ran.stdout


@pytest.mark.parametrize("preset", ["coding-agent", "ci", "strict", "observe", "mcp-server", None])
def test_a_program_sets_its_own_oom_score(run, place, preset):
    layers = ["--preset", preset] if preset else ["--policy", layer(place, OWN)]
    ran = run("run", *layers, "--", "sh", "-c", OOM)
    assert ran.stdout.split() == ["700", "800", "750", "650"], ran.stderr


TERMINAL = r"""
import os, sys
name = sys.argv[1]
before = os.stat(name).st_mode
def tried(call, *arguments):
    try:
        call(*arguments)
        return "done"
    except OSError as error:
        return error.errno
held = os.open(name, os.O_PATH)
print(tried(os.chmod, name, 0o666), tried(os.chown, name, -1, os.getgid()), tried(os.utime, name), tried(os.chmod, f"/proc/self/fd/{held}", 0o666))
master, own = os.openpty()
print(tried(os.chmod, os.ttyname(own), 0o600), tried(os.fchmod, own, 0o620))
"""


@pytest.mark.parametrize("preset", ["strict", "coding-agent", "observe"])
def test_nobody_in_a_session_opens_or_shuts_another_shells_terminal(run, user, place, preset):
    master, slave = os.openpty()
    try:
        name = os.ttyname(slave)
        if user is not None:
            shutil.chown(name, user)
        before = os.stat(name)
        shown = run("run", "--preset", preset, "--", "/usr/bin/python3", "-c", TERMINAL, name)
        assert shown.stdout == "13 13 13 13\ndone done\n", shown.stderr
        after = os.stat(name)
        assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    finally:
        os.close(master)
        os.close(slave)
