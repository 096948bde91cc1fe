"""The workspace that nobody named: never a home, however it is spelled, nor what contains one."""

import os
import shutil
import subprocess

import pytest

TOUCH = ["--", "sh", "-c", "echo ran"]


@pytest.fixture
def place(user, cli):
    """A home of the user's own, with a project in it."""
    (cli.human / "project").mkdir()
    if user is not None:
        for path in (cli.root, *cli.root.iterdir(), cli.human / "project"):
            shutil.chown(path, user)
    return cli


def run(installed, user, place, directory, *arguments, command="run", **variables):
    options = {} if user is None else {"user": user, "extra_groups": []}
    return subprocess.run(
        [str(installed.interlock), command, *arguments], env=place.environment | variables, cwd=directory,
        capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, **options,
    )  # fmt: skip


def refused(ran):
    return ran.returncode == 120 and "the workspace would be" in ran.stderr and "--workspace" in ran.stderr


def test_a_home_or_what_contains_it_is_refused_and_said_how_to_go_on(installed, user, place):
    ran = run(installed, user, place, place.human, *TOUCH)
    assert refused(ran) and f"the home `{place.human}`" in ran.stderr and ran.stdout == ""
    ran = run(installed, user, place, place.root, *TOUCH)
    assert refused(ran) and "which contains the home" in ran.stderr
    assert refused(run(installed, user, place, place.human, command="shell", SHELL="/bin/true"))
    for folder in ("/home", "/etc", "/usr", "/var"):
        assert refused(run(installed, user, place, folder, *TOUCH)), folder


def test_a_project_in_the_home_and_a_folder_beside_it_are_workspaces(installed, user, place):
    for folder in (place.human / "project", place.workspace):
        ran = run(installed, user, place, folder, *TOUCH)
        assert (ran.returncode, ran.stdout) == (0, "ran\n"), ran.stderr


def test_said_aloud_it_is_the_workspace_and_that_is_told(installed, user, place):
    ran = run(installed, user, place, place.human, "--workspace", str(place.human), *TOUCH)
    assert (ran.returncode, ran.stdout) == (0, "ran\n"), ran.stderr
    assert "warning: the workspace is the home" in ran.stderr


def test_another_spelling_of_the_home_is_the_home(installed, user, place):
    link = place.root / "w" / "link"
    link.symlink_to(place.human)
    assert refused(run(installed, user, place, link, *TOUCH))
    assert refused(run(installed, user, place, place.human, *TOUCH, HOME=f"{place.human}/project/..//"))
    assert refused(run(installed, user, place, place.human, *TOUCH, HOME=str(link)))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a mount namespace for a bind mount")
@pytest.mark.parametrize("where", ["elsewhere", "elsewhere/project", "."])
def test_a_home_mounted_once_more_is_the_home(installed, place, where):
    """`.` is a folder in which the home is mounted: it contains it, whatever the names say."""
    elsewhere = place.workspace / "elsewhere"
    elsewhere.mkdir()
    script = f"mount --bind {place.human} {elsewhere} && cd {where} && exec {installed.interlock} run -- echo ran"
    ran = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script], env=place.environment, cwd=place.workspace, capture_output=True,
        text=True, timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if where == "elsewhere/project":
        assert ran.stdout == "ran\n", ran.stderr
    else:
        assert refused(ran), ran.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: only its home is known to be there")
def test_home_in_the_environment_does_not_hide_the_home_of_the_password_entry(installed, place):
    assert refused(run(installed, None, place, os.path.expanduser("~root"), *TOUCH))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, as sudo does")
def test_root_in_the_home_of_another_is_in_a_home(installed, place, ordinary_user):
    """Under sudo HOME is root's: the folder's owner and SUDO_UID say whose home it is."""
    home = place.root / "theirs"
    home.mkdir()
    before = subprocess.run(["getent", "passwd", ordinary_user], capture_output=True, text=True).stdout.split(":")
    subprocess.run(["usermod", "--home", home, ordinary_user], check=True)
    try:
        assert "the home" in run(installed, None, place, home, *TOUCH, SUDO_UID=before[2]).stderr
        shutil.chown(home, ordinary_user)
        assert refused(run(installed, None, place, home, *TOUCH))
    finally:
        subprocess.run(["usermod", "--home", before[5], ordinary_user], check=True)
