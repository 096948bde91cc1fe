"""What git leaves out in a session: files that policy denies reading, by their names, as if a `.gitignore` named them.

`git add -A` reads every file that is neither tracked nor ignored, and gives up at the first one that it cannot read.
Most projects ignore their `.env`; in the others a session would commit nothing. So the session's git is given one more
file of patterns, before those of the person's own, which go on deciding. A tracked file is not concerned. Left out:
what a repository's own configuration names for this (anybody may have written it, and it would be copied), and denials
of one place. Source: gitignore(5), git-config(1) (`core.excludesFile`, `add.ignoreErrors`, `GIT_CONFIG_COUNT`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from interlock.surroundings.git_config import settings
from interlock.surroundings.included import git_files
from interlock.surroundings.text import own_text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from interlock.policy.compiled_form import CompiledPolicy

_ANYWHERE: Final = "**/"
#: What a person calls such a file. Of another name it is not copied: it could be anything.
_CALLED: Final = ("ignore", "exclude")
_COUNT: Final = "GIT_CONFIG_COUNT"
_COUNT_MAX: Final = 1_000


def excludes(document: CompiledPolicy, environment: Mapping[str, str], home: str) -> str | None:
    """The text of the file; None where policy denies nothing so, or the person's own patterns are not to be had.

    Arguments: `document` is the policy as compiled; `environment` and `home` the person's.
    """
    denied = list(dict.fromkeys(_denied(document)))
    own = _own(environment, home)
    return "\n".join([*denied, *own, ""]) if denied and own is not None else None


def with_excludes(environment: Mapping[str, str], path: str) -> dict[str, str]:
    """The variables that name the file at `path` to git, after those that the person has set in the same way."""
    said = environment.get(_COUNT, "0")
    if not said.isdecimal() or int(said) > _COUNT_MAX:
        return {}
    found = {_COUNT: str(int(said) + 2)}
    for number, (key, value) in enumerate((("core.excludesFile", path), ("add.ignoreErrors", "true")), int(said)):
        found |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return found


def _denied(document: CompiledPolicy) -> Iterator[str]:
    """What is denied by its name, and what of that is not: git goes by the last pattern that matches."""
    rules = [rule for layer in document["layers"] for rule in layer["rules"]]
    denied = [rule["match"] for rule in rules if rule["decision"] == "deny" and "file.read" in rule["verbs"]]
    whole = [match for match in denied if "keys" not in match]
    names = [name for match in whole for name in _names(match.get("path", []))]
    yield from names
    yield from (f"!{name}" for match in whole for name in _names(match.get("except", [])) if name not in names)


def _names(patterns: list[str]) -> Iterator[str]:
    """Those that hold wherever a file lies. A lone `**/*` would leave out everything."""
    yield from (each for each in patterns if each.startswith(_ANYWHERE) and each.strip("*/") and "\n" not in each)


def _own(environment: Mapping[str, str], home: str) -> list[str] | None:
    """The person's own patterns, which git would have read in this file's place."""
    usual = f"{environment.get('XDG_CONFIG_HOME') or f'{home}/.config'}/git/ignore"
    named = [os.path.join(home, path.removeprefix("~/")) for path in _excludes_files(environment, home)]
    lines: list[str] = []
    for path in named[-1:] or [usual]:
        real = os.path.realpath(path)
        if not all(any(word in os.path.basename(each).lower() for word in _CALLED) for each in (path, real)):
            return None
        lines += own_text_of(real).splitlines()
    return lines


def _excludes_files(environment: Mapping[str, str], home: str) -> Iterator[str]:
    for path in git_files(environment, home):
        for each in settings(own_text_of(path)):
            if (each.section, each.subsection, each.key) == ("core", "", "excludesfile"):
                yield each.value
