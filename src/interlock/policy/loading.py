"""Many files to one compiled policy: `guard` and `base` first, then the layers given, last the workspace's own if there
is one.

The result is `spec/policy.md`'s compiled form. What is expensive (reading YAML, expanding) is cached by the digest of
all inputs; what depends on the machine's names (`place.py`) is done at every load.
"""

# ruff: noqa: PTH110, PTH116, PTH120, PTH208
from __future__ import annotations

import json
import os
import stat
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from interlock.policy.digest import sha256
from interlock.policy.faults import Fault, Place, PolicyError, quoted
from interlock.policy.limits import BYTES_MAX, LAYERS_MAX
from interlock.policy.origin import Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from interlock._native import Walk
    from interlock.policy.compiled_form import CompiledLayer, CompiledPolicy
    from interlock.policy.context import Context
    from interlock.policy.host import Naming
    from interlock.policy.layer import Layer
    from interlock.policy.place import Short
    from interlock.vocabulary.enforcement import Enforcement

PRESETS: Final = (
    "coding-agent",
    "ci",
    "strict",
    "observe",
    "mcp-server",
    "gateway-baseline",
    "gateway-rule-of-two",
    "open-web",
    "guard",
    "base",
)
#: Layers that stand under every policy by themselves, in this order.
_OWN_LAYERS: Final = ("guard", "base")
#: In Interlock's own folder, where no name of the person's can be: they stand for folders that differ at every start.
_STAND_INS: Final = {"session": "the-session-to-come", "temporary": "the-temporary-folder-to-come"}
WORKSPACE_LAYER: Final = ".interlock/policy.yaml"


class Source(NamedTuple):
    """One policy text. `path` is the file's resolved path if it is one, so that `guard` can protect it; None for a
    preset."""

    name: str
    data: bytes
    origin: Origin = Origin.USER
    path: str | None = None

    @classmethod
    def file(cls, path: str, origin: Origin = Origin.USER) -> Source:
        """Read a file. Raises `PolicyError` when it cannot be read, is not a plain file or is too large."""
        return cls(path, _read(path, follow=True), origin, os.path.realpath(path))

    @classmethod
    def preset(cls, name: str) -> Source:
        """A layer that ships with Interlock. Raises `PolicyError` for an unknown name."""
        if name not in PRESETS:
            from interlock.policy.faults import meant

            hint = meant(name, PRESETS, f"presets: {', '.join(PRESETS)}")
            raise PolicyError([Fault(Place("--preset"), f"unknown preset {quoted(name)}", hint)])
        path = f"{os.path.dirname(__file__)}/presets/{name}.yaml"
        return cls(f"{name}.yaml", _read(path, follow=True), Origin.BUILTIN)

    @classmethod
    def named(cls, name: str, policies: str) -> Source:
        """The user's own layer `<policies>/<name>.yaml`, or a preset of that name. Raises `PolicyError` for neither."""
        path = f"{policies}/{name}.yaml"
        if "/" not in name and os.path.exists(path):
            return cls.file(path)
        if name in PRESETS:
            return cls.preset(name)
        hint = f"a name means one of your own in `{policies}` or a preset: {', '.join(PRESETS)}"
        if os.path.exists(name):
            hint = f"write `./{name}` for the file of that name"
        raise PolicyError([Fault(Place("--policy"), f"no policy is called {quoted(name)}", hint)])


def is_file(word: str) -> bool:
    """Whether a word that names a policy means a file. What merely lies in the current directory does not count: the
    agent could have put it there in the place of a layer of the user's own.
    """
    return "/" in word or word.endswith((".yaml", ".yml", ".json"))


class Compiled(NamedTuple):
    """A policy ready for the engine.

    `json` is the compiled form, `digest` its `sha256:…`, `layers` the names in order, `warnings` what a person
    should know, `from_cache` whether the expensive half was taken from the cache, `aside` the compiled layer that was
    to stay out of it, `enforcement` the state of each rule that this machine does not enforce fully.
    """

    json: str
    digest: str
    layers: tuple[str, ...]
    warnings: tuple[str, ...]
    from_cache: bool = False
    aside: CompiledLayer | None = None
    enforcement: Mapping[str, Enforcement] = MappingProxyType({})

    def document(self) -> CompiledPolicy:
        """The compiled form, as the engine reads it."""
        loaded: CompiledPolicy = json.loads(self.json)
        return loaded


def load(
    sources: Sequence[Source],
    context: Context,
    *,
    cache: str | None = None,
    workspace_layer: bool = True,
    guard: bool = True,
    aside: Source | None = None,
    walk: Walk | None = None,
    meanwhile: Callable[[], object] = lambda: None,
    naming: Naming | None = None,
) -> Compiled:
    """Load a policy.

    Arguments:
        sources: the layers, in order; `guard` is put first by itself, then `base` unless one of them is closed.
        context: what variables stand for.
        cache: directory for compiled policies (it must exist); None for no cache.
        workspace_layer: whether to read `<workspace>/.interlock/policy.yaml`, if there is one.
        guard: False (neither it nor `base`) only to look at a layer alone; never for enforcement.
        aside: a layer to compile and place as the others are (sets, links), that is to decide nothing.
        walk: one of the workspace that was begun already.
        meanwhile: is done while the machine is asked for names, where it costs nobody time.
        naming: what this machine says of names of hosts. Without it sets of hosts are what they are everywhere, and
            nobody asks whether a session could answer names.

    Raises `PolicyError` with every fault of every file.
    """
    everything = _all_sources(sources, context, workspace_layer=workspace_layer, guard=guard)
    context = _with_hosts(everything, _with_policy_files(everything, context), naming)
    context.check()
    from interlock.policy.cache import cached

    # Stand-ins keep the cached half the same.
    stand_ins = {name: f"{context.runtime}/{word}" for name, word in _STAND_INS.items()}
    still = context._replace(session=stand_ins["session"], temporary=stand_ins["temporary"])
    beside = [aside] if aside is not None else []
    key = _key([*everything, *beside], still)
    layers, from_cache = cached(cache, key, lambda: [*_compile(everything, still), *_compile(beside, still)])
    from interlock.policy.place import place

    layers = _with_modules(layers, [*everything, *beside])
    meant = context.variables()
    placed = place(
        layers,
        len(everything),
        context,
        stand_ins=[(stands, meant[name]) for name, stands in stand_ins.items()],
        kept=cache,
        walk=walk,
        meanwhile=meanwhile,
    )
    return Compiled(
        placed.policy,
        placed.digest,
        tuple(placed.names),
        tuple(placed.warnings),
        from_cache,
        next(iter(json.loads(placed.aside)), None),
        _enforcement([*placed.not_whole(), *_unanswered(placed.policy, naming)]),
    )


def _with_modules(text: str, sources: list[Source]) -> str:
    """The layers with the modules of Rego that they name, read at each load: what is cached is what was written in the
    layers. Raises `PolicyError`.
    """
    if '"rego"' not in text:
        return text
    from interlock.policy.rego import with_texts

    faults: list[Fault] = []
    layers: list[CompiledLayer] = json.loads(text)
    for layer, source in zip(layers, sources, strict=True):
        if "rego" in layer:
            read = partial(_read, follow=True)
            layer["rego"] = with_texts(layer["rego"], file=source.name, path=source.path, read=read, faults=faults)
    if faults:
        raise PolicyError(faults)
    return json.dumps(layers)


def _unanswered(policy: str, naming: Naming | None) -> list[Short]:
    """The rules that name hosts, where sessions on this machine cannot answer questions for names: then no act carries
    one (docs/adr/0036).
    """
    if naming is None or '"host"' not in policy:
        return []
    from interlock.policy.host import rules_by_name
    from interlock.policy.place import Short
    from interlock.vocabulary.enforcement import Fully

    state = naming.answer()
    if isinstance(state, Fully):
        return []
    rules = rules_by_name(json.loads(policy))
    instead = "`interlock doctor` says what would give them; or name addresses under `address`"
    return [
        Short(rule, state, best_effort, Place(at["file"], at["line"], at["column"]), instead)
        for rule, best_effort, at in rules
    ]


def _enforcement(short: Sequence[Short]) -> dict[str, Enforcement]:
    """The rules that are not enforced fully here, each with its state. Raises `PolicyError` where one does not say
    `best_effort`.
    """
    from interlock.vocabulary.enforcement import in_words

    faults = [
        Fault(
            each.place,
            f"rule `{each.rule}` is not enforced fully on this machine: {in_words(each.enforcement)}",
            f"{each.instead}; or write `best_effort: true` in the rule, and each start says what is missing",
        )
        for each in short
        if not each.best_effort
    ]
    if faults:
        raise PolicyError(faults)
    return {each.rule: each.enforcement for each in short}


def written(sources: Sequence[Source], context: Context) -> list[Layer]:
    """The layers as they are written, Interlock's own and the workspace's included, in order. Those with faults, which
    `load` tells, are left out.
    """
    from interlock.policy.parse import parse_layer

    everything = _all_sources(sources, context, workspace_layer=True, guard=True)
    parsed = (parse_layer(each.data, file=each.name, origin=each.origin, faults=[]) for each in everything)
    return [layer for layer in parsed if layer is not None]


def _all_sources(sources: Sequence[Source], context: Context, *, workspace_layer: bool, guard: bool) -> list[Source]:
    found = [source for source in sources if not (guard and _is_own(source))]
    path = f"{context.workspace}/{WORKSPACE_LAYER}"
    if workspace_layer and os.path.lexists(path):
        found.append(Source(path, _read(path, follow=False), Origin.WORKSPACE, path))
    if guard:
        own = [name for name in _OWN_LAYERS if name != "base" or not any(map(_is_closed, found))]
        found = [*map(Source.preset, own), *found]
    if len(found) > LAYERS_MAX:
        raise PolicyError([Fault(Place("policy"), f"more than {LAYERS_MAX} layers", "join some of them")])
    return found


def _is_own(source: Source) -> bool:
    return source.origin is Origin.BUILTIN and source.name in {f"{name}.yaml" for name in _OWN_LAYERS}


def _is_closed(source: Source) -> bool:
    """Whether the layer is closed. A fault in it is told when it is compiled."""
    if b"closed" not in source.data:
        return False
    from interlock.policy.parse import parse_layer

    layer = parse_layer(source.data, file=source.name, origin=source.origin, faults=[])
    return layer is not None and layer.closed


def _with_policy_files(sources: list[Source], context: Context) -> Context:
    files = tuple(dict.fromkeys((*context.policies, *(source.path for source in sources if source.path))))
    return context._replace(policies=files)


def _with_hosts(sources: list[Source], context: Context, naming: Naming | None) -> Context:
    """With the members of sets of hosts, where a layer may use one."""
    from interlock.policy.set_hosts import HOST_SETS

    used = any(name.encode() in source.data for source in sources for name in HOST_SETS)
    if naming is None or not used:
        return context
    return context._replace(hosts=tuple(sorted(naming.hosts().items())))


def _key(sources: list[Source], context: Context) -> str:
    from interlock import __version__

    digest = sha256()
    parts = [__version__, _code_version(), repr(tuple(context[:-1]))]
    for source in sources:
        parts += [source.name, source.origin, sha256(source.data).hexdigest()]
    for part in parts:
        encoded = part.encode("utf-8", "surrogateescape")
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.hexdigest()


def _code_version() -> str:
    """Changes when a module of this package does: no entry outlives the sets and tables it was made from."""
    here = os.path.dirname(__file__)
    names = sorted(name for name in os.listdir(here) if name.endswith(".py"))
    marks = [(name, os.stat(f"{here}/{name}")) for name in names]
    return repr([(name, status.st_mtime_ns, status.st_size) for name, status in marks])


def _compile(sources: list[Source], context: Context) -> list[CompiledLayer]:
    from interlock.policy.compile import compile_layer
    from interlock.policy.parse import parse_layer

    faults: list[Fault] = []
    layers: list[CompiledLayer] = []
    names: dict[str, str] = {}
    for source in sources:
        before = len(faults)
        layer = parse_layer(source.data, file=source.name, origin=source.origin, faults=faults)
        if layer is None:
            continue
        if layer.name in names and len(faults) == before:
            hint = f"{names[layer.name]} has it already; decisions cite rules as `layer/id`"
            faults.append(Fault(Place(source.name), f"the layer name `{layer.name}` is used twice", hint))
        names.setdefault(layer.name, source.name)
        layers.append(compile_layer(layer, context, faults))
    faults += _unfounded(layers)
    if faults:
        raise PolicyError(_ordered(faults, sources))
    return layers


def _unfounded(layers: list[CompiledLayer]) -> list[Fault]:
    """The rules that ask for what no layer gives: they would deny everything they touch."""
    whens = [(rule, rule["when"]) for layer in layers for rule in layer["rules"] if rule["when"]]
    faults: list[Fault] = []
    for key, fact, message, hint in (
        ("risk", "risk_at_least", "nothing scores calls", "add `risk: {}` to a layer (docs/risk.md)"),
        ("labels", "labels_any", "no layer says what results are", "add `labels:` to a layer (docs/risk.md)"),
    ):
        if not any(key in layer for layer in layers):
            asking = (rule["source"] for rule, when in whens if fact in when)
            places = (Place(each["file"], each["line"], each["column"]) for each in asking)
            faults += [Fault(place, f"the rule asks for `{key}`, and {message}", hint) for place in places]
    declared = any("labels" in layer for layer in layers)
    asking_flows = [(layer, flow) for layer in layers for flow in layer.get("flows", ()) if flow["labels"]]
    for layer, flow in asking_flows if not declared else ():
        message = f"the flow `{layer['name']}/{flow['id']}` asks for `labels`, and no layer says what results are"
        faults.append(Fault(Place(layer["name"]), message, "add `labels:` to a layer (docs/risk.md)"))
    return faults


def _ordered(faults: list[Fault], sources: list[Source]) -> list[Fault]:
    order = {source.name: index for index, source in enumerate(sources)}
    misread = {fault.place for fault in faults if fault.message.startswith("YAML ")}
    unique = dict.fromkeys(fault for fault in faults if fault.place not in misread or fault.message.startswith("YAML "))
    return sorted(
        unique, key=lambda fault: (order.get(fault.place.file, -1), fault.place.line, fault.place.column, fault.message)
    )


def _read(path: str, *, follow: bool) -> bytes:
    """The bytes of a plain file, never blocking on a pipe; a link is refused unless `follow`."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY | (0 if follow else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "the name holds a zero byte"
        raise PolicyError([Fault(Place(path), f"cannot be read: {reason.lower()}", None)]) from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise PolicyError([Fault(Place(path), "is not a plain file", None)])
        with os.fdopen(os.dup(descriptor), "rb") as opened:
            return opened.read(BYTES_MAX + 1)
    finally:
        os.close(descriptor)
