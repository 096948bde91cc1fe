"""What `interlock doctor` finds out: a session rehearsed by the very command that people type, the supervisor's own
exercise of each mechanism, and the health of state, keys and record.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any, Final, NamedTuple

from interlock.storage.home import SOCKET_PATH_BYTES_MAX, Home
from interlock.vocabulary.enforcement import Enforcement, Fully, NotEnforced, Partially, in_words, read
from interlock.vocabulary.errors import EXIT_HOST, InterlockError
from interlock.vocabulary.json_value import JsonObject

_SECONDS_MAX: Final = 30
_REINSTALL: Final = "reinstall interlock-security"
_AUDITOR_ADVICE: Final = (
    "move it to another machine: with it here, an intruder of your own user could forge the record's MACs"
)
_SUPERVISOR: Final = "supervisor"
_ANY_HOST: Final = "ports 80 and 443 of any public address"


class Finding(NamedTuple):
    """One thing looked at. `enforcement`: whether it holds, as `policy explain` and a session's record say it; `advice`
    says what to do about anything that does not hold fully.
    """

    area: str
    name: str
    enforcement: Enforcement
    detail: str
    advice: str


def _whole(area: str, name: str, detail: str) -> Finding:
    return Finding(area, name, Fully(), detail, "")


def _missing(area: str, name: str, why: str, advice: str) -> Finding:
    return Finding(area, name, NotEnforced(why), why, advice)


def examine() -> list[Finding]:
    """Every finding: the machine first, then the default policy here, this installation, and this user's state. Nothing
    is changed but missing directories.
    """
    return [*_mechanisms(), rehearsed(), *_policy(), *_installation(), *_state()]


def _mechanisms() -> list[Finding]:
    from interlock.host.executable import find_supervisor

    try:
        executable = find_supervisor()
    except InterlockError as error:
        return [_missing("machine", _SUPERVISOR, str(error), error.hint or "")]
    try:
        ran = subprocess.run(
            [executable, "--doctor"], capture_output=True, timeout=_SECONDS_MAX, stdin=subprocess.DEVNULL, check=False
        )
        answer = json.loads(ran.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        return [_missing("machine", _SUPERVISOR, f"`{executable} --doctor` failed: {error}", _REINSTALL)]
    return [_whole("machine", _SUPERVISOR, executable), *findings_of(answer)]


def rehearsed() -> Finding:
    """A whole session by `interlock run` itself, with a harmless command and a home of its own that is removed again.
    What it refuses to start is refused here, in the same words.
    """
    from interlock.app.rehearsal import rehearse

    code, detail, advice = rehearse()
    area = "machine" if code in (0, EXIT_HOST) else "session"
    return _missing(area, "rehearsal", detail, advice) if code else _whole(area, "rehearsal", detail)


def findings_of(answer: Any) -> list[Finding]:
    """Read the supervisor's answer (`--doctor`): a list of mechanisms, each with its state and what was seen."""
    mechanisms = answer.get("mechanisms") if isinstance(answer, dict) else None
    if not isinstance(mechanisms, list):
        return [_missing("machine", _SUPERVISOR, "its answer is not understood", _REINSTALL)]
    return [_mechanism(entry) for entry in mechanisms if isinstance(entry, dict)]


def _mechanism(entry: JsonObject) -> Finding:
    name, detail, hint = (str(entry.get(key) or "") for key in ("name", "detail", "hint"))
    try:
        enforcement = read(entry.get("enforcement"))
    except ValueError:
        enforcement = NotEnforced("its state is not understood")
    match enforcement:
        case Fully(how) if how:
            detail = f"{how} ({detail})"
        case Partially() | NotEnforced():
            detail = detail or in_words(enforcement)
    return Finding("machine", name or "?", enforcement, detail, hint)


def _policy() -> list[Finding]:
    """The preset that runs without being named, loaded here: the rules that this machine does not enforce fully."""
    from interlock.app.policy_here import DEFAULT_PRESET, default_here, workspace_here
    from interlock.policy import PolicyError

    try:
        short, without = default_here(workspace=workspace_here(None))
    except PolicyError as error:
        first = error.faults[0]
        return [_missing("policy", DEFAULT_PRESET, f"{first.place}: {first.message}", first.hint or "")]
    except InterlockError as error:
        return [_missing("policy", DEFAULT_PRESET, str(error), error.hint or "")]
    if without is not None:
        instead = Finding("policy", DEFAULT_PRESET, Partially(without, _ANY_HOST), without, "interlock policy explain")
    elif not short:
        instead = _whole("policy", DEFAULT_PRESET, "every rule is enforced fully here")
    else:
        instead = None
    told = [
        Finding("policy", rule, state, in_words(state), "interlock policy explain") for rule, state in short.items()
    ]
    return [instead, *told] if instead else told


def _installation() -> list[Finding]:
    try:
        from interlock import _native
    except ImportError as error:
        return [_missing("installation", "engine", f"the native module does not load: {error}", _REINSTALL)]
    return [_whole("installation", "engine", str(_native.__file__))]


def _state() -> list[Finding]:
    try:
        home = Home.from_environment()
        home.ensure(*home.all_directories())
    except InterlockError as error:
        return [_missing("state", "directories", str(error), error.hint or "")]
    found = [_whole("state", "directories", f"state {home.state}, sockets {home.runtime}")]
    longest = len(os.fsencode(f"{home.session_runtime('s-20260101T000000-000000')}/control.sock"))
    if longest > SOCKET_PATH_BYTES_MAX:
        detail = "the runtime directory's path is too long"
        found.append(_missing("state", "sockets", detail, "set INTERLOCK_HOME to a shorter one"))
    return [*found, _inbox(home), _keys(home), *_ledger(home)]


def _inbox(home: Home) -> Finding:
    from interlock.approvals.inbox import Inbox

    try:
        home.check_file(home.inbox)
        inbox = Inbox(home.inbox)
        waiting = len(inbox.pending())
        inbox.close()
    except InterlockError as error:
        return _missing("state", "inbox", str(error), error.hint or "")
    return _whole("state", "inbox", f"{waiting} waiting")


def _keys(home: Home) -> Finding:
    key = f"{home.keys}/ledger.ed25519"
    if not os.path.exists(key):
        return _whole("state", "keys", "none yet; made with the first session")
    try:
        home.check_file(key)
    except InterlockError as error:
        return _missing("state", "keys", str(error), error.hint or "")
    auditor = f"{home.keys}/auditor.x25519"
    if os.path.exists(auditor):
        here = Partially("the auditor's private key is here", "who reads it can forge the record's MACs")
        return Finding("state", "keys", here, f"the auditor's private key is here: {auditor}", _AUDITOR_ADVICE)
    return _whole("state", "keys", key)


def _ledger(home: Home) -> list[Finding]:
    if not os.path.isdir(home.index) or not os.listdir(home.index):
        return [_whole("state", "ledger", "empty; the first session opens it")]
    from interlock import _native

    try:
        _native.index_head(home.index, home.keys)
    except _native.NativeError as error:
        return [_missing("state", "ledger", str(error), "interlock ledger verify says where the damage is")]
    return [_whole("state", "ledger", home.index)]
