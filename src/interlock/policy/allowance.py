"""What would let a denied act pass: the rule, whole, that allows exactly it, or why no rule can.

Pure: from a denial (its act and what was decided) to text. The rule names what the kernel resolved, every character of
it taken as it is; what a policy cannot name exactly has no rule. Left out: the file it goes to and who may put it
there (`app.allowing`).
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from interlock.policy.fields import TEXT_CHARACTERS_MAX
from interlock.policy.host import is_public
from interlock.policy.language import SIGNALS
from interlock.policy.pattern import escape
from interlock.vocabulary.action import stands_for_a_name
from interlock.vocabulary.denial import Denial
from interlock.vocabulary.json_value import JsonObject
from interlock.vocabulary.printable import printable, text_of

#: What goes with a verb, since the one without the other is of no use: a program is read to be run, a new file filled.
_BESIDES: Final = {
    "process.exec": ("file.read", "process.exec"),
    "file.create": ("file.create", "file.write"),
}
#: Acts that make or fill a file, by which a name for one time comes about.
_MAKING: Final = frozenset({"file.create", "file.write", "file.mknod"})
#: Names that a program makes up for one time: they say so, and end in letters or digits of two kinds at least, as git's
#: (`tmp_obj_Xa3k9Q`, `tmp_objdir-incoming-8fKe2p`), mktemp's and Python's do. Git's are known by how they begin too.
_PASSING: Final = re.compile(
    r"\.?(?:(?:tmp|temp|incoming|quarantine)[._-](?:.*[._-])?|tmp)"
    r"(?!(?:[a-z]*|[A-Z]*|[0-9]*)$)[A-Za-z0-9_]{6,}"
    r"|tmp_(?:obj|pack|idx|rev|mtimes|bitmap|midx)_[A-Za-z0-9]{6}|tmp_objdir-[a-z-]+-[A-Za-z0-9]{6}"
)
_SIGNAL_NAMES: Final = {number: name for name, number in SIGNALS.items()} | {0: "0"}
_INDENT: Final = "  "


class NoRuleError(ValueError):
    """No rule can allow exactly this; the message says why."""


class Rule(NamedTuple):
    """An `allow` rule: verbs, and selectors with their values."""

    verbs: tuple[str, ...]
    selectors: tuple[tuple[str, tuple[str, ...]], ...]

    def text(self, identity: str, *, indent: int = 2) -> str:
        """The rule as an entry of `rules:`, in block style, as the presets are written."""
        lines = [f"- id: {identity}", f"{_INDENT}allow: {_listed(self.verbs)}"]
        for key, values in self.selectors:
            shown = [quoted(value) if key == "path" else value for value in values]
            if len(shown) == 1:
                lines.append(f"{_INDENT}{key}: {shown[0]}")
            else:
                lines += [f"{_INDENT}{key}:", *(f"{_INDENT * 2}- {value}" for value in shown)]
        return "".join(f"{' ' * indent}{line}\n" for line in lines)


def rule_for(denial: Denial, *, folder: str | None = None) -> Rule:
    """The rule that allows exactly the denied act, or, with `folder`, the same for all that lies in that folder.

    Raises `NoRuleError` when no rule can say it.
    """
    verbs = _BESIDES.get(denial.verb, (denial.verb,))
    if folder is not None:
        return Rule(verbs, (("path", (f"{_exact(folder)}/**",)),))
    return Rule(verbs, _selectors(denial))


def folder_of(denial: Denial, home: str, *, of_folder: bool = False) -> str:
    """The folder that a rule could name in the place of the one file (`of_folder`: the act was on a folder, which is
    meant itself). Raises `NoRuleError` for one that is too wide: the root, a folder right below it, the home or what
    holds it.
    """
    if isinstance(denial.target.get("to"), dict):
        raise NoRuleError("a rename or link has two ends; name each in a rule of your own")
    path = _path(denial.target)
    folder = path if of_folder else path.rpartition("/")[0]
    if folder.count("/") < 2 or folder == home or home.startswith(f"{folder}/"):
        raise NoRuleError(f"the folder `{printable(folder or '/')}` is too wide to be allowed as a whole")
    return folder


def settled_folder(denial: Denial, home: str) -> str | None:
    """The folder that is meant where the denied act made a file or folder of a name for one time (`tmp_obj_Xa3k9Q`,
    `incoming-8fKe2p`): the one in which the first such name stands. A rule for the name itself would never match
    again. None where no name is of that kind, or the folder is too wide.
    """
    try:
        names = _path(denial.target).split("/")
    except NoRuleError:
        return None
    at = next((index for index, name in enumerate(names) if _PASSING.fullmatch(name)), None)
    if at is None or denial.verb not in _MAKING or isinstance(denial.target.get("to"), dict):
        return None
    try:
        return folder_of(denial._replace(target={"path": "/".join(names[: at + 1])}), home)
    except NoRuleError:
        return None


def quoted(text: str) -> str:
    """A YAML double-quoted scalar of exactly `text`: what does not show as itself is written as an escape."""
    return '"' + "".join(map(_character, text)) + '"'


def _listed(verbs: tuple[str, ...]) -> str:
    return verbs[0] if len(verbs) == 1 else f"[{', '.join(verbs)}]"


def _character(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if printable(character) == character:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _selectors(denial: Denial) -> tuple[tuple[str, tuple[str, ...]], ...]:
    target, verb = denial.target, denial.verb
    if verb.startswith("net."):
        where = [(key, (str(target.get(key)),)) for key in ("port", "protocol")]
        address, host = str(target.get("address")), target.get("host")
        if not isinstance(host, str):
            return ("address", (address,)), *where
        named = [("host", (host,))]
        if not stands_for_a_name(address) and not is_public(address):
            named.append(("private", ("true",)))
        return *named, *where
    if verb == "key.use":
        host, user = target.get("host"), target.get("user")
        if not isinstance(host, str) or not isinstance(user, str):
            raise NoRuleError("what is bound to no host is good for anybody, so a person is asked each time")
        return ("host", (host,)), ("port", (str(target.get("port")),)), ("user", (_glob(user),))
    if verb == "process.signal":
        number = target.get("signal")
        name = _SIGNAL_NAMES.get(number) if isinstance(number, int) else None
        if name is None:
            raise NoRuleError(f"signal {target.get('signal')} has no name in a policy")
        return ("to", (str(target.get("to")),)), ("signal", (name,))
    if verb == "process.ptrace":
        return (("to", (str(target.get("to")),)),)
    if "abstract" in target:
        if target.get("to") == "inside":
            return (("to", ("inside",)),)
        raise NoRuleError("an abstract socket has no path, so no rule can name it alone")
    if not verb.startswith(("file.", "process.", "unix.")):
        raise NoRuleError(f"`{printable(verb)}` is not decided by a layer of a session")
    other = target.get("to")
    ends = [target, other] if isinstance(other, dict) else [target]
    return (("path", tuple(dict.fromkeys(_exact(_path(end)) for end in ends))),)


def _glob(text: str) -> str:
    return quoted(re.sub(r"([*?\[\\])", r"\\\1", text))


def _path(end: JsonObject) -> str:
    path = end.get("path")
    if isinstance(path, dict) and "digest" in path:
        raise NoRuleError("the name was too long to be recorded")
    if not isinstance(path, str | dict):
        raise NoRuleError("it has no name")
    return text_of(path)


def _exact(path: str) -> str:
    """The pattern that matches this path and no other."""
    if not path.startswith("/"):
        raise NoRuleError("its name is not a path")
    try:
        path.encode()
    except UnicodeEncodeError:
        raise NoRuleError("its name is not UTF-8, and a policy is: rename it") from None
    pattern = escape(path)
    if len(pattern) > TEXT_CHARACTERS_MAX - len("/**"):
        raise NoRuleError("its name is longer than a policy's pattern may be")
    return pattern
