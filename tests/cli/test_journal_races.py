"""A name that changes hands between look and act: what a session loses is what is kept, whoever put it there.

Somebody outside puts numbered files at a name, exchanges them, and never destroys one that has content; the session's
threads lose whatever has the name. So each number has to be somewhere: at a name, or in the journal. `INTERLOCK_SECONDS`
says for how long.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.tries import seconds

SOURCE = Path(__file__).parent.parent / "kernel" / "programs" / "journal_races.c"
SECONDS = seconds(3)
TRASH = """\
interlock: 1
name: trashing
rules:
  - id: before
    steer: file.delete
    path: ["${workspace}/**"]
    when: {origin: before}
    to: trash
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    if shutil.which("cc") is None:
        pytest.skip("no C compiler: install one (Debian: apt-get install gcc)")
    built = tmp_path_factory.mktemp("races") / "journal_races"
    subprocess.run(["cc", "-O1", "-Wall", "-pthread", "-o", built, SOURCE], check=True)
    return built


@pytest.mark.race
@pytest.mark.parametrize("by", ["the journal", "the trash"])
@pytest.mark.parametrize("kind", ["unlink", "rename", "truncate"])
def test_what_is_lost_is_what_is_kept(cli, program, kind, by):
    work = cli.workspace
    rule = ["--preset", "coding-agent", "--policy", cli.write("trash.yaml", TRASH)] if by == "the trash" else []
    shutil.copy(program, work / "race")
    outside = subprocess.Popen([program, "outside", str(SECONDS + 2)], cwd=work, stdout=subprocess.PIPE, text=True)
    done = cli(
        "run",
        "--quiet",
        *rule,
        "--journal",
        "20GiB",
        "--",
        "./race",
        "inside",
        kind,
        str(SECONDS),
        timeout=SECONDS + 120,
    )
    numbers = int(outside.communicate(timeout=60)[0])
    assert done.returncode == 0, done.stderr
    assert "cannot be restored" not in done.stderr
    acts = int(done.stdout.split()[0])
    [journal] = (cli.home / "state" / "journals").iterdir()
    places = [work / "target", work / "spare", *(path for path in journal.iterdir() if path.name != "lines")]
    found = {path.read_text() for path in places if path.exists()}
    lost = [number for number in range(1, numbers + 1) if f"outside {number}\n" not in found]
    assert acts > 20 and numbers > 20
    print(f"{kind} by {by}: {acts} acts inside, {numbers} files outside")
    assert not lost, f"{len(lost)} of {numbers} are nowhere: {lost[:5]}"
    lines = [json.loads(line) for line in (journal / "lines").read_text().splitlines()]
    assert lines[-1]["did"] == "end"
