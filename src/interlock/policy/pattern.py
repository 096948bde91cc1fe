"""The pattern language of `spec/policy.md`, as the compiler needs it: check, expand braces, escape, and the literal
prefix.

Matching actions is the engine's (one engine, in Rust). The translation to a regular expression here serves the loader
alone: hard links, links that a session could make, and rules that can never match.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

#: Alternatives that one pattern may stand for.
BRACE_EXPANSIONS_MAX: Final = 1_000
#: `{` in one pattern.
BRACES_MAX: Final = 32
#: Bytes of one expanded pattern (PATH_MAX of limits.h).
PATTERN_BYTES_MAX: Final = 4_096
_HAS_MAGIC: Final = re.compile(r"[*?\[\]{}\\]")

Problem = tuple[str, str | None]


def escape(text: str) -> str:
    """The pattern that matches exactly `text`."""
    return _HAS_MAGIC.sub(lambda match: "\\" + match.group(), text)


def problem_of(pattern: str) -> Problem | None:
    """Why a path pattern (variables expanded, braces not yet) is not one, with a hint; None if it is one."""
    if pattern.count("{") > BRACES_MAX:
        return f"more than {BRACES_MAX} braces", "list the alternatives as patterns of their own"
    if not pattern.startswith("/") and not pattern.startswith("**/"):
        return (
            "is not absolute",
            "begin with `/`, `~/`, `${workspace}/` or `**/`: paths are matched as the kernel resolved them",
        )
    return _syntax(pattern) or _components(pattern)


def problem_of_glob(pattern: str) -> Problem | None:
    """The same for a glob in which `/` means nothing (connectors, tools): no braces, no `**` rule."""
    if "{" in pattern or "}" in pattern:
        return "a brace", "list the alternatives: [a, b]"
    return _syntax(pattern)


def problem_of_key(key: str) -> str | None:
    """What to do about a key of a structured file that cannot be one: names joined by dots, each with `*` at will."""
    if any(character in key for character in "[]{}?"):
        return "a key holds names, `.` and `*`; nothing else is special"
    names = re.split(r"(?<!\\)\.", key)
    if not all(names) or key.endswith("\\"):
        return "it is names joined by dots, from the outside in; write `\\.` for a dot within a name"
    return None


def _syntax(pattern: str) -> Problem | None:
    depth = 0
    index = 0
    while index < len(pattern):
        character = pattern[index]
        if character == "\\":
            if index + 1 == len(pattern):
                return (
                    "a `\\` at the end",
                    "`\\` takes the next character as it is; write `\\\\` for the character itself",
                )
            if pattern[index + 1] == "/":
                return ("a `\\` before `/`", "a name holds no `/`; leave the `\\` out")
            index += 1
        elif character == "[":
            end = _class_end(pattern, index)
            if end is None:
                return "a `[` that is never closed", "write `\\[` for the character itself"
            problem = _class_problem(pattern[index + 1 : end])
            if problem is not None:
                return problem
            index = end
        elif character == "{":
            depth += 1
        elif character == "}":
            depth -= 1
            if depth < 0:
                return "a `}` without `{`", "write `\\}` for the character itself"
        index += 1
    return ("a `{` that is never closed", "write `\\{` for the character itself") if depth else None


def _class_end(pattern: str, start: int) -> int | None:
    """The index of the `]` that ends the class at `start`; a `]` in first place is one of its members."""
    index = start + 1
    if pattern[index : index + 1] in ("!", "^"):
        index += 1
    if pattern[index : index + 1] == "]":
        index += 1
    while index < len(pattern):
        if pattern[index] == "\\":
            index += 1
        elif pattern[index] == "]":
            return index
        index += 1
    return None


def _class_problem(members: str) -> Problem | None:
    if members.startswith("^"):
        return "`[^…]`", "a class is negated with `!`: `[!…]`"
    body = members.removeprefix("!")
    if not body:
        return "an empty class", "write `\\[` for the character itself"
    if "/" in body:
        return "a `/` inside `[…]`", "a class never matches `/`"
    if "\\" in body:
        return "a `\\` inside `[…]`", "put the character outside the class, behind a `\\`"
    for low, high in re.findall(r"([^-])-([^-])", body):
        if low > high:
            return f"the range `{low}-{high}`, which is empty", f"write `{high}-{low}`"
    return None


def _components(pattern: str) -> Problem | None:
    if "//" in pattern:
        return "an empty component (`//`)", "write one `/`"
    if pattern.endswith("/") and pattern != "/":
        return (
            "a `/` at the end",
            "no resolved path ends with one: write `/x` for the directory, `/x/**` for it and all below",
        )
    for part in pattern.split("/"):
        if part in (".", ".."):
            return f"the component `{part}`", "resolved paths hold none; write the path it leads to"
        if "**" in re.sub(r"\\.", "", part) and part != "**" and "{" not in pattern:
            return f"`**` inside `{part}`", "`**` stands alone between two `/`; `*` matches within one name"
    return None


def expand_braces(pattern: str) -> list[str] | None:
    """All alternatives of `{a,b}`, nested ones too, in the order written; None if there are more than the limit."""
    start = _find_brace(pattern)
    if start is None:
        return [pattern]
    end, commas = _brace_parts(pattern, start)
    bounds = [start, *commas, end]
    found: list[str] = []
    for left, right in pairwise(bounds):
        expanded = expand_braces(pattern[:start] + pattern[left + 1 : right] + pattern[end + 1 :])
        if expanded is None or len(found) + len(expanded) > BRACE_EXPANSIONS_MAX:
            return None
        found.extend(expanded)
    return list(dict.fromkeys(found))


def _find_brace(pattern: str) -> int | None:
    if "{" not in pattern:
        return None
    index = 0
    while index < len(pattern):
        if pattern[index] == "\\":
            index += 1
        elif pattern[index] == "[":
            index = _class_end(pattern, index) or index
        elif pattern[index] == "{":
            return index
        index += 1
    return None


def _brace_parts(pattern: str, start: int) -> tuple[int, list[int]]:
    """The index of the closing brace and of the commas at its level. The pattern's braces are balanced."""
    depth = 0
    commas: list[int] = []
    index = start
    while index < len(pattern):
        character = pattern[index]
        if character == "\\":
            index += 1
        elif character == "[":
            index = _class_end(pattern, index) or index
        elif character == "{":
            depth += 1
        elif character == "," and depth == 1:
            commas.append(index)
        elif character == "}":
            depth -= 1
            if depth == 0:
                return index, commas
        index += 1
    raise AssertionError("braces were checked before")


def is_literal(component: str) -> bool:
    """Whether a component matches one name only."""
    return (
        not _HAS_MAGIC.search(re.sub(r"\\.", "", component)) if "\\" in component else not _HAS_MAGIC.search(component)
    )


def unescape(component: str) -> str:
    """The one name a literal component matches."""
    return re.sub(r"\\(.)", r"\1", component) if "\\" in component else component


def literal_prefix(pattern: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names at the front that are literal, unescaped, and the components that follow them as written.

    `/a/b*/c` gives `("a",)`, `("b*", "c")`. A pattern that begins with `**/` has no literal front.
    """
    if not pattern.startswith("/"):
        return (), tuple(pattern.split("/"))
    parts = pattern[1:].split("/") if pattern != "/" else []
    front: list[str] = []
    for part in parts:
        if _HAS_MAGIC.search(part) is None:
            front.append(part)
        elif is_literal(part):
            front.append(unescape(part))
        else:
            break
    return tuple(front), tuple(parts[len(front) :])


def to_regex(pattern: str) -> str:
    """A regular expression (for `re.fullmatch` on text) of a pattern without braces."""
    if pattern == "/":
        return "/"
    parts = pattern.removeprefix("/").split("/")
    pieces: list[str] = []
    for index, part in enumerate(parts):
        if part != "**":
            pieces.append("/" + _component_regex(part))
        elif index == len(parts) - 1:
            pieces.append("(?:/.*)?")
        else:
            pieces.append("(?:/[^/]+)*")
    return "(?s:" + "".join(pieces) + ")"


def _component_regex(part: str) -> str:
    out: list[str] = []
    index = 0
    while index < len(part):
        character = part[index]
        if character == "\\":
            index += 1
            out.append(re.escape(part[index]))
        elif character == "*":
            out.append("[^/]*")
        elif character == "?":
            out.append("[^/]")
        elif character == "[":
            end = _class_end(part, index)
            assert end is not None, "classes were checked before"
            body = part[index + 1 : end]
            negated = body.startswith("!")
            members = re.sub(r"([\\\[\]^&~|])", r"\\\1", body.removeprefix("!"))
            out.append(f"(?!/)[{'^' if negated else ''}{members}]")
            index = end
        else:
            out.append(re.escape(character))
        index += 1
    return "".join(out)


def covers(wide: str, narrow: str) -> bool:
    """Whether everything that `narrow` matches is certainly matched by `wide`. False when it cannot tell."""
    if wide == narrow or wide in ("/**", "**/**"):
        return True
    if not wide.endswith("/**"):
        return is_literal_path(narrow) and bool(re.fullmatch(to_regex(wide), unescape(narrow)))
    base = wide.removesuffix("/**")
    if not is_literal_path(base):
        return is_literal_path(narrow) and bool(re.fullmatch(to_regex(wide), unescape(narrow)))
    front, _ = literal_prefix(narrow)
    path = "".join(f"/{name}" for name in front)
    return path == unescape(base) or path.startswith(unescape(base) + "/")


def is_literal_path(pattern: str) -> bool:
    """Whether the whole pattern matches one path only."""
    return pattern.startswith("/") and all(is_literal(part) for part in pattern.split("/"))
