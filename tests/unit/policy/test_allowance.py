"""The rule that `why` shows allows the denied act and nothing beside it, whatever the name; what cannot be named exactly has no rule."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock._native import Policy
from interlock.policy import Context, Origin
from interlock.policy.allowance import NoRuleError, folder_of, quoted, rule_for, settled_folder
from interlock.policy.compile import compile_layer
from interlock.policy.faults import Fault
from interlock.policy.parse import parse_layer
from interlock.vocabulary.denial import Denial

CONTEXT = Context(
    home="/home/ada", workspace="/home/ada/work", user="ada", state="/il/state", config="/il/config", cache="/il/cache", runtime="/il/run"
)
HOSTILE = [
    "*", "**", "?", "[a]", "[!a]", "{a,b}", "${home}", "${", "$", "~", "@system", "\\", "\\\\", "\n", "\r", "\t", "\x01", "\x1b[2J", "\x7f",
    "\x85", "\u2028", "\u202e", "\ufeff", "é", "e\u0301", "💥", "'", '"', "#", " #", ": ", "- ", "&a", "!b", "%", "`", "|", ">", " ", "a", "b",
]  # fmt: skip
component = st.lists(st.sampled_from(HOSTILE) | st.characters(exclude_characters="/\x00", codec="utf-8"), min_size=1, max_size=6).map("".join)
names = st.lists(component.filter(lambda text: text not in (".", "..")), min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))


def denial(verb, target):
    return Denial(verb=verb, target=target, asked=False, rules=(), layers=(), because="no rule allows it")


def policy_of(rule):
    """What the engine makes of the rule, pasted into a file."""
    faults: list[Fault] = []
    text = f"interlock: 1\nname: mine\nrules:\n{rule.text('allowed-1')}"
    layer = parse_layer(text.encode(), file="x.yaml", origin=Origin.USER, faults=faults)
    assert layer is not None and not faults, [fault.text() for fault in faults]
    compiled = compile_layer(layer, CONTEXT, faults)
    assert not faults, [fault.text() for fault in faults]
    return Policy(json.dumps({"interlock": 1, "layers": [compiled]}))


def decided(policy, verb, target):
    action = {"id": "s/0", "plane": "host", "verb": verb, "target": target, "subject": {}}
    return json.loads(policy.decide(json.dumps(action), None))["decision"]


@settings(max_examples=500, deadline=None)
@given(names, names)
def test_the_rule_matches_this_path_and_no_other(path, other):
    policy = policy_of(rule_for(denial("file.read", {"path": path})))
    assert decided(policy, "file.read", {"path": path}) == "allow"
    neighbours = {other, path + "x", path[:-1], path + "/x", path.swapcase(), path.replace("\\", ""), path.replace("*", "x")}
    for neighbour in {*neighbours, path.replace("\n", " "), path.replace("{a,b}", "a"), path.replace("[a]", "a"), path.replace("?", "z")} - {path, ""}:
        root, *parts = neighbour.split("/")
        if not root and parts and not {"", ".", ".."} & set(parts):
            assert decided(policy, "file.read", {"path": neighbour}) == "deny", neighbour
    assert decided(policy, "file.write", {"path": path}) == "deny"


@settings(max_examples=200, deadline=None)
@given(names)
def test_a_folder_is_that_folder(path):
    folder = f"/srv/data{path}"
    policy = policy_of(rule_for(denial("file.read", {"path": f"{folder}/x"}), folder=folder))
    assert decided(policy, "file.read", {"path": f"{folder}/x"}) == "allow"
    assert decided(policy, "file.read", {"path": f"{folder}/deep/er"}) == "allow"
    assert decided(policy, "file.read", {"path": f"{folder}x/y"}) == "deny"
    assert decided(policy, "file.read", {"path": "/srv/data/x"}) == ("allow" if folder == "/srv/data/x" else "deny")


@settings(max_examples=300, deadline=None)
@given(names)
def test_what_is_written_shows_as_it_is(path):
    assert quoted(path).isascii() or quoted(path).isprintable()
    assert "\n" not in quoted(path) and "\x1b" not in quoted(path) and "\u202e" not in quoted(path)


TARGETS = [
    ("file.rename", {"path": "/a", "to": {"path": "/b"}}, {"path": "/a", "to": {"path": "/c"}}),
    ("process.exec", {"path": "/a", "arguments": ["a"], "directory": "/"}, {"path": "/b", "arguments": ["a"], "directory": "/"}),
    ("net.connect", {"protocol": "tcp", "address": "10.0.0.5", "port": 5432, "to": "outside"},
     {"protocol": "tcp", "address": "10.0.0.5", "port": 5433, "to": "outside"}),
    ("net.send", {"protocol": "udp", "address": "fd00::1", "port": 53, "to": "outside"},
     {"protocol": "udp", "address": "fd00::2", "port": 53, "to": "outside"}),
    ("net.connect", {"protocol": "tcp", "address": "203.0.113.7", "port": 443, "to": "outside", "host": "a.example.com"},
     {"protocol": "tcp", "address": "10.0.0.5", "port": 443, "to": "outside", "host": "a.example.com"}),
    ("net.connect", {"protocol": "tcp", "address": "10.0.0.5", "port": 22, "to": "outside", "host": "a.example.com"},
     {"protocol": "tcp", "address": "10.0.0.5", "port": 22, "to": "outside"}),
    ("process.signal", {"to": "outside", "signal": 15, "process": 7}, {"to": "outside", "signal": 9, "process": 7}),
    ("process.ptrace", {"to": "inside", "process": 7}, {"to": "outside", "process": 7}),
    ("unix.connect", {"path": "/run/x.sock", "to": "outside"}, {"path": "/run/y.sock", "to": "outside"}),
    ("unix.connect", {"abstract": "x", "to": "inside"}, {"abstract": "x", "to": "outside"}),
]  # fmt: skip


@pytest.mark.parametrize(("verb", "target", "other"), TARGETS, ids=lambda value: value if isinstance(value, str) else "")
def test_each_kind_of_act_has_its_rule(verb, target, other):
    policy = policy_of(rule_for(denial(verb, target)))
    assert decided(policy, verb, target) == "allow"
    assert decided(policy, verb, other) == "deny"


def test_a_name_that_was_not_asked_for_outside_has_a_rule_for_wherever_it_leads_in_public():
    asked = {"protocol": "tcp", "port": 443, "to": "outside", "host": "a.example.com"}
    policy = policy_of(rule_for(denial("net.connect", asked | {"address": "198.19.0.1"})))
    assert decided(policy, "net.connect", asked | {"address": "203.0.113.7"}) == "allow"
    assert decided(policy, "net.connect", asked | {"address": "10.0.0.5"}) == "deny"


@pytest.mark.parametrize(
    ("verb", "target", "because"),
    [
        ("file.read", {"path": {"base64": "L3RtcC//"}}, "not UTF-8"),
        ("file.read", {"path": "/" + "x" * 1000}, "longer"),
        ("file.read", {"path": {"digest": "sha256:00", "bytes": 9}}, "too long"),
        ("unix.connect", {"abstract": "x", "to": "outside"}, "abstract"),
        ("process.signal", {"to": "outside", "signal": 40}, "no name"),
        ("call", {"call": "mount"}, "not decided by a layer"),
        ("tool.call", {"connector": "c", "tool": "t"}, "not decided by a layer"),
    ],
)
def test_what_cannot_be_named_exactly_has_no_rule(verb, target, because):
    with pytest.raises(NoRuleError, match=because):
        rule_for(denial(verb, target))


@pytest.mark.parametrize("path", ["/etc/x", "/x", "/home/ada/x", "/home/x"])
def test_a_folder_that_holds_too_much_is_not_allowed_whole(path):
    with pytest.raises(NoRuleError, match="too wide"):
        folder_of(denial("file.read", {"path": path}), "/home/ada")


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("/srv/x.git/objects/incoming-8fKe2p", "/srv/x.git/objects"),
        ("/srv/x.git/objects/incoming-8fKe2p/pack/tmp_pack_a1b2c3", "/srv/x.git/objects"),
        ("/srv/x.git/objects/tmp_objdir-incoming-abcdef", "/srv/x.git/objects"),  # one in a hundred is of one kind
        ("/srv/x.git/objects/12/tmp_obj_QWERTY", "/srv/x.git/objects/12"),
        ("/srv/x/tmpk3j9d8fa", "/srv/x"),
        ("/srv/x/tmp.Xk29slLqZ1", "/srv/x"),
        ("/srv/tmp.Xk29slLqZ1", None),  # a folder right below the root is too wide
        ("/home/ada/tmp_obj_Xa3k9Q", None),  # so is the home
        ("/srv/x/Cargo.lock", None),
        ("/srv/x/tmp/report.txt", None),
        ("/srv/x/temperature1", None),
        ("/srv/x/template.py", None),
        ("/srv/x/tmp_data", None),
    ],
)
def test_a_name_for_one_time_stands_for_its_folder(path: str, folder: str | None) -> None:
    assert settled_folder(denial("file.create", {"path": path}), "/home/ada") == folder
    assert settled_folder(denial("file.read", {"path": path}), "/home/ada") is None
