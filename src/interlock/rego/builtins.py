"""Which builtins a module may use where it is evaluated here: those whose answer follows from the input alone, that a
small argument does not make huge, and that the evaluator has. Any other is refused as the module is loaded, in words
that name the OPA server, which has them all. A user's own functions are called by their names.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from interlock.vocabulary.json_value import JsonObject, is_object, object_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ALLOWED: Final = frozenset(
    """
    abs all any array.concat array.reverse array.slice base64.decode base64.encode base64.is_valid base64url.decode
    base64url.encode base64url.encode_no_pad bits.and bits.negate bits.or bits.rsh bits.xor ceil concat contains count
    endswith floor format_int glob.match glob.quote_meta graph.reachable graph.reachable_paths hex.decode hex.encode
    indexof indexof_n intersection is_array is_boolean is_null is_number is_object is_set is_string json.filter
    json.is_valid json.marshal json.marshal_with_options json.patch json.remove json.unmarshal lower max min
    net.cidr_contains net.cidr_is_valid object.filter object.get object.keys object.remove object.subset object.union
    object.union_n print product regex.find_n regex.globs_match regex.is_valid regex.match regex.replace regex.split
    regex.template_match replace round semver.compare semver.is_valid sort split sprintf startswith
    strings.any_prefix_match strings.any_suffix_match strings.reverse substring sum
    time.add_date time.clock time.date time.diff time.format time.parse_duration_ns time.parse_ns
    time.parse_rfc3339_ns time.weekday to_number trim trim_left trim_prefix trim_right trim_space trim_suffix type_name
    union units.parse units.parse_bytes upper urlquery.decode urlquery.decode_object urlquery.encode
    urlquery.encode_object uuid.parse yaml.marshal yaml.unmarshal
    """.split()  # noqa: SIM905 - a list to read
)
#: Refused although the evaluator has them, and why.
REFUSED: Final[dict[str, str]] = {
    "http.send": "it asks the network",
    "net.lookup_ip_addr": "it asks the network",
    "opa.runtime": "it reads the environment",
    "rand.intn": "its answer follows from nothing",
    "uuid.rfc4122": "its answer follows from nothing",
    "time.now_ns": "it asks the clock: `input.now_ms` is the time",
    "numbers.range": "a small argument makes it huge",
    "numbers.range_step": "a small argument makes it huge",
    "net.cidr_expand": "a small argument makes it huge",
    "bits.lsh": "a small argument makes it huge",
    "strings.count": "its answer differs from OPA's",
    "strings.replace_n": "its answer differs from OPA's",
    "walk": "its answer differs from OPA's",
    "yaml.is_valid": "its answer differs from OPA's",
    "test.sleep": "it waits",
    "trace": "nobody reads what it writes",
}
_IMPORT: Final = re.compile(
    r"^[ \t]*import[ \t]+(?:data|input)[.\w]*?(\w+)(?:[ \t]+as[ \t]+(\w+))?[ \t]*(?:#.*)?$", re.MULTILINE
)


def refused(trees: object, texts: Iterable[str]) -> str | None:
    """Why modules are not evaluated here, or none. `trees` are their syntax trees as the evaluator tells them."""
    own = {name.rpartition(".")[2] for head in _found(trees, "Func") if (name := _name(head.get("refr")))}
    imported = {match[2] or match[1] for text in texts for match in _IMPORT.finditer(text)}
    for call in _found(trees, "Call"):
        name = _name(call.get("fcn"))
        if name in REFUSED:
            return f"`{name}` is not evaluated here: {REFUSED[name]}"
        if name in ALLOWED:
            continue
        first, _, _ = name.partition(".")
        if name.rpartition(".")[2] not in own and first not in imported:
            return f"`{name or 'a call'}` is neither a function of the modules nor a builtin that is evaluated here"
    return None


def _found(trees: object, kind: str) -> Iterator[JsonObject]:
    """Every node of a kind."""
    pending: list[object] = [trees]
    while pending:
        each = pending.pop()
        if is_object(each):
            if is_object(each.get(kind)):
                yield object_at(each, kind)
            pending.extend(each.values())
        elif isinstance(each, list):
            pending.extend(each)


def _name(expression: object) -> str:
    """The name that a variable or a path of names is; empty for anything else."""
    parts: list[str] = []
    while is_object(expression):
        if "Var" in expression:
            return ".".join([str(object_at(expression, "Var").get("value")), *reversed(parts)])
        node = object_at(expression, "RefDot") or object_at(expression, "RefBrack")
        field = node.get("field") or object_at(object_at(node, "index"), "String").get("value")
        word = field[1] if isinstance(field, list) and len(field) == 2 else field
        parts.append(str(word))
        expression = node.get("refr")
    return ""
