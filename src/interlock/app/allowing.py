"""`interlock allow`: from a recorded denial to one more rule in the person's own layer, proposed, then adopted.

A proposal is checked before it is shown: the layer with the rule loads, its other rules are what they were, and the
engine then says allow to the recorded act under the layers of that session. Nothing is written for what a rule denies
or asks about: another layer could not change it. Adopting writes the file whole and renames it into place.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from interlock.app.history import denied_action, last_denials, opening, resolve
from interlock.app.own_layers import OwnLayer, own_layers
from interlock.app.policies import context_of, recorded
from interlock.policy.allowance import NoRuleError, Rule, folder_of, quoted, rule_for, settled_folder
from interlock.storage.home import FILE_MODE, Home, user_home
from interlock.vocabulary.action import stands_for_a_name
from interlock.vocabulary.denial import Denial
from interlock.vocabulary.errors import HostError, OperatorError
from interlock.vocabulary.json_value import JsonObject, is_object, list_at, object_at
from interlock.vocabulary.printable import printable, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from interlock._native import Policy
    from interlock.ledger.event import Event
    from interlock.policy import Compiled, Fault, Source

_ENTRY: Final = re.compile(r"^( *)- id: *allowed-([0-9]+)$", re.MULTILINE)
_ANY_ENTRY: Final = re.compile(r"^( *)- ", re.MULTILINE)
#: Of no host (RFC 5737), and public to a rule.
_ANY_PUBLIC: Final = "203.0.113.1"
_HEAD: Final = """\
# What a person allowed with `interlock allow`. {loaded}
# It can be edited like any policy; what a rule of another layer denies stays denied.
interlock: 1
name: {name}
"""


class Proposal(NamedTuple):
    """One file as it is (`before`, None when there is none) and as it would be (`after`)."""

    layer: OwnLayer
    before: bytes | None
    after: bytes
    denial: Denial
    rule: Rule


def find(identity: str, home: Home) -> tuple[str, Event]:
    """The session and event of the denial that `identity` names: `SESSION:RECORD`, `RECORD` of the last session, or
    `last`. Raises `OperatorError` when there is none.
    """
    session, colon, number = identity.rpartition(":")
    if identity == "last":
        told = last_denials("last", count=1)
        if not told.denials:
            raise OperatorError("the last session was denied nothing", hint="interlock session list")
        session, number = told.session, str(told.denials[0].record)
    elif colon or number.isdecimal():
        session = resolve(home, session or "last")
    if not number.isdecimal():
        raise OperatorError(
            f"`{printable(identity)}` names no denial", hint="SESSION:RECORD as `interlock why` prints it, or `last`"
        )
    return session, denied_action(session, int(number), home)


def propose(identity: str, *, always: bool, folder: bool, home: Home) -> Proposal:
    """The rule that would allow a denied act, in the file that it would go to. Writes nothing.

    Raises `OperatorError` when no rule of such a layer can allow it, or the engine says that this one would not.
    """
    session, event = find(identity, home)
    denial = _liftable(event)
    opened = opening(home, session)
    if opened is None or opened.workspace is None:
        raise OperatorError(f"the record of `{session}` does not say where it was started")
    workspace = opened.workspace
    every, project = own_layers(home, workspace)
    layer = every if always else project
    rule = _rule(denial, folder=folder)
    before = _read(layer)
    after = _with_rule(before, layer, rule, note=f"{event.time[:10]}, after {session}:{event.number}")
    proposal = Proposal(layer, before, after, denial, rule)
    _check(proposal, event, workspace=workspace, sources=_sources_of(opened), home=home)
    return proposal


def adopt(proposal: Proposal, home: Home) -> None:
    """Write the file, unless it is no longer what the proposal was made from (then `OperatorError`)."""
    directory = os.path.dirname(proposal.layer.path)
    home.ensure(directory)
    held = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        if _read(proposal.layer) != proposal.before:
            raise OperatorError(
                f"`{proposal.layer.path}` was changed meanwhile", hint="look again, with the same command"
            )
        _replace(proposal.layer.path, proposal.after)
        os.fsync(held)
    except OSError as error:
        raise HostError(f"cannot write `{proposal.layer.path}`: {error.strerror}") from error
    finally:
        os.close(held)


def _sources_of(opened: Event) -> list[dict[str, str]]:
    """What a session's layers were read from, as its record says it."""
    found = [each for each in list_at(opened.document, "sources") if is_object(each)]
    return [{kind: str(name) for kind, name in each.items()} for each in found]


def _liftable(event: Event) -> Denial:
    """The denial, if a rule could lift it at all. Why not is in the words of `interlock why`."""
    if not event.is_decision:
        raise OperatorError(
            f"no policy opens the call `{event.text('call')}`", hint="docs/syscalls.md says what is refused"
        )
    decision = object_at(event.document, "decision")
    denial = Denial.read({**decision, "verb": event.verb, "target": event.action.get("target")})
    if denial.is_unruled:
        return denial
    said = ", ".join(denial.rules) or denial.because
    raise OperatorError(
        f"a rule says no to it, or asks ({printable(said)}), and no other layer loosens that",
        hint="interlock why says what can be done",
    )


def _rule(denial: Denial, *, folder: bool) -> Rule:
    try:
        settled = settled_folder(denial, os.path.realpath(user_home()))
        if settled is not None:
            return rule_for(denial, folder=settled)
        if not folder:
            return rule_for(denial)
        of_folder = os.path.isdir(text_of(denial.target.get("path")))
        return rule_for(denial, folder=folder_of(denial, os.path.realpath(user_home()), of_folder=of_folder))
    except NoRuleError as error:
        raise OperatorError(f"no rule can allow this: {error}") from error


def _read(layer: OwnLayer) -> bytes | None:
    """The file, or None when there is none. A link or anything else than a plain file is the person's to edit."""
    if not os.path.lexists(layer.path):
        return None
    if os.path.islink(layer.path) or not os.path.isfile(layer.path):
        raise OperatorError(
            f"`{layer.path}` is not a plain file", hint="add the rule to it by hand: interlock why shows it"
        )
    with open(layer.path, "rb") as opened:
        return opened.read()


def _with_rule(before: bytes | None, layer: OwnLayer, rule: Rule, *, note: str) -> bytes:
    text = _new(layer) if before is None else before.decode("utf-8", "surrogateescape")
    if not text.endswith("\n"):
        text += "\n"
    entries = _ANY_ENTRY.findall(text)
    indent = len(entries[-1]) if entries and before is not None else 2
    number = max((int(match[1]) for match in _ENTRY.findall(text)), default=0) + 1
    added = f"{' ' * indent}# {printable(note)}\n{rule.text(f'allowed-{number}', indent=indent)}"
    return (text + added).encode("utf-8", "surrogateescape")


def _new(layer: OwnLayer) -> str:
    if layer.workspace is None:
        return _HEAD.format(loaded="Every `interlock run` loads it.", name=layer.name) + "rules:\n"
    head = _HEAD.format(loaded="Every `interlock run` in this workspace loads it.", name=layer.name)
    return f"{head}workspace: {quoted(layer.workspace)}\nrules:\n"


def _check(
    proposal: Proposal, event: Event, *, workspace: str, sources: Sequence[Mapping[str, str]], home: Home
) -> None:
    """Hold the proposal to what it is for, by the engine itself."""
    loaded = recorded(sources, home=home, workspace=workspace)
    others = [source for source in loaded if source.path != os.path.realpath(proposal.layer.path)]
    now = _decide(loaded, event, workspace=workspace, home=home)
    if now.says == "allow":
        raise OperatorError(f"it is allowed by now ({', '.join(now.rules)}); there is nothing to add")
    then = _decide([*others, _source(proposal)], event, workspace=workspace, home=home, more=proposal)
    if then.says != "allow":
        said = ", ".join(then.rules) or then.because
        raise OperatorError(
            f"with this rule it would still be: {then.says} ({printable(said)}); nothing was written",
            hint="interlock why says what can be done",
        )


def _source(proposal: Proposal) -> Source:
    from interlock.policy import Source

    return Source(proposal.layer.path, proposal.after, path=os.path.realpath(proposal.layer.path))


def _decide(
    sources: list[Source], event: Event, *, workspace: str, home: Home, more: Proposal | None = None
) -> _Answer:
    from interlock.app.naming import naming
    from interlock.host.executable import find_supervisor
    from interlock.policy import load
    from interlock.policy.engine import engine
    from interlock.surroundings.own_paths import own_paths

    own = own_paths(os.environ, supervisor=find_supervisor())
    context = context_of(home, workspace=workspace, human_home=user_home(), own=own)
    found = load(sources, context, naming=naming(home, workspace))
    if more is not None:
        _only_one_more(found, more)
    return _asked(engine(found), event)


class _Answer(NamedTuple):
    says: str
    rules: tuple[str, ...]
    because: str


def _asked(policy: Policy, event: Event) -> _Answer:
    """The recorded act, decided with what was known of it, but for anybody's yes."""
    from interlock import _native

    facts = json.dumps({**object_at(event.document, "facts"), "grants": []})
    try:
        decision = json.loads(policy.decide(json.dumps(_as_led(event.action)), facts))
    except _native.NativeError as error:
        raise OperatorError(f"the recorded act cannot be decided again: {error}") from error
    return _Answer(decision["decision"], tuple(decision["rules"]), str(decision["because"]))


def _as_led(action: JsonObject) -> JsonObject:
    """The act with an address that its name could lead to, where a session did not find out to which it leads."""
    target = object_at(action, "target")
    if "host" in target and stands_for_a_name(str(target.get("address"))):
        return {**action, "target": {**target, "address": _ANY_PUBLIC}}
    return action


def _only_one_more(found: Compiled, proposal: Proposal) -> None:
    """The file's other rules are what they were: text put behind a file that ends otherwise could have changed one."""
    from interlock.policy.layer import Origin
    from interlock.policy.parse import parse_layer

    faults: list[Fault] = []
    path = proposal.layer.path
    after = parse_layer(proposal.after, file=path, origin=Origin.USER, faults=faults)
    before = proposal.before and parse_layer(proposal.before, file=path, origin=Origin.USER, faults=faults)
    old = before.rules if before else ()
    if faults or after is None or after.rules[:-1] != old or len(after.rules) != len(old) + 1:
        raise OperatorError(
            f"the rule cannot be put at the end of `{path}`", hint="add it by hand: interlock why shows it"
        )


def _replace(path: str, data: bytes) -> None:
    beside = f"{path}.{os.getpid()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(beside, flags, FILE_MODE)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(data)
            opened.flush()
            os.fsync(opened.fileno())
        os.rename(beside, path)
    except BaseException:
        os.unlink(beside)
        raise
