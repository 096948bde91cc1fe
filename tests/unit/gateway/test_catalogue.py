"""Names: reversible, within what clients take, and never one for two things."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from interlock.gateway.catalogue import by_public_name, connector_of, own_uri, public_name, public_uri
from interlock.gateway.operation import tools_of

CONNECTORS = st.from_regex(r"[a-z][a-z0-9-]{0,31}", fullmatch=True)


@given(CONNECTORS, st.lists(st.text(min_size=1, max_size=200), unique=True, max_size=20))
def test_every_public_name_leads_back_to_one_own_name(connector: str, names: list[str]) -> None:
    found = by_public_name(connector, names)
    assert len(set(found.values())) == len(found)
    for public, own in found.items():
        assert public == public_name(connector, own) and connector_of(public) == connector
        assert 0 < len(public) <= 64 and public.isascii()


@given(CONNECTORS, st.text(min_size=1))
def test_a_uri_leads_back(connector: str, uri: str) -> None:
    assert own_uri(public_uri(connector, uri)) == (connector, uri)


def test_a_name_that_stands_twice_or_cannot_be_shown_is_nobodys() -> None:
    definitions: list[dict[str, object]] = [{"name": name} for name in ("a", "b", "a", "x\u202ey", "z\n", "")]
    assert set(tools_of("c", [*definitions, {"title": "nameless"}])) == {"b"}


def test_two_names_that_meet_in_one_public_name_are_both_left_out() -> None:
    long = "x" * 80
    assert by_public_name("c", [long, public_name("c", long).removeprefix("c__")]) == {}
