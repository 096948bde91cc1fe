"""Built-in sets of the places that belong to everybody, and of the names in them that others look for.

What is there already is kept by its origin, whatever it is called. `@known-names` is about names that are not there
yet: whoever makes one first is taken, outside, for the program that usually does. A name is in the set if a common
program opens it without having made it, and trusts what it finds; the test servers that sessions start themselves
(X displays from 99 on, JVM counters) are not.
"""

# ruff: noqa: S108 - patterns, not files of ours
from __future__ import annotations

from typing import Final

SHARED_PLACES: Final = ("/tmp/**", "/var/tmp/**", "/dev/shm/**")

KNOWN_NAMES: Final = (
    # Whoever attaches hands over a terminal.
    "/tmp/tmux-*/**",
    "/tmp/{screens,uscreens,screen-*,S-*,.screen}/**",
    "/tmp/{dtach,abduco,zellij-*,byobu-*}/**",
    "/{tmp,var/tmp}/dvtm*",
    # Keys, tickets, password stores.
    "/tmp/ssh-*/**",
    "/tmp/gpg-*/**",
    "/tmp/{keyring-*,kwallet*,ksocket-*}/**",
    "/tmp/krb5cc*",
    "/{tmp,var/tmp}/krb5_*",
    # Desktop and sound.
    "/tmp/.{ICE,XIM,font,Test}-unix/**",
    "/tmp/.X11-unix",
    "/tmp/.X11-unix/X[0-9]",
    "/tmp/.X11-unix/X[0-8][0-9]",
    "/tmp/.X11-unix/X9[0-8]",
    "/tmp/.{X,tX}[0-9]-lock",
    "/tmp/.{X,tX}[0-8][0-9]-lock",
    "/tmp/.{X,tX}9[0-8]-lock",
    "/tmp/{xauth*,.xauth*,serverauth.*,.gdm*}",
    "/tmp/dbus-*",
    "/tmp/pulse-*/**",
    "/tmp/.esd-*/**",
    "/tmp/pipewire-*",
    # Services.
    "/{tmp,var/tmp}/systemd-private-*/**",
    "/tmp/{snap-private-tmp,snap.*}/**",
    "/tmp/.s.PGSQL.*",
    "/tmp/{mysql,mysqlx,mysqld,mariadb}*.{sock,sock.lock}",
    "/tmp/mongodb-*.sock",
    "/tmp/{redis,memcached,supervisor,gunicorn,uwsgi,php-fpm,docker,podman,containerd}*.sock",
    "/tmp/php*-fpm*.sock",
    "/tmp/.java_pid*",
    "/tmp/.attach_pid*",
    # Editors and agents.
    "/tmp/emacs*/**",
    "/tmp/nvim.*/**",
    "/tmp/{vscode,code,cursor,windsurf}-*/**",
    "/tmp/{vscode,code,cursor,windsurf}-*.sock",
    "/tmp/{cc-daemon-*,claude-mcp-browser-bridge-*,codex-ipc}/**",
    # Programs outside load code that they keep here: what Node (tsc, npm, corepack), yarn, ESLint, Jest, tsx, jiti,
    # PyTorch and PHPStan compiled, packages that bunx runs. A session's own have its temporary folder.
    "/tmp/{node-compile-cache,jiti,node-jiti,phpstan}/**",
    "/tmp/{v8-compile-cache-*,tsx-*,torchinductor_*,bunx-*,metro-cache*,ts-node-*}/**",
    "/tmp/jest_{?,??,???,????}/**",
    # .NET's debuggers and compilers find each other by these.
    "/tmp/{CoreFxPipe_*,clr-debug-pipe-*,dotnet-diagnostic-*}",
    # Shared memory that is opened by a fixed name.
    "/dev/shm/{jack*,lttng-ust-wait-*,sem.jack*,pulse-shm-*,sem.haveged*}",
)

SHARED_SETS: Final[dict[str, tuple[str, ...]]] = {
    "shared-places": SHARED_PLACES,
    "known-names": KNOWN_NAMES,
    "shared-memory": ("/dev/shm/**",),
}
