"""`interlock policy explain`: a policy as a page that people read, a line for each rule, or JSON.

The page leads with what a reader wants to know: what is allowed, asked and denied, what is not enforced fully here, the
ways around, and last what it costs. Prints; what a policy means is `interlock.policy`'s.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, Final

from interlock.cli.colour import bold
from interlock.vocabulary.printable import printable
from interlock.vocabulary.words import short

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from interlock.app.policy_here import Here
    from interlock.policy.closure import Route
    from interlock.policy.coverage import Coverage
    from interlock.policy.summary import Row

_WIDTH: Final = 100
#: Lines that one row may take.
_LINES_MAX: Final = 2
_SHOWN_MAX: Final = 4_000
_HEADINGS: Final = {
    "allow": "ALLOWED",
    "approve": "ASKED, each time; no answer is a no",
    "deny": "DENIED, whatever allows it; and so is all that no rule speaks of",
}
_MORE: Final = "a line for each rule: --rules; every pattern: --compiled; for machines: --json"


def page(here: Here) -> Iterator[str]:
    """The lines of the page."""
    from interlock.policy.closure import routes
    from interlock.policy.coverage import coverage, untrapped
    from interlock.policy.summary import rows

    compiled = here.compiled
    document = compiled.document()
    yield bold(f"{', '.join(map(_safe, compiled.layers))} in {short(here.workspace)}")
    found = rows(here.layers)
    for decision, heading in _HEADINGS.items():
        yield from ("", bold(heading), *_rows([row for row in found if row.decision == decision]))
        yield from _own(here, decision)
    yield ""
    if steered := [row for row in found if row.decision == "steer"]:
        yield from _part("DONE INSTEAD", _steered(steered))
    yield from _part("PARTIAL", _partial(here))
    yield from _part("WAYS AROUND", _ways(routes(document), here))
    yield from _part("COSTS", _costs(coverage(document, here.states), untrapped(compiled)))
    yield _MORE


def rule_lines(here: Here) -> Iterator[str]:
    """A line for each rule, with its notes below it."""
    from interlock.policy.coverage import coverage
    from interlock.vocabulary.enforcement import in_words

    for row in coverage(here.compiled.document(), here.states):
        yield (
            f"{bold(_safe(row.rule))}: {row.decision} {_verbs(row.verbs)}; by {' and '.join(row.enforced_by)}, "
            f"{_safe(in_words(row.enforcement))}"
        )
        if row.raceable:
            yield f"  can it be raced: {row.raceable}"
        for note in row.notes:
            yield f"  {_safe(note)}"


def _rows(found: Sequence[Row]) -> Iterator[str]:
    """Each row: what its rules are about, or their names, with the reason behind it."""
    if not found:
        yield "  nothing"
    for row in found:
        about = "; ".join(dict.fromkeys(target or name for name, target in row.rules))
        yield from _row(row.verbs, f"{about} ({row.because})" if row.because is not None else about)


def _row(verbs: str, about: str) -> Iterator[str]:
    head = f"  {_safe(verbs):<18}"
    lines = textwrap.wrap(
        _safe(about), _WIDTH - len(head) - 1, max_lines=_LINES_MAX, placeholder=" …", break_on_hyphens=False
    )
    for number, line in enumerate(lines):
        yield f"{head if number == 0 else ' ' * len(head)} {line}"


def _part(heading: str, found: Iterator[str]) -> Iterator[str]:
    """A heading and its lines; a short one beside it."""
    lines = list(found)
    if len(lines) == 1:
        yield f"{bold(heading)} {lines[0].strip()}"
    else:
        yield from (bold(heading), *lines)


def _own(here: Here, decision: str) -> Iterator[str]:
    """Interlock's own layers, a line each: `base` allows, `guard` denies."""
    from interlock.policy.summary import own

    for layer in own(here.layers):
        if (layer.name, decision) in (("base", "allow"), ("guard", "deny")):
            yield from textwrap.wrap(
                f"{layer.description} ({layer.name}, {layer.rules} rules)",
                _WIDTH,
                initial_indent="  ",
                subsequent_indent="    ",
            )


def _steered(found: Sequence[Row]) -> Iterator[str]:
    """A line for each steer: what is asked for, and what is done in its place."""
    for row in found:
        for name, target in row.rules:
            yield "  " + textwrap.shorten(_safe(f"{row.verbs} {target or name}"), _WIDTH - 15, placeholder=" …")


def _partial(here: Here) -> Iterator[str]:
    from interlock.cli.notice import lacking_words

    lacking = lacking_words(here.compiled.enforcement)
    yield from _wrapped(lacking or "nothing: every rule is enforced fully on this machine")


def _ways(found: Sequence[Route], here: Here) -> Iterator[str]:
    if not found:
        yield "  none was found"
    ways: dict[str, list[str]] = {}
    for route in found:
        ways.setdefault(route.way, []).append(_as_in_rows(route.rule, here))
    for way, rules in ways.items():
        yield from _wrapped(f"{' and '.join(filter(None, (', '.join(rules[:-1]), rules[-1])))}: {way}")


def _as_in_rows(rule: str, here: Here) -> str:
    """A rule by its id where the rows name it so."""
    from interlock.policy.summary import shown

    layers = shown(here.layers)
    return rule.partition("/")[2] if len(layers) == 1 and rule.startswith(f"{layers[0].name}/") else rule


def _costs(found: Sequence[Coverage], left: Sequence[str]) -> Iterator[str]:
    from interlock.policy.coverage import COSTS

    for mechanism, cost in COSTS.items():
        if count := sum(mechanism in row.enforced_by for row in found):
            yield from _wrapped(f"{mechanism} ({count} rule{'' if count == 1 else 's'}): {cost}")
    if left:
        yield f"  nothing: {', '.join(left)} are the kernel's, since every send is allowed; they are not recorded"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(_safe(text), _WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)


def _verbs(verbs: Sequence[str]) -> str:
    from interlock.policy.language import GROUPS

    left, shown = set(verbs), []
    for name in ("file.*", "file.change", "process.*", "net.*"):
        if left >= set(GROUPS[name]):
            shown.append(name)
            left -= set(GROUPS[name])
    return ", ".join([*shown, *(verb for verb in verbs if verb in left)])


def _safe(text: Any) -> str:
    return printable(str(text), _SHOWN_MAX)
