"""Reading a secret by every route to it: the key's bytes must not come out."""

from __future__ import annotations

import pytest

from tests.escapes.arena import SECRET, Arena, Outcome, both_ways

# Attacks of the form `attack NAME SECRET [SPARE]`; the second column: what the control needs.
ROUTES = {
    "plain": "",
    "read-write": "",
    "legacy-open": "",
    "openat2": "",
    "symlink": "spare",
    "symlink-chain": "spare",
    "parent-link": "spare",
    "hard-link": "spare",
    "linkat-empty": "spare",
    "dots": "spare",
    "proc-root": "",
    "thread-root": "",
    "proc-cwd": "",
    "reopen": "",
    "dev-fd": "",
    "opath-parent": "",
    "handle": "root",
    "rename": "spare",
    "exchange": "spare",
    "parent-rename": "spare",
    "io-uring": "",
    "int80": "",
    "chroot": "root",
    "bind-mount": "spare",
    "open-tree": "root",
    "user-namespace": "",
}


@pytest.mark.parametrize("route", ROUTES)
def test_the_key_does_not_come_out(arena: Arena, route: str) -> None:
    needs = ROUTES[route]
    if needs == "root" and arena.user is not None:
        pytest.skip("the attack itself needs root; the root run shows it")
    spare = [arena.work] if route == "dots" else [arena.work / "spare"] if needs == "spare" else []

    def attack(run: object) -> bool:
        outcome: Outcome = run(arena.work / "attack", route, arena.key, *spare)  # type: ignore[operator]
        return SECRET in outcome.output

    control, won = both_ways(arena, attack)
    assert control, f"`{route}` does not work in the open, so holding it shows nothing"
    assert not won


def test_x32_calls_do_not_reach_the_kernel(arena: Arena) -> None:
    """Where the kernel has no x32 table the control cannot win either; then the kernel's own refusal is what is shown."""
    control, won = both_ways(arena, lambda run: SECRET in run(arena.work / "attack", "x32", arena.key).output)
    print("this kernel has x32" if control else "this kernel refuses x32 by itself (CONFIG_X86_X32_ABI is off)")
    assert not won


SHELL = {
    "cat": "cat {key}",
    "redirection": "while read l; do echo $l; done < {key}",
    "copy": "cp {key} copy; cat copy",
    "archive": "tar cf - -C / .{key} | tar xOf -",
    "interpreter": "python3 -c 'print(open(\"{key}\").read())'",
    "background": "(sleep 0.1; cat {key} > leak) & wait; cat leak",
    "nested-shell": "sh -c 'exec sh -c \"cat {key}\"'",
    "find-exec": "find {home} -name id_rsa -exec cat {{}} +",
    "git-object": "git hash-object -w {key} | xargs git cat-file -p",
    "loader": "/lib64/ld-linux-x86-64.so.2 /bin/cat {key}",
    "copied-program": "cp /bin/cat ./innocent; ./innocent {key}",
    "env-dump": "dd if={key} status=none",
}


@pytest.mark.parametrize("name", SHELL)
def test_no_ordinary_program_gets_it(arena: Arena, name: str) -> None:
    script = SHELL[name].format(key=arena.key, home=arena.home)
    prepare = "git init -q . 2>/dev/null; " if name == "git-object" else ""
    control, won = both_ways(arena, lambda run: SECRET in run("sh", "-c", prepare + script).output)
    assert control
    assert not won
