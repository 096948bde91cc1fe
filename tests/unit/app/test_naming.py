"""What stands for rules that name hosts where sessions answer no names."""

from __future__ import annotations

import pytest

from interlock.app.naming import in_place_of_names
from interlock.host.host_names import UNKNOWN, answers_names
from interlock.policy import Source
from interlock.policy.host import Naming
from interlock.vocabulary.enforcement import Enforcement, Fully, NotEnforced


@pytest.mark.parametrize(
    ("state", "layers"),
    [(Fully(), []), (NotEnforced("no namespaces"), ["open-web.yaml"]), (NotEnforced(f"{UNKNOWN}: it was late"), [])],
)
def test_the_web_is_opened_only_where_it_is_known_that_names_are_not_answered(state: Enforcement, layers: list[str]) -> None:
    asked = Naming(lambda: state, dict)
    assert [source.name for source in in_place_of_names([Source.preset("coding-agent")], asked)] == layers


def test_what_cannot_be_found_out_is_told_as_that(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\n")
    silent.chmod(0o755)
    monkeypatch.setattr("interlock.host.executable.find_supervisor", lambda: str(silent))
    state = answers_names(str(tmp_path))
    assert isinstance(state, NotEnforced)
    assert state.reason.startswith(UNKNOWN)
