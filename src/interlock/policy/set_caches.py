"""Built-in sets of what package clients and compilers keep: caches, and the trees of dependencies in a workspace.

A cache is read and written by every client that looks for it, so a session has them where clients put them by default,
and where the environment says (`surroundings/caches.py`). What other programs *start* from such places is not in these
sets: `~/.local/bin`, `~/go/bin`, `~/.bun/bin`, pyenv's shims and versions, the tools of uv and pipx, conda's
environments.

In a tree of dependencies, and in a cache, no editor and no agent looks for its own configuration: packages are shipped
with the `.vscode` of who wrote them. Such a tree is one below the workspace only. A workspace that lies in one itself
is a project that somebody opens.
"""

from __future__ import annotations

from typing import Final

CACHES: Final = (
    "~/.cache",
    "~/.cache/**",
    "~/.npm/**",
    "~/.pnpm-store/**",
    "~/.yarn/berry/**",
    "/usr/local/share/.cache/yarn/**",
    "~/.cargo/{registry,git}/**",
    "~/.cargo/{.package-cache,.package-cache-mutate,.global-cache,.crates.toml,.crates2.json}",
    "~/.cargo/.global-cache-{journal,wal,shm}",
    "~/go/pkg/**",
    "~/.config/go/telemetry/{local,debug,upload}/**",
    "~/.m2/{repository,wrapper}/**",
    "~/.gradle/{caches,daemon,native,wrapper,notifications,.tmp,jdks,workers,kotlin-profile,android,undefined-build}/**",
    "~/.ivy2/cache/**",
    "~/.{nuget/packages,gem/specs,bundle/cache,composer/cache,stack,cabal/packages,hex,mix,terraform.d/plugin-cache,node-gyp}/**",
    "~/.bun/install/cache/**",
    "~/{miniconda3,anaconda3,miniforge3,mambaforge,.conda}/pkgs/**",
    "~/.local/share/{pnpm/store,virtualenvs,NuGet}/**",
    "~/.local/state/{pnpm,uv,yarn}/**",
    "@named-caches",
)

#: Of a client's folder that is not a cache: what it makes there before it can do anything at all.
CLIENT_FILES: Final = (
    # The folders themselves, where a client is used for the first time.
    "~/.{npm,m2,gradle,pnpm-store,bun,nuget,cargo}",
    "~/.bun/install",
    "~/{.config,.local,.local/share,.local/state}",
    "~/{go,.config/go,.config/go/telemetry,.local/share/pnpm,.local/share/uv,.local/share/uv/tools}",
    # `uvx` takes the lock of the installed tools, and looks whether the tool is one of them.
    "~/.local/share/uv/tools/{.lock,.gitignore,.tmp*}",
    "~/.local/share/uv/{.lock,.gitignore}",
)

#: Where uv installs tools, each in a folder of its own. What leads to them from the path is another thing.
TOOL_FOLDERS: Final = ("~/.local/share/uv/tools/*/**",)

#: pnpm tries whether a link can be made to where its store would be, and keeps the store elsewhere if not.
LINK_TRIALS: Final = (
    "~/_tmp_[0-9]*_[0-9a-f]*/**",
    "~/.local/share/pnpm/_tmp_[0-9]*_[0-9a-f]*/**",
)

#: What trees of dependencies and what package clients build are called.
TREES: Final = (
    "node_modules", "bower_components", ".yarn", ".pnpm", ".pnpm-store", ".venv", "venv", ".virtualenv",
    "site-packages", "dist-packages", "__pypackages__", ".tox", ".nox", ".eggs", "vendor", ".bundle", "target",
    ".gradle", ".m2", ".build", "Pods", "Carthage", "deps", "_build", ".dart_tool", ".stack-work", "dist-newstyle",
    ".cargo",
)  # fmt: skip

#: What builds make again: these folders, besides the trees of dependencies.
BUILT: Final = (
    "build", "dist", "out", ".next", ".nuxt", ".svelte-kit", ".parcel-cache", ".turbo", "__pycache__", ".mypy_cache",
    ".pytest_cache", ".ruff_cache", "CMakeFiles", "bazel-out", "coverage", ".cache",
)  # fmt: skip

#: Of these, what only package clients fill: what lies there came from a registry, whatever it is called.
PACKAGE_TREES: Final = (
    "${workspace}/**/{node_modules,bower_components,.yarn,.pnpm,.pnpm-store,site-packages,dist-packages,__pypackages__}/**",
)

DEPENDENCY_TREES: Final = ("${workspace}/**/{" + ",".join(TREES) + "}/**",)
BUILD_OUTPUT: Final = ("${workspace}/**/{" + ",".join(BUILT) + "}/**",)

CACHE_SETS: Final[dict[str, tuple[str, ...]]] = {
    "caches": CACHES,
    "client-files": CLIENT_FILES,
    "tool-folders": TOOL_FOLDERS,
    "link-trials": LINK_TRIALS,
    "dependency-trees": DEPENDENCY_TREES,
    "build-output": BUILD_OUTPUT,
    "package-trees": PACKAGE_TREES,
}
