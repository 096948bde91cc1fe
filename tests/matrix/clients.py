"""The clients of the table. Each plays an errand: list the tools, make these calls in this order, and say what came back."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from examples.agents.drive import PACKAGES, NotInstallable, Tools, install, prepare
from examples.agents.model import Call, Say, ScriptedModel

from tests.matrix.packages import HERE, Environment, NotInstalled, installed, npm, python

DRIVERS = Path(__file__).parent / "drivers"
ERRAND_S_MAX = 240
#: What an agent's model is offered has the server's name before the tool's.
SERVER = "tools"


@dataclass(frozen=True)
class Errand:
    """What a client is to do."""

    url: str
    token: str
    calls: list[tuple[str, dict[str, Any]]]
    home: Path


@dataclass(frozen=True)
class Answer:
    """What came back of one call. `error`: the client was told that it is one; None where the client's output does not say."""

    text: str
    error: bool | None


@dataclass(frozen=True)
class Seen:
    """What a client saw: names of tools, an answer for each call, steps of progress; None where it has no such thing."""

    tools: list[str]
    answers: list[Answer]
    steps: list[float] | None


@dataclass(frozen=True)
class Client:
    """One row."""

    name: str
    environments: tuple[Environment, ...]
    play: Callable[[Errand], Seen]
    versions: str = ""

    @property
    def label(self) -> str:
        """The row's name in the table."""
        pins = self.versions or ", ".join(pin for each in self.environments for pin in each.pins)
        return f"{self.name} ({pins})"

    def install(self) -> None:
        """Raises `NotInstalled`."""
        for environment in self.environments:
            installed(environment)


def _run(command: list[str], errand: Errand, said: str = "", *, any_status: bool = False, **variables: str) -> str:
    """A program's standard output. It has a home of its own and nothing of the tests' environment."""
    errand.home.mkdir(exist_ok=True)
    node = os.path.dirname(shutil.which("node") or "/usr/bin/node")
    environment = {"PATH": f"{node}:/usr/local/bin:/usr/bin:/bin", "HOME": str(errand.home), "LANG": "C.UTF-8", **variables}
    done = subprocess.run(
        command, input=said, capture_output=True, text=True, errors="replace", timeout=ERRAND_S_MAX, env=environment, cwd=errand.home
    )
    if done.returncode and not (any_status and done.stdout):
        raise AssertionError(f"it ended with {done.returncode}: {_complaint(done.stderr or done.stdout)}")
    return done.stdout


def _complaint(text: str) -> str:
    """What of a program's errors tells why: its last line that has something to say."""
    lines = [line.strip(" |+-") for line in text.splitlines() if "Error" in line or "error" in line]
    return (lines or text.strip().splitlines() or ["it said nothing"])[-1]


def _driven(program: list[str], errand: Errand, **more: Any) -> Seen:
    """A driver of `drivers/`: the errand on its standard input, what it saw on its standard output."""
    said = {"url": errand.url, "token": errand.token, "calls": errand.calls, **more}
    found = json.loads(_run(program, errand, json.dumps(said)).splitlines()[-1])
    answers = [Answer(each["text"], each["error"]) for each in found["answers"]]
    return Seen(found["tools"], answers, found.get("steps"))


def _python(environment: Environment, driver: str, errand: Errand, **more: Any) -> Seen:
    return _driven([environment.program("python"), str(DRIVERS / driver)], errand, **more)


def _typescript(environment: Environment, driver: str, errand: Errand, **more: Any) -> Seen:
    return _driven(["node", str(DRIVERS / driver), str(environment.place)], errand, **more)


def _bridged(bridge: Callable[[Errand], list[str]], errand: Errand) -> Seen:
    """A bridge from stdio to HTTP, spoken to by the official SDK for Python."""
    return _python(python("official"), "official.py", errand, command=bridge(errand), era="legacy")


def _mcp_remote(errand: Errand) -> list[str]:
    words = [errand.url, "--allow-http", "--transport", "http-only", "--header", f"Authorization: Bearer {errand.token}"]
    return ["node", npm("mcp-remote").program("mcp-remote"), *words]


def _mcp_proxy(errand: Errand) -> list[str]:
    words = ["--transport", "streamablehttp", "--headers", "Authorization", f"Bearer {errand.token}", errand.url]
    return [python("mcp-proxy").program("mcp-proxy"), *words]


def _fastmcp_proxy(errand: Errand) -> list[str]:
    own = [f"MATRIX_URL={errand.url}", f"MATRIX_TOKEN={errand.token}"]
    return ["env", *own, python("fastmcp").program("python"), str(DRIVERS / "fastmcp_proxy.py")]


def _inspector(errand: Errand, *, era: str) -> Seen:
    """One process for each request: its command line does one thing and ends, with a status of its own where a tool says that it failed."""
    environment = npm("inspector")
    own = [environment.program("node"), environment.program("mcp-inspector"), "--cli", errand.url, "--format", "json"]
    own += ["--transport", "http", "--protocol-era", era, "--header", f"Authorization: Bearer {errand.token}"]
    listed = json.loads(_run([*own, "--method", "tools/list"], errand))["result"]
    answers = []
    for name, arguments in errand.calls:
        words = ["--method", "tools/call", "--tool-name", name, "--tool-args-json", json.dumps(arguments)]
        answer = json.loads(_run([*own, *words], errand, any_status=True))["result"]
        answers.append(Answer("\n".join(part.get("text", "") for part in answer["content"]), bool(answer.get("isError"))))
    return Seen([tool["name"] for tool in listed["tools"]], answers, None)


def _agent(name: str, errand: Errand) -> Seen:
    """A coding agent whose model is a script that makes these calls."""
    errand.home.mkdir(exist_ok=True)
    program = install(name, Path(os.environ.get("INTERLOCK_TEST_AGENTS", "/var/tmp/interlock-test-agents")))
    called = {"codex": lambda tool: re.sub(r"[^a-zA-Z0-9_]", "_", tool)}.get(name, str)  # it names tools so towards its model
    calls = [Call(SERVER, called(tool), arguments) for tool, arguments in errand.calls]
    with ScriptedModel([*calls, Say("done")]) as model:
        prepared = prepare(name, program, errand.home, model.url, "do the task", Tools(SERVER, errand.url))
        _run(prepared.command, errand, INTERLOCK_TOKEN=errand.token, **prepared.environment)
        tools = [each.removeprefix(f"mcp__{SERVER}__") for each in sorted(model.offered)]
        return Seen(tools, [Answer(text, None) for text in model.results], None)


def _install_agent(name: str) -> None:
    try:
        install(name, Path(os.environ.get("INTERLOCK_TEST_AGENTS", "/var/tmp/interlock-test-agents")))
    except NotInstallable as why:
        raise NotInstalled(str(why)) from why


class Agent(Client):
    """A coding agent, installed where `tests/agents` has it."""

    def install(self) -> None:
        """See `Client`."""
        _install_agent(self.name)


MODERN = "2026-07-28"
OFFICIAL, FASTMCP = python("official"), python("fastmcp")


def _clients() -> list[Client]:
    part = functools.partial
    old, new = npm("typescript-older"), npm("typescript")
    bridges = [("mcp-remote", npm("mcp-remote"), _mcp_remote), ("mcp-proxy", python("mcp-proxy"), _mcp_proxy)]
    bridges.append(("fastmcp proxy", FASTMCP, _fastmcp_proxy))
    return [
        Client("Python SDK, legacy", (OFFICIAL,), part(_python, OFFICIAL, "official.py", era="legacy")),
        Client(f"Python SDK, {MODERN}", (OFFICIAL,), part(_python, OFFICIAL, "official.py", era=MODERN)),
        Client("TypeScript SDK 1, legacy", (old,), part(_typescript, old, "typescript_older.mjs", era="legacy")),
        Client("TypeScript SDK 1, SSE", (old,), part(_typescript, old, "typescript_older.mjs", era="sse")),
        Client("TypeScript SDK 2, legacy", (new,), part(_typescript, new, "typescript.mjs", era="legacy")),
        Client(f"TypeScript SDK 2, {MODERN}", (new,), part(_typescript, new, "typescript.mjs", era=MODERN)),
        *(Client(f"Inspector, {era}", (npm("inspector"),), part(_inspector, era=era)) for era in ("legacy", "modern")),
        *(Agent(name, (), part(_agent, name), versions=PACKAGES[name]) for name in ("claude", "codex")),
        *(Client(name, (own, OFFICIAL), part(_bridged, bridge), versions=own.pins[0]) for name, own, bridge in bridges),
        Client("fastmcp client", (FASTMCP,), part(_python, FASTMCP, "fastmcp_client.py")),
        Client("LangChain adapters", (python("langchain"),), part(_python, python("langchain"), "langchain.py")),
        Client("OpenAI Agents SDK", (python("openai-agents"),), part(_python, python("openai-agents"), "openai_agents.py")),
    ]


CLIENTS = _clients()
#: What every machine with the tests has: the quick part of the table.
QUICK_CLIENTS = [
    Client(f"Python SDK, {era}", (HERE,), functools.partial(_python, HERE, "official.py", era=era)) for era in ("legacy", MODERN)
]
