"""Variables, sets and braces of one layer expanded to plain patterns and addresses, each checked where it was written.

A variable's value is escaped: a workspace called `a*b[` is that directory and nothing else.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal

from interlock.policy.faults import Fault, meant, quoted
from interlock.policy.host import host_in_one_spelling
from interlock.policy.layer import Item
from interlock.policy.limits import PATTERNS_MAX
from interlock.policy.pattern import PATTERN_BYTES_MAX, escape, expand_braces, problem_of, problem_of_key
from interlock.policy.set_keys import KEY_SETS
from interlock.policy.sets import ADDRESS_SETS, PATH_SETS, context_sets

if TYPE_CHECKING:
    from interlock.policy.context import Context
    from interlock.policy.layer import Layer

_VARIABLE: Final = re.compile(r"\\.|\$\{([^}]*)\}|\$\{", re.S)
_REFERENCE_DEPTH_MAX: Final = 16
#: What a set holds, by the key under which its members stand.
_Kind = Literal["path", "address", "host"]
_HOLDS: Final[dict[_Kind, str]] = {"path": "paths", "address": "addresses", "host": "names of hosts"}


class Expander:
    """Expands the texts of one layer. Faults go to the list given."""

    def __init__(self, layer: Layer, context: Context, faults: list[Fault]) -> None:
        self._layer = layer
        self._faults = faults
        self._values = context.variables()
        self._human_home = context.home
        self._context_sets = context_sets(context)
        self._builtin: dict[str, tuple[str, ...]] = {}
        self._expanded: dict[tuple[str, _Kind], tuple[str, ...]] = {}
        self._own = self._own_variables()

    def patterns(self, items: tuple[Item, ...], field: str) -> tuple[str, ...]:
        """Path patterns, in order, without repetition."""
        found: dict[str, None] = {}
        for item in items:
            found.update(dict.fromkeys(self._paths_of(item, ())))
        if len(found) > PATTERNS_MAX:
            self._fault(
                items[0], f"`{field}` stands for more than {PATTERNS_MAX} patterns", "use wider patterns or two rules"
            )
        return tuple(found)

    def keys(self, items: tuple[Item, ...]) -> tuple[str, ...]:
        """Keys of structured files, in order, without repetition. Built-in sets only, and no variables."""
        found: dict[str, None] = {}
        for item in items:
            name = item.text.removeprefix("@")
            if not item.text.startswith("@"):
                problem = problem_of_key(item.text)
                if problem is not None:
                    self._fault(item, f"{quoted(item.text)} is not a key", problem)
                found[item.text] = None
            elif name in KEY_SETS:
                found.update(dict.fromkeys(KEY_SETS[name]))
            else:
                shown = [f"@{each}" for each in KEY_SETS]
                hint = meant(item.text, shown, f"known: {', '.join(shown)}")
                self._fault(item, f"unknown set of keys {quoted(item.text)}", hint)
        return tuple(found)

    def addresses(self, items: tuple[Item, ...]) -> tuple[str, ...]:
        """Networks in their canonical form, in order, without repetition."""
        found: dict[str, None] = {}
        for item in items:
            found.update(dict.fromkeys(self._addresses_of(item, ())))
        return tuple(found)

    def hosts(self, items: tuple[Item, ...]) -> tuple[str, ...]:
        """Names of hosts in their one spelling, in order, without repetition."""
        found: dict[str, None] = {}
        for item in items:
            found.update(dict.fromkeys(self._hosts_of(item, ())))
        if len(found) > PATTERNS_MAX:
            self._fault(items[0], f"`host` stands for more than {PATTERNS_MAX} names", "use `**.`, or two rules")
        return tuple(found)

    def _own_variables(self) -> dict[str, str]:
        """The layer's own variables: text, in which the language's variables and earlier ones may stand."""
        own: dict[str, str] = {}
        for name, item in self._layer.variables.items():
            if name in self._values:
                self._fault(item, f"the variable `{name}` is Interlock's own", "choose another name")
                continue
            text = self._substituted(item, item.text, own, plain=True)
            if text is not None:
                own[name] = text
        return own

    def _substituted(self, item: Item, text: str, own: dict[str, str], *, plain: bool = False) -> str | None:
        """`text` with `~` and `${…}` replaced; values are escaped unless the result is `plain` text. None after a
        fault."""
        before = len(self._faults)

        def value(match: re.Match[str]) -> str:
            name = match.group(1)
            if name is None and match.group().startswith("\\"):
                return match.group()
            if name is None:
                self._fault(item, "a `${` without `}`", "write `${workspace}`")
                return ""
            known = own.get(name, self._values.get(name))
            if known is None:
                names = [*self._values, *self._layer.variables]
                self._fault(
                    item,
                    f"unknown variable {quoted('${' + name + '}')}",
                    meant(name, names, f"known: {', '.join(names)}"),
                )
                return ""
            return known if plain else escape(known)

        replaced = _VARIABLE.sub(value, text)
        if text == "~" or text.startswith("~/"):
            replaced = (self._human_home if plain else escape(self._human_home)) + replaced[1:]
        return replaced if len(self._faults) == before else None

    def _paths_of(self, item: Item, within: tuple[str, ...]) -> tuple[str, ...]:
        if item.text.startswith("@"):
            return self._set(item, within, "path")
        if re.match(r"~[^/]", item.text):
            self._fault(item, f"{quoted(item.text)} names another user's home", "write it out: `/home/name/…`")
            return ()
        text = self._substituted(item, item.text, self._own)
        if text is None:
            return ()
        problem = problem_of(text)
        expanded = None if problem else expand_braces(text)
        if problem is None and expanded is not None:
            # A brace may have hidden what only its alternatives show: `/a{/,b}/c`.
            problem = next((found for found in map(problem_of, expanded) if found), None)
        if problem is not None:
            words = problem[0] if problem[0].startswith("is ") else f"holds {problem[0]}"
            self._fault(item, f"the pattern {quoted(item.text)} {words}", problem[1])
            return ()
        if expanded is None:
            self._fault(
                item, f"the braces of {quoted(item.text)} stand for too many patterns", "use `*`, or fewer alternatives"
            )
            return ()
        if any(len(each.encode()) > PATTERN_BYTES_MAX for each in expanded):
            self._fault(item, f"a pattern is longer than {PATTERN_BYTES_MAX} bytes", "no path is that long")
            return ()
        return tuple(expanded)

    def _addresses_of(self, item: Item, within: tuple[str, ...]) -> tuple[str, ...]:
        if item.text.startswith("@"):
            return self._set(item, within, "address")
        import ipaddress

        try:
            network = ipaddress.ip_network(item.text, strict=True)
        except ValueError as error:
            self._fault(
                item, f"{quoted(item.text)} is not an IP address or network", _address_hint(item.text, str(error))
            )
            return ()
        if (
            isinstance(network, ipaddress.IPv6Network)
            and network.network_address.ipv4_mapped
            and network.prefixlen >= 96
        ):
            return (f"{network.network_address.ipv4_mapped}/{network.prefixlen - 96}",)
        return (str(network),)

    def _hosts_of(self, item: Item, within: tuple[str, ...]) -> tuple[str, ...]:
        if item.text.startswith("@"):
            return self._set(item, within, "host")
        name, hint = host_in_one_spelling(item.text)
        if hint is None:
            return (name,)
        self._fault(item, f"the host {quoted(item.text)} {name}", hint)
        return ()

    def _members(self, item: Item, within: tuple[str, ...], kind: _Kind) -> tuple[str, ...]:
        if kind == "path":
            return self._paths_of(item, within)
        return self._addresses_of(item, within) if kind == "address" else self._hosts_of(item, within)

    def _set(self, item: Item, within: tuple[str, ...], kind: _Kind) -> tuple[str, ...]:
        name = item.text[1:]
        if name in within:
            self._fault(
                item,
                f"the set `@{name}` holds itself",
                "remove one of: " + " → ".join(f"@{each}" for each in (*within, name)),
            )
            return ()
        if len(within) >= _REFERENCE_DEPTH_MAX:
            self._fault(item, f"sets are nested deeper than {_REFERENCE_DEPTH_MAX}", "list the patterns in one set")
            return ()
        own = self._layer.sets.get(name)
        if (name, kind) in self._expanded:
            return self._expanded[name, kind]
        if own is not None:
            found: dict[str, None] = {}
            for each in own:
                found.update(dict.fromkeys(self._members(each, (*within, name), kind)))
                if len(found) > PATTERNS_MAX:
                    self._fault(
                        item, f"the set `@{name}` stands for more than {PATTERNS_MAX} values", "use wider patterns"
                    )
                    break
            self._expanded[name, kind] = tuple(found)
            return tuple(found)
        return self._builtin_set(item, name, kind)

    def _builtin_set(self, item: Item, name: str, kind: _Kind) -> tuple[str, ...]:
        addresses = {**ADDRESS_SETS, **self._context_sets.addresses}
        known: dict[_Kind, dict[str, tuple[str, ...]]] = {
            "path": {**PATH_SETS, **self._context_sets.paths},
            "address": addresses,
            "host": self._context_sets.hosts,
        }
        if name in known[kind]:
            return self._builtin_paths(item, name, known["path"][name]) if kind == "path" else known[kind][name]
        for other, table in known.items():
            if name in table:
                self._fault(item, f"the set `@{name}` holds {_HOLDS[other]}", f"use it under `{other}`")
                return ()
        shown = [f"@{each}" for each in (*self._layer.sets, *known[kind])]
        hint = meant("@" + name, shown, f"known: {', '.join(shown)}" if shown else "name it under `sets:`")
        self._fault(item, f"unknown set {quoted('@' + name)}", hint)
        return ()

    def _builtin_paths(self, item: Item, name: str, texts: tuple[str, ...]) -> tuple[str, ...]:
        if name not in self._builtin:
            builtin: dict[str, None] = {}
            for text in texts:
                builtin.update(dict.fromkeys(self._paths_of(Item(text, item.place), (name,))))
            self._builtin[name] = tuple(builtin)
        return self._builtin[name]

    def _fault(self, item: Item, message: str, hint: str | None) -> None:
        self._faults.append(Fault(item.place, message, hint or None))


def _address_hint(text: str, problem: str) -> str:
    import ipaddress

    if "host bits" in problem:
        return f"did you mean `{ipaddress.ip_network(text, strict=False)}`?"
    if re.search(r"[a-zA-Z]\.[a-zA-Z]", text) or text == "localhost":
        return "a name stands under `host`; here stand addresses, networks (CIDR) and sets such as `@loopback`"
    return "write `192.0.2.7`, `192.0.2.0/24`, `2001:db8::/32` or a set such as `@loopback`"
