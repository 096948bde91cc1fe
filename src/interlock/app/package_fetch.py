"""Fetching a package: its client installs it in a session of its own (preset `ci`, with the way to its registries),
into a folder that is nothing else's. Then it is moved below Interlock's state, where no session may change it, and its
digest is taken. No code of the package runs meanwhile: scripts are left out, and only built packages are taken.

One fetch at a time for each home, by a lock that the clearing of forgotten folders takes too. Left out: asking a person
(the command line), and what starts the server later (`gateway_servers.py`).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from configparser import ConfigParser, Error
from pathlib import Path
from typing import Final, NamedTuple

from interlock.app.gateway_servers import SERVER_PATH
from interlock.app.package_command import PackageWanted
from interlock.app.package_registries import layer_of, registries_of
from interlock.connectors.package import MODULES, NotAPackage, Package, digest_of
from interlock.policy.context import temporaries
from interlock.storage.home import Home
from interlock.storage.removal import remove_folder
from interlock.vocabulary.errors import HostError, OperatorError
from interlock.vocabulary.json_value import is_object, object_at, text_at
from interlock.vocabulary.printable import printable

FETCH_S_MAX: Final = 600.0
_SAID_CHARACTERS: Final = 1_500
_STAGE: Final = "interlock-fetch-"
_LOCK: Final = ".lock"
_STAGED: Final = ".stage"
_HAS_PIP: Final = "import pip, sys; sys.version_info >= (3, 10) or sys.exit(1); print(sys.executable)"


class Fetched(NamedTuple):
    """The package as it is kept, and the command that runs its program."""

    package: Package
    command: list[str]


@contextlib.contextmanager
def fetching(home: Home) -> Iterator[None]:
    """From before a fetch until a connector's file names what came."""
    home.ensure(home.packages)
    lock = os.open(f"{home.packages}/{_LOCK}", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _clear_stage(home)
        yield
    finally:
        os.close(lock)


def clear_forgotten(home: Home, kept: Iterable[str]) -> None:
    """Take away every fetched folder that is not among these, unless something is being fetched."""
    if not os.path.isdir(home.packages):
        return
    lock = os.open(f"{home.packages}/{_LOCK}", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    named = set(kept)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _clear_stage(home)
        for folder in Path(home.packages).glob("*/*"):
            if str(folder) not in named:
                remove_folder(str(folder))
    except BlockingIOError:
        pass  # the next start does it
    finally:
        os.close(lock)


def fetch(home: Home, connector: str, wanted: PackageWanted) -> Fetched:
    """Fetch it, within `fetching`. Raises `OperatorError` for a package that cannot be had, `HostError` without what
    fetches it."""
    stage = tempfile.mkdtemp(prefix=_STAGE, dir=temporaries(os.environ))
    Path(f"{home.packages}/{_STAGED}").write_text(stage)
    try:
        version, words = _npm(stage, wanted) if wanted.source == "npm" else _pypi(stage, wanted)
        home.ensure(f"{home.packages}/{connector}")
        folder = f"{home.packages}/{connector}/{secrets.token_hex(8)}"
        shutil.move(stage, folder)
        digest = digest_of(folder)
    except NotAPackage as error:
        raise OperatorError(f"`{wanted.asked}` cannot be kept: {error}") from error
    finally:
        _clear_stage(home)
    command = [f"{folder}{word.removeprefix(stage)}" if word.startswith(f"{stage}/") else word for word in words]
    package = Package(wanted.source, wanted.asked, version, folder, digest)
    return Fetched(package, [*command, *wanted.arguments])


def _npm(stage: str, wanted: PackageWanted) -> tuple[str, list[str]]:
    npm = shutil.which("npm")
    if npm is None:
        raise HostError("`npm` is not found, and it fetches this package", hint="install Node.js")
    Path(stage, "package.json").write_text('{"name": "server", "private": true}')
    options = ["--prefix", stage, "--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev"]
    _installed(stage, [npm, "install", *options, wanted.asked], registries_of("npm", wanted.name, [npm]), wanted)
    try:
        description = json.loads(Path(stage, "node_modules", wanted.name, "package.json").read_bytes())
    except (OSError, ValueError) as error:
        raise OperatorError(f"`{wanted.asked}` did not come as a package: {error}") from error
    if not is_object(description):
        raise OperatorError(f"`{wanted.asked}` does not say what it is")
    programs = _npm_programs(wanted.name, description)
    program = _program(wanted, programs, wanted.name.rpartition("/")[2])
    return str(text_at(description, "version")), [f"{stage}/node_modules/.bin/{program}"]


def _npm_programs(name: str, description: dict[str, object]) -> list[str]:
    if isinstance(description.get("bin"), str):
        return [name.rpartition("/")[2]]
    return [each for each in object_at(description, "bin") if re.fullmatch(r"[A-Za-z0-9._~-]+", each)]


def _pypi(stage: str, wanted: PackageWanted) -> tuple[str, list[str]]:
    python = _python()
    target = f"{stage}/{MODULES}"
    options = ["--target", target, "--only-binary", ":all:", "--no-input", "--disable-pip-version-check"]
    pip = [python, "-I", "-m", "pip"]
    _installed(stage, [*pip, "install", *options, wanted.asked], registries_of("pypi", wanted.name, pip), wanted)
    for described in Path(target).glob("*.dist-info"):
        name, _, version = described.name.removesuffix(".dist-info").rpartition("-")
        if _normal(name) == _normal(wanted.name):
            programs = _pypi_programs(described / "entry_points.txt")
            return version, [python, f"{target}/bin/{_program(wanted, programs, wanted.name)}"]
    raise OperatorError(f"`{wanted.asked}` did not come as a package")


def _pypi_programs(file: Path) -> list[str]:
    parser = ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment]  # names of programs are what they are
    try:
        parser.read_string(file.read_text())
    except (OSError, ValueError, Error):
        return []
    return list(parser["console_scripts"]) if parser.has_section("console_scripts") else []


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _program(wanted: PackageWanted, programs: list[str], otherwise: str) -> str:
    """The program that was named, or the one that is called like the package, or the only one."""
    asked = wanted.program or (otherwise if otherwise in programs or len(programs) != 1 else programs[0])
    if asked not in programs:
        known = ", ".join(f"`{printable(each)}`" for each in programs) or "none"
        raise OperatorError(f"`{wanted.asked}` has no program `{printable(asked)}`", hint=f"it has: {known}")
    return asked


def _python() -> str:
    """A Python that has pip, the system's before others: the server runs by it."""
    for candidate in (shutil.which("python3", path=SERVER_PATH), shutil.which("python3"), sys.executable):
        if candidate is None:
            continue
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            done = subprocess.run([candidate, "-I", "-c", _HAS_PIP], capture_output=True, text=True, timeout=30)
            if done.returncode == 0:
                return done.stdout.strip()
    raise HostError("no Python with pip is found, and it fetches this package", hint="install python3 and python3-pip")


def _installed(stage: str, command: list[str], urls: list[str], wanted: PackageWanted) -> None:
    """Let the client work in a session of its own, to its end."""
    with tempfile.NamedTemporaryFile("w", prefix="interlock-layer-", suffix=".yaml") as layer:
        layer.write(layer_of(urls))
        layer.flush()
        session = [sys.executable, "-P", "-m", "interlock", "run", "--quiet", "--preset", "ci", "--policy", layer.name]
        process = subprocess.Popen(
            [*session, "--workspace", stage, "--", *command], cwd=stage, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            said, _ = process.communicate(timeout=FETCH_S_MAX)
        except BaseException:
            process.terminate()
            process.communicate()
            raise
    if process.returncode != 0:
        end = said.decode("utf-8", "replace").strip()[-_SAID_CHARACTERS:]
        lines = "\n  ".join(printable(line) for line in end.splitlines())
        raise OperatorError(f"`{wanted.asked}` could not be fetched:\n  {lines}", hint="see also: interlock why")


def _clear_stage(home: Home) -> None:
    """What a killed fetch left, or what this one leaves."""
    note = Path(f"{home.packages}/{_STAGED}")
    with contextlib.suppress(FileNotFoundError):
        folder = note.read_text()
        is_ours = os.path.basename(folder).startswith(_STAGE) and os.path.isdir(folder)
        if is_ours and os.lstat(folder).st_uid == os.geteuid():
            remove_folder(folder)
        note.unlink()
