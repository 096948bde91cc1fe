"""`interlock doctor`: each mechanism exercised, what is enforced here, and what to do about the rest."""

from __future__ import annotations

import argparse
import json

from interlock.vocabulary.enforcement import Enforcement, Fully, NotEnforced, Partially, written
from interlock.vocabulary.errors import EXIT_FAILED, EXIT_HOST, EXIT_REFUSED, OperatorError
from interlock.vocabulary.printable import printable

SUMMARY = "exercise each mechanism and say what is enforced on this machine"
_EPILOG = (
    "Exit status: 0 when nothing is missing, 122 when the machine lacks something, 123 when it is the installation "
    "or your state. PARTIAL names what does not hold, why, and the way around it."
)
_WORDS: dict[type[Enforcement], str] = {Fully: "ok", Partially: "PARTIAL", NotEnforced: "NO"}


def configure(parser: argparse.ArgumentParser) -> None:
    """The form."""
    parser.add_argument("--json", action="store_true", help="one JSON object with every finding")
    parser.epilog = _EPILOG


def run(arguments: argparse.Namespace) -> int:
    """Examine, print, and say by the status whether it is good enough."""
    from interlock.app.doctor import examine
    from interlock.app.run import outer_session

    if session := outer_session():
        raise OperatorError(
            f"inside session `{session}` everything looks refused: that is what the session is for",
            hint="what holds here was tried when it began; run interlock doctor outside of it",
            exit_code=EXIT_REFUSED,
        )
    findings = examine()
    missing = {finding.area for finding in findings if isinstance(finding.enforcement, NotEnforced)}
    status = EXIT_HOST if "machine" in missing else EXIT_FAILED if missing else 0
    if arguments.json:
        found = [{**finding._asdict(), "enforcement": written(finding.enforcement)} for finding in findings]
        print(json.dumps({"healthy": not missing, "findings": found}))
        return status
    area = ""
    for finding in findings:
        if finding.area != area:
            area = finding.area
            print(f"{area}:")
        print(
            f"  {_WORDS[type(finding.enforcement)]:<8}{printable(finding.name):<22}{printable(finding.detail)}".rstrip()
        )
        if finding.advice and not isinstance(finding.enforcement, Fully):
            print(f"  {'':<8}{'':<22}do: {printable(finding.advice)}")
    print("something is missing" if missing else "everything that policies need is here")
    return status
