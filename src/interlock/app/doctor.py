"""What `interlock doctor` finds out: a session rehearsed by the very command that people type, the supervisor's own
exercise of each mechanism, and the health of state, keys and record.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any, Final, NamedTuple

from interlock.storage.home import SOCKET_PATH_BYTES_MAX, Home
from interlock.vocabulary.errors import EXIT_HOST, InterlockError

_SECONDS_MAX: Final = 30
_REINSTALL: Final = "reinstall interlock-security"
_AUDITOR_ADVICE: Final = (
    "move it to another machine: with it here, an intruder of your own user could forge the record's MACs"
)
#: Status words, worst last.
STATUSES: Final = ("full", "partial", "not")


class Finding(NamedTuple):
    """One thing looked at. `status`: full, partial or not; `advice` says what to do about anything but full."""

    area: str
    name: str
    status: str
    detail: str
    advice: str


def examine() -> list[Finding]:
    """Every finding: machine first, then this installation, then this user's state. Nothing is changed but missing
    directories.
    """
    return [*_mechanisms(), rehearsed(), *_installation(), *_state()]


def _mechanisms() -> list[Finding]:
    from interlock.host.supervisor import find_supervisor

    try:
        executable = find_supervisor()
    except InterlockError as error:
        return [Finding("machine", "supervisor", "not", str(error), error.hint or "")]
    try:
        ran = subprocess.run(
            [executable, "--doctor"], capture_output=True, timeout=_SECONDS_MAX, stdin=subprocess.DEVNULL, check=False
        )
        answer = json.loads(ran.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        return [Finding("machine", "supervisor", "not", f"`{executable} --doctor` failed: {error}", _REINSTALL)]
    return [Finding("machine", "supervisor", "full", executable, ""), *findings_of(answer)]


def rehearsed() -> Finding:
    """A whole session by `interlock run` itself, with a harmless command and a home of its own that is removed again.
    What it refuses to start is refused here, in the same words.
    """
    from interlock.app.rehearsal import rehearse

    code, detail, advice = rehearse()
    return Finding(
        "machine" if code in (0, EXIT_HOST) else "session", "rehearsal", "not" if code else "full", detail, advice
    )


def findings_of(answer: Any) -> list[Finding]:
    """Read the supervisor's answer: a map or list of mechanisms, each with a status and reasons."""
    if isinstance(answer, dict) and "mechanisms" in answer:
        answer = answer["mechanisms"]
    if isinstance(answer, dict):
        answer = [
            {"name": name, **(value if isinstance(value, dict) else {"status": value})}
            for name, value in answer.items()
        ]
    if not isinstance(answer, list):
        return [Finding("machine", "supervisor", "not", "its answer is not understood", _REINSTALL)]
    return [_mechanism(entry) for entry in answer if isinstance(entry, dict)]


def _mechanism(entry: dict[str, Any]) -> Finding:
    status = str(entry.get("status", "not"))
    if status == "not" and entry.get("needed") is False:
        status = "partial"  # some rule is the poorer for it; no session is refused
    reason = entry.get("reason", entry.get("reasons", entry.get("detail", "")))
    detail = ", ".join(map(str, reason)) if isinstance(reason, list) else str(reason or "")
    advice = str(entry.get("advice") or entry.get("hint") or "")
    return Finding("machine", str(entry.get("name", "?")), status if status in STATUSES else "not", detail, advice)


def _installation() -> list[Finding]:
    try:
        from interlock import _native
    except ImportError as error:
        return [Finding("installation", "engine", "not", f"the native module does not load: {error}", _REINSTALL)]
    return [Finding("installation", "engine", "full", str(_native.__file__), "")]


def _state() -> list[Finding]:
    try:
        home = Home.from_environment()
        home.ensure(*home.all_directories())
    except InterlockError as error:
        return [Finding("state", "directories", "not", str(error), error.hint or "")]
    found = [Finding("state", "directories", "full", f"state {home.state}, sockets {home.runtime}", "")]
    longest = len(os.fsencode(f"{home.session_runtime('s-20260101T000000-000000')}/control.sock"))
    if longest > SOCKET_PATH_BYTES_MAX:
        detail = "the runtime directory's path is too long"
        found.append(Finding("state", "sockets", "not", detail, "set INTERLOCK_HOME to a shorter one"))
    return [*found, _inbox(home), _keys(home), *_ledger(home)]


def _inbox(home: Home) -> Finding:
    from interlock.approvals.inbox import Inbox

    try:
        home.check_file(home.inbox)
        inbox = Inbox(home.inbox)
        waiting = len(inbox.pending())
        inbox.close()
    except InterlockError as error:
        return Finding("state", "inbox", "not", str(error), error.hint or "")
    return Finding("state", "inbox", "full", f"{waiting} waiting", "")


def _keys(home: Home) -> Finding:
    key = f"{home.keys}/ledger.ed25519"
    if not os.path.exists(key):
        return Finding("state", "keys", "full", "none yet; made with the first session", "")
    try:
        home.check_file(key)
    except InterlockError as error:
        return Finding("state", "keys", "not", str(error), error.hint or "")
    auditor = f"{home.keys}/auditor.x25519"
    if os.path.exists(auditor):
        return Finding("state", "keys", "partial", f"the auditor's private key is here: {auditor}", _AUDITOR_ADVICE)
    return Finding("state", "keys", "full", key, "")


def _ledger(home: Home) -> list[Finding]:
    if not os.path.isdir(home.index) or not os.listdir(home.index):
        return [Finding("state", "ledger", "full", "empty; the first session opens it", "")]
    from interlock import _native

    try:
        _native.index_head(home.index, home.keys)
    except _native.NativeError as error:
        return [Finding("state", "ledger", "not", str(error), "interlock ledger verify says where the damage is")]
    return [Finding("state", "ledger", "full", home.index, "")]
