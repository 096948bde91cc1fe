"""The built-in sets of hosts, as they are where nobody asks the machine (`surroundings.registries` reads what it says).
Data, in the language's own patterns."""

from __future__ import annotations

from typing import Final

NO_HOST: Final = "no-remotes.invalid"
HOST_SETS: Final[dict[str, tuple[str, ...]]] = {
    "package-registries": (
        "crates.io",
        "files.pythonhosted.org",
        "index.crates.io",
        "proxy.golang.org",
        "pypi.org",
        "registry.npmjs.org",
        "registry.yarnpkg.com",
        "repo.maven.apache.org",
        "rubygems.org",
        "static.crates.io",
        "sum.golang.org",
    ),
    "model-api": (
        "api.anthropic.com",
        "api.openai.com",
        "auth.openai.com",
        "chatgpt.com",
        "claude.ai",
        "generativelanguage.googleapis.com",
    ),
    # Of no host (RFC 2606) where a workspace has no remotes: a rule without any name would be about all acts.
    "git-remotes": (NO_HOST,),
}
