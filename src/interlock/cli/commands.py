"""The table of commands: name → (module, summary). Static, so that help, completion and start-up import no command.

A command module has `SUMMARY: str`, `configure(parser)` and `run(arguments) -> int`; a test holds its summary to
this table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import argparse


class Command(Protocol):
    """What a command module gives."""

    SUMMARY: str

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Do it, and return the exit status."""


COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "run": ("interlock.cli.run", "run a command and everything it starts under a policy"),
    "shell": ("interlock.cli.shell", "run your shell under a policy"),
    "why": ("interlock.cli.why", "explain the latest denials, inside a session or after it"),
    "allow": ("interlock.cli.allow", "allow what was denied from now on: one rule, shown before it is written"),
    "approvals": ("interlock.cli.approvals", "list, show and answer the questions that wait for a human"),
    "session": (
        "interlock.cli.session",
        "list sessions, draw one as a tree, end one; what one changed, and as it was before",
    ),
    "doctor": ("interlock.cli.doctor", "exercise each mechanism and say what is enforced on this machine"),
    "container-profile": (
        "interlock.cli.container_profile",
        "print a seccomp profile with which Interlock starts in a container",
    ),
    "policy": ("interlock.cli.policy", "check, explain, test and ask a policy"),
    "ledger": ("interlock.cli.ledger", "read, verify and export the record"),
    "gateway": ("interlock.cli.gateway", "serve the MCP gateway"),
    "mcp": ("interlock.cli.mcp", "wrap one MCP server for a client that starts it over stdio"),
    "connector": ("interlock.cli.connector", "add, list, remove and test the tools behind the gateway"),
    "risk": ("interlock.cli.risk", "explain the score of a recorded call"),
    "agent": ("interlock.cli.agent", "add, list and revoke agents and their tokens"),
    "hook": ("interlock.cli.hook", "hand an agent's hook event to the gateway: the prompt above its tool calls"),
    "completion": ("interlock.cli.completion", "print a completion script for bash, zsh or fish"),
    "man": ("interlock.cli.man", "print the manual page"),
}


def load(name: str) -> Command:
    """Import the module of one command. Raises `KeyError` for a name outside the table."""
    import importlib
    from typing import cast

    return cast("Command", importlib.import_module(COMMANDS[name][0]))
