"""Commands that fetch a package, taken apart: each form that is known, and a refusal for each that is not."""

from __future__ import annotations

import pytest

from interlock.app.package_command import wanted_of
from interlock.vocabulary.errors import OperatorError


@pytest.mark.parametrize(("command", "source", "asked", "program", "arguments"), [
    ("npx -y @a/b /x", "npm", "@a/b", None, ("/x",)),
    ("npx b@1.2.3 --flag -y", "npm", "b@1.2.3", None, ("--flag", "-y")),
    ("/usr/bin/npx --yes --package=@a/b@latest tool x", "npm", "@a/b@latest", "tool", ("x",)),
    ("npx -p b tool", "npm", "b", "tool", ()),
    ("npx -y b -- --deep", "npm", "b", None, ("--deep",)),
    ("npm exec -y -- b x", "npm", "b", None, ("x",)),
    ("pnpm dlx b", "npm", "b", None, ()),
    ("bunx b", "npm", "b", None, ()),
    ("uvx b", "pypi", "b", None, ()),
    ("uvx b@1.0 x", "pypi", "b==1.0", None, ("x",)),
    ("uvx b@latest", "pypi", "b", None, ()),
    ("uvx --from b[extra]>=2,<3 tool x", "pypi", "b[extra]>=2,<3", "tool", ("x",)),
    ("uv tool run b", "pypi", "b", None, ()),
    ("pipx run --spec b tool", "pypi", "b", "tool", ()),
])  # fmt: skip
def test_what_is_known(command: str, source: str, asked: str, program: str | None, arguments: tuple[str, ...]) -> None:
    found = wanted_of(command.split())
    assert found is not None
    assert (found.source, found.asked, found.program, found.arguments) == (source, asked, program, arguments)
    assert asked.startswith(found.name)


@pytest.mark.parametrize("command", [
    "docker run -i --rm mcp/time", "/usr/bin/docker --context x run mcp/time", "podman run mcp/time", "docker exec -i time server",
    "nerdctl start -ai time", "docker compose run time", "docker mcp gateway run",
])  # fmt: skip
def test_a_server_in_a_container_is_refused_with_what_to_do_instead(command: str) -> None:
    with pytest.raises(OperatorError, match="outside of what Interlock holds") as refused:
        wanted_of(command.split())
    assert "--http" in str(refused.value.hint)


@pytest.mark.parametrize("command", [
    "env A=b docker run mcp/time", "sudo -n podman run mcp/time", "/usr/bin/env -i A=b npx -y b", "doas uvx b", "sudo env A=b npx b",
])  # fmt: skip
def test_nothing_stands_before_what_is_held_to_another_form(command: str) -> None:
    with pytest.raises(OperatorError, match="stands before") as refused:
        wanted_of(command.split())
    assert "--env" in str(refused.value.hint)
    assert wanted_of(["env", "A=b", "python3", "server.py"]) is None and wanted_of(["env"]) is None


@pytest.mark.parametrize("command", ["python3 -m b", "npm start", "uv run b", "node npx", "pipx list", "yarn b", "/opt/npx-like b"])
def test_what_fetches_nothing(command: str) -> None:
    assert wanted_of(command.split()) is None


@pytest.mark.parametrize("command", [
    "npx", "npx -y", "npx -p", "npx -c b", "npx --registry=http://x b", "npx ./b", "npx ../b", "npx /b", "npx file:b", "npx git+https://x/b",
    "npx http://x/b.tgz", "npx a/b", "npx b@file:x", "npx b@npm:c", "npx b@http://x", "npx -p a -p b tool", "npx --call=id b", "npx b@../c",
    "uvx ./b", "uvx git+https://x/b", "uvx --from . b", "uvx --with c b", "uvx --index-url http://x b", "uvx b;c", "uvx b@file:///x",
    "uvx --from -r b", "uvx -e b",
])  # fmt: skip
def test_what_is_not_known_is_refused(command: str) -> None:
    with pytest.raises(OperatorError):
        wanted_of(command.split())
