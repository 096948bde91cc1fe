"""What each preset decides about the acts people will try first, asked of the engine itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.policy import PRESETS, Context, PolicyError, Source, load
from interlock.policy.cases import read_cases, run_cases
from interlock.policy.sets import ADDRESS_SETS, MEANINGS, PATH_SETS

native = pytest.importorskip("interlock._native", reason="the native module is not built here")
CASES = sorted((Path(__file__).parents[2] / "policy_golden" / "cases").glob("*.yaml"))


def context(**changes: object) -> Context:
    values: dict = {
        "home": "/home/ada",
        "workspace": "/home/ada/work",
        "user": "ada",
        "state": "/home/ada/.local/state/interlock",
        "config": "/home/ada/.config/interlock",
        "cache": "/home/ada/.cache/interlock",
        "runtime": "/run/user/1000/interlock",
        "session": "/run/user/1000/interlock/s-1",
        "interlock": ("/home/ada/.local/pipx/venvs/interlock",),
        "terminals": ("/dev/pts/7",),
        "resolvers": ("192.168.1.1",),
    }
    return Context(**{**values, **changes})


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_cases_hold(path: Path) -> None:
    here = context()
    policy = native.Policy(load([Source.preset(path.stem)], here, workspace_layer=False).json)
    outcomes = run_cases(read_cases(path.read_bytes(), path.name, here), policy.decide)
    failed = [f"{each.case.name}: {each.says} by {each.rules}" for each in outcomes if not each.holds]
    assert len(outcomes) > 5
    assert not failed, "\n".join(failed)


#: Needs a layer beside it that says what results are.
BESIDE = "gateway-rule-of-two"


@pytest.mark.parametrize("name", [name for name in PRESETS if name != BESIDE])
def test_a_preset_loads_without_a_warning_on_a_plain_machine(name: str) -> None:
    assert load([Source.preset(name)], context(root="/nonexistent"), workspace_layer=False).warnings == ()


def test_the_rule_of_two_alone_is_refused_and_beside_labels_has_no_warning() -> None:
    with pytest.raises(PolicyError) as caught:
        load([Source.preset(BESIDE)], context(root="/nonexistent"), workspace_layer=False)
    assert "no layer says what results are" in caught.value.text()
    labels = b"interlock: 1\nname: mine\nlabels:\n  - {connector: mail, integrity: untrusted}\n  - {connector: crm, confidentiality: private}\nrules:\n  - {id: calls, allow: tool.call}\n"
    found = load([Source("mine.yaml", labels), Source.preset(BESIDE)], context(root="/nonexistent"), workspace_layer=False)
    assert found.warnings == ()


def test_only_a_preset_that_allows_every_send_leaves_them_to_the_kernel() -> None:
    hosted = ("coding-agent", "ci", "strict", "observe", "mcp-server")
    plain = {name: native.Policy(load([Source.preset(name)], context(), workspace_layer=False).json).sends_are_plain for name in hosted}
    assert plain == {"coding-agent": False, "ci": False, "strict": False, "observe": True, "mcp-server": False}


def test_every_set_has_a_meaning() -> None:
    from interlock.policy.sets import context_sets

    machine = context_sets(context())
    assert set(MEANINGS) == {*PATH_SETS, *ADDRESS_SETS, *machine.paths, *machine.addresses, *machine.hosts}


def test_public_addresses_hold_no_private_and_no_metadata_address() -> None:
    import ipaddress

    public = [ipaddress.ip_network(text) for text in ADDRESS_SETS["public-addresses"]]
    closed = [ipaddress.ip_network(text) for name in ("private-addresses", "metadata-addresses") for text in ADDRESS_SETS[name]]
    for network in public:
        for other in closed:
            assert network.version != other.version or not network.overlaps(other), (network, other)
    reachable = ("93.184.216.34", "1.1.1.1", "8.8.8.8", "2606:4700::1111")
    for address in map(ipaddress.ip_address, reachable):
        assert any(address in network for network in public)
