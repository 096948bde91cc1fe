"""What can be done about a denial, in words: the same inside a session, where a model reads them, and outside.

What a rule looks like is `policy.allowance`'s. No line here is an offer to the one who was denied: what loosens
something is a person's to do, outside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from interlock.vocabulary.printable import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from interlock.vocabulary.denial import Denial

#: Denials of one folder from which on a rule for the folder is shown.
SHARED_MIN = 3
#: How the door begins where what it loses can be kept no more.
_TRASH = "it goes to the trash or stays"
_ASK = "an agent cannot: it asks its human"


def remedy(denial: Denial, *, session: str, files: Mapping[str, str], others: Sequence[Denial]) -> list[str]:
    """Lines on what would allow a denied act, or why nothing does.

    Arguments: `session` is whose denial it is, `files` where the person's own
        layers lie by name, `others` the denials told with it.
    """
    if (denial.because or "").startswith(_TRASH):
        return [
            "nothing is lost without being kept: a person gives the journal more room (interlock run --journal SIZE)",
            "or gives up what other sessions keep, where the disk is full (interlock session forget ID)",
        ]
    if denial.is_guard:
        return [
            "this protects Interlock itself, and no policy opens it",
            "what is meant to happen here, a person does outside the session",
        ]
    if denial.is_unruled:
        return _by_rule(denial, session=session, files=files, others=others)
    if denial.asked:
        return [
            "a person's yes is asked for each time, and there was none in time",
            f"to be asked again, try again; the person answers on the terminal of `interlock run`, or elsewhere with: "
            f"interlock approvals list ({_ASK})",
            "with --no-ask, or under the preset ci, nobody is asked and it is denied at once",
        ]
    if denial.rules:
        return _by_deny(denial)
    return ["no rule can change this: see the reason"]


def _by_deny(denial: Denial) -> list[str]:
    rules = ", ".join(f"`{printable(rule)}`" for rule in denial.rules)
    layer = printable(denial.rules[0].partition("/")[0])
    return [
        f"{rules} denies it, and no other layer loosens what one denies; a person can ({_ASK}):",
        f"- put an exception into a copy of that layer (`except:` in the rule; a preset: interlock policy presets show "
        f"{layer} > mine.yaml), and run with it: interlock run --policy mine.yaml",
        "- run with another preset, or do this one thing outside the session",
    ]


def _by_rule(denial: Denial, *, session: str, files: Mapping[str, str], others: Sequence[Denial]) -> list[str]:
    from interlock.policy.allowance import NoRuleError, rule_for

    folder = _settled(denial) or _shared_folder(denial, others)
    try:
        rule = rule_for(denial, folder=folder).text("allowed-1", indent=0)
    except NoRuleError as error:
        return [f"no rule can allow exactly this: {error}", "a rule of your own may be wider: docs/policy.md"]
    what, whole = "of it", "it"
    if folder is not None:
        what, whole = "of it, nor of what was denied beside it", f"all of {printable(folder)}"
    said = f"no rule speaks {what}"
    if denial.asked:
        said = "no rule allows it, a person is asked, and there was no yes (try again to be asked again)"
    lines = [f"{said}; this one would allow {whole}, and a person can add it ({_ASK}):"]
    lines += [f"  {line}" for line in rule.splitlines()]
    if denial.record is None:
        return [*lines, "it could not be recorded, so the rule has to be added by hand"]
    command = f"interlock allow {session}:{denial.record}" + (" --folder" if folder is not None else "")
    return [
        *lines,
        f"for this workspace, outside the session: {command}",
        *_file(files, "this-project"),
        f"for every workspace, outside the session: {command} --always",
        *_file(files, "always"),
    ]


def _file(files: Mapping[str, str], name: str) -> list[str]:
    return [f"  which adds it to {printable(str(files[name]), 1000)}"] if name in files else []


def _settled(denial: Denial) -> str | None:
    from interlock.policy.allowance import settled_folder
    from interlock.storage.home import user_home

    return settled_folder(denial, user_home())


def _shared_folder(denial: Denial, others: Sequence[Denial]) -> str | None:
    """The folder that the denied act shares with enough others of its kind; None when there is none, or it is too wide
    to be allowed as a whole.
    """
    from interlock.policy.allowance import NoRuleError, folder_of
    from interlock.storage.home import user_home

    home = user_home()
    try:
        folder = folder_of(denial, home)
    except NoRuleError:
        return None
    beside = set()
    for other in others:
        if other.is_unruled and other.verb == denial.verb and "path" in other.target:
            try:
                if folder_of(other, home) == folder:
                    beside.add(str(other.target["path"]))
            except NoRuleError:
                continue  # It lies elsewhere.
    return folder if len(beside) >= SHARED_MIN else None
