"""A person's programs run outside after generated sessions, which may do anything their preset allows: nothing of a session runs that its
list did not name.

Each session plants what would run in the ways that are known (`generated.plants`), written in every manner that files
can be (`generated.performer`), among other changes, under the presets by turns. Then the person works: shells, git,
builds, an editor, agents, keys. What ran has left a mark, and each mark is looked up in the session's list: by one of
the objects that led to it, and with its key where it is a key. Without Interlock the same sessions run freely.

Four sessions in CI. `INTERLOCK_SESSIONS=200 python -m pytest -s tests/escapes/test_generated_sessions.py` plays 200
as either user; `INTERLOCK_SEED` replays one, as its failure says.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Installed
from tests.escapes.generated import agents, performer, person
from tests.escapes.generated.house import House
from tests.escapes.generated.plants import DRAWN, PLANTS, Plant

SESSIONS = int(os.environ.get("INTERLOCK_SESSIONS", "4"))
PLANTS_EACH = 14
#: The one that people use most comes up most.
PRESETS = ["coding-agent", "observe", "coding-agent", "ci", "coding-agent", "observe", "mcp-server", "strict"]
WAYS = [way.__name__ for way in performer.WAYS]
PERFORMER = Path(performer.__file__)
#: The same sessions are played without Interlock: the first, and each tenth.
CONTROL_EVERY = 10
#: The person starts the real agents too: after each session, or in CI, where their starts take longer than all else, after the first.
REAL_AGENTS_EVERY = 1 if "INTERLOCK_SESSIONS" in os.environ else SESSIONS

pytestmark = [
    pytest.mark.skipif(bool(person.MISSING), reason=f"needs {', '.join(person.MISSING)}: install them (Debian: apt-get install)"),
    pytest.mark.timeout(240 + 90 * SESSIONS),
]


@pytest.fixture
def house(user: str | None, installed: Installed) -> Iterator[House]:
    house = House(user, installed.python)
    yield house
    house.sleep_no_more()


def filled(value: object, house: House, mark: str) -> object:
    """With the house's own names in it."""
    if not isinstance(value, str):
        return value
    run = f"touch {house.ran}/{mark}"
    words = {
        "%RUN%": run,
        "%JS%": f"require('child_process').execSync('{run}');",
        "%PY%": f'import os; os.system("{run}")',
        "$USER": house.account.pw_name,
    }
    for word, text in words.items():
        value = value.replace(word, text)
    return value


def placed(path: str, house: House) -> str:
    """Where a plant's name lies."""
    for start, place in (("~/", house.home), ("/STEP", house.step), ("/ROOT/", house.root), ("/", Path("/"))):
        if path.startswith(start):
            return str(place / path.removeprefix(start))
    return str(house.work / path)


def drawn(pick: random.Random, house: House, plant: Plant, mark: str) -> tuple[list[tuple], list[str]]:
    """Its operations, with a way of writing for each, and the objects to be named."""
    operations, objects = [], [placed(filled(path, house, mark), house) for path in plant.objects]
    for name, *arguments in plant.operations:
        arguments = [pick.choice(WAYS) if each == DRAWN else filled(each, house, mark) for each in arguments]
        if name in ("write", "chmod", "unlink"):
            arguments[0] = placed(arguments[0], house)
        if name == "write" and arguments[-1] == "as_a_link":
            objects.append(f"{house.work}/{performer.hidden(arguments[0])}")
        if name == "write" and arguments[-1] == "beside":
            objects.append(f"{arguments[0]}.tmp~")  # it stays there, where the rename was refused
        operations.append((name, *arguments))
    return operations, objects


SHUFFLES = [
    lambda pick: [("rename", folder := pick.choice(["tools", "scripts", "lib", "ci", "bin", "data", ".vscode", ".claude"]), "y17"), ("rename", "y17", folder)],
    lambda pick: [("shell", f"cp -a {(folder := pick.choice(['tools', 'scripts', 'lib', 'ci', 'bin']))} z17 && rm -rf {folder} && mv z17 {folder}")],
    lambda pick: [("shell", "mkdir -p n17; for i in $(seq 40); do echo x > n17/$i.txt; done; rm -rf n17")],
    lambda pick: [("hardlink", pick.choice(["Makefile", "common.inc", "lib/a.js", ".git/config"]), "h17"), ("unlink", "h17")],
    lambda pick: [("write", f"notes-{pick.randrange(99)}.md", "text\n", 0o644, "directly")],
    lambda pick: [("fifo", f"pipe-{pick.randrange(99)}"), ("xattr", "README")],
    lambda pick: [("shell", "git status --short; git add -A; git -c core.hooksPath=/dev/null commit -qm work")],
    lambda pick: [("shell", "mv .git .g17; mv .g17 .git")],
    lambda pick: [("chmod", "scripts/build", 0o755), ("chmod", "scripts/build", 0o644)],
]  # fmt: skip


class Session:
    """One generated session: what it does, and for each mark the plant and its objects."""

    def __init__(self, seed: int, house: House) -> None:
        pick = random.Random(seed)
        self.house, self.plants, self.operations, self.key_is_kept = house, {}, [], True
        for number, plant in enumerate(pick.sample(PLANTS, PLANTS_EACH)):
            operations, objects = drawn(pick, house, plant, f"m{number}")
            self.plants[f"m{number}"] = (plant, objects)
            self.operations += operations
            if pick.random() < 0.4:
                self.operations += pick.choice(SHUFFLES)(pick)
        if pick.random() < 0.5:  # the key agent's socket makes room for another
            socket = person.key_socket(house)
            self.operations += [("rename", str(socket), f"{socket}.old"), ("listen", str(socket)), ("listen", f"{house.work}/own.sock")]

    def play(self, preset: str | None, real: dict[str, Path] | None = None) -> set[str]:
        """Plays it, as a session or (None) freely, and then the person at work, with `real` agents too; the marks of what ran."""
        house = self.house
        house.lay_out()
        command = ["/usr/bin/python3", "-I", "-S", "-c", PERFORMER.read_text()]
        interlock = [house.python.parent / "interlock", "run", "--quiet", "--no-ask", "--preset", preset, "--workspace", house.work, "--"]
        with person.key_agent(house) as keys:
            done = house.person([*(interlock if preset else []), *command], stdin=json.dumps(self.operations), seconds=180)
            assert done is not None and done.returncode == 0, done
            self._look_for_what_is_gone()
            house.ran.mkdir()
            house.ran.chmod(0o777)
            slow = person.at_work(house)
            slow += [f"the real {name}" for name, program in (real or {}).items() if not agents.start(name, program, house)]
            self.key_is_kept = person.holds_key(house, keys)
        if slow:
            print(f"  took too long: {', '.join(slow)}")
        return {path.name for path in house.ran.iterdir()}

    def _look_for_what_is_gone(self) -> None:
        """What was committed and is not in the work tree can come back from git's objects alone."""
        for _, objects in self.plants.values():
            if not any(os.path.lexists(path) for path in objects):
                objects.append(f"{self.house.work}/.git/objects")

    def unnamed(self, ran: set[str], changes: list[dict]) -> list[str]:
        """What ran and was not named."""
        listed = {item["path"] if isinstance(item["path"], str) else repr(item["path"]): item for item in changes}
        folder = person.key_socket(self.house).parent
        key = [] if self.key_is_kept or any(name.startswith(f"{folder}/") for name in listed) else ["the key agent was replaced"]
        return key + [f"{mark}: {self.plants[mark]}" for mark in sorted(ran) if not self._is_named(mark, listed)]

    def _is_named(self, mark: str, listed: dict[str, dict]) -> bool:
        plant, objects = self.plants[mark]
        for path in objects:
            lines = [item for name, item in listed.items() if path == name or path.startswith(f"{name}/") or name.startswith(f"{path}/")]
            if any(not plant.keys or "keys" not in item or set(plant.keys) <= set(item["keys"]) for item in lines):
                return True
        return False


@pytest.mark.parametrize("name", agents.NAMES)
def test_the_agents_that_are_started_are_real(house: House, name: str) -> None:
    """A hook of a folder that nobody protected runs when they start there, or they at least ask their model."""
    real = agents.installed()
    if real is None:
        pytest.skip("needs npm and its registry: installs Claude Code and Codex")
    house.lay_out()
    house.ran.mkdir()
    house.ran.chmod(0o777)
    (house.work / "scripts/agent-hook").write_text(f"touch {house.ran}/started\n")
    assert agents.start(name, real[name], house)
    assert name != "claude" or (house.ran / "started").exists(), "the folder's own SessionStart hook runs at its start"


def test_nothing_of_a_session_runs_that_its_list_did_not_name(house: House) -> None:
    seed = int(os.environ.get("INTERLOCK_SEED", random.SystemRandom().randrange(1 << 32)))
    freely, held, failures, real = 0, 0, [], agents.installed()
    print(f"real agents: {', '.join(real or {}) or 'none could be installed here (npm and its registry)'}")
    for number in range(SESSIONS):
        session, preset = Session(seed + number, house), PRESETS[(seed + number) % len(PRESETS)]
        if number % CONTROL_EVERY == 0:
            freely += len(session.play(None))
        ran = session.play(preset, real if number % REAL_AGENTS_EVERY == 0 else None)
        held += len(ran)
        unnamed = session.unnamed(ran, house.changes())
        print(f"seed {seed + number} ({preset}): {len(ran)} ran, {len(unnamed)} unnamed", flush=True)
        failures += [f"INTERLOCK_SEED={seed + number} INTERLOCK_SESSIONS=1 ({preset}): {each}" for each in unnamed]
    print(f"{SESSIONS} sessions from seed {seed}: {held} ran and were named but {len(failures)}; freely {freely} in {-(-SESSIONS // CONTROL_EVERY)}")
    assert freely > 0, "without Interlock nothing ran: this shows nothing"
    assert not failures, "\n".join(failures)
