"""Every key of the language in one table: what it takes, on which verbs, whether anything enforces it yet.

The parser, the editor schema and the reference page are made from this table, so that they cannot disagree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from interlock.policy.language import TAKES

DECISIONS: Final = ("allow", "deny", "approve", "steer")


@dataclass(frozen=True, slots=True)
class Field:
    """One key: `kind` names its parser, `meaning` is one line for people, `later` says it is known and not enforced
    yet."""

    kind: str
    meaning: str
    later: bool = False
    decisions: tuple[str, ...] = DECISIONS


TOP: Final[dict[str, Field]] = {
    "interlock": Field("version", "version of the language: 1"),
    "name": Field("name", "the layer's name: lowercase letters, digits and `-`"),
    "description": Field("text", "what the layer is for"),
    "workspace": Field("folder", "the one workspace that this layer is for (an absolute path); an error in another"),
    "closed": Field("flag", "`true`: what no rule of this layer allows is denied, whatever other layers say"),
    "variables": Field("variables", "names for texts, used as `${name}`"),
    "sets": Field("sets", "names for lists of patterns or addresses, used as `@name`"),
    "rules": Field("rules", "the rules, in any order"),
    "rego": Field("rego", "Rego modules and OPA servers that are asked about each call at the gateway"),
    "risk": Field("risk", "how calls at the gateway are scored"),
    "labels": Field("labels", "what the results of tools are: trusted or not; public, private or secret"),
    "flows": Field("flows", "what may not get from which sources to which sinks, and what lifts that"),
    "environment": Field("later", "environment variables", later=True),
    "limits": Field("later", "resource limits", later=True),
    "for": Field("later", "a task's duration", later=True),
    "calls": Field("later", "a task's number of calls", later=True),
}

RULE: Final[dict[str, Field]] = {
    "id": Field("name", "the rule's name, unique in the layer; decisions and records cite it"),
    "because": Field("text", "why, in words for the person and the agent"),
    "path": Field(TAKES["path"], "paths, as the kernel resolved them"),
    "except": Field(TAKES["except"], "paths that `path` shall not cover"),
    "except_within": Field(
        TAKES["except_within"],
        "folders in which what a `**/` of `path` matches does not begin",
        decisions=("deny", "approve"),
    ),
    "keys": Field(TAKES["keys"], "keys of a structured file that an act would change", decisions=("deny", "approve")),
    "address": Field(TAKES["address"], "IP addresses, networks (CIDR) or sets of them"),
    "host": Field(
        TAKES["host"], "names that were asked for: `example.com`, `*.example.com`, `**.example.com`, `@sets`"
    ),
    "private": Field(
        TAKES["private"], "`true`: these names may lead to private addresses", decisions=("allow", "approve")
    ),
    "port": Field(TAKES["port"], "a port, a range `8000-8999`, or a list"),
    "user": Field(TAKES["user"], "who would be logged in with the key"),
    "protocol": Field(TAKES["protocol"], "`tcp`, `udp` or both"),
    "to": Field(TAKES["to"], "`inside` (of this session) or `outside`; on `steer`, what is done instead"),
    "signal": Field(TAKES["signal"], "signal names"),
    "command": Field(TAKES["command"], "program, words and flags of a command line"),
    "connector": Field(TAKES["connector"], "connectors of the gateway"),
    "tool": Field(TAKES["tool"], "tools, by name"),
    "operation": Field(TAKES["operation"], "operation classes of tools"),
    "arguments": Field(TAKES["arguments"], "conditions on a tool call's arguments"),
    "answers": Field(TAKES["answers"], "conditions on what a client answers to a server's questions"),
    "sql": Field(TAKES["sql"], "what the statement of a SQL connector does"),
    "timeout": Field("duration", "how long to wait for a human", decisions=("approve",)),
    "record": Field("record", "how surely it is recorded before it happens", decisions=("allow", "approve")),
    "when": Field(
        "when",
        "`{origin: session}`: what the session made; `{history: tracked}`: what the repository had there before; "
        "`{risk: {at_least: 60}}`: calls scored so high; `{labels: {context: [untrusted]}}`: what the agent has read",
    ),
    "mask": Field(
        "mask",
        "`credentials`: a configuration is read without its tokens and passwords, or not at all",
        decisions=("allow",),
    ),
    "unless_allowed": Field(
        "flag",
        "`true`, on `net.*` and `key.use`: asks only about what no rule of any layer lets through",
        decisions=("approve",),
    ),
    "best_effort": Field("flag", "`true`: where it is not enforced fully, sessions start and say PARTIAL"),
    "limit": Field("later", "an obligation to limit", later=True),
    "inject": Field("later", "an obligation to inject", later=True),
    "quorum": Field("later", "several approvers", later=True),
    "for": Field("later", "a task's duration", later=True),
    "calls": Field("later", "a task's number of calls", later=True),
}

#: What to do instead, for what is known and not enforced yet.
INSTEAD: Final[dict[str, str]] = {
    "quorum": "one approver answers; leave `quorum` out",
    "limit": "leave it out; nothing would limit yet",
    "inject": "leave it out; the connector's own configuration carries credentials",
    "environment": "start the command with a clean environment: env -u NAME interlock run …",
    "limits": "use ulimit or a cgroup around `interlock run`",
    "for": "leave it out; a task layer that expires comes with delegation",
    "calls": "leave it out; a task layer that expires comes with delegation",
}

NAME: Final = r"[a-z0-9][a-z0-9-]*"
NAME_CHARACTERS_MAX: Final = 100
TEXT_CHARACTERS_MAX: Final = 1_000
#: PATH_MAX of limits.h.
FOLDER_CHARACTERS_MAX: Final = 4_096
TIMEOUT_MS_DEFAULT: Final = 120_000
TIMEOUT_MS_MAX: Final = 24 * 3_600_000
