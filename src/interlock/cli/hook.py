"""`interlock hook`: hand an agent's hook event (JSON on standard input) to the gateway, so that the prompt stands above
the tool calls that follow. It decides nothing and never holds the agent up: without a gateway it says so and succeeds.
"""

from __future__ import annotations

import argparse
import os
import sys

SUMMARY = "hand an agent's hook event to the gateway: the prompt above its tool calls"
_EPILOG = """\
In Claude Code's settings, for a session started by `interlock run --agent NAME`:
  {"hooks": {"UserPromptSubmit": [{"hooks": [{"type": "command", "command": "interlock hook"}]}]}}

Only the prompt's digest and size are recorded. It is the agent's own word (asserted), never a proof."""
EVENT_BYTES_MAX = 1024 * 1024
WAIT_SECONDS_MAX = 5


def configure(parser: argparse.ArgumentParser) -> None:
    """No options: everything comes from the environment of the session."""
    parser.epilog = _EPILOG


def run(arguments: argparse.Namespace) -> int:
    """Send the event. 0 also where nobody takes it: a hook that fails would hold the agent up."""
    from interlock.cli.failure import say

    url, token = os.environ.get("INTERLOCK_GATEWAY_URL"), os.environ.get("INTERLOCK_TOKEN")
    event = sys.stdin.buffer.read(EVENT_BYTES_MAX)
    if not url or not token:
        say("this is not an agent's session, so the prompt is not recorded; start it with: interlock run --agent NAME")
        return 0
    problem = _send(url, token, event)
    if problem is not None:
        say(f"the prompt was not recorded: {problem}")
    return 0


def _send(url: str, token: str, event: bytes) -> str | None:
    """What went wrong, or None."""
    import http.client
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        return f"INTERLOCK_GATEWAY_URL is `{url}`"
    connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=WAIT_SECONDS_MAX)
    try:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        connection.request("POST", "/hook", body=event, headers=headers)
        answer = connection.getresponse()
        return None if answer.status == 200 else f"the gateway answered {answer.status}"
    except OSError as error:
        return str(error)
    finally:
        connection.close()
