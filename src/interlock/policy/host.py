"""Names of hosts in a policy, brought to the one spelling that the engine takes, or a hint for who wrote another.

Left out: what a name matches (the engine, `spec/policy.md`). Names in other alphabets are refused and not translated:
the standards for it disagree (IDNA 2003 and 2008 about `ß`), and a rule must not mean another name than its client
asks for.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from interlock.policy.engine import native

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from interlock.policy.compiled_form import CompiledPolicy, WrittenAt
    from interlock.vocabulary.enforcement import Enforcement


class Naming(NamedTuple):
    """What a machine says of names: how far sessions `answer` questions for them, and the members of the sets of hosts
    that its own clients are configured for. Each is asked only where a policy needs it.
    """

    answer: Callable[[], Enforcement]
    hosts: Callable[[], Mapping[str, tuple[str, ...]]]


def host_in_one_spelling(text: str) -> tuple[str, str | None]:
    """The pattern in its one spelling; or what is wrong with it, and a hint."""
    module = native()
    try:
        return module.host_pattern(text), None
    except module.PatternError as error:
        return str(error), _hint(text)


def host_name(text: str) -> str | None:
    """A name in its one spelling; None for an address, and for what is no name of a host."""
    module = native()
    try:
        return str(module.host_name(text))
    except module.PatternError:
        return None


def is_public(address: str) -> bool:
    """Whether a name may lead to this address without a rule that says `private: true`."""
    from ipaddress import ip_address

    public: bool = native().is_public(ip_address(address))
    return public


def _hint(text: str) -> str:
    url = re.match(r"[a-z][a-z0-9+.-]*://(?:[^/@]*@)?([^/:?#]+)", text, re.I)
    if url:
        return f"write the name alone: `host: {url[1]}`"
    with_port = re.match(r"([^:]+):([0-9]{1,5})\Z", text)
    if with_port:
        return f"write `host: {with_port[1]}` and `port: {with_port[2]}`"
    if text in ("*", "**"):
        return 'for every host write `address: "@public-addresses"`'
    if not text.isascii():
        return _in_ascii(text)
    if re.fullmatch(r"(?=.*[0-9:])[0-9a-fx.:\[\]]+(%\w*)?", text, re.I):
        return "addresses stand under `address`"
    return "write `example.com`, `*.example.com` (one label more) or `**.example.com` (one or several)"


def _in_ascii(text: str) -> str:
    front, name = re.match(r"(\**\.?)(.*)", text, re.S).groups()  # type: ignore[union-attr]  # matches anything
    try:
        spelt = name.encode("idna").decode()
    except UnicodeError:
        return "write it in the form in which it is asked for, with labels that begin with `xn--`"
    return f"write it in the form in which it is asked for, `{front}{spelt}` as it seems; your client shows which it is"


def rules_by_name(policy: CompiledPolicy) -> list[tuple[str, bool, WrittenAt]]:
    """The rules that name hosts to be reached: each with whether it says `best_effort`, and where it is written."""
    return [
        (f"{layer['name']}/{rule['id']}", rule["best_effort"], rule["source"])
        for layer in policy["layers"]
        for rule in layer["rules"]
        if "host" in rule["match"] and any(verb.startswith("net.") for verb in rule["verbs"])
    ]
