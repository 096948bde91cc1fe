"""The hosts to which git would go from a workspace, read without running it; git itself is the judge of what it rewrites."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from interlock.surroundings.git_remotes import remote_hosts

GIT = shutil.which("git")


def made(workspace: Path, text: str) -> Path:
    (workspace / ".git").mkdir(parents=True)
    for part in ("objects", "refs"):
        (workspace / ".git" / part).mkdir()
    (workspace / ".git/HEAD").write_text("ref: refs/heads/main\n")
    (workspace / ".git/config").write_text("[core]\n\trepositoryformatversion = 0\n" + text)
    return workspace


def hosts(tmp_path: Path, text: str, *, person: str = "", ssh: str = "") -> tuple[str, ...]:
    workspace, home = made(tmp_path / "w", text), tmp_path / "h"
    (home / ".ssh").mkdir(parents=True)
    (home / ".gitconfig").write_text(person)
    (home / ".ssh/config").write_text(ssh)
    return remote_hosts(str(workspace), {"GIT_CONFIG_SYSTEM": os.devnull}, str(home))


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://github.com/o/r.git", "github.com"),
        ("https://user:p%40ss@Git.Example.com:8443/r", "git.example.com"),
        ("http://git.example.com./r", "git.example.com"),
        ("ssh://git@git.example.com:2222/r", "git.example.com"),
        ("git+ssh://git.example.com/r", "git.example.com"),
        ("git://git.example.com/r", "git.example.com"),
        ("git@github.com:o/r.git", "github.com"),
        ("github.com:o/r.git", "github.com"),
        ("a@b@host.example:r", "host.example"),
        ("https://a@b@host.example/r", "host.example"),
        ("/srv/git/r.git", None),
        ("../r.git", None),
        ("./a:b", None),
        ("file:///srv/git/r.git", None),
        ("file://evil.example/srv", None),
        ("https://[2001:db8::1]/r", None),
        ("[git@host.example]:r", None),
        ("ext::ssh host.example %S", None),
        ("codecommit::eu-west-1://r", None),
        ("https://", None),
        ("", None),
    ],
)
def test_a_remote_has_the_host_that_git_would_reach(tmp_path: Path, url: str, host: str | None) -> None:
    assert hosts(tmp_path, f'[remote "origin"]\n\turl = "{url}"\n') == ((host,) if host else ())


def test_pushes_submodules_and_several_addresses_count(tmp_path: Path) -> None:
    text = """
[remote "origin"]
    url = https://one.example/r
    url = https://two.example/r
    pushurl = git@three.example:r
[remote "fork"]
    url = git@four.example:r
[submodule "lib"]
    url = https://five.example/lib
[branch "main"]
    remote = origin
"""
    assert hosts(tmp_path, text) == ("five.example", "four.example", "one.example", "three.example", "two.example")


def test_a_modules_file_of_the_work_counts_for_nothing_until_git_took_it_up(tmp_path: Path) -> None:
    workspace = made(tmp_path / "w", "")
    (workspace / ".gitmodules").write_text('[submodule "x"]\n\tpath = x\n\turl = https://evil.example/x\n')
    assert remote_hosts(str(workspace), {"GIT_CONFIG_SYSTEM": os.devnull}, str(tmp_path)) == ()


def test_the_remotes_of_a_submodules_own_repository_count(tmp_path: Path) -> None:
    workspace = made(tmp_path / "w", "")
    module = workspace / ".git/modules/a/b"
    for part in ("objects", "refs"):
        (module / part).mkdir(parents=True)
    (module / "HEAD").write_text("ref: refs/heads/main\n")
    (module / "config").write_text('[remote "origin"]\n\turl = https://lib.example/b\n')
    assert remote_hosts(str(workspace), {"GIT_CONFIG_SYSTEM": os.devnull}, str(tmp_path)) == ("lib.example",)


REWRITING = [
    '[url "https://mirror.example/"]\n\tinsteadOf = https://github.com/\n',
    '[url "git@work:"]\n\tinsteadOf = https://github.com/\n[url "https://longer.example/"]\n\tinsteadOf = https://github.com/o/\n',
    '[url "ssh://git@push.example/"]\n\tpushInsteadOf = https://github.com/\n',
    '[url "https://mirror.example/"]\n\tinsteadOf = gh:\n',
]


@pytest.mark.skipif(GIT is None, reason="needs git")
@pytest.mark.parametrize("person", REWRITING)
@pytest.mark.parametrize("url", ["https://github.com/o/r", "gh:o/r", "https://other.example/r"])
def test_addresses_are_rewritten_as_git_does(tmp_path: Path, person: str, url: str) -> None:
    found = set(hosts(tmp_path, f'[remote "origin"]\n\turl = {url}\n', person=person))
    environment = {"HOME": str(tmp_path / "h"), "GIT_CONFIG_SYSTEM": os.devnull, "PATH": os.environ["PATH"]}
    reached = set()
    for way in ((), ("--push",)):
        command = [str(GIT), "-C", str(tmp_path / "w"), "remote", "get-url", "--all", *way, "origin"]
        said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()
        reached |= {address.partition("://")[2].rpartition("@")[2].partition("/")[0] or address for address in said}
    reached = {address.rpartition("@")[2].partition(":")[0] for address in reached}
    # Where a push goes elsewhere, the address that is fetched from is there as well, and the other way round.
    assert reached <= found, (reached, found)


def test_a_name_of_the_ssh_configuration_is_the_host_that_it_means(tmp_path: Path) -> None:
    ssh = "Host work *.corp !x.corp\n  HostName %h.internal.example\nHost *\n  User me\nMatch host z\n  HostName evil.example\n"
    text = '[remote "a"]\n\turl = work:r\n[remote "b"]\n\turl = ssh://git@x.corp/r\n[remote "c"]\n\turl = https://work/r\n'
    assert hosts(tmp_path, text, ssh=ssh) == ("work", "work.internal.example", "x.corp")


def test_what_is_included_counts(tmp_path: Path) -> None:
    more = tmp_path / "more"
    more.write_text('[remote "origin"]\n\turl = https://included.example/r\n')
    assert hosts(tmp_path, f"[include]\n\tpath = {more}\n") == ("included.example",)
