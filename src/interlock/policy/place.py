"""A compiled policy placed on this machine: links in patterns followed, hard links of what is denied found by inode.

The work is `crates/interlock-place`'s. Run at every load, never cached: names change between two sessions, and an
agent may have changed them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from interlock.vocabulary.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from interlock._native import Walk
    from interlock.policy.context import Context
    from interlock.policy.faults import Place
    from interlock.vocabulary.enforcement import Enforcement


class Placed(NamedTuple):
    """A policy in its place: the compiled form, its digest, its layers' names, the layers that were to stay out of it
    (a JSON list), what a person should know, and the rules that this machine does not enforce whole (a JSON list).
    """

    policy: str
    digest: str
    names: list[str]
    aside: str
    warnings: list[str]
    short: str

    def not_whole(self) -> list[Short]:
        """The last, read."""
        import json

        from interlock.policy.faults import Place
        from interlock.vocabulary.enforcement import read

        found = []
        for each in json.loads(self.short):
            source = each["source"]
            where = Place(source["file"], source["line"], source["column"])
            found.append(Short(each["rule"], read(each["enforcement"]), each["best_effort"], where, each["instead"]))
        return found


class Short(NamedTuple):
    """A rule that this machine does not enforce whole: how far, whether it says `best_effort`, where it stands, and
    what a person can do instead.
    """

    rule: str
    enforcement: Enforcement
    best_effort: bool
    place: Place
    instead: str


def begin_walk(workspace: str, *, kept: str) -> Walk | None:
    """Begin to walk a workspace while it is not yet known which policy is to be placed there. Nothing where that cannot
    be done: then placing walks by itself, or says what is wrong.

    Arguments: `kept` is where walks of the workspace are kept.
    """
    try:
        from interlock import _native

        return _native.begin_walk(workspace, root="", kept=kept)
    except (ImportError, UnicodeEncodeError):
        return None


def place(
    layers: str,
    count: int,
    context: Context,
    *,
    stand_ins: Sequence[tuple[str, str]],
    kept: str | None,
    walk: Walk | None,
    meanwhile: Callable[[], object],
) -> Placed:
    """Place the first `count` layers of a JSON list, and beside them what follows, which decides nothing.

    Arguments: `stand_ins` are paths in the layers' patterns, each with the one to put in its place; `kept` is where
    walks of the workspace are kept, and `walk` one that was begun there; `meanwhile` is done while the machine is
    asked. Raises `HostError` when this installation lacks the native module.
    """
    try:
        from interlock._native import place_policy
    except ImportError as error:
        raise HostError(
            "the native module is not part of this installation",
            hint="reinstall Interlock from a wheel, or build it: pip install . (needs a Rust toolchain)",
        ) from error
    placing = place_policy(
        layers,
        count,
        root=context.root,
        stand_ins=list(stand_ins),
        lists={
            "own": list(context.interlock),
            "unsearched": [
                *(f"{context.state}/{kept}" for kept in ("ledger/sessions", "ledger/gateway", "journals")),
                *dict.fromkeys((context.temporaries, "/tmp", "/var/tmp")),  # noqa: S108 - names of others
            ],
            "worked_in": [context.workspace, context.home],
            "missing": list(context.missing),
        },
        kept=kept or "",
        walk=walk,
    )
    meanwhile()
    return Placed(*placing.placed())
