"""How far sessions answer names of hosts on this machine: the supervisor tries it, in a process of its own.

That they do is kept until the next boot, so that a start need not try. INVARIANT: what is kept is never all that stands
for it. The supervisor of a session makes what it needs itself, and without it nothing starts: then what was kept is
forgotten, and the next start tries. That they do not is never kept, for it can be mended.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, Final

from interlock.vocabulary.enforcement import Fully, NotEnforced, read, written
from interlock.vocabulary.errors import InterlockError

if TYPE_CHECKING:
    from interlock.vocabulary.enforcement import Enforcement
    from interlock.vocabulary.json_value import JsonObject

_SECONDS_MAX: Final = 30
_KEPT: Final = "host-names.json"
#: What the answer hangs on besides the boot: the user and what it may do, and the namespaces.
_STATUS: Final = ("Uid:", "CapEff:", "CapBnd:", "NoNewPrivs:", "Seccomp:")
_SETTINGS: Final = (
    "kernel/apparmor_restrict_unprivileged_userns",
    "kernel/unprivileged_userns_clone",
    "user/max_net_namespaces",
    "user/max_user_namespaces",
)


#: What a state says that could not be found out. Nothing is opened for that.
UNKNOWN: Final = "whether names of hosts can be answered is not known"


def answers_names(kept: str) -> Enforcement:
    """The state of what rules that name hosts need. Not enforced where that cannot be found out. `kept`: the folder of
    what may be kept.
    """
    from interlock.host.executable import find_supervisor

    try:
        supervisor = find_supervisor()
        mark = _mark(supervisor)
        known = _known(f"{kept}/{_KEPT}", mark)
        if known is not None:
            return known
        state = _tried(supervisor)
    except (InterlockError, OSError, ValueError) as error:
        return NotEnforced(f"{UNKNOWN}: {error}")
    if isinstance(state, Fully) and mark is not None:
        _keep(f"{kept}/{_KEPT}", {"mark": mark, "state": written(state)})
    return state


def _tried(supervisor: str) -> Enforcement:
    """What the supervisor finds. Raises `ValueError` where it says nothing in time."""
    import subprocess

    try:
        ran = subprocess.run(
            [supervisor, "--host-names"],
            capture_output=True,
            timeout=_SECONDS_MAX,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ValueError(str(error)) from error
    return read(json.loads(ran.stdout))


def forget_names(kept: str) -> None:
    """A session could not be started: the next one tries anew."""
    with contextlib.suppress(OSError):
        os.unlink(f"{kept}/{_KEPT}")


def _mark(supervisor: str) -> str | None:
    """What would have to be as it was for the answer to be the same. None where it cannot be told, or is simulated."""
    if "INTERLOCK_SIMULATE_MISSING" in os.environ:
        return None
    try:
        own = os.stat(supervisor)
        status = [line for line in _text("/proc/self/status").splitlines() if line.startswith(_STATUS)]
        spaces = [os.readlink(f"/proc/self/ns/{name}") for name in ("user", "pid", "net", "mnt")]
        boot = _text("/proc/sys/kernel/random/boot_id")
    except OSError:
        return None
    settings = [_said(f"/proc/sys/{name}") for name in _SETTINGS]
    held = _said("/proc/self/attr/current")
    return repr((boot, supervisor, own.st_mtime_ns, own.st_size, status, spaces, settings, held))


def _text(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as opened:
        return opened.read()


def _said(path: str) -> str:
    try:
        return _text(path)
    except OSError:
        return ""


def _known(path: str, mark: str | None) -> Enforcement | None:
    try:
        kept = json.loads(_text(path))
    except (OSError, ValueError):
        return None
    if mark is None or not isinstance(kept, dict) or kept.get("mark") != mark:
        return None
    try:
        return read(kept.get("state"))
    except ValueError:
        return None


def _keep(path: str, document: JsonObject) -> None:
    beside = f"{path}.{os.getpid()}"
    with contextlib.suppress(OSError):
        with open(beside, "w", encoding="utf-8") as opened:
            json.dump(document, opened)
        os.rename(beside, path)
