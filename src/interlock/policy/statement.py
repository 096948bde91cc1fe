"""The key `sql` of a rule: what a statement does that the rule is about (`spec/action.md`, Matching).

Names of tables, columns and functions are matched in small letters, in which the database says them; one that is
written otherwise would never match.
"""

from __future__ import annotations

from typing import Final

from interlock.policy.document import Mapping, Node
from interlock.policy.faults import Fault, meant, quoted
from interlock.policy.language import SQL_KEYS
from interlock.policy.layer import Sql
from interlock.policy.values import Faults, flag, globs

_EXAMPLE: Final = "write `sql: {tables: [orders]}` or `sql: {where: false}`"


def sql(node: Node, field: str, faults: Faults) -> Sql | None:
    """`{verb, tables, changed, columns, functions, where}`, each or some."""
    if not isinstance(node, Mapping) or not node.entries:
        faults.append(Fault(node.place, f"`{field}` says nothing of a statement", _EXAMPLE))
        return None
    before, where = len(faults), None
    found: list[tuple[str, tuple[str, ...]]] = []
    for key, value in node.entries:
        if key.value not in SQL_KEYS:
            hint = meant(key.value, SQL_KEYS, f"known here: {', '.join(SQL_KEYS)}")
            faults.append(Fault(key.place, f"unknown key {quoted(key.value)} in `{field}`", hint))
        elif key.value == "where":
            where = flag(value, key.value, faults)
        else:
            listed = globs(value, key.value, faults) or ()
            for text in listed:
                if text != text.lower():
                    faults.append(Fault(value.place, f"{quoted(text)} never matches", f"write `{text.lower()}`"))
            found.append((key.value, listed))
    return Sql(tuple(found), where) if len(faults) == before else None
