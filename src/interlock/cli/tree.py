"""Draws one session as a tree: agent and prompt, tool calls and the server sessions they reached, system calls
grouped, denials in full,
approvals, programs by who started them. Pure: records in (spec/record.md), lines out.

Joined by ids only (parent of a session, of a context, of an action), never by time.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final, NamedTuple

from interlock.vocabulary import words
from interlock.vocabulary.printable import printable, shell_words, text_of

Record = dict[str, Any]
#: Groups, programs and sessions shown of each kind; what is left out is counted.
SHOWN_MAX: Final = 40
_DEPTH_MAX: Final = 8


class Story(NamedTuple):
    """What a tree is drawn from: the records of each session by its id, and of all gateway logs together."""

    sessions: dict[str, list[Record]]
    gateway: list[Record]


class Node(NamedTuple):
    """A line and what hangs below it."""

    text: str
    children: list[Node]


def draw(story: Story, session: str) -> list[str]:
    """The lines of the tree of one session."""
    return _lines(session_node(story, session, depth=0))


def session_node(story: Story, session: str, *, depth: int, parent: str | None = None) -> Node:
    """One session; with `parent`, only what it did while that action was its context."""
    records = story.sessions.get(session, [])
    opened = next((record for record in records if record.get("type") == "session.opened"), {})
    if parent is not None:
        records = _within(records, parent, opened)
    children = [] if parent is not None else _about(opened)
    children += (
        _prompts(records)
        + _tool_calls(story, session, depth)
        + _programs(records)
        + _denials(records, story.gateway, session)
    )
    children += _approvals(records) + _groups(records) + _ending(records)
    return Node(_session_title(session, opened), children)


def _session_title(session: str, opened: Record) -> str:
    command = [text_of(word) for word in opened.get("command") or []]
    return f"session {printable(session)}  {shell_words(command, 120)}".rstrip()


def _about(opened: Record) -> list[Node]:
    agent = opened.get("agent")
    name = agent.get("name") if isinstance(agent, dict) else agent
    shown = [
        ("agent", name or "none named"),
        ("human", opened.get("human")),
        ("workspace", _path(opened.get("workspace"))),
    ]
    shown += [("policy", ", ".join(map(_layer_name, opened.get("layers") or []))), ("opened", opened.get("time"))]
    return [Node(f"{label}: {printable(str(value))}", []) for label, value in shown if value]


def _layer_name(layer: object) -> str:
    return str(layer.get("name")) if isinstance(layer, dict) else str(layer)


def _prompts(records: list[Record]) -> list[Node]:
    found = [record for record in records if record.get("type") == "prompt.seen"]
    return [Node(_prompt(record), []) for record in found[:SHOWN_MAX]]


def _prompt(record: Record) -> str:
    size, source = record.get("bytes"), printable(str(record.get("source")))
    return f"prompt {printable(str(record.get('digest'))[:23])}… ({size} bytes, by {source})"


def _tool_calls(story: Story, session: str, depth: int) -> list[Node]:
    if depth >= _DEPTH_MAX:
        return []
    nodes = []
    for record in story.gateway:
        if record.get("type") == "action.decided" and _subject(record).get("session") == session:
            nodes.append(_tool_call(story, record, depth))
    return _limited(nodes, "tool calls")


def _tool_call(story: Story, record: Record, depth: int) -> Node:
    action = record["action"]
    identity = action.get("id")
    decision = record.get("decision") or {}
    effect = next((r for r in story.gateway if r.get("type") == "action.enacted" and r.get("action") == identity), None)
    outcome = f", {effect.get('effect')}" if effect else ""
    text = f"{words.act(action)}: {_answer(decision)}{printable(outcome)}"
    prompt = record.get("prompt")
    children = [Node(f"prompt {printable(str(prompt))}", [])] if prompt else []
    children += [
        Node(f"asked: {printable(str(r.get('answer')))} by {printable(str(r.get('approver')))}", [])
        for r in story.gateway
        if r.get("type") == "approval.answered" and r.get("action") == identity
    ]
    for other, records in story.sessions.items():
        if any(_parent_of(r) == identity for r in records):
            children.append(session_node(story, other, depth=depth + 1, parent=identity))
    return Node(text, children)


def _within(records: list[Record], parent: str, opened: Record) -> list[Record]:
    """The records made while `parent` was the context: by their own parent, else by the context in force."""
    context = _parent_of(opened)
    kept = []
    for record in records:
        if record.get("type") == "context.changed":
            context = _parent_of(record)
        own = _parent_of(record) if record.get("type") == "action.decided" else None
        if (own or context) == parent:
            kept.append(record)
    return kept


def _parent_of(record: Record) -> str | None:
    parent = record.get("parent")
    if isinstance(parent, dict):
        parent = parent.get("action")
    return parent if isinstance(parent, str) else None


def _programs(records: list[Record]) -> list[Node]:
    """Executions, each below the program that started it."""
    started: dict[str, Counter[str]] = {}
    for record in records:
        action = record.get("action")
        if (
            record.get("type") != "action.decided"
            or not isinstance(action, dict)
            or action.get("verb") != "process.exec"
        ):
            continue
        process = _subject(record).get("process")
        starter = _path(process.get("program")) if isinstance(process, dict) else ""
        text = f"{words.act(action).partition(' ')[2]}: {_answer(record.get('decision') or {})}"
        if not starter or starter.endswith("/interlock-supervisor"):
            starter = "the session"
        started.setdefault(starter, Counter())[text] += 1
    if not started:
        return []
    nodes = [
        Node(
            f"by {starter}", _limited([Node(f"{text}{_times(count)}", []) for text, count in found.items()], "programs")
        )
        for starter, found in started.items()
    ]
    return [Node(f"programs started ({sum(found.total() for found in started.values())})", _limited(nodes, "starters"))]


def _denials(records: list[Record], gateway: list[Record], session: str) -> list[Node]:
    denied = [
        r for r in records if r.get("type") == "action.decided" and (r.get("decision") or {}).get("decision") == "deny"
    ]
    races = [r for r in records if r.get("type") == "race.lost"]
    refused = [r for r in records if r.get("type") == "call.refused"]
    if not denied and not races and not refused:
        return []
    counted: Counter[str] = Counter()
    for record in denied:
        decision = record.get("decision") or {}
        because = printable(str(decision.get("because") or ""))
        counted[f"{words.act(record.get('action'))}  ({_rules(decision)}: {because})"] += 1
    for record in refused:
        counted[
            f"call {printable(str(record.get('call')))}  (guard/built-in: {printable(str(record.get('because')))})"
        ] += 1
    nodes = [Node(f"{text}{_times(count)}", []) for text, count in counted.items()]
    nodes += [Node(f"race lost, killed: {words.act(r.get('action'))}", []) for r in races]
    return [Node(f"denied ({len(denied) + len(refused) + len(races)})", nodes)]


def _approvals(records: list[Record]) -> list[Node]:
    asked = {r.get("action"): r for r in records if r.get("type") == "approval.asked"}
    answered = {r.get("action"): r for r in records if r.get("type") == "approval.answered"}
    decided = {(r.get("action") or {}).get("id"): r.get("action") for r in records if r.get("type") == "action.decided"}
    nodes = []
    for identity in asked:
        answer = answered.get(identity, {})
        by = f" by {printable(str(answer['approver']))}" if answer.get("approver") else ""
        what = words.act(decided[identity]) if identity in decided else printable(str(identity))
        nodes.append(Node(f"{what}: {printable(str(answer.get('answer', 'no answer')))}{by}", []))
    return [Node(f"asked ({len(nodes)})", nodes)] if nodes else []


def _groups(records: list[Record]) -> list[Node]:
    """Everything else that was allowed: changes by verb and directory, routine acts by verb."""
    changes: Counter[str] = Counter()
    for record in records:
        action, said = record.get("action"), (record.get("decision") or {}).get("decision")
        if record.get("type") != "action.decided" or not isinstance(action, dict) or said in ("approve", "deny"):
            continue
        if action.get("verb") not in ("process.exec", "tool.call"):
            changes[f"{printable(str(action.get('verb')))} {_place(action)}"] += 1
    for record in records:
        if record.get("type") == "routine":
            for count in record.get("counts") or []:
                if count.get("decision") != "deny":
                    changes[f"{printable(str(count.get('verb')))} ({printable(str(count.get('rule')))})"] += int(
                        count.get("count") or 0
                    )
    nodes = [Node(f"{text}{_times(count)}", []) for text, count in changes.most_common()]
    return [Node(f"system calls allowed ({sum(changes.values())})", _limited(nodes, "groups"))] if nodes else []


def _ending(records: list[Record]) -> list[Node]:
    closed = next((r for r in records if r.get("type") == "session.closed"), None)
    lost = sum(int(r.get("lost") or 0) for r in records if r.get("type") == "gap")
    nodes = [Node(f"records lost: {lost}", [])] if lost else []
    if closed is None:
        return nodes
    nodes += _runs_later(closed)
    return [
        *nodes,
        Node(f"closed: {printable(str(closed.get('reason')))}{_status(closed.get('status'))}", []),
    ]


def _runs_later(closed: Record) -> list[Node]:
    from interlock.cli.changes import runner_of
    from interlock.vocabulary.changes import changes_of

    found = changes_of(closed)
    shown = found.items[:SHOWN_MAX]
    nodes = [Node(f"{_path(item.path)} ({printable(runner_of(item.kind))})", []) for item in shown]
    if found.number > len(nodes):
        nodes.append(Node(f"and {found.number - len(nodes)} more: interlock session changes", []))
    return [Node(f"would run later outside ({found.number})", nodes)] if nodes else []


def _status(status: object) -> str:
    if not isinstance(status, dict):
        return f", status {printable(str(status))}" if status is not None else ""
    return f", signal {status['signal']}" if status.get("signal") else f", status {printable(str(status.get('code')))}"


def _place(action: Record) -> str:
    target = action.get("target") or {}
    if "path" in target:
        directory, _, _ = text_of(target["path"]).rpartition("/")
        return printable(f"{directory or ''}/")
    return words.act(action).partition(" ")[2]


def _answer(decision: Record) -> str:
    return f"{printable(str(decision.get('decision')))} ({_rules(decision)})"


def _rules(decision: Record) -> str:
    return printable(", ".join(map(str, decision.get("rules") or []))) or "no rule"


def _subject(record: Record) -> Record:
    action = record.get("action")
    subject = action.get("subject") if isinstance(action, dict) else None
    return subject if isinstance(subject, dict) else {}


def _path(value: object) -> str:
    return printable(text_of(value)) if value is not None else ""


def _times(count: int) -> str:
    return f"  ×{count}" if count > 1 else ""


def _limited(nodes: list[Node], what: str) -> list[Node]:
    if len(nodes) <= SHOWN_MAX:
        return nodes
    return [*nodes[:SHOWN_MAX], Node(f"… and {len(nodes) - SHOWN_MAX} more {what}", [])]


def _lines(node: Node, first: str = "", rest: str = "") -> list[str]:
    lines = [f"{first}{node.text}"]
    for number, child in enumerate(node.children):
        last = number == len(node.children) - 1
        lines += _lines(child, f"{rest}{'└─ ' if last else '├─ '}", f"{rest}{'   ' if last else '│  '}")
    return lines
