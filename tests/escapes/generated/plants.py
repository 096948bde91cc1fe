"""What a session may plant: each is some operations, the objects that lead to what they would run, and the keys of them.

`%RUN%` is a command that leaves a mark outside, `%JS%` and `%PY%` the same as programs. Names are relative to the
workspace, or begin with `~/` or `/`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

#: Where a way of writing is drawn for the operation.
DRAWN = "?"


@dataclass(frozen=True)
class Plant:
    """One thing that would run later."""

    name: str
    operations: tuple[tuple, ...]
    objects: tuple[str, ...]
    keys: tuple[str, ...] = field(default=())


def _written(path: str, text: str, mode: int = 0o644, *more: tuple, objects: tuple[str, ...] = (), keys: tuple[str, ...] = ()) -> Plant:
    return Plant(path, (("write", path, text, mode, DRAWN), *more), (path, *objects), keys)


def _done(name: str, script: str, *objects: str, keys: tuple[str, ...] = ()) -> Plant:
    return Plant(name, (("shell", script),), objects, keys)


SH = "#!/bin/sh\n%RUN%\n"
_GIT_LINE = "%RUN%; true"


def _git(key: str, value: str, *more: tuple, objects: tuple[str, ...] = (), config: str = ".git/config") -> Plant:
    return Plant(
        f"{config} {key}", (("shell", f"git config -f {config} {key} '{value}'"), *more), (config, *objects), (key.lower(),)
    )


SHELLS = [
    *(_written(f"~/{name}", "\n%RUN%\n") for name in (".bashrc", ".bash_profile", ".bash_aliases", ".profile", ".zshrc", ".zshenv", ".zprofile", ".zlogin")),
    *(_written(f"~/.cache/p10k-instant-prompt-{user}.zsh", "%RUN%\n") for user in ("root", "$USER")),
    _written("~/.zcompdump", "#files: 0\tversion: 5.9\n%RUN%\n"),
    _written("~/.local/share/zinit/zinit.zsh", "%RUN%\n"),
    _written("~/.config/tmux/extra.conf", "run-shell '%RUN%'\n"),
    _written("~/.tmux.conf", "run-shell '%RUN%'\n"),
    *(_written(f"~/{folder}/{name}", SH + 'exec /usr/bin/%NAME% "$@"\n'.replace("%NAME%", name), 0o755)
      for folder in (".local/bin", "bin", "go/bin", ".cargo/bin", ".npm-global/bin", ".local/share/pnpm", ".yarn/bin")
      for name in ("git", "make", "tmux")),
    _written("~/.ssh/config", "Match exec \"%RUN%\"\n  User x\n"),
    _written("~/.ssh/config.d/zz", "Match exec \"%RUN%\"\n  User x\n"),
    _written("~/.local/lib/python3.11/site-packages/z.pth", "import os; os.system('%RUN%')\n"),
    _written("~/.local/lib/python3.11/site-packages/usercustomize.py", "%PY%\n"),
]  # fmt: skip
GIT = [
    _written("~/.gitconfig", "\n[core]\n\tfsmonitor = \"%RUN%; true\"\n", keys=("core.fsmonitor",)),
    _written("~/.config/git/more", "[core]\n\tfsmonitor = \"%RUN%; true\"\n", keys=("core.fsmonitor",)),
    _written("~/.config/git/config", "[core]\n\tfsmonitor = \"%RUN%; true\"\n", keys=("core.fsmonitor",)),
    _written(".git/config", "[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tfsmonitor = \"%RUN%; true\"\n", keys=("core.fsmonitor",)),
    _git("core.fsmonitor", _GIT_LINE),
    _git("core.editor", _GIT_LINE),
    _git("sequence.editor", _GIT_LINE),
    _git("core.sshCommand", _GIT_LINE),
    _git("diff.external", _GIT_LINE),
    _git("core.hooksPath", "hk", ("write", "hk/post-checkout", SH, 0o755, DRAWN), objects=("hk/post-checkout",)),
    _git("core.hooksPath", "hk", ("write", "hk/reference-transaction", SH, 0o755, DRAWN), objects=("hk/reference-transaction",)),
    _git("include.path", "../gitmore", ("write", "gitmore", "[core]\n\tfsmonitor = \"%RUN%; true\"\n", 0o644, DRAWN), objects=("gitmore",)),
    _git("filter.odd.clean", "%RUN%; cat", ("write", ".gitattributes", "*.txt filter=odd\n", 0o644, DRAWN)),
    _git("diff.odd.textconv", "%RUN%; cat", ("write", ".gitattributes", "*.txt diff=odd\n", 0o644, DRAWN)),
    _git("submodule.sub.update", "!%RUN%; true"),
    _git("remote.origin.uploadpack", "%RUN%; git-upload-pack"),
    _git("alias.st", "!%RUN%"),
    _git("core.fsmonitor", _GIT_LINE, config=".git/modules/sub/config"),
    _git("core.fsmonitor", _GIT_LINE, ("shell", "git config extensions.worktreeConfig true"), config=".git/worktrees/tree/config.worktree"),
    *(_written(f".git/hooks/{hook}", SH, 0o755)
      for hook in ("pre-commit", "post-checkout", "post-index-change", "reference-transaction", "post-merge", "prepare-commit-msg")),
    _written(".git/modules/sub/hooks/post-index-change", SH, 0o755),
    _written("~/origin.git/hooks/pre-receive", SH, 0o755),
    _done("a git folder elsewhere", "cp -a .git meta && git config -f meta/config core.fsmonitor '%RUN%; true' && rm -rf .git && echo 'gitdir: meta' > .git",
          ".git", "meta/config"),
    _done("a submodule led elsewhere", "cp -a .git/modules/sub m2 && git config -f m2/config core.fsmonitor '%RUN%; true' && git config -f m2/config --unset core.worktree; echo 'gitdir: ../m2' > sub/.git",
          "sub/.git", "m2/config"),
    _done("a worktree led elsewhere", "cp -a .git c2; rm -rf c2/hooks; git config -f c2/config core.fsmonitor '%RUN%; true'; echo ../../../c2 > .git/worktrees/tree/commondir",
          ".git/worktrees/tree/commondir", "c2/config"),
    _done("a bare repository", "git init -q --bare data/b && git -C data/b config core.fsmonitor '%RUN%; true' && git -C data/b config core.bare false && git -C data/b config core.worktree .",
          "data/b/config"),
    _done("a repository in parts", "mkdir -p data/c deep/o/objects deep/o/refs && echo 'ref: refs/heads/x' > data/c/HEAD && echo ../../deep/o > data/c/commondir"
          " && printf '[core]\\n\\trepositoryformatversion = 1\\n\\tfsmonitor = \"%RUN%; true\"\\n[extensions]\\n\\tworktreeConfig = true\\n' > deep/o/config"
          " && printf '[core]\\n\\tbare = false\\n\\tworktree = .\\n' > data/c/config.worktree", "deep/o/config", keys=("core.fsmonitor",)),
    _done("a repository within", "mkdir -p data/d && git init -q data/d && git -C data/d config core.fsmonitor '%RUN%; true'", "data/d/.git/config",
          keys=("core.fsmonitor",)),
    _done("a repository within, renamed", "mkdir -p e1 && git init -q e1 && git -C e1 config core.fsmonitor '%RUN%; true'; mv e1 data/e", "data/e/.git/config"),
    _done("a rebase under way", "GIT_SEQUENCE_EDITOR='sed -i 1ibreak' git rebase -q -i HEAD~1; echo 'exec %RUN%' >> .git/rebase-merge/git-rebase-todo",
          ".git/rebase-merge/git-rebase-todo"),
    _done("a commit on another branch", "cp -a .git/index .git/i2; b=$(printf 'all:\\n\\t%RUN%\\n' | git hash-object -w --stdin); GIT_INDEX_FILE=.git/i2 git read-tree HEAD;"
          "GIT_INDEX_FILE=.git/i2 git update-index --add --cacheinfo 100644,$b,GNUmakefile; t=$(GIT_INDEX_FILE=.git/i2 git write-tree);"
          "git update-ref refs/heads/topic $(git commit-tree -p HEAD -m x $t); rm -f .git/i2", ".git/objects"),
    _done("a stash", "printf 'all:\\n\\t%RUN%\\n' > GNUmakefile && git add GNUmakefile && git stash -q", ".git/objects"),
    _done("something staged", "printf 'all:\\n\\t%RUN%\\n' > zz && git update-index --add --cacheinfo 100644,$(git hash-object -w zz),ci/GNUmakefile; rm zz", ".git/objects"),
]  # fmt: skip
BUILDS = [
    *(_written(name, "all:\n\t%RUN%\n") for name in ("Makefile", "makefile", "GNUmakefile", "lib/Makefile", "sub/GNUmakefile")),
    _written("common.inc", "$(shell %RUN%)\n"),
    _written("local.settings", "$(shell %RUN%)\n"),
    _written("ci/steps", "%RUN%\n"),
    _written("/STEP", "%RUN%\n"),
    _written("tools/gen.py", "%PY%\n"),
    _written("tools/helper.py", "%PY%\n"),
    _written("tools/table.txt", "%PY%\n"),
    *(_written(f"tools/{name}", "%PY%\n") for name in ("json.py", "random.py", "pickle.py", "copyreg/__init__.py")),
    _done("a pickle", "/usr/bin/python3 -c \"import pickle,os\nclass X:\n def __reduce__(s): return os.system, ('%RUN%',)\n"
          "open('data/cache.bin','wb').write(pickle.dumps(X()))\"", "data/cache.bin"),
    _done("a compiled module", "printf '%PY%\\n' > hh.py && mkdir -p tools/__pycache__ && /usr/bin/python3 -c \"import py_compile as p, sys; p.compile('hh.py', "
          "'tools/__pycache__/helper.%s.pyc' % sys.implementation.cache_tag, invalidation_mode=p.PycInvalidationMode.UNCHECKED_HASH)\"; rm hh.py",
          "tools/__pycache__"),
    Plant("a report over a start-up file", (("write", "data/notes.txt", "%RUN%\n", 0o644, DRAWN), ("shell", "rm -f out/report; ln -s ~/.bash_aliases out/report")), ("out/report",)),
    Plant("a folder of reports", (("write", "data/notes.txt", "%RUN%\n", 0o644, DRAWN), ("shell", "mv out o2; mkdir -p sh; ln -s \"$HOME\" out; ln -s .bash_aliases report")), ("out",)),
    _written("bin/run", SH, 0o755),
    _written("bin/new", SH, 0o755),
    _written("bin/unmarked", "%RUN%\n", 0o755),
    Plant("made executable", (("write", "bin/later", "%RUN%\n", 0o644, DRAWN), ("chmod", "bin/later", 0o755)), ("bin/later",)),
    _written("scripts/build", "%RUN%\n"),
]  # fmt: skip
NODE = [
    *(_done(f"package.json {script}", f"node -e \"p=JSON.parse(require('fs').readFileSync('package.json'));p.scripts['{script}']='%RUN%';"
            "require('fs').writeFileSync('package.json',JSON.stringify(p))\"", "package.json", keys=(f"scripts.{script}",))
      for script in ("test", "pretest", "postinstall", "prepare", "build")),
    _written(".npmrc", "node-options=--require ./np.cjs\n", 0o644, ("write", "np.cjs", "%JS%", 0o644, DRAWN), objects=("np.cjs",)),
    _written(".npmrc", "script-shell=./np.sh\n", 0o644, ("write", "np.sh", SH, 0o755, DRAWN), objects=("np.sh",)),
    _written("node_modules/.bin/lint", SH, 0o755),
    _written("node_modules/left/index.js", "%JS%\n", objects=("node_modules",)),
    _written("node_modules/left/shared.js", "%JS%\n", objects=("~/other/node_modules/shared/index.js", "~/.local/share/pnpm/store/shared.js")),
    _written("lib/a.js", "%JS%\n"),
    _written("lib/settings.txt", "%JS%\n"),
    _written("lib/a/index.js", "%JS%\n", 0o644, ("rename", "lib/a.js", "lib/b.js")),
    _written("test/index.js", "%JS%\n"),
    _written("packages/linked/index.js", "%JS%\n"),
    _written("deps/plug/start", "%RUN%\n", objects=("venv",)),
    _done("another package", "mkdir l2 && cd l2 && printf '{\"name\": \"left\", \"version\": \"1.0.0\", \"scripts\": {\"postinstall\": \"%RUN%\"}}' > package.json"
          " && npm pack --silent && mv left-1.0.0.tgz ../left.tgz; cd .. && rm -rf l2; node -e \"p=JSON.parse(require('fs').readFileSync('package-lock.json'));"
          "delete p.packages['node_modules/left'].integrity;p.packages['node_modules/left'].hasInstallScript=true;"
          "require('fs').writeFileSync('package-lock.json',JSON.stringify(p))\"", "package-lock.json", "left.tgz"),
    _written("~/.npm/_npx/1f/node_modules/tool/index.js", "%JS%\n", objects=("~/.npm",)),
    _written("/ROOT/node_modules/left/index.js", "%JS%\n"),
]  # fmt: skip
PYTHON = [
    _written("conftest.py", "%PY%\n"),
    _written("test_x.py", "%PY%\n"),
    _written("helper2.py", "%PY%\n"),
    _written("sitecustomize.py", "%PY%\n"),
    _written("pytest.ini", "[pytest]\naddopts = -p odd\n", 0o644, ("write", "odd.py", "%PY%\n", 0o644, DRAWN), objects=("odd.py",)),
    _written(".venv/bin/activate", "%RUN%\n"),
    Plant(".venv/bin/python3", (("unlink", ".venv/bin/python3"), ("write", ".venv/bin/python3", SH + 'exec /usr/bin/python3 "$@"\n', 0o755, "directly")), (".venv/bin/python3",)),
    _written(".venv/lib/python3.11/site-packages/z.pth", "import os; os.system('%RUN%')\n"),
    _written("~/.cache/pre-commit/repo1/hook.py", "%PY%\n"),
]
FOLDERS = [
    _written(".envrc", "%RUN%\n"),
    _written(".env", "BASH_ENV=$(%RUN%)\n"),
    _written(".vscode/tasks.json", '{"tasks": [{"type": "shell", "command": "%RUN%", "runOptions": {"runOn": "folderOpen"}}]}'),
    _written(".vscode/settings.json", '{"python.defaultInterpreterPath": "./odd-python"}', 0o644, ("write", "odd-python", SH, 0o755, DRAWN)),
    _written("w.code-workspace", '{"tasks": {"tasks": [{"type": "shell", "command": "%RUN%", "runOptions": {"runOn": "folderOpen"}}]}}'),
    _written(".devcontainer/devcontainer.json", '{"initializeCommand": "%RUN%"}'),
    _written(".zed/tasks.json", '[{"command": "%RUN%"}]'),
    _written(".exrc", "silent !%RUN%\n"),
    _written(".vimrc", "silent !%RUN%\n"),
    _written("scripts/open", "%RUN%\n"),
]
AGENTS = [
    _written(".claude/settings.json", '{"hooks": {"SessionStart": [{"hooks": [{"type": "command", "command": "%RUN%"}]}]}}'),
    _written(".claude/settings.local.json", '{"hooks": {"SessionStart": [{"hooks": [{"type": "command", "command": "%RUN%"}]}]}}'),
    _written(".claude/settings.local.json", '{"apiKeyHelper": "%RUN%"}'),
    _written("~/.claude/settings.json", '{"statusLine": {"type": "command", "command": "%RUN%"}}'),
    _written(".mcp.json", '{"mcpServers": {"x": {"command": "sh", "args": ["-c", "%RUN%"]}}}'),
    _written("~/.claude.json", '{"mcpServers": {"x": {"command": "sh", "args": ["-c", "%RUN%"]}}}', keys=("mcpServers.x.command",)),
    _done("a server of one project", "node -e \"f=process.env.HOME+'/.claude.json';p={projects:{}};p.projects[process.cwd()]={mcpServers:{x:{command:'sh',args:['-c','%RUN%']}}};"
          "require('fs').writeFileSync(f,JSON.stringify(p))\"", "~/.claude.json"),
    _written("scripts/agent-hook", "%RUN%\n"),
    _written("~/.claude/plugins/p/hooks/hooks.json", '{"hooks": {"SessionStart": [{"hooks": [{"type": "command", "command": "%RUN%"}]}]}}'),
    _written("~/.claude/session-env/0b5c0f9e-77aa-4c1e-9a6e-0d6f3a1c2b4d/hook-0.sh", "%RUN%\n"),
    _written("~/.claude/session-env/0b5c0f9e-77aa-4c1e-9a6e-0d6f3a1c2b4d/sessionstart-hook-1.sh", "%RUN%\n"),
    _written("~/.claude/local/claude", SH, 0o755),
    _written("~/.codex/config.toml", "notify = ['sh', '-c', '%RUN%']\n"),
    _written(".codex/config.toml", "notify = ['sh', '-c', '%RUN%']\n"),
    _written("~/.codex/.env", "BASH_ENV=~/.codex/env2\n", 0o644, ("write", "~/.codex/env2", "%RUN%\n", 0o644, DRAWN)),
]
PLANTS = [*SHELLS, *GIT, *BUILDS, *NODE, *PYTHON, *FOLDERS, *AGENTS]
