"""What a policy compiles to: variables are literal, links are followed with care, hard links are found, layers keep their order."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from interlock.policy import Compiled, Context, Origin, PolicyError, Source, load


def context(root: Path, **changes: object) -> Context:
    base = Context(
        home=f"{root}/home",
        workspace=f"{root}/home/work",
        user="ada",
        state=f"{root}/il/state",
        config=f"{root}/il/config",
        cache=f"{root}/il/cache",
        runtime=f"{root}/il/runtime",
        session=f"{root}/il/runtime/s-1",
        temporary=f"{root}/tmp",
        interlock=(f"{root}/opt/interlock",),
    )
    return base._replace(**changes)


@pytest.fixture
def place(tmp_path: Path) -> Context:
    root = Path(os.path.realpath(tmp_path))
    for name in ("home/work", "il/state", "il/cache", "tmp", "opt/interlock"):
        (root / name).mkdir(parents=True)
    return context(root)


def policy(text: str, name: str = "mine") -> Source:
    return Source(f"{name}.yaml", f"interlock: 1\nname: {name}\n{text}".encode())


def rule(compiled: Compiled, name: str) -> dict:
    wanted_layer, wanted = name.split("/")
    for layer in compiled.document()["layers"]:
        for found in layer["rules"]:
            if (layer["name"], found["id"]) == (wanted_layer, wanted):
                return found
    raise AssertionError(f"no rule {name}")


def one(context: Context, body: str, **options: object) -> dict:
    return rule(load([policy(f"rules:\n  - id: one\n    {body}")], context, **options), "mine/one")


def test_guard_and_base_are_first_whoever_asks(place: Context) -> None:
    compiled = load([policy("rules: []"), Source.preset("base"), Source.preset("guard")], place)
    assert compiled.layers == ("guard", "base", "mine")


@pytest.mark.parametrize("closed", ["closed: true", '"closed": "true"'])
def test_a_closed_layer_leaves_base_out(place: Context, closed: str) -> None:
    """Its silence is a denial, so what base allows would not come to pass: nothing says that it would."""
    assert load([policy(f"{closed}\nrules: []"), Source.preset("base")], place).layers == ("guard", "mine")
    assert load([policy("rules: []  # not closed")], place).layers == ("guard", "base", "mine")


def test_a_workspace_layer_is_found_and_guarded(place: Context) -> None:
    Path(place.workspace, ".interlock").mkdir()
    Path(place.workspace, ".interlock/policy.yaml").write_text(
        "interlock: 1\nname: repo\nrules:\n  - {id: one, deny: file.read, path: /srv/x}\n"
    )
    compiled = load([policy("rules: []")], place)
    assert compiled.layers == ("guard", "base", "mine", "repo")
    assert compiled.document()["layers"][3]["origin"] == "workspace"


@pytest.mark.parametrize("what", ["link", "pipe", "directory"])
def test_a_workspace_layer_that_is_no_plain_file_is_refused_at_once(place: Context, what: str) -> None:
    folder = Path(place.workspace, ".interlock")
    folder.mkdir()
    target = folder / "policy.yaml"
    {"link": lambda: target.symlink_to("/etc/passwd"), "pipe": lambda: os.mkfifo(target), "directory": target.mkdir}[what]()
    with pytest.raises(PolicyError):
        load([policy("rules: []")], place)


def test_policy_files_are_guarded(place: Context, tmp_path: Path) -> None:
    file = Path(place.workspace, "team.yaml")
    file.write_text("interlock: 1\nname: team\nrules: []\n")
    compiled = load([Source.file(str(file))], place)
    assert str(file) in rule(compiled, "guard/policy-files")["match"]["path"]


def test_a_workspace_from_which_interlock_is_loaded_is_refused(place: Context) -> None:
    with pytest.raises(PolicyError, match="from which Interlock itself is loaded"):
        load([policy("rules: []")], place._replace(interlock=(place.workspace,)))


def test_a_name_that_is_not_utf8_is_refused_not_crashed_on(place: Context) -> None:
    with pytest.raises(PolicyError, match="not UTF-8"):
        load([policy("rules: []")], place._replace(workspace=f"{place.home}/\udcff"))


def test_the_workspace_may_not_be_everything(place: Context) -> None:
    with pytest.raises(PolicyError, match="the workspace is `/`"):
        load([policy("rules: []")], place._replace(workspace="/"))


def test_two_layers_of_one_name_are_refused(place: Context) -> None:
    with pytest.raises(PolicyError, match="used twice"):
        load([policy("rules: []"), Source("again.yaml", b"interlock: 1\nname: mine\nrules: []\n")], place)


def test_approve_has_a_timeout_unless_given(place: Context) -> None:
    assert one(place, "approve: process.exec")["timeout_ms"] == 120_000
    assert one(place, "approve: process.exec\n    timeout: 5m")["timeout_ms"] == 300_000


def test_scalars_are_text_typed_by_their_field(place: Context) -> None:
    compiled = one(place, "deny: file.read\n    path: /a\n    because: no")
    assert compiled["because"] == "no"
    found = one(place, 'deny: tool.call\n    arguments: [{at: /a, equals: 10}, {at: /b, equals: "10"}, {at: /c, equals: yes}]')
    assert [each["value"] for each in found["match"]["arguments"]] == [10, "10", "yes"]


def test_conditions_on_answers_are_those_on_arguments(place: Context) -> None:
    condition = "[{at: /content/n, at_most: 3}]"
    found = one(place, f"deny: tool.call\n    arguments: {condition}\n    answers: {condition}")
    assert found["match"]["answers"] == found["match"]["arguments"] == [{"at": "/content/n", "test": "at_most", "value": 3}]
    assert "arguments" not in one(place, f"approve: [prompt.get, resource.read]\n    answers: {condition}")["match"]
    with pytest.raises(PolicyError, match="answers"):
        one(place, f"deny: log.level\n    answers: {condition}")
    with pytest.raises(PolicyError, match="`answers` is a list of conditions"):
        one(place, "deny: tool.call\n    answers: all")


def test_mapped_addresses_are_written_as_ipv4(place: Context) -> None:
    assert one(place, 'deny: net.connect\n    address: "::ffff:10.0.0.0/104"')["match"]["address"] == ["10.0.0.0/8"]


def test_the_session_is_named_even_from_the_cache(place: Context) -> None:
    for session in ("s-1", "s-2"):
        there = place._replace(session=f"{place.runtime}/{session}")
        compiled = load([policy("rules: []")], there, cache=place.cache)
        assert rule(compiled, "guard/why")["match"]["path"] == [f"{place.runtime}/{session}/inside.sock"]
    assert compiled.from_cache


class TestCache:
    def test_the_second_load_comes_from_it_and_is_the_same(self, place: Context) -> None:
        first = load([Source.preset("ci")], place, cache=place.cache)
        second = load([Source.preset("ci")], place, cache=place.cache)
        assert (first.from_cache, second.from_cache) == (False, True)
        assert first.json == second.json

    def test_a_changed_source_or_context_misses(self, place: Context) -> None:
        load([policy("rules: []")], place, cache=place.cache)
        assert not load([policy("rules: []\ndescription: x")], place, cache=place.cache).from_cache
        assert not load([policy("rules: []")], place._replace(user="eve"), cache=place.cache).from_cache

    @pytest.mark.parametrize("damage", ["flip", "cut", "empty", "open", "link"])
    def test_a_damaged_entry_is_ignored_and_written_anew(self, place: Context, damage: str) -> None:
        good = load([policy("rules: []")], place, cache=place.cache).json
        (entry,) = (path for path in Path(place.cache).iterdir() if not path.name.startswith("walk-"))
        assert entry.stat().st_mode & 0o777 == 0o600
        data = entry.read_bytes()
        if damage == "open":
            entry.chmod(0o644)
        elif damage == "link":
            entry.rename(f"{place.home}/elsewhere")
            entry.symlink_to(f"{place.home}/elsewhere")
        else:
            changed = {"flip": data[:-3] + bytes([data[-3] ^ 1]) + data[-2:], "cut": data[:-9], "empty": b""}[damage]
            entry.write_bytes(changed)
        again = load([policy("rules: []")], place, cache=place.cache)
        assert (again.from_cache, again.json) == (False, good)
        assert load([policy("rules: []")], place, cache=place.cache).from_cache

    def test_without_a_directory_it_still_loads(self, place: Context) -> None:
        assert load([policy("rules: []")], place, cache="/nonexistent").layers == ("guard", "base", "mine")

    def test_links_are_looked_up_at_every_load(self, place: Context) -> None:
        load([policy('rules: [{id: one, deny: file.read, path: "~/.ssh/**"}]')], place, cache=place.cache)
        Path(place.home, "vault").mkdir()
        Path(place.home, ".ssh").symlink_to("vault")
        compiled = load([policy('rules: [{id: one, deny: file.read, path: "~/.ssh/**"}]')], place, cache=place.cache)
        assert compiled.from_cache
        assert f"{place.home}/vault/**" in rule(compiled, "mine/one")["match"]["path"]


def test_the_digest_is_the_engines(place: Context) -> None:
    native = pytest.importorskip("interlock._native", reason="the native module is not built here")
    for name in ("coding-agent", "ci", "strict", "observe", "mcp-server", "gateway-baseline"):
        compiled = load([Source.preset(name)], place)
        assert native.Policy(compiled.json).digest == compiled.digest
        assert json.loads(compiled.json)["digest"] == compiled.digest


def test_a_preset_carries_its_origin(place: Context) -> None:
    compiled = load([Source.preset("ci"), policy("rules: []")], place)
    origins = [layer["origin"] for layer in compiled.document()["layers"]]
    assert origins == [Origin.BUILTIN, Origin.BUILTIN, Origin.BUILTIN, Origin.USER]
