"""The house: a home and a workspace as a person has them, built once for each user and laid out afresh for each session."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

#: What a person has installed lies in these, before the system's programs.
PROGRAM_FOLDERS = (".local/bin", "bin", "go/bin", ".cargo/bin", ".npm-global/bin", ".local/share/pnpm", ".yarn/bin")
AGENT_SESSION = "0b5c0f9e-77aa-4c1e-9a6e-0d6f3a1c2b4d"

RC = """\
for folder in {folders}; do PATH="$HOME/$folder:$PATH"; done
export PATH
[ -f ~/.bash_aliases ] && . ~/.bash_aliases
"""
ZSHRC = """\
[[ -r ~/.cache/p10k-instant-prompt-$USER.zsh ]] && source ~/.cache/p10k-instant-prompt-$USER.zsh
autoload -Uz compinit && compinit -u -C
[[ -r ~/.local/share/zinit/zinit.zsh ]] && source ~/.local/share/zinit/zinit.zsh
"""
MAKEFILE = """\
include common.inc
-include local.settings
all: steps
\tsh ci/steps
\t/usr/bin/python3 tools/gen.py
\tcat data/notes.txt > out/report
\t[ ! -e {step} ] || sh {step}
steps:
\t@true
"""
GEN = """\
import json, os, pickle, random
import helper
here = os.path.dirname(os.path.abspath(__file__))
with open(here + "/../data/cache.bin", "rb") as file:
    pickle.load(file)
exec(open(here + "/table.txt").read())
"""
HOME = {
    ".bashrc": RC,
    ".bash_profile": ". ~/.bashrc\n",
    ".bash_aliases": "alias ll='ls -l'\n",
    ".profile": "true\n",
    ".zshrc": ZSHRC,
    ".zcompdump": "#files: 0\tversion: 5.9\n",
    ".gitconfig": "[user]\n\tname = Ada\n\temail = ada@example.org\n[include]\n\tpath = ~/.config/git/more\n[init]\n\tdefaultBranch = main\n"
    "[safe]\n\tdirectory = *\n[protocol \"file\"]\n\tallow = always\n",
    ".config/git/more": "[advice]\n\tdetachedHead = false\n",
    ".config/direnv/direnv.toml": '[whitelist]\nprefix = ["{work}"]\n',
    ".config/tmux/extra.conf": "set -g status off\n",
    ".tmux.conf": "source-file ~/.config/tmux/extra.conf\n",
    ".ssh/config": "Include config.d/*\nHost example.org\n  User git\n",
    ".ssh/config.d/work": "Host work\n  User ada\n",
    ".vimrc": "set exrc\n",
    ".claude/settings.json": '{"hooks": {}}',
    ".claude.json": '{"numStartups": 3}',
    ".codex/config.toml": 'model = "m"\n',
    f".claude/session-env/{AGENT_SESSION}/hook-0.sh": "true\n",
    ".cache/pre-commit/repo1/hook.py": "pass\n",
    ".npm/_npx/1f/node_modules/tool/index.js": "",
    ".local/share/zinit/zinit.zsh": "true\n",
    "other/package.json": '{"name": "other", "scripts": {"test": "node node_modules/shared/index.js"}}',
}
WORK = {
    "Makefile": MAKEFILE,
    "common.inc": "X = 1\n",
    "ci/steps": "true\n",
    "tools/gen.py": GEN,
    "tools/helper.py": "",
    "tools/table.txt": "x = 1\n",
    "data/notes.txt": "true\n",
    "data/cache.bin": b"\x80\x04N.",
    "out/.keep": "",
    "scripts/build": "true\n",
    "scripts/open": "true\n",
    "scripts/agent-hook": "true\n",
    "lib/a.js": "module.exports = 1;\n",
    "lib/settings.txt": "0\n",
    "test/index.js": "require('../lib/a'); require('left'); eval(require('fs').readFileSync('lib/settings.txt', 'utf8'));\n",
    "package.json": '{"name": "work", "version": "1.0.0", "scripts": {"test": "node test/index.js", "build": "sh scripts/build"},'
    ' "dependencies": {"left": "file:left.tgz"}}',
    "test_x.py": "def test():\n    import helper2\n",
    "helper2.py": "",
    "pyproject.toml": "[project]\nname = 'work'\n",
    "bin/run": "#!/bin/sh\ntrue\n",
    ".vscode/tasks.json": '{"version": "2.0.0", "tasks": [{"label": "open", "type": "shell", "command": "sh scripts/open",'
    ' "runOptions": {"runOn": "folderOpen"}}]}',
    ".claude/settings.json": '{"hooks": {"SessionStart": [{"hooks": [{"type": "command", "command": "sh scripts/agent-hook"}]}]}}',
    "AGENTS.md": "be good\n",
    ".gitignore": "node_modules\n.venv\n",
}


class House:
    """One person's home and workspace, at the same paths for every session."""

    def __init__(self, user: str | None, python: Path) -> None:
        self.user, self.python = user, python
        self.root = Path(tempfile.mkdtemp(prefix="interlock-house-", dir="/var/tmp"))
        self.root.chmod(0o755)
        self.step = Path(tempfile.gettempdir()) / f"{self.root.name}-step"
        self.home, self.work, self.ran = self.root / "home", self.root / "work", self.root / "ran"
        self.account = pwd.getpwuid(os.geteuid()) if user is None else pwd.getpwnam(user)
        self._build()
        (self.root / "template").mkdir()
        for place in (self.home, self.work, self.root / "tree"):
            shutil.move(place, self.root / "template" / place.name)

    def _build(self) -> None:
        words = {"folders": " ".join(PROGRAM_FOLDERS), "work": str(self.work), "step": str(self.step)}
        for top, files in ((self.home, HOME), (self.work, WORK)):
            for name, content in files.items():
                (top / name).parent.mkdir(parents=True, exist_ok=True)
                if isinstance(content, str):
                    for word, value in words.items():
                        content = content.replace(f"{{{word}}}", value)
                (top / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        (self.work / "bin/run").chmod(0o755)
        for folder in PROGRAM_FOLDERS:
            (self.home / folder).mkdir(parents=True, exist_ok=True)
        self._own()
        self.root.chmod(0o777)
        self.person(["bash", "-ec", _SETTING_UP], cwd=self.work, check=True, seconds=240)
        self.root.chmod(0o755)
        (self.home / ".ssh").chmod(0o700)

    def _own(self) -> None:
        subprocess.run(["chown", "-R", f"{self.account.pw_uid}:{self.account.pw_gid}", self.home, self.work], check=True)

    def lay_out(self) -> None:
        """As it was before any session."""
        for place in (self.home, self.work, self.ran, self.root / "tree", self.root / "state"):
            subprocess.run(["rm", "-rf", place], check=True)
        self.step.unlink(missing_ok=True)
        subprocess.run(["cp", "-a", *(self.root / "template").iterdir(), self.root], check=True)
        (self.root / "state").mkdir(mode=0o700)
        os.chown(self.root / "state", self.account.pw_uid, self.account.pw_gid)

    def sleep_no_more(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        self.step.unlink(missing_ok=True)

    @property
    def environment(self) -> dict[str, str]:
        """As a login gives it."""
        folders = [str(self.home / folder) for folder in PROGRAM_FOLDERS]
        return {
            "PATH": ":".join([*folders, "/usr/local/bin", "/usr/bin", "/bin"]), "HOME": str(self.home), "USER": self.account.pw_name,
            "LANG": "C.UTF-8", "TERM": "dumb", "SHELL": "/bin/bash", "INTERLOCK_HOME": str(self.root / "state"), "EDITOR": "true",
            "npm_config_cache": str(self.home / ".npm"), "npm_config_update_notifier": "false", "npm_config_offline": "true",
        }  # fmt: skip

    def person(self, command, *, cwd=None, check=False, seconds=20.0, stdin=None, **environment: str):
        """Runs a command as the person, without Interlock. None: it took too long."""
        who = {} if self.user is None else {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []}
        where = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
        process = None
        with contextlib.suppress(subprocess.TimeoutExpired, OSError):
            process = subprocess.run(
                list(map(str, command)), cwd=cwd or self.work, env=self.environment | environment, capture_output=True, text=True,
                errors="replace", timeout=seconds, start_new_session=True, **where, **who,
            )  # fmt: skip
        assert not check or (process is not None and process.returncode == 0), process
        return process

    def changes(self) -> list[dict]:
        """What the last session's list names."""
        done = self.person([self.python.parent / "interlock", "session", "changes", "last", "--json"], seconds=120)
        assert done is not None and done.returncode == 0, done
        found = json.loads(done.stdout)
        assert not found["unseen"], found["unseen"]
        return found["changes"]


_SETTING_UP = """
mkdir left && cd left
echo '{"name": "left", "version": "1.0.0"}' > package.json && echo 'module.exports = 2;' > index.js
cd .. && npm pack ./left --silent && mv left-1.0.0.tgz left.tgz && rm -rf left
npm install --no-audit --no-fund --silent
mkdir node_modules/.bin -p && printf '#!/bin/sh\\ntrue\\n' > node_modules/.bin/lint && chmod +x node_modules/.bin/lint
/usr/bin/python3 -m venv --without-pip .venv
mkdir -p ../other-up && cd ../other-up && git init -q && echo x > x && git add x && git commit -qm x && cd ../work
git init -q && git add -A && git commit -qm first
git submodule --quiet add ../other-up sub && git commit -qm sub
echo more >> data/notes.txt && git commit -qam second && git branch feature
git init -q --bare ../home/origin.git && git remote add origin ../home/origin.git && git push -q origin main && git branch -q -u origin/main
git worktree add -q ../tree feature && rm -rf ../other-up
mkdir -p ~/other/node_modules/shared ~/.local/share/pnpm/store && echo 1 > ~/.local/share/pnpm/store/shared.js
ln ~/.local/share/pnpm/store/shared.js ~/other/node_modules/shared/index.js
ln ~/.local/share/pnpm/store/shared.js node_modules/left/shared.js
mkdir packages && mkdir packages/linked && echo 1 > packages/linked/index.js && ln -s ../packages/linked node_modules/linked
mkdir deps && mkdir deps/plug && echo true > deps/plug/start && ln -s deps venv
ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id_ed25519
"""
