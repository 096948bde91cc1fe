"""PostgreSQL, from `initdb` to `psql`, in the workspace of a held ordinary user: unix socket, loopback, processes, signals, shared memory of both kinds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.escapes.arena import Arena

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))

# A port of its own, for clones of this repository may be tested at once on one machine.
WORK = """
set -e
port=$(/usr/bin/python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$1"/initdb -D data -A trust -U agent --no-sync > initdb.log
mkdir sockets
"$1"/pg_ctl -D data -w -l server.log -o "-k $PWD/sockets -p $port -c listen_addresses=127.0.0.1" start > /dev/null || { cat server.log; exit 1; }
"$1"/psql -h "$PWD/sockets" -p $port -U agent -d postgres -Atqc 'create table t(i int); insert into t select generate_series(1,1000); select sum(i) from t'
"$1"/psql -h 127.0.0.1 -p $port -U agent -d postgres -Atqc 'set max_parallel_workers_per_gather=2; select count(*) from t' -c 'notify x'
grep -c . data/postmaster.pid
"$1"/pg_ctl -D data -m fast -w stop > /dev/null
"$1"/postgres --single -D data postgres < /dev/null > /dev/null && echo alone
ls data/postmaster.pid 2> /dev/null || echo stopped
"""


def test_initdb_to_psql_as_an_ordinary_user(arena: Arena) -> None:
    if not PROGRAMS:
        pytest.skip("PostgreSQL is missing; expected where .ci/prepare ran or on a developer's machine with it")
    if arena.user is None:
        pytest.skip("PostgreSQL does not run as root; the ordinary user's run shows it")
    programs = str(PROGRAMS[-1].parent)
    native = arena.run("sh", "-c", WORK, "sh", programs, seconds=120)
    arena.build()
    held = arena.held("sh", "-c", WORK, "sh", programs, seconds=240)
    print(held.errors)
    assert native.output == "500500\n1000\n8\nalone\nstopped\n", native.errors
    assert (held.code, held.output) == (native.code, native.output)
