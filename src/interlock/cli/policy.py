"""`interlock policy`: check, explain, test and ask a policy; the presets and the editor schema.

Prints; what a policy means is `interlock.policy`'s. `--json` for machines; colour on a terminal only.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from interlock.cli.colour import bold, green, red
from interlock.vocabulary.errors import EXIT_POLICY, EXIT_USAGE

if TYPE_CHECKING:
    from interlock.policy import Compiled, PolicyError

SUMMARY = "check, explain, test and ask a policy"

_EPILOG = """\
examples:
  interlock policy check team.yaml                 every mistake, with file, line, column and what to do
  interlock policy explain --preset coding-agent   what is allowed, asked and denied, and the ways around it
  interlock policy test cases.yaml team.yaml       hold the policy to what you expect of it
  interlock policy decide team.yaml < actions      one decision a line, as the supervisor would decide
  interlock policy presets show coding-agent       read a preset, to start from it
  interlock policy schema > policy.schema.json     completion and checking in your editor
  interlock policy language                        every key and verb of the language

Without a file or a preset the policy is the preset coding-agent, as in `interlock run`.
exit status: 0 yes; 1 a case failed; 120 wrong usage; 121 the policy cannot be loaded."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    branches = parser.add_subparsers(dest="act", metavar="SUBCOMMAND", required=True)
    check = branches.add_parser("check", help="say every mistake of a policy, with file, line and column")
    _sources(check)
    explain = branches.add_parser("explain", help="say what is allowed, asked and denied, and the ways around it")
    _sources(explain)
    explain.add_argument("--rules", action="store_true", help="a line for each rule: what enforces it, and how far")
    explain.add_argument(
        "--compiled", action="store_true", help="print the compiled policy that the engine reads, and nothing else"
    )
    test = branches.add_parser("test", help="hold a policy to a file of cases, or of Rego tests")
    aid = "acts and what is expected of each (docs/policy.md), or a `.rego` module of tests"
    test.add_argument("cases", metavar="CASES", help=aid)
    _sources(test)
    decide = branches.add_parser("decide", help="read actions as JSON lines, print a decision for each")
    _sources(decide)
    schema = branches.add_parser("schema", help="print the JSON schema of policy files, for editors")
    schema.set_defaults(json=True)
    branches.add_parser("language", help="print the reference of the policy language, as Markdown")
    presets = branches.add_parser("presets", help="list the layers that ship with Interlock, or show one")
    presets.add_argument("preset_act", metavar="list|show", choices=("list", "show"), nargs="?", default="list")
    presets.add_argument("name", metavar="NAME", nargs="?", help="the preset to show")
    presets.add_argument("--json", action="store_true", help="print JSON")


def _sources(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="*", help="policy files, or names of your own layers")
    parser.add_argument(
        "--policy", metavar="FILE", action="append", default=[], help="the same, as `interlock run` takes it"
    )
    parser.add_argument(
        "--preset", metavar="NAME", action="append", default=[], help="a layer that ships with Interlock"
    )
    parser.add_argument(
        "--workspace", metavar="DIRECTORY", help="what ${workspace} stands for (default: the repository around here)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked; see `_EPILOG` for the exit status."""
    from interlock.policy import PolicyError

    acts = {
        "check": _check,
        "explain": _explain,
        "test": _test,
        "decide": _decide,
        "schema": _schema,
        "language": _language,
        "presets": _presets,
    }
    try:
        return acts[arguments.act](arguments)
    except PolicyError as error:
        return _refused(error, as_json=arguments.act in ("check", "explain", "test") and arguments.json)


def _refused(error: PolicyError, *, as_json: bool) -> int:
    if as_json:
        faults = [
            {
                "file": fault.place.file,
                "line": fault.place.line,
                "column": fault.place.column,
                "message": fault.message,
                "hint": fault.hint,
            }
            for fault in error.faults
        ]
        print(json.dumps({"ok": False, "faults": faults}))
        return EXIT_POLICY
    for fault in error.faults:
        place = _shown(str(fault.place))
        print(f"{bold(place)}: {red('error')}: {fault.message}", file=sys.stderr)
        if fault.hint:
            print(f"  hint: {fault.hint}", file=sys.stderr)
    count = len(error.faults)
    print(f"{count} mistake{'' if count == 1 else 's'}; nothing was loaded", file=sys.stderr)
    return EXIT_POLICY


def _check(arguments: argparse.Namespace) -> int:
    compiled = _load(arguments)
    document = compiled.document()
    if any("rego" in layer for layer in document["layers"]):
        from interlock.app.gateway_rego import check

        check(document)
    rules = {layer["name"]: len(layer["rules"]) for layer in document["layers"]}
    if arguments.json:
        found = {
            "ok": True,
            "digest": compiled.digest,
            "layers": rules,
            "warnings": list(compiled.warnings),
            "enforcement": _states(compiled),
        }
        print(json.dumps(found))
        return 0
    _warn(compiled)
    _say_partial(compiled)
    shown = ", ".join(f"{name} ({count} rules)" for name, count in rules.items())
    print(f"{green('ok')}: {shown}\n{compiled.digest}")
    return 0


def _explain(arguments: argparse.Namespace) -> int:
    from interlock.app.policy_here import look_here, told, workspace_here
    from interlock.cli.explain import page, rule_lines

    files, workspace = [*arguments.files, *arguments.policy], workspace_here(arguments.workspace)
    here = look_here(files, arguments.preset, workspace=workspace)
    if arguments.compiled:
        print(here.compiled.json)
        return 0
    if arguments.json:
        print(json.dumps(told(here)))
        return 0
    for line in rule_lines(here) if arguments.rules else page(here):
        print(line)
    _warn(here.compiled)
    return 0


def _test(arguments: argparse.Namespace) -> int:
    from interlock.app.policy_here import context_here, workspace_here
    from interlock.app.rego_tests import with_findings
    from interlock.policy.cases import read_cases, run_cases
    from interlock.policy.engine import engine
    from interlock.policy.loading import Source

    context = context_here(workspace_here(arguments.workspace))
    compiled = _load(arguments)
    if arguments.cases.endswith(".rego"):
        return _test_rego(arguments, compiled)
    cases = read_cases(Source.file(arguments.cases).data, arguments.cases, context)
    policy = engine(compiled)
    outcomes = run_cases(cases, with_findings(compiled.document(), cases, policy.decide))
    failed = [outcome for outcome in outcomes if not outcome.holds]
    if arguments.json:
        shown = [
            {"name": each.case.name, "holds": each.holds, "expect": each.case.expect, "decision": each.decision}
            for each in outcomes
        ]
        print(json.dumps({"ok": not failed, "cases": shown}))
    else:
        for each in failed:
            print(f"{red('failed')}: {_shown(each.case.place)}: {_shown(each.case.name)}")
            wanted = each.case.expect + (f" by {_shown(each.case.rule)}" if each.case.rule else "")
            print(f"  expected {wanted}, decided {each.says} ({_shown(each.why)})")
        print(f"{len(outcomes) - len(failed)} of {len(outcomes)} cases hold")
    return 1 if failed else 0


def _test_rego(arguments: argparse.Namespace, compiled: Compiled) -> int:
    from interlock.app.rego_tests import rego_tests
    from interlock.policy.loading import Source

    text = Source.file(arguments.cases).data.decode("utf-8", "replace")
    tests = rego_tests(compiled.document(), arguments.cases, text)
    failed = [each for each in tests if not each.holds]
    if arguments.json:
        print(json.dumps({"ok": not failed, "tests": [each._asdict() for each in tests]}))
        return 1 if failed else 0
    for each in failed:
        print(f"{red('failed')}: {_shown(each.name)}: {_shown(each.why)}")
    print(f"{len(tests) - len(failed)} of {len(tests)} tests hold")
    return 1 if failed else 0


def _decide(arguments: argparse.Namespace) -> int:
    from interlock.policy.engine import decide_line, engine

    compiled = _load(arguments)
    policy, layers = engine(compiled), compiled.document()["layers"]
    flowing = [layer["name"] for layer in layers if "flows" in layer and "rego" not in layer]
    for number, line in enumerate(sys.stdin, 1):
        if line.strip():
            print(decide_line(policy, line.strip(), number, flowing), flush=True)
    return 0


def _schema(_: argparse.Namespace) -> int:
    from interlock.policy.schema import schema

    print(json.dumps(schema(), indent=2))
    return 0


def _language(_: argparse.Namespace) -> int:
    from interlock.policy.reference import reference

    print(reference(), end="")
    return 0


def _presets(arguments: argparse.Namespace) -> int:
    from interlock.policy.loading import PRESETS, Source

    if arguments.preset_act == "show":
        if not arguments.name:
            print("interlock policy presets show: name one of " + ", ".join(PRESETS), file=sys.stderr)
            return EXIT_USAGE
        text = Source.preset(arguments.name).data.decode()
        print(
            json.dumps({"name": arguments.name, "text": text}) if arguments.json else text,
            end="\n" if arguments.json else "",
        )
        return 0
    from interlock.policy.layer import Origin
    from interlock.policy.parse import parse_layer

    found = {}
    for name in PRESETS:
        layer = parse_layer(Source.preset(name).data, file=f"{name}.yaml", origin=Origin.BUILTIN, faults=[])
        found[name] = layer.description if layer else ""
    if arguments.json:
        print(json.dumps([{"name": name, "description": text} for name, text in found.items()]))
    else:
        for name, text in found.items():
            print(f"{bold(name):<18} {text}" if not sys.stdout.isatty() else f"{bold(f'{name:<18}')} {text}")
    return 0


def _load(arguments: argparse.Namespace) -> Compiled:
    """What `interlock run` would load for the same words."""
    from interlock.app.policy_here import load_here, workspace_here

    files = [*arguments.files, *arguments.policy]
    return load_here(files, arguments.preset, workspace=workspace_here(arguments.workspace))


def _warn(compiled: Compiled) -> None:
    for warning in compiled.warnings:
        print(f"{bold('warning')}: {_shown(warning)}", file=sys.stderr)


def _states(compiled: Compiled) -> dict[str, dict[str, str]]:
    """The rules that are not enforced fully here."""
    from interlock.vocabulary.enforcement import written

    return {rule: written(state) for rule, state in compiled.enforcement.items()}


def _say_partial(compiled: Compiled) -> None:
    from interlock.cli.notice import lacking_words

    if lacking := lacking_words(compiled.enforcement):
        print(f"{bold('PARTIAL')}: {_shown(lacking)}", file=sys.stderr)


def _shown(text: str) -> str:
    from interlock.vocabulary.printable import printable

    return printable(text, 1_000)
