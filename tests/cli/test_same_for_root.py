"""Root and an ordinary user are told the same: the same acts in the same house, under each preset, are decided the same by
the same rules. What differs for root is in docs/limits.md, and none of it is a decision about such an act.

Each performs the acts in a session of its own; their records are compared act by act, with the house's place and the
servers' ports taken out. The kernel may refuse the ordinary user something before there is anything to decide; then it
has refused, and root's decision is about what the other could not do anyway.
"""

from __future__ import annotations

import errno
import json
import os
import random
import re
import shutil
import tempfile
from pathlib import Path

import pytest

from .same import acts
from .test_same_decision import PRESETS, Stage, divided, drawn

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, which can be both: run the tests as root")
#: Natively root may, and another may not.
REFUSED_BY_THE_KERNEL = {errno.EACCES, errno.EPERM}


@pytest.fixture
def places():
    made = [Path(tempfile.mkdtemp(prefix="ild-")) for _ in range(4)]
    yield made[:2], made[2:]
    for place in made:
        shutil.rmtree(place, ignore_errors=True)


class Resident(Stage):
    """With the place for sessions' private folders apart: those differ, and nothing else does."""

    def __init__(self, installed, user, place, preset):
        super().__init__(installed, user, place, preset)
        private = place[0] / "private"
        private.mkdir()
        if user is not None:
            shutil.chown(private, user)
        self.layout.environment["TMPDIR"] = str(private)


def translated(act, here, there):
    """The same act in the other house."""
    text = json.dumps(act.call).replace(str(here.layout.root), str(there.layout.root))
    call = json.loads(text)
    for style in ("tcp", "udp"):
        for name, place in getattr(here.outside, style).items():
            call = [list(getattr(there.outside, style)[name]) if each == list(place) else each for each in call]
    if call[0] == "kill":
        names = {process: name for name, process in here.outside.processes.items()}
        call[1] = there.outside.processes[names[call[1]]]
    return acts.Act(call)


def again(told, here, there):
    for act, *_ in told:
        yield translated(act, here, there)


def bare(target):
    """Without the numbers of objects."""
    return {key: bare(value) if isinstance(value, dict) else value for key, value in target.items() if key not in ("inode", "process")}


def decisions(window, stage):
    """What was decided, without what names this house alone."""
    found = set()
    for each in window:
        text = json.dumps(bare(each["action"]["target"]), sort_keys=True).replace(str(stage.layout.root), "")
        for style in ("tcp", "udp"):
            for _, port in getattr(stage.outside, style).values():
                text = text.replace(f'"port": {port}', f'"port": "{style}"')
        if each["action"]["verb"] == "net.listen":
            text = re.sub(r'"port": \d+', '"port": "some"', text)  # the kernel chose it, if the act did not
        decision = each["decision"]
        found.add((each["action"]["verb"], text, decision["decision"], tuple(sorted(decision["rules"]))))
    return found


@pytest.mark.parametrize("preset", PRESETS)
def test_the_same_acts_are_decided_the_same(installed, ordinary_user, places, preset):
    seed = int(os.environ.get("INTERLOCK_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"seed {seed}; again with INTERLOCK_TEST_SEED={seed}")
    root, other = Resident(installed, None, places[0], preset), Resident(installed, ordinary_user, places[1], preset)
    told, record = root.perform(drawn(random.Random(seed), root))
    told_other, record_other = other.perform(again(told, root, other))
    pairs = zip(told, told_other, *(divided(each, f"{stage.layout.workspace}/marks") for each, stage in ((record, root), (record_other, other))), strict=True)
    compared, different = 0, []
    for (act, code, _), (_, code_other, _), window, window_other in pairs:
        mine, others = decisions(window, root), decisions(window_other, other)
        compared += bool(mine)
        if mine != others and not (not others and code_other in REFUSED_BY_THE_KERNEL):
            different.append((act.call, errno.errorcode.get(code), errno.errorcode.get(code_other), mine ^ others))
    assert compared > 300, "enough was decided to say something"
    assert not different, "\n".join(map(str, different[:10]))
