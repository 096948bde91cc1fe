"""A machine as a developer has it, small: a home with toolchains, secrets and start-up files, a repository with nested
folders and links out of it, caches, temporary files, what Interlock keeps.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

#: A program that ends at once and loads no library, so that running it leaves no reads of its own.
_PROGRAM = 'void _start(void) { __asm__ volatile ("mov $60, %rax; xor %rdi, %rdi; syscall"); }'

HOME = (
    ".bashrc", ".profile", ".gitconfig", ".npmrc", ".netrc", ".bash_history", ".ssh/id_rsa", ".ssh/config", ".ssh/known_hosts",
    ".ssh/id_rsa.pub", ".aws/credentials", ".config/gh/hosts.yml", ".config/git/ignore", ".config/fish/config.fish",
    ".config/systemd/user/x.service", ".config/nothing/known", ".cargo/config.toml", ".cargo/credentials.toml",
    ".cargo/registry/index/a", ".cache/pip/wheel", ".npm/_cacache/x", ".nvm/versions/node", ".claude/settings.json",
    ".claude/projects/p.jsonl", ".codex/config.toml", ".local/lib/python3.11/site-packages/m.py", "Documents/letter.txt",
    ".gnupg/private-keys-v1.d/k", ".mozilla/firefox/p/cookies.sqlite", "go/pkg/mod/m", ".vscode/argv.json",
)  # fmt: skip
WORKSPACE = (
    "README.md", "Makefile", "src/main.py", "src/deep/er/still/x.py", "src/.env", "src/.env.example", ".env", ".env.local",
    ".vscode/settings.json", ".vscode/launch.json", ".idea/workspace.xml", ".mcp.json", ".claude/settings.json",
    ".claude/commands/c.md", ".github/workflows/ci.yml", "node_modules/p/index.js", "node_modules/p/.vscode/tasks.json",
    "keys/id_ed25519", "keys/store.p12", "certificates/ca.pem", "sub/.git/config", "sub/.git/hooks/pre-commit",
    "build/out.o", "name with  spaces", "brackets[1]*?.txt", "Zeichen-ä-日本.txt", ".interlock/notes",
)  # fmt: skip
TEMPORARY = ("scratch.txt", "ssh-abc/agent.12", "folder/a/b/c")
ELSEWHERE = ("data.csv", "id_rsa", "x/.env", "other/.git/hooks/post-merge")
#: Where programs lie: in each of these folders there is one of each name.
_PROGRAMS = ("git", "npm", "docker", "twine", "tool")


class Layout:
    """The folders, under one root. `names` are all names that acts are drawn from."""

    def __init__(self, root: Path, build: Path) -> None:
        self.root = root
        self.home, self.workspace = root / "h", root / "w"
        self.temporary, self.elsewhere, self.interlock = root / "t", root / "e", root / "i"
        for folder, files in (
            (self.home, HOME), (self.workspace, WORKSPACE), (self.temporary, TEMPORARY), (self.elsewhere, ELSEWHERE)
        ):  # fmt: skip
            for name in files:
                _write(folder / name)
        self._repository()
        self._links()
        self.programs = self._programs(build)
        (self.workspace / "marks").mkdir()
        files, folders = self._walked()
        self.files, self.folders = files, [path for path in folders if not path.endswith("/marks")]
        self.environment = {
            "PATH": "/usr/bin:/bin", "HOME": str(self.home), "INTERLOCK_HOME": str(self.interlock), "TMPDIR": str(self.temporary),
        }  # fmt: skip

    def _repository(self) -> None:
        """A real one. Its sample hooks are no scripts here, which would act besides when they are run."""
        subprocess.run(["git", "init", "-q", self.workspace], check=True)
        for hook in (self.workspace / ".git/hooks").iterdir():
            hook.write_text(f"{hook.name}\n")

    def _links(self) -> None:
        """Links that lead to what is protected, and another hard link of a key."""
        os.symlink(self.home / ".ssh", self.workspace / "keys-link")
        os.symlink("../.git/hooks", self.workspace / "src/hooks-link")
        os.symlink(self.elsewhere / "data.csv", self.workspace / "data-link")
        os.symlink("nowhere", self.workspace / "dangling")
        os.symlink(self.workspace / "src", self.elsewhere / "src-link")
        os.link(self.home / ".ssh/id_rsa", self.workspace / "notes.txt")

    def _programs(self, build: Path) -> list[str]:
        source, made = build / "end.c", build / "end"
        source.write_text(_PROGRAM)
        subprocess.run(["cc", "-O1", "-static", "-nostdlib", "-o", made, source], check=True)
        found = []
        for folder in (
            self.workspace / "tools",
            self.home / ".cargo/bin",
            self.home / "bin",
            self.temporary,
            self.elsewhere,
        ):
            folder.mkdir(exist_ok=True)
            for name in _PROGRAMS:
                target = folder / name
                target.write_bytes(made.read_bytes())
                target.chmod(0o755)
                found.append(str(target))
        return found

    def _walked(self) -> tuple[list[str], list[str]]:
        files, folders = [], []
        for top in (self.home, self.workspace, self.temporary, self.elsewhere):
            for folder, _, names in os.walk(top):
                folders.append(folder)
                files += [f"{folder}/{name}" for name in names]
        return sorted(files), sorted(folders)


def _write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{path.name}\n")
