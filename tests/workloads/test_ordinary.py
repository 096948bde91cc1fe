"""Ordinary work of a coding agent: the same script without and with Interlock gives the same output and exit status.

What differs by nature (times, commit ids by date, temporary names) is pinned or left out of the script's output.
"""

from __future__ import annotations

import re
import shutil

import pytest

from tests.escapes.arena import Arena, Outcome

GIT = (
    "export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b "
    "GIT_AUTHOR_DATE='2026-01-01T00:00:00Z' GIT_COMMITTER_DATE='2026-01-01T00:00:00Z' GIT_CONFIG_NOSYSTEM=1; "
)

WORK = {
    "git": GIT
    + """
        git init -q -b main origin && cd origin
        for i in 1 2 3 4 5 6 7 8 9 10; do echo $i > f$i; git add f$i; git commit -q -m c$i; done
        cd .. && git clone -q origin copy && cd copy
        git checkout -q -b topic && echo more >> f1 && mv f2 g2 && git add -A && git status --short && git commit -q -m topic
        git checkout -q main && git merge -q --no-edit topic && git rebase -q HEAD~1 && git stash list
        git gc -q && git fsck && git log --oneline && git status && git diff HEAD~1 --stat
        git branch -d topic && git tag v1 && git fetch -q && git remote -v | sed 's#/.*/#/#'
        git worktree add -q ../tree v1 && ls ../tree | wc -l
        ls .git/hooks | grep -c sample""",
    "git-push-nowhere": GIT + "git init -q x && cd x && git commit -q --allow-empty -m e && git show --stat HEAD",
    "venv": "/usr/bin/python3 -m venv env && env/bin/python -c 'import sys; print(sys.prefix != sys.base_prefix)' && env/bin/pip --version | cut -d' ' -f1",
    "pip-wheel": """
        mkdir -p pkg/thing && echo 'def answer(): return 42' > pkg/thing/__init__.py
        /usr/bin/python3 - <<'PY'
import zipfile
meta = "thing-1.0.dist-info/"
with zipfile.ZipFile("thing-1.0-py3-none-any.whl", "w") as wheel:
    wheel.writestr("thing/__init__.py", "def answer(): return 42\\n")
    wheel.writestr(meta + "METADATA", "Metadata-Version: 2.1\\nName: thing\\nVersion: 1.0\\n")
    wheel.writestr(meta + "WHEEL", "Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    wheel.writestr(meta + "RECORD", "")
PY
        /usr/bin/python3 -m venv env && env/bin/pip install -q --no-index --disable-pip-version-check ./thing-1.0-py3-none-any.whl
        env/bin/python -c 'import thing; print(thing.answer())' && env/bin/pip uninstall -q -y thing && echo removed""",
    "npm": """
        mkdir -p lib app && printf '{"name":"lib","version":"1.0.0","main":"i.js"}' > lib/package.json && echo 'module.exports = 42' > lib/i.js
        cd app && printf '{"name":"app","version":"1.0.0"}' > package.json
        npm install --silent --no-audit --no-fund --offline ../lib && node -e "console.log(require('lib'))" && ls node_modules""",
    "make": """
        mkdir c && cd c
        for i in $(seq 1 20); do printf '#include <stdio.h>\\nint f%d(void){return %d;}\\n' $i $i > f$i.c; done
        { for i in $(seq 1 20); do echo "int f$i(void);"; done; echo '#include <stdio.h>'; echo 'int main(void){int s=0;'
          for i in $(seq 1 20); do echo "s+=f$i();"; done; echo 'printf("%d",s);return puts("")<0;}'; } > main.c
        printf 'O=$(patsubst %%.c,%%.o,$(wildcard *.c))\\nmain: $(O)\\n\\tcc -o $@ $(O)\\n%%.o: %%.c\\n\\tcc -c $< -o $@\\n' > Makefile
        make -j2 -s && ./main && make -s clean 2>/dev/null; echo $?; touch f1.c; make -j2 -s && ./main""",
    "tar": """
        mkdir -p t/a/b && for i in $(seq 1 50); do echo $i > t/a/b/$i; done; ln -s a/b t/link; mkfifo t/pipe; chmod 750 t/a; touch -d 2001-02-03T04:05:06Z t/a/b/1
        tar czf t.tgz t && rm -rf t && tar xzf t.tgz && find t | sort && stat -c '%a %F' t/a t/a/b/1 t/pipe t/link && stat -c %Y t/a/b/1
        tar cf - t | (mkdir u && cd u && tar xf -) && diff -r --no-dereference t/a u/t/a && echo same""",
    "sqlite3": """
        sqlite3 d.db "pragma journal_mode=wal; create table t(i); insert into t select value from generate_series(1,1000);
        select sum(i) from t;" && sqlite3 d.db 'delete from t where i>500; vacuum; select count(*) from t; pragma integrity_check;' && ls d.db*""",
    "files": """
        umask 027; mkdir -p a/b; echo x > a/b/c; cp -a a z; mv z/b z/d; ln z/d/c hard; ln -s z soft; stat -c '%a %h %n' hard a z/d/c
        truncate -s 100 hard; stat -c %s z/d/c; chmod 600 hard; stat -c %a z/d/c; rm -r a z; cat soft 2>&1 | sed 's/.*: //'; dd if=/dev/zero of=big bs=64k count=20 status=none; wc -c < big
        touch -r big other; [ big -nt other ] || echo equal; rmdir nothing 2>&1 | sed 's/.*: //'; mkdir d; rmdir d; mktemp -d >/dev/null && echo ok; : > empty; cat empty /dev/null | wc -c""",
    "processes": """
        sleep 5 & p=$!; kill $p; wait $p; echo $?; (exit 7); echo $?; sh -c 'kill -9 $$'; echo $?; timeout 1 sleep 5; echo $?
        trap 'echo trapped' USR1; kill -USR1 $$; nice -n 5 true; echo $?; seq 3 | xargs -P2 -n1 echo | sort; echo done | tee /dev/stderr 2>/dev/null
        setsid sh -c 'echo own session'; nohup true 2>/dev/null; echo $?; ulimit -n 64; sh -c 'ulimit -n'""",
    "substitution": "bash -c 'diff <(seq 3) <(seq 4); cat <(echo one) /dev/fd/3 3< <(echo two); exec 5<>pipe5; echo five >&5; cat pipe5; read -r l < /dev/stdin <<< here; echo $l'",
    "sockets": """
        /usr/bin/python3 - <<'PY'
import socket, threading
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
peer, _ = server.accept()
client.sendall(b"hello"); print(peer.recv(10))
one, two = socket.socketpair()
one.sendmsg([b"pair"]); print(two.recv(10))
with open("passed", "w+") as passed:
    passed.write("fd"); passed.flush()
    socket.send_fds(one, [b"x"], [passed.fileno()])
    print(len(socket.recv_fds(two, 10, 1)[1]))
u = socket.socket(socket.AF_UNIX); u.bind("s.sock"); u.listen(); v = socket.socket(socket.AF_UNIX); v.connect("s.sock"); print("unix")
a = socket.socket(type=socket.SOCK_DGRAM); a.bind(("127.0.0.1", 0)); b = socket.socket(type=socket.SOCK_DGRAM)
b.sendto(b"gram", a.getsockname()); print(a.recv(10))
PY""",
    "tools": "ps -o comm= -p $$; id -un > /dev/null && echo id; echo $HOME | grep -c home; date -u -d @0 +%F; locale > /dev/null 2>&1; echo $?; uname -s; df . > /dev/null && echo df; which sh; python3 -c 'import ssl, sqlite3, json, hashlib; print(ssl.OPENSSL_VERSION[:7])'; perl -e 'print 6*7, \"\\n\"'",
}


def visible(outcome: Outcome, arena: Arena) -> tuple[int, str]:
    return outcome.code, re.sub(r"/var/tmp/interlock-arena-[a-z0-9_]+", "ROOT", outcome.output)


@pytest.mark.parametrize("name", WORK)
def test_work_gives_the_same_inside(arena: Arena, name: str) -> None:
    if name == "npm" and not shutil.which("npm"):
        pytest.skip("npm is missing; expected on a machine with Node.js")
    shell = "bash" if name == "npm" else "sh"
    arena.build()
    native = arena.run(shell, "-c", WORK[name])
    arena.build()
    held = arena.held(shell, "-c", WORK[name], seconds=120)
    print(held.errors)
    assert native.output, f"the script `{name}` shows nothing: {native.errors}"
    assert visible(held, arena) == visible(native, arena)


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_three_hundred_pipelines(arena: Arena, shell: str) -> None:
    script = "i=0; while [ $i -lt 300 ]; do echo $i | tr 0-9 a-j | cat; i=$((i+1)); done"
    native = arena.run(shell, "-c", script)
    held = arena.held(shell, "-c", script, seconds=120)
    assert native.output.count("\n") == 300
    assert (held.code, held.output) == (native.code, native.output)
