"""Draws one session as a tree: agent and prompt, tool calls and the server sessions they reached, system calls
grouped, denials in full, approvals, programs by who started them. Pure: events in, lines out.

Joined by ids only (parent of a session, of a context, of an action), never by time.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from interlock.vocabulary import words
from interlock.vocabulary.json_value import is_object, list_at, number_at, object_at
from interlock.vocabulary.printable import printable, shell_words, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from interlock.ledger.event import Event
    from interlock.vocabulary.json_value import JsonObject

#: Groups, programs and sessions shown of each kind; what is left out is counted.
SHOWN_MAX: Final = 40
_DEPTH_MAX: Final = 8


class Story(NamedTuple):
    """What a tree is drawn from: the events of each session by its id, and of all gateway logs together."""

    sessions: dict[str, list[Event]]
    gateway: list[Event]


class Node(NamedTuple):
    """A line and what hangs below it."""

    text: str
    children: list[Node]


def draw(story: Story, session: str) -> list[str]:
    """The lines of the tree of one session."""
    return _lines(session_node(story, session, depth=0))


def session_node(story: Story, session: str, *, depth: int, parent: str | None = None) -> Node:
    """One session; with `parent`, only what it did while that action was its context."""
    events = story.sessions.get(session, [])
    opened = next((event for event in events if event.type == "session.opened"), None)
    if parent is not None:
        events = _within(events, parent, opened)
    children = [] if parent is not None or opened is None else _about(opened)
    children += _prompts(events) + _tool_calls(story, session, depth) + _programs(events) + _denials(events)
    children += _approvals(events) + _groups(events) + _ending(events)
    return Node(_session_title(session, opened), children)


def _session_title(session: str, opened: Event | None) -> str:
    command = list(opened.command) if opened is not None else []
    return f"session {printable(session)}  {shell_words(command, 120)}".rstrip()


def _about(opened: Event) -> list[Node]:
    shown = [
        ("agent", opened.agent or "none named"),
        ("human", opened.text("human")),
        ("workspace", opened.workspace),
        ("policy", ", ".join(opened.layers)),
        ("opened", opened.time),
    ]
    return [Node(f"{label}: {printable(value)}", []) for label, value in shown if value]


def _prompts(events: list[Event]) -> list[Node]:
    found = [event for event in events if event.type == "prompt.seen"]
    return [Node(_prompt(event), []) for event in found[:SHOWN_MAX]]


def _prompt(event: Event) -> str:
    digest, source = printable(event.text("digest")[:23]), printable(event.text("source"))
    return f"prompt {digest}… ({event.count('bytes')} bytes, by {source})"


def _tool_calls(story: Story, session: str, depth: int) -> list[Node]:
    if depth >= _DEPTH_MAX:
        return []
    called = [event for event in story.gateway if event.is_decision and event.subject.get("session") == session]
    return _limited([_tool_call(story, event, depth) for event in called], "tool calls")


def _tool_call(story: Story, call: Event, depth: int) -> Node:
    of_it = [event for event in story.gateway if event.action_id == call.action_id]
    ended = next((event.text("effect") for event in of_it if event.type == "action.enacted"), None)
    outcome = f", {printable(ended)}" if ended else ""
    prompt = call.text("prompt")
    children = [Node(f"prompt {printable(prompt)}", [])] if prompt else []
    children += [
        Node(f"asked: {printable(event.text('answer'))}{_by(event)}", [])
        for event in of_it
        if event.type == "approval.answered"
    ]
    for other, events in story.sessions.items():
        if call.action_id is not None and any(event.parent == call.action_id for event in events):
            children.append(session_node(story, other, depth=depth + 1, parent=call.action_id))
    return Node(f"{words.act(call.action)}: {_answer(call)}{outcome}", children)


def _by(answered: Event) -> str:
    approver = answered.document.get("approver")
    return f" by {printable(str(approver))}" if approver else ""


def _within(events: list[Event], parent: str, opened: Event | None) -> list[Event]:
    """What happened while `parent` was the context: by an event's own parent, else by the context in force."""
    context = opened.parent if opened is not None else None
    kept = []
    for event in events:
        if event.type == "context.changed":
            context = event.parent
        own = event.parent if event.is_decision else None
        if (own or context) == parent:
            kept.append(event)
    return kept


def _programs(events: list[Event]) -> list[Node]:
    """Executions, each below the program that started it."""
    started: dict[str, Counter[str]] = {}
    for event in events:
        if event.is_decision and event.verb == "process.exec":
            text = f"{words.act(event.action).partition(' ')[2]}: {_answer(event)}"
            started.setdefault(_starter(event), Counter())[text] += 1
    if not started:
        return []
    nodes = [Node(f"by {starter}", _limited(_counted(found.items()), "programs")) for starter, found in started.items()]
    return [Node(f"programs started ({sum(found.total() for found in started.values())})", _limited(nodes, "starters"))]


def _starter(event: Event) -> str:
    starter = _path(object_at(event.subject, "process").get("program"))
    return "the session" if not starter or starter.endswith("/interlock-supervisor") else starter


def _denials(events: list[Event]) -> list[Node]:
    counted: Counter[str] = Counter()
    for event in events:
        because = printable(event.because or "")
        if event.type == "call.refused":
            counted[f"call {printable(event.text('call'))}  (guard/built-in: {because})"] += 1
        elif event.is_denial:
            counted[f"{words.act(event.action)}  ({_rules(event)}: {because})"] += 1
    races = [event for event in events if event.type == "race.lost"]
    nodes = _counted(counted.items())
    nodes += [Node(f"race lost, killed: {words.act(event.action)}", []) for event in races]
    return [Node(f"denied ({counted.total() + len(races)})", nodes)] if nodes else []


def _approvals(events: list[Event]) -> list[Node]:
    asked = dict.fromkeys(event.action_id for event in events if event.type == "approval.asked")
    answered = {event.action_id: event for event in events if event.type == "approval.answered"}
    decided = {event.action_id: event.action for event in events if event.is_decision}
    nodes = []
    for identity in asked:
        what = words.act(decided[identity]) if identity in decided else printable(str(identity))
        answer = answered.get(identity)
        said = f"{printable(answer.text('answer'))}{_by(answer)}" if answer is not None else "no answer"
        nodes.append(Node(f"{what}: {said}", []))
    return [Node(f"asked ({len(nodes)})", nodes)] if nodes else []


def _groups(events: list[Event]) -> list[Node]:
    """Everything else that was allowed: changes by verb and directory, routine acts by verb."""
    changes: Counter[str] = Counter()
    for event in events:
        is_other = event.verb not in ("process.exec", "tool.call")
        if event.is_decision and event.says not in ("approve", "deny") and is_other:
            changes[f"{printable(event.verb)} {_place(event.action)}"] += 1
        elif event.type == "routine":
            for each in filter(is_object, list_at(event.document, "counts")):
                if each.get("decision") != "deny":
                    name = f"{printable(str(each.get('verb')))} ({printable(str(each.get('rule')))})"
                    changes[name] += number_at(each, "count") or 0
    nodes = _counted(changes.most_common())
    return [Node(f"system calls allowed ({changes.total()})", _limited(nodes, "groups"))] if nodes else []


def _ending(events: list[Event]) -> list[Node]:
    lost = sum(event.count("lost") for event in events if event.type == "gap")
    nodes = [Node(f"records lost: {lost}", [])] if lost else []
    closed = next((event for event in events if event.type == "session.closed"), None)
    if closed is None:
        return nodes
    end = f"closed: {printable(closed.text('reason'))}{_status(closed.document.get('status'))}"
    return [*nodes, *_runs_later(closed), Node(end, [])]


def _runs_later(closed: Event) -> list[Node]:
    from interlock.policy.runs_later import runner_of
    from interlock.vocabulary.changes import changes_of

    found = changes_of(closed.document)
    shown = found.items[:SHOWN_MAX]
    nodes = [Node(f"{_path(item.path)} ({printable(runner_of(item.kind))})", []) for item in shown]
    if found.number > len(nodes):
        nodes.append(Node(f"and {found.number - len(nodes)} more: interlock session changes", []))
    return [Node(f"would run later outside ({found.number})", nodes)] if nodes else []


def _status(status: object) -> str:
    if not isinstance(status, dict):
        return f", status {printable(str(status))}" if status is not None else ""
    return f", signal {status['signal']}" if status.get("signal") else f", status {printable(str(status.get('code')))}"


def _place(action: JsonObject) -> str:
    target = object_at(action, "target")
    if "path" in target:
        directory, _, _ = text_of(target["path"]).rpartition("/")
        return printable(f"{directory or ''}/")
    return words.act(action).partition(" ")[2]


def _answer(event: Event) -> str:
    return f"{printable(str(event.says))} ({_rules(event)})"


def _rules(event: Event) -> str:
    return printable(", ".join(event.rules)) or "no rule"


def _counted(found: Iterable[tuple[str, int]]) -> list[Node]:
    """A line each, with how often it happened."""
    return [Node(f"{text}{_times(count)}", []) for text, count in found]


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
