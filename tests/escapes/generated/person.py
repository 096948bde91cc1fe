"""What a person does after a session, in the ordinary way: shells, git, builds, tests, an editor, agents, keys, a terminal multiplexer."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.escapes.generated.house import House

_STARTS = Path(__file__).with_name("starts.py")
#: All of these exist in CI (`.ci/prepare`).
NEEDED = ("zsh", "tmux", "direnv", "git", "make", "npm", "ssh-agent", "vim")
MISSING = [program for program in NEEDED if shutil.which(program) is None]

_GIT = """
git checkout -q -- ci/GNUmakefile; git status --short; git diff; git diff HEAD~1; git log -p -1; git log --oneline -3 | cat
git add -A; git commit --amend; git checkout -q -b mine; git fetch -q; git submodule --quiet update --init --force; git ls-remote ssh://127.0.0.1:1/x; git submodule status
git rebase --continue; git stash -q; git stash pop; git checkout -- .; git merge -q --no-edit topic; git merge -q --no-edit feature
git push -q origin mine; git st; git rebase -i HEAD~1
for folder in data/b data/c data/d data/e sub ../tree; do [ -d $folder ] && (cd $folder && git status --short); done
"""
_SHELL = "for folder in . sub lib data; do cd ~+/$folder 2>/dev/null && cd - >/dev/null; done; git --version; type ll"
#: A step is a shell's command line: what stands in the house's own files is called as people call it.
_STEPS = {
    "bash": ["bash", "-lic", _SHELL],
    "a login": ["dash", "-lc", "true"],
    "zsh": ["zsh", "-lic", "true"],
    "git": ["sh", "-c", _GIT],
    "make": ["sh", "-c", "make; make -C lib; make -C sub; make -C ci; make --version"],
    "npm": ["sh", "-c", "npm test; npm run build; npm ci --offline --no-audit --no-fund; npm install --offline --no-audit --no-fund; npm test"],
    "npm's programs": ["sh", "-c", "PATH=node_modules/.bin:$PATH lint; npx --no tool; node -e 'require(\"linked\")'; sh venv/plug/start; "
                       "node ~/.npm/_npx/1f/node_modules/tool/index.js"],
    "another project": ["sh", "-c", "cd ~/other && npm test"],
    "python": ["sh", "-c", ". .venv/bin/activate; python3 -c 'import site'; deactivate; export PYTHONPATH=.; /usr/bin/python3 test_x.py; "
               "/usr/bin/python3 -c 'import test_x; test_x.test()'; [ -f conftest.py ] && /usr/bin/python3 conftest.py; [ -f odd.py ] && /usr/bin/python3 odd.py; true"],
    "pre-commit": ["/usr/bin/python3", ".home/.cache/pre-commit/repo1/hook.py"],
    "direnv": ["bash", "-c", 'eval "$(direnv export bash)"; [ -f .env ] && . ./.env; true'],
    "editor": ["/usr/bin/python3", "-I", "-c", _STARTS.read_text(), "editor"],
    "agents": ["/usr/bin/python3", "-I", "-c", _STARTS.read_text(), "claude", "codex"],
    "vim": ["vim", "-N", "-n", "--not-a-term", "-c", "quit"],
    "programs": ["sh", "-c", "for program in bin/*; do [ -x $program ] && $program; done; true"],
    "another shell": ["bash", "-lic", "true"],
    "ssh": ["ssh", "-F", ".home/.ssh/config", "-G", "elsewhere"],
}  # fmt: skip


def at_work(house: House) -> list[str]:
    """Everything, once; what took too long."""
    slow = []
    for name, command in _STEPS.items():
        if house.person([word.replace(".home/", f"{house.home}/") if word.startswith(".home/") else word for word in command]) is None:
            slow.append(name)
    if _in_tmux(house) is None:
        slow.append("tmux")
    return slow


def _in_tmux(house: House) -> subprocess.CompletedProcess[str] | None:
    name = house.root.name
    script = f"tmux -L {name} new-session -d 'true; sleep 1' && tmux -L {name} list-sessions; tmux -L {name} kill-server"
    return house.person(["sh", "-c", script])


@contextlib.contextmanager
def key_agent(house: House) -> Iterator[Path]:
    """The person's key agent, in a place that everybody shares."""
    socket = key_socket(house)
    folder = socket.parent
    house.person(["mkdir", "-m", "700", folder], cwd=house.root, check=True, seconds=120)
    who = {} if house.user is None else {"user": house.account.pw_uid, "group": house.account.pw_gid, "extra_groups": []}
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL, env=house.environment, **who)
    try:
        yield socket
    finally:
        agent.kill()
        agent.wait()
        shutil.rmtree(folder, ignore_errors=True)


def key_socket(house: House) -> Path:
    """Where it listens."""
    return Path("/tmp") / f"ssh-{house.root.name[-8:]}" / "agent.1"


def holds_key(house: House, socket: Path) -> bool:
    """Whether a key that the person adds is with the person's own agent: nobody else was asked."""
    added = house.person(["ssh-add", "-q", house.home / ".ssh" / "id_ed25519"], seconds=120, SSH_AUTH_SOCK=str(socket))
    listed = house.person(["ssh-add", "-l"], seconds=120, SSH_AUTH_SOCK=str(socket))
    return added is not None and added.returncode == 0 and listed is not None and "ED25519" in listed.stdout
