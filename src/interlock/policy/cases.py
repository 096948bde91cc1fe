"""A policy's own tests: a file of acts and what is to be decided about each (`interlock policy test`).

interlock-cases: 1
cases:
  - name: keys stay private
    verb: file.read
    path: ~/.ssh/id_ed25519
    expect: deny
    rule: coding-agent/secrets
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from interlock.policy import values
from interlock.policy.document import Mapping, Node, Sequence, Text, read_document
from interlock.policy.engine import native, unchanged
from interlock.policy.faults import Fault, PolicyError, meant, quoted
from interlock.policy.language import HISTORIES, OPERATIONS, ORIGINS, SIGNALS, VERBS, is_gateway
from interlock.policy.risk import POINTS_MAX
from interlock.vocabulary.label_places import LABEL_PLACES

if TYPE_CHECKING:
    from collections.abc import Callable

    from interlock.policy.context import Context
    from interlock.vocabulary.json_value import JsonObject

CASES_MAX: Final = 10_000
_EXPECTATIONS: Final = ("allow", "deny", "approve", "steer")
#: Verbs of which the object is not there yet.
_MAKING: Final = ("file.create", "file.mknod")
KEYS: Final = {
    "name": "what the case is about",
    "verb": "the verb of the act",
    "path": "the file, program or socket",
    "destination": "the other end of a rename or link",
    "arguments": "the command line (a list), or a tool's arguments (a mapping of texts)",
    "address": "the address of a network act",
    "host": "the name that was asked for, where one was",
    "port": "its port",
    "user": "who would be logged in with a key",
    "protocol": "`tcp` (default) or `udp`",
    "to": "`inside` or `outside` (default)",
    "signal": "the signal",
    "connector": "the connector of a tool call",
    "tool": "its tool",
    "operation": "its operation class",
    "origin": "`before` (default; a name that is made is `session`), or `session`: what this session has made",
    "history": "`none` (default), `tracked` (as the repository had it) or `session` (in a folder of the session's)",
    "risk": "the score of a call at the gateway (default 0)",
    "labels": "what its agent has read before: any of `untrusted`, `private`, `secret` (default none)",
    "flows": "the flows that it would be: `layer/id` (default none)",
    "expect": "`allow`, `deny`, `approve` or `steer` (a read that is masked is one)",
    "rule": "a rule, `layer/id`, that must be among those that said it",
}


@dataclass(frozen=True, slots=True)
class Case:
    """One act and what is expected."""

    name: str
    place: str
    action: JsonObject
    expect: str
    rule: str | None
    origin: str = "before"
    history: str = "none"
    risk: int = 0
    labels: tuple[str, ...] = ()
    flows: tuple[str, ...] = ()

    @property
    def facts(self) -> JsonObject:
        """What would be known of the act."""
        ends = {"origin": self.origin, "origin_to": "session", "history": self.history, "history_to": self.history}
        if not is_gateway(str(self.action["verb"])):
            return {"now_ms": 0, "grants": [], **ends}
        places = {place: [each for each in self.labels if each in words] for place, words in LABEL_PLACES.items()}
        return {"now_ms": 0, "grants": [], "risk": self.risk, "labels": places, **ends}


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What was decided about a case."""

    case: Case
    decision: JsonObject

    @property
    def holds(self) -> bool:
        """Whether it is what the case expects."""
        return self.says == self.case.expect and (self.case.rule is None or self.case.rule in self.rules)

    @property
    def says(self) -> str:
        """The decision's word."""
        return str(self.decision["decision"])

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules that said it."""
        rules = self.decision["rules"]
        return tuple(map(str, rules)) if isinstance(rules, list) else ()

    @property
    def why(self) -> str:
        """The rules, or what was said where none spoke."""
        return ", ".join(self.rules) or str(self.decision["because"])


def read_cases(data: bytes, file: str, context: Context) -> list[Case]:
    """Parse a file of cases. Raises `PolicyError` with every fault."""
    faults: list[Fault] = []
    root = read_document(data, file, faults)
    found: list[Case] = []
    if isinstance(root, Mapping):
        entries = {key.value: value for key, value in root.entries}
        for key, _ in root.entries:
            if key.value not in ("interlock-cases", "cases"):
                faults.append(
                    Fault(key.place, f"unknown key {quoted(key.value)}", "known here: interlock-cases, cases")
                )
        version = entries.get("interlock-cases")
        if not isinstance(version, Text) or version.value != "1":
            faults.append(
                Fault(root.place, "`interlock-cases: 1` is missing", "it says which version of the form this is")
            )
        found = _cases(entries.get("cases"), root, context, faults)
    elif root is not None:
        faults.append(Fault(root.place, "a file of cases is a mapping", "start with `interlock-cases: 1` and `cases:`"))
    if faults:
        raise PolicyError(faults)
    return found


def run_cases(cases: list[Case], decide: Callable[[str, str], str]) -> list[CaseResult]:
    """Decide each case; `decide` takes an Action and its Facts as JSON and returns a Decision as JSON."""
    return [CaseResult(case, json.loads(decide(json.dumps(case.action), json.dumps(case.facts)))) for case in cases]


def _cases(node: Node | None, root: Mapping, context: Context, faults: list[Fault]) -> list[Case]:
    if not isinstance(node, Sequence) or not node.items:
        faults.append(
            Fault(node.place if node else root.place, "`cases` is a list", "each case begins with `- name: …`")
        )
        return []
    if len(node.items) > CASES_MAX:
        faults.append(Fault(node.place, f"more than {CASES_MAX} cases", "split the file"))
        return []
    return [
        case for number, item in enumerate(node.items) if (case := _case(item, number, context, faults)) is not None
    ]


def _case(node: Node, number: int, context: Context, faults: list[Fault]) -> Case | None:
    before = len(faults)
    if not isinstance(node, Mapping):
        faults.append(Fault(node.place, "a case is a mapping", "write `- name: …`, `verb: …`, `expect: …`"))
        return None
    entries: dict[str, Node] = {}
    for key, value in node.entries:
        if key.value in KEYS:
            entries[key.value] = value
        else:
            faults.append(
                Fault(key.place, f"unknown key {quoted(key.value)} in a case", meant(key.value, KEYS, ", ".join(KEYS)))
            )
    read_apart = ("arguments", "labels", "flows")
    texts = {key: values.text(value, key, faults) for key, value in entries.items() if key not in read_apart}
    labels, risk = _labels(entries.get("labels"), faults), _risk(entries.get("risk"), texts.get("risk"), faults)
    flows = values.items(entries["flows"], "flows", faults) or () if "flows" in entries else ()
    for field, known in (("verb", VERBS), ("expect", _EXPECTATIONS), ("origin", ORIGINS), ("history", HISTORIES)):
        if field not in texts and field == "origin":
            texts[field] = "session" if texts.get("verb") in _MAKING else "before"
        elif field not in texts and field == "history":
            texts[field] = "none"
        elif field not in texts:
            faults.append(Fault(node.place, f"the case has no `{field}`", f"one of {', '.join(known[:6])} …"))
        elif texts[field] is not None and texts[field] not in known:
            hint = meant(str(texts[field]), known, f"one of {', '.join(known)}")
            faults.append(Fault(entries[field].place, f"unknown {field} {quoted(str(texts[field]))}", hint))
    if len(faults) > before:
        return None
    action = _action(node, entries, {key: str(text) for key, text in texts.items()}, number, context, faults)
    if action is None or len(faults) > before:
        return None
    return Case(
        str(texts.get("name") or f"case {number + 1}"),
        str(node.place),
        action,
        str(texts["expect"]),
        texts.get("rule"),
        str(texts["origin"]),
        str(texts["history"]),
        risk,
        labels,
        tuple(flow.text for flow in flows),
    )


def _labels(node: Node | None, faults: list[Fault]) -> tuple[str, ...]:
    return () if node is None else values.choices(node, "labels", faults, LABEL_PLACES["context"]) or ()


def _risk(node: Node | None, text: str | None, faults: list[Fault]) -> int:
    if node is None or text is None:
        return 0
    if text.isascii() and text.isdigit() and int(text[:4]) <= POINTS_MAX:
        return int(text[:4])
    faults.append(Fault(node.place, f"{quoted(text)} is not a score", f"a number from 0 to {POINTS_MAX}"))
    return 0


def _action(
    node: Mapping, entries: dict[str, Node], texts: dict[str, str], number: int, context: Context, faults: list[Fault]
) -> JsonObject | None:
    verb = texts["verb"]
    target = _target(verb, node, entries, texts, context, faults)
    if target is None:
        return None
    subject = {"agent": None, "session": "case", "task": None, "process": None}
    plane = "gateway" if is_gateway(verb) else "host"
    return {"id": f"case/{number}", "plane": plane, "verb": verb, "target": target, "subject": subject}


def _target(
    verb: str, node: Mapping, entries: dict[str, Node], texts: dict[str, str], context: Context, faults: list[Fault]
) -> JsonObject | None:
    if is_gateway(verb):
        return _tool_target(entries, texts, faults)
    if verb.startswith("net."):
        port = texts.get("port", "0")
        if not port.isascii() or not port.isdigit() or int(port) > 65_535 or "address" not in texts:
            faults.append(
                Fault(node.place, "a network case has an `address` and a `port`", "address: 192.0.2.7, port: 443")
            )
            return None
        side = texts.get("to", "outside")
        named = _host(entries.get("host"), texts.get("host"), faults)
        return {
            **named,
            "protocol": texts.get("protocol", "tcp"),
            "address": texts["address"],
            "port": int(port),
            "to": side,
        }
    if verb == "key.use":
        port = texts.get("port", "22")
        named = _host(entries.get("host"), texts.get("host"), faults)
        bound = named | {"port": int(port)} if named and port.isascii() and port.isdigit() else {}
        user = {"user": texts["user"]} if "user" in texts else {}
        return {**bound, **user, "key": "SHA256:case", "purpose": "login"}
    if verb == "process.signal":
        number = SIGNALS.get(texts.get("signal", "TERM").removeprefix("SIG"), 0)
        return {"to": texts.get("to", "outside"), "signal": number, "process": 1}
    if verb == "process.ptrace":
        return {"to": texts.get("to", "outside"), "process": 1}
    if "path" not in texts:
        faults.append(Fault(node.place, f"a case of `{verb}` has a `path`", "path: ~/.ssh/id_ed25519"))
        return None
    end = _end(texts["path"], context)
    if verb == "unix.connect":
        return {"path": end["path"], "aliases": [], "to": texts.get("to", "outside")}
    if verb in ("file.rename", "file.link"):
        end["to"] = _end(texts.get("destination", texts["path"]), context)
    if verb == "process.exec":
        del end["content"]
        end["arguments"] = _words(entries.get("arguments"), str(end["path"]), faults)
        end["directory"] = context.workspace
    return end


def _host(node: Node | None, text: str | None, faults: list[Fault]) -> JsonObject:
    """The name of a network case, in its one spelling; none where none was asked for."""
    if node is None or text is None:
        return {}
    module = native()
    try:
        return {"host": module.host_name(text)}
    except module.PatternError as error:
        faults.append(Fault(node.place, f"the host {quoted(text)} {error}", "write a name: `host: api.example.com`"))
        return {}


def _end(text: str, context: Context) -> JsonObject:
    """One end of a file act, variables replaced. A case names a path, never a pattern."""
    path = context.home + text[1:] if text == "~" or text.startswith("~/") else text
    for name, value in context.variables().items():
        path = path.replace("${" + name + "}", value)
    # A case is about names: it changes no guarded key.
    return {"path": path, "aliases": [], "inode": None, "content": unchanged()}


def _words(node: Node | None, program: str, faults: list[Fault]) -> list[str]:
    if node is None:
        return [program.rsplit("/", 1)[-1]]
    listed = values.items(node, "arguments", faults)
    return [item.text for item in listed or ()]


def _tool_target(entries: dict[str, Node], texts: dict[str, str], faults: list[Fault]) -> JsonObject:
    operation = texts.get("operation", "read")
    if operation not in OPERATIONS:
        faults.append(
            Fault(
                entries["operation"].place, f"unknown operation {quoted(operation)}", f"one of {', '.join(OPERATIONS)}"
            )
        )
    arguments: dict[str, object] = {}
    node = entries.get("arguments")
    if isinstance(node, Mapping):
        arguments = {key.value: values.json_scalar(value, faults) for key, value in node.entries}
    names = {"connector": texts.get("connector", ""), "tool": texts.get("tool", "")}
    return {**names, "operation": operation, "arguments": arguments, "definition": None}
