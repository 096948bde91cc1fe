"""Random acts, and what a person would ask `policy decide` about each: worked out from outside, before it is performed.

An act stands for several actions where one call does (spec/action.md); the strictest answer is then expected of it.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random

    from .layout import Layout

Action = dict[str, Any]
_SYSTEM = (
    "/etc/passwd",
    "/etc/shadow",
    "/etc/hostname",
    "/usr/bin/env",
    "/etc/profile",
    "/etc",
    "/usr/lib",
    "/",
    "/dev/null",
    "/proc/version",
)
_NEW = (
    "new",
    ".env",
    ".mcp.json",
    "id_rsa",
    ".envrc",
    "x.pem",
    ".vimrc",
    "Makefile.new",
    ".git",
    "hooks",
    ".vscode",
    "settings.json",
)
#: What is asked of programs, by words: some of it is outward.
_WORDS = (["push"], ["push", "origin", "main"], ["status"], ["publish"], ["upload", "x.whl"], ["-v", "push"], [])
_OPENS = (
    os.O_WRONLY,
    os.O_WRONLY | os.O_APPEND,
    os.O_RDWR,
    os.O_WRONLY | os.O_TRUNC,
    os.O_RDWR | os.O_CREAT,
    os.O_WRONLY | os.O_CREAT,
)
_UDP = (
    ("192.0.2.7", 443),
    ("192.0.2.7", 0),
    ("192.0.2.7", 80),
    ("10.1.2.3", 0),
    ("10.1.2.3", 443),
    ("169.254.169.254", 80),
    ("8.8.8.8", 53),
)


@dataclass
class Act:
    """What the performer is told to do, and the actions that it is. `losses` count only where a rule speaks of them."""

    call: list[Any]
    actions: list[Action] = field(default_factory=list)
    losses: list[Action] = field(default_factory=list)
    #: What the kernel says of it by itself, before there is anything to decide.
    natively: tuple[int, ...] = ()
    #: Whether more actions may belong to it than are worked out here.
    open_ended: bool = False


class Peers:
    """Servers and processes inside and outside of the session."""

    def __init__(self) -> None:
        self.tcp: dict[str, tuple[str, int]] = {}
        self.udp: dict[str, tuple[str, int]] = {}
        self.unix: dict[str, str] = {}
        self.processes: dict[str, int] = {}


def act(pick: random.Random, layout: Layout, peers: Peers) -> Act:
    """One act, drawn."""
    kinds = (
        [_read] * 4
        + [_open] * 5
        + [_made] * 4
        + [_removed] * 3
        + [_moved] * 4
        + [_changed] * 4
        + [_run] * 3
        + [_network] * 3
    )
    return pick.choice([*kinds, _local, _signalled])(pick, layout, peers)


def resolved(path: str, *, follow: bool = True) -> str | None:
    """The name of the object as the kernel would say it; None where its folder is not there."""
    if follow:
        return os.path.realpath(path)
    folder = os.path.realpath(os.path.dirname(path))
    return os.path.join(folder, os.path.basename(path)) if os.path.isdir(folder) else None


def end(path: str) -> Action:
    """A name and the object that it has, if any."""
    try:
        found = os.lstat(path)
    except OSError:
        return {"path": path}
    return {"path": path, "inode": {"device": found.st_dev, "number": found.st_ino}}


def action(verb: str, path: str, **more: Any) -> Action:
    return {"id": "x/0", "plane": "host", "verb": verb, "target": {**end(path), **more}, "subject": {}}


def _name(pick: random.Random, layout: Layout) -> str:
    return pick.choice(
        [*_SYSTEM, *[pick.choice(layout.files)] * 20, *[pick.choice(layout.folders)] * 4, _fresh(pick, layout)]
    )


def _own(pick: random.Random, layout: Layout) -> str:
    """Never what the machine needs: these acts may be allowed."""
    return pick.choice([*[pick.choice(layout.files)] * 8, *[pick.choice(layout.folders)] * 2, _fresh(pick, layout)])


def _fresh(pick: random.Random, layout: Layout) -> str:
    return f"{pick.choice(layout.folders)}/{pick.choice(_NEW)}{pick.choice(['', '', pick.randrange(50)])}"


def _read(pick: random.Random, layout: Layout, _: Peers) -> Act:
    path = _name(pick, layout)
    return Act(["read", path], [action("file.read", resolved(path) or path)])


def _open(pick: random.Random, layout: Layout, _: Peers) -> Act:
    path, flags = _own(pick, layout), pick.choice(_OPENS)
    real = resolved(path) or path
    if not os.path.lexists(real) and flags & os.O_CREAT:
        return Act(["open", path, flags], [action("file.create", real)])  # what is new holds nothing yet
    holds = os.path.isfile(real) and os.path.getsize(real) > 0
    return Act(["open", path, flags], _written(real, flags), [action("file.delete", real)] if holds else [])


def _written(real: str, flags: int) -> list[Action]:
    verbs = (
        ["file.write"]
        + (["file.read"] if flags & os.O_RDWR else [])
        + (["file.truncate"] if flags & os.O_TRUNC else [])
    )
    return [action(verb, real) for verb in verbs]


def _made(pick: random.Random, layout: Layout, _: Peers) -> Act:
    path = pick.choice([_fresh(pick, layout), _fresh(pick, layout), _own(pick, layout)])
    real = resolved(path, follow=False) or path
    kind = pick.choice(["mkdir", "mkfifo", "symlink"])
    if kind == "symlink":
        # What else comes into being where a link leads is the door's to work out.
        return Act(["symlink", _name(pick, layout), path], [action("file.create", real)], open_ended=True)
    return Act([kind, path], [action("file.create" if kind == "mkdir" else "file.mknod", real)])


def _removed(pick: random.Random, layout: Layout, _: Peers) -> Act:
    path = _own(pick, layout)
    real = resolved(path, follow=False) or path
    return Act(["rmdir" if os.path.isdir(path) else "unlink", path], [action("file.delete", real)])


def _moved(pick: random.Random, layout: Layout, _: Peers) -> Act:
    source, target = _own(pick, layout), pick.choice([_fresh(pick, layout), _own(pick, layout)])
    here, there = resolved(source, follow=False) or source, resolved(target, follow=False) or target
    kind = pick.choice(["rename", "rename", "link"])
    found = Act([kind, source, target], [action(f"file.{kind}", here, to=end(there))])
    if kind == "link" and os.path.isdir(here) and not os.path.islink(here):
        found.natively = (errno.EPERM,)
    if (
        kind == "rename"
        and os.path.lexists(here)
        and os.path.lexists(there)
        and os.path.samestat(os.lstat(here), os.lstat(there))
    ):
        found.natively = (0,)  # two names of one object: rename(2) does nothing
    found.losses.append({**action("file.delete", here), "unless": action("file.delete", there)})
    if kind == "rename" and os.path.lexists(there):
        found.actions.append(action("file.delete", there))
    if kind == "rename" and os.path.isdir(here) and not os.path.islink(here):
        for folder, folders, files in os.walk(here):
            for name in (*folders, *files):
                below = f"{folder}/{name}"
                found.actions.append(action("file.rename", below, to=end(there + below[len(here) :])))
                found.open_ended = True  # each with keys, a history and links of its own
    found.open_ended |= os.path.islink(here)
    return found


def _changed(pick: random.Random, layout: Layout, _: Peers) -> Act:
    path = _own(pick, layout)
    real = resolved(path) or path
    kind, *more = pick.choice([["chmod", 0o755], ["chown"], ["truncate", 3], ["utime"], ["xattr"]])
    holds = kind == "truncate" and os.path.isfile(real) and os.path.getsize(real) > 0
    return Act([kind, path, *more], [action(f"file.{kind}", real)], [action("file.delete", real)] if holds else [])


def _run(pick: random.Random, layout: Layout, _: Peers) -> Act:
    path = pick.choice([*layout.programs, pick.choice(layout.programs), pick.choice(layout.files)])
    arguments = [os.path.basename(path), *pick.choice(_WORDS)]
    asked = action("process.exec", resolved(path) or path, arguments=arguments, directory=str(layout.workspace))
    natively = () if os.path.isfile(path) and os.access(path, os.X_OK) else (errno.EACCES,)
    return Act(["exec", path, arguments], [asked], natively=natively)


def _network(pick: random.Random, layout: Layout, peers: Peers) -> Act:
    kind = pick.choice(["bind", "tcp", "udp", "away", "send"])
    if kind == "bind":
        return _bound(pick)
    if kind == "away":
        place, style, to = pick.choice(_UDP), "udp", "outside"
    else:
        style = "udp" if kind == "send" else kind
        servers = getattr(peers, style)
        to = pick.choice(sorted(servers))
        place = servers[to]
    verb = "net.send" if kind == "send" else "net.connect"
    target = {"protocol": style, "address": place[0], "port": place[1], "to": to}
    call = ["send", "inet", place] if kind == "send" else ["connect", "inet", style, place]
    # Connecting alone, shut for sending, is how C libraries sort the addresses of a name that a session was given.
    probes = call[0] == "connect" and style == "udp"
    return Act(call, [{"id": "x/0", "plane": "host", "verb": verb, "target": target, "subject": {}}], open_ended=probes)


def _bound(pick: random.Random) -> Act:
    address, style = pick.choice(["127.0.0.1", "127.0.0.2", "0.0.0.0", "::1", "::"]), pick.choice(["tcp", "udp"])
    port, listens = pick.choice([0, 0, pick.randrange(20_000, 60_000)]), style == "tcp" and pick.choice([True, False])
    target = {"protocol": style, "address": address, "port": port, "to": "outside"}
    found = Act(["bind", "inet6" if ":" in address else "inet", style, (address, port), listens])
    found.actions.append({"id": "x/0", "plane": "host", "verb": "net.bind", "target": target, "subject": {}})
    if listens and port:
        found.actions.append({"id": "x/0", "plane": "host", "verb": "net.listen", "target": target, "subject": {}})
    found.open_ended = bool(listens)  # the port that the kernel chose is not known before
    return found


def _local(pick: random.Random, layout: Layout, peers: Peers) -> Act:
    to = pick.choice(sorted(peers.unix))
    path = peers.unix[to]
    target = {"path": resolved(path) or path, "to": to.partition(" ")[0]}
    asked = {"id": "x/0", "plane": "host", "verb": "unix.connect", "target": target, "subject": {}}
    return Act(["connect", "unix", "tcp", path], [asked])


def _signalled(pick: random.Random, _: Layout, peers: Peers) -> Act:
    to, number = pick.choice(sorted(peers.processes)), pick.choice([0, 23])
    target = {"to": to, "signal": number, "process": peers.processes[to]}
    return Act(
        ["kill", peers.processes[to], number],
        [{"id": "x/0", "plane": "host", "verb": "process.signal", "target": target, "subject": {}}],
    )
