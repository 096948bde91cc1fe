"""A second `decide`, written from spec/action.md and spec/policy.md and nothing else: naive, slow, and meant to be obviously right.

It reads policies, actions and facts as plain JSON values and takes them to be well formed; refusing malformed input is the
engine's own matter. No caching, no indices, no early exits that a reader would have to think about.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from itertools import chain
from urllib.parse import unquote

STRICTNESS = ["allow", "steer", "approve", "deny"]
CLASSES = ["routine", "ordered", "durable"]
GATEWAY = {"tool.call", "tool.list", "resource.read", "prompt.get", "log.level"}


# --- patterns -------------------------------------------------------------------------------------------------------


def glob(pattern: str, text: str) -> bool:
    """`*`, `?`, classes and `\\` over one component or text."""
    if not pattern:
        return not text
    head, rest = pattern[0], pattern[1:]
    if head == "*":
        return glob(rest, text) or (bool(text) and glob(pattern, text[1:]))
    if not text:
        return False
    if head == "?":
        return glob(rest, text[1:])
    if head == "\\":
        return rest[0] == text[0] and glob(rest[1:], text[1:])
    if head == "[":
        inside, _, after = rest.partition("]")
        return in_class(inside, text[0]) and glob(after, text[1:])
    return head == text[0] and glob(rest, text[1:])


def in_class(inside: str, character: str) -> bool:
    negated = inside.startswith("!")
    members = inside[1:] if negated else inside
    found = False
    while members:
        if len(members) >= 3 and members[1] == "-":
            found |= members[0] <= character <= members[2]
            members = members[3:]
        else:
            found |= members[0] == character
            members = members[1:]
    return found != negated


def components(path: str) -> list[str]:
    return [part for part in path.split("/") if part]


def path_matches(pattern: str, path: str) -> bool:
    return components_match(components(pattern), components(path))


def components_match(pattern: list[str], path: list[str]) -> bool:
    if not pattern:
        return not path
    if pattern[0] == "**":
        return any(components_match(pattern[1:], path[taken:]) for taken in range(len(path) + 1))
    return bool(path) and glob(pattern[0], path[0]) and components_match(pattern[1:], path[1:])


def first_folder(pattern: str, path: str) -> str | None:
    """Where a pattern that begins with `**` begins to match, nearest to the root."""
    first, *rest = components(pattern) or [""]
    parts = components(path)
    if first != "**":
        return None
    while rest and rest[0] == "**":
        rest = rest[1:]
    starts = (taken for taken in range(len(parts)) if components_match(rest, parts[taken:]))
    return next(("/" + "/".join(parts[:taken]) for taken in starts), None)


# --- selectors ------------------------------------------------------------------------------------------------------


def end_touched(rule: dict, end: dict) -> bool:
    """Whether a rule's path, except, except_within and inodes match one end of an act."""
    match = rule["match"]
    excepts = match.get("except") or []
    folders = match.get("except_within") or []
    inodes = match.get("inodes") or []
    names = [end["path"], *end.get("aliases", [])]

    def listed(name: str) -> bool:
        if "path" in match:
            return any(path_matches(pattern, name) and not begins_in_one(pattern, name) for pattern in match["path"])
        return not inodes

    def begins_in_one(pattern: str, name: str) -> bool:
        begun = first_folder(pattern, name)
        return begun is not None and any(path_matches(folder, begun) for folder in folders)

    def excepted(name: str) -> bool:
        return any(path_matches(pattern, name) for pattern in excepts)

    if rule["decision"] == "allow":
        return listed(end["path"]) and not any(excepted(name) for name in names)
    return any(listed(name) and not excepted(name) for name in names) or end.get("inode") in inodes


SILENT_ABOUT_CONTENT = {"file.read", "file.chmod", "file.chown", "file.xattr", "file.utime"}
NAMES = {"git": "git configuration", "json": "JSON", "pointer": "a pointer of git", "toml": "TOML"}


def keys_touched(keys: dict, verb: str, content: object) -> bool | str:
    """Whether a rule's keys would change at one end, or why nobody can say."""
    if verb in SILENT_ABOUT_CONTENT or content == "held":
        return False
    if content is None:
        return "it is not known which keys would change; write a file beside it and rename that over it"
    reading = content["read"].get(keys["format"])
    if reading is None:
        return f"the file was not read as {NAMES[keys['format']]}"
    if "unreadable" in reading:
        return f"the file cannot be compared as {NAMES[keys['format']]}: {reading['unreadable']}"
    return any(key_concerns(keys, change) for change in reading["changes"])


def key_concerns(keys: dict, change: dict) -> bool:
    is_git = keys["format"] == "git"
    if keys.get("named"):
        return any(key_matches(pattern, change["key"], is_git, above=True) for pattern in keys["named"])
    lines = (change.get("to") or "").splitlines()
    runs = is_git and any("::" in line or line[:1] in ("!", "-") for line in lines)
    return runs or not any(key_matches(pattern, change["key"], is_git, above=False) for pattern in keys["except"])


def key_matches(pattern: str, key: list[str], is_git: bool, *, above: bool) -> bool:
    names = [name.replace("\0", ".") for name in pattern.replace("\\.", "\0").split(".")]
    exact = is_git and len(names) > 1
    if exact:
        names = [names[0].lower(), ".".join(names[1:-1]), names[-1].lower()]
    if len(names) != len(key) and ((exact and len(names) < len(key)) or (len(names) > len(key) and not above)):
        return False
    return all(glob(name, part) for name, part in zip(names, key, strict=False))


def command_matches(rule: dict, target: dict) -> bool:
    command = rule["match"].get("command")
    if command is None:
        return True
    arguments = target["arguments"][1:]
    return (
        program_matches(command.get("program"), target["path"])
        and words_match(rule["decision"], command.get("words") or [], arguments)
        and flags_match(command.get("any_flag"), arguments)
    )


def program_matches(programs: list | None, path: str) -> bool:
    if programs is None:
        return True
    last = path.rpartition("/")[2]
    return any(path_matches(program, path) if "/" in program else glob(program, last) for program in programs)


def words_match(decision: str, words: list[str], arguments: list[str]) -> bool:
    if decision == "allow":
        return arguments[: len(words)] == words
    return is_subsequence(words, [argument for argument in arguments if not argument.startswith("-")])


def is_subsequence(words: list[str], arguments: list[str]) -> bool:
    if not words:
        return True
    return any(
        argument == words[0] and is_subsequence(words[1:], arguments[index + 1 :])
        for index, argument in enumerate(arguments)
    )


def flags_match(flags: list[str] | None, arguments: list[str]) -> bool:
    if flags is None:
        return True
    for flag in flags:
        for argument in arguments:
            if argument == flag or argument.startswith(flag + "="):
                return True
            single = len(flag) == 2 and flag != "--"
            cluster = argument.startswith("-") and not argument.startswith("--")
            if single and cluster and flag[1] in argument[1:]:
                return True
    return False


def net_matches(match: dict, target: dict) -> bool:
    address = ipaddress.ip_address(target["address"])
    blocks = [ipaddress.ip_network(block) for block in match.get("address", [])]
    return (
        ("address" not in match or any(block.version == address.version and address in block for block in blocks))
        and ("port" not in match or any(low <= target["port"] <= high for low, high in match["port"]))
        and ("protocol" not in match or target["protocol"] in match["protocol"])
        and ("host" not in match or any(host_matches(pattern, target.get("host")) for pattern in match["host"]))
    )


NEVER_BY_NAME = (
    "0.0.0.0/8 100.100.100.200 168.63.129.16 169.254.0.0/16 192.0.0.0/24 224.0.0.0/4 240.0.0.0/4 :: 64:ff9b:1::/48 "
    "2001::/32 2002::/16 fd00:ec2::254 fd00:ec2::23 fd20:ce::254 fe80::/10 ff00::/8"
)
PRIVATE = "10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 172.16.0.0/12 192.168.0.0/16 198.18.0.0/15 ::1 fc00::/7 fec0::/10"


def host_matches(pattern: str, host: str | None) -> bool:
    if host is None:
        return False
    wanted, labels = pattern.split("."), host.split(".")
    if wanted[0] == "**":
        return len(labels) >= len(wanted) and labels[-len(wanted) + 1 :] == wanted[1:]
    return len(labels) == len(wanted) and all(want in ("*", label) for want, label in zip(wanted, labels, strict=True))


def led_astray(match: dict, target: dict) -> bool:
    """Whether a name led where its rule lets none lead."""
    address = ipaddress.ip_address(target["address"])
    carrying = [ipaddress.ip_network(network) for network in ("64:ff9b::/96", "::/96")]
    if any(address in network for network in carrying) and str(address) not in ("::", "::1"):
        address = ipaddress.ip_address(int(address) & 0xFFFFFFFF)
    refused = NEVER_BY_NAME if match.get("private") else f"{NEVER_BY_NAME} {PRIVATE}"
    return "host" in match and any(address in ipaddress.ip_network(block) for block in refused.split())


def statement_matches(decision: str, wanted: dict, does: dict | None) -> bool:
    """An allow is about statements of which it names all, the others about those of which they name any."""
    if does is None:
        return False
    for key, globs in wanted.items():
        if key == "where":
            if does["where"] is not globs:
                return False
            continue
        names = [does["verb"]] if key == "verb" else does[key]
        named = [any(glob(pattern, name) for pattern in globs) for name in names]
        if not (all(named) if decision == "allow" else any(named)):
            return False
    return True


def conditions(decision: str, listed: list, arguments: object) -> bool | str:
    """True, False, or why they cannot be judged."""
    answers = [condition(decision, wanted, arguments) for wanted in listed]
    if any(answer is False for answer in answers):
        return False
    problems = sorted(answer for answer in answers if isinstance(answer, str))
    return problems[0] if problems else True


def answered(decision: str, listed: list, beside: dict) -> bool | str:
    """The same of a client's answers: an allow is about each of them, the others about any."""
    if not listed:
        return True
    if "inputResponses" not in beside:
        return False
    if not isinstance(beside["inputResponses"], dict):
        return "the answers are not an object"
    each = [conditions(decision, listed, answer) for answer in beside["inputResponses"].values()]
    problems = sorted(f"an answer: {one}" for one in each if isinstance(one, str))
    if decision != "allow":
        return True if any(one is True for one in each) else problems[0] if problems else False
    if not each or any(one is False for one in each):
        return False
    return problems[0] if problems else True


def condition(decision: str, wanted: dict, arguments: object) -> bool | str:
    at = wanted["at"]
    present, value = at_pointer(arguments, at)
    if isinstance(present, str):
        return f"the arguments hold a key that a server may take for the one at `{at}`: `{present}`"
    test, bound = wanted["test"], wanted["value"]
    if test == "present":
        return present == bound
    if not present:
        return False
    if test in ("equals", "in"):
        among = [bound] if test == "equals" else bound
        if any(same(value, one) for one in among):
            return True
        alike = decision == "allow" or value is None or any(kind(value) == kind(one) for one in among)
        return False if alike else f"the argument at `{at}` is not of a type that it is compared with"
    if test == "matches" and "/" in bound and isinstance(value, str) and strays(value):
        return f"the argument at `{at}` is a path that leaves what it begins with"
    if test == "matches":
        return glob(bound, value) if isinstance(value, str) else f"the argument at `{wanted['at']}` is not a string"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"the argument at `{wanted['at']}` is not a number"
    return value <= bound if test == "at_most" else value >= bound


def kind(value: object) -> str:
    names = {bool: "truth", int: "number", float: "number", str: "text", list: "list", dict: "object"}
    return names.get(type(value), "null")


def strays(text: str) -> bool:
    """`..`, `.` or nothing between two separators, however often it was encoded; or a zero byte."""
    for _ in range(4):
        path = re.split(r"[?#]", text)[0]
        path = path.partition("://")[2] if "://" in path else path
        parts = re.split(r"[/\\]", path)
        odd = "" in parts[1:-1] or (len(parts) > 1 and "." in parts)
        if odd or "\0" in text or ".." in re.split(r"[/\\?#]", text):
            return True
        text = unquote(text, encoding="latin-1")
    return False


def folded(key: str) -> str:
    return re.sub("[-_ ]", "", key).upper().lower()


def at_pointer(value: object, pointer: str) -> tuple[bool | str, object]:
    """Whether there is a value, or the key that only folds to the one that is meant; and the value."""
    for step in pointer.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            met = sorted(other for other in value if other != key and folded(other) == folded(key))
            if met:
                return met[0], None
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            return False, None
    return True, value


def same(left: object, right: object) -> bool:
    """Equal as JSON: 1 is 1.0, true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return left == right


# --- a rule and an act ----------------------------------------------------------------------------------------------


def touched(rule: dict, action: dict) -> tuple[bool, bool, str | None]:
    """Source touched, destination touched (the same where an act has one end), and why it is not sure."""
    match, target, verb = rule["match"], action["target"], action["verb"]
    source = destination = False
    doubt = None
    if verb in rule["verbs"]:
        if verb in ("file.rename", "file.link"):
            source, destination = end_touched(rule, target), end_touched(rule, target["to"])
        elif verb == "unix.connect" and "abstract" in target:
            source = destination = "path" not in match and not match.get("except")
        elif verb.startswith("file.") or verb in ("process.exec", "unix.connect"):
            source = destination = end_touched(rule, target)
        else:
            source = destination = True
        if match.get("keys"):
            source, destination, doubt = with_keys(match["keys"], verb, target, (source, destination))
        narrowed = others_match(rule, verb, target)
        source, destination = source and narrowed is not False, destination and narrowed is not False
        if isinstance(narrowed, str) and source:
            doubt = narrowed
        done = is_done(rule.get("steer"), target) if source or destination else False
        if done is True:
            return False, False, None
        if isinstance(done, str) and doubt is None:
            doubt = done
    if not source and not destination and guards(rule, verb):
        source = end_touched(rule, target)
        destination = target.get("exchange", False) and end_touched(rule, target["to"])
    return source, destination, doubt


def is_done(steer: object, target: dict) -> bool | str:
    """Whether an act is what a steer leads to already, or why that cannot be told."""
    if steer == "this_machine":
        address = ipaddress.ip_address(target["address"])
        return (getattr(address, "ipv4_mapped", None) or address).is_loopback
    if not isinstance(steer, dict):
        return False
    [(kind, value)] = steer.items()
    if kind == "add_flag":
        words = target["arguments"][1:]
        options = words[: words.index("--")] if "--" in words else words
        off = any(word.startswith(value["flag"] + "=") for word in options)
        behind = value.get("behind")
        at = 0 if behind is None else options.index(behind) + 1 if behind in options else len(options)
        return not off and options[at : at + 1] == [value["flag"]]
    if kind == "replace_flag":
        words = target["arguments"][1:]
        options = words[: words.index("--")] if "--" in words else words
        return value["with"] in options and not flags_match(value["flags"], options)
    if kind == "tool":
        return target["tool"] == value
    if kind == "arguments":
        answers = [change_done(change, target["arguments"]) for change in value]
        problems = sorted(answer for answer in answers if isinstance(answer, str))
        return False if False in answers else (problems[0] if problems else True)
    return False


def blocked(value: object, pointer: str) -> bool:
    for step in pointer.split("/")[1:]:
        if not isinstance(value, dict):
            return True
        key = step.replace("~1", "/").replace("~0", "~")
        if key not in value:
            return False
        value = value[key]
    return False


def change_done(change: dict, arguments: object) -> bool | str:
    present, found = at_pointer(arguments, change["at"])
    if isinstance(present, str):
        return f"the arguments hold a key that a server may take for the one at `{change['at']}`: `{present}`"
    if not present and blocked(arguments, change["at"]):
        return False
    if change["change"] == "set":
        return present and same(found, change["value"])
    if change["change"] == "default" or not present:
        return present and found is not None if change["change"] == "default" else True
    if isinstance(found, bool) or not isinstance(found, int | float):
        return False
    return found <= change["value"] if change["change"] == "at_most" else found >= change["value"]


def with_keys(keys: dict, verb: str, target: dict, ends: tuple[bool, bool]) -> tuple[bool, bool, str | None]:
    """What is left of the ends that a rule names; both, where one is in doubt."""
    paired = verb in ("file.rename", "file.link")
    contents = (target.get("content"), (target["to"] if paired else target).get("content"))
    answers = [end and keys_touched(keys, verb, content) for end, content in zip(ends, contents, strict=True)]
    problems = [answer for answer in answers if isinstance(answer, str)]
    return (*ends, problems[0]) if problems else (bool(answers[0]), bool(answers[1]), None)


def guards(rule: dict, verb: str) -> bool:
    """What may not be read may not be moved or linked to where it could be."""
    return (
        verb in ("file.rename", "file.link")
        and rule["decision"] in ("deny", "approve")
        and "file.read" in rule["verbs"]
    )


def others_match(rule: dict, verb: str, target: dict) -> bool | str:
    match = rule["match"]
    if "to" in match and target.get("to") != match["to"]:
        return False
    if verb == "process.exec":
        return command_matches(rule, target)
    if verb == "process.signal":
        return "signal" not in match or target["signal"] in match["signal"]
    if verb.startswith("net."):
        matches = net_matches(match, target)
        if matches and rule["decision"] != "deny" and led_astray(match, target):
            astray = f"`{target['host']}` led to `{target['address']}`, where the rule lets no name lead"
            return False if rule["decision"] == "allow" else astray
        return matches
    if verb == "key.use":
        named = "host" not in match or any(host_matches(pattern, target.get("host")) for pattern in match["host"])
        port, user = target.get("port"), target.get("user")
        within = "port" not in match or (port is not None and any(low <= port <= high for low, high in match["port"]))
        meant = "user" not in match or (user is not None and any(glob(pattern, user) for pattern in match["user"]))
        return named and within and meant
    if verb in GATEWAY:
        for key in ("connector", "tool", "operation"):
            if key in match and not any(glob(pattern, target[key]) for pattern in match[key]):
                return False
        if "sql" in match and not statement_matches(rule["decision"], match["sql"], target.get("sql")):
            return False
        both = [
            conditions(rule["decision"], match.get("arguments") or [], target["arguments"]),
            answered(rule["decision"], match.get("answers") or [], target.get("beside") or {}),
        ]
        if any(one is False for one in both):
            return False
        return next((one for one in both if isinstance(one, str)), True)
    return True


def held(when: dict | None, facts: dict, ends: tuple[bool, bool], *, paired: bool) -> tuple[bool, bool] | str:
    """The touched ends for which it holds, or which Fact is not known."""
    answers: list[bool | str] = []
    when = when or {}
    if "risk_at_least" in when:
        risk = facts.get("risk")
        answers.append("needs `risk`, which is not known" if risk is None else risk >= when["risk_at_least"])
    for place, wanted in sorted((when.get("labels_any") or {}).items()):
        labels = (facts.get("labels") or {}).get(place)
        answers.append(
            f"needs `labels.{place}`, which is not known" if labels is None else bool(set(labels) & set(wanted))
        )
    source, destination = ends
    for fact in ("origin", "history"):
        if fact in when:
            known = [facts.get(fact), facts.get(f"{fact}_to" if paired else fact)]
            touched_ends = (source, destination)
            if any(end and value is None for end, value in zip(touched_ends, known, strict=True)):
                answers.append(f"needs `{fact}`, which is not known")
            source, destination = (
                end and (value in when[fact] if fact == "history" else value == when[fact])
                for end, value in zip(touched_ends, known, strict=True)
            )
    problems = [answer for answer in answers if isinstance(answer, str)]
    return problems[0] if problems else (source and all(answers), destination and all(answers))


# --- layers ---------------------------------------------------------------------------------------------------------


def decide(policy: dict, action: dict, facts: dict) -> dict:
    """The Decision of spec/action.md."""
    granted = any(answers(grant, action, facts) for grant in facts.get("grants", []))
    voices = [voice(layer, action, facts) for layer in policy["layers"]]
    first = combined(action, voices, granted)
    if first["spoke"] or not any(heard["otherwise"] for heard in voices):
        return first
    asking = [
        {
            **heard,
            "approve": heard["approve"] + [rule for rule, why in heard["otherwise"] if why is None],
            "errors": heard["errors"] + [(rule, why) for rule, why in heard["otherwise"] if why is not None],
        }
        for heard in voices
    ]
    second = combined(action, asking, granted)
    return {**second, "spoke": second["decision"] == "deny" and second["spoke"]}


def combined(action: dict, voices: list[dict], granted: bool) -> dict:
    said = [reading(heard, granted) for heard in voices]
    steers = {canonical(rule["steer"]) for heard in voices for rule in heard["steer"]}
    strictest = max((STRICTNESS.index(answer) for answer in said if answer), default=None)
    if strictest is not None and STRICTNESS[strictest] == "deny":
        return refused(action, voices, said)
    if strictest is not None and len(steers) > 1:
        return denial(action, voices, "steer", because="two rules steer it differently")
    if strictest is None or not any(lifts(heard) for heard in voices):
        return denial(action, [], "steer", because="no rule allows it", spoke=False)
    return permitted(action, voices, STRICTNESS[strictest], granted)


def voice(layer: dict, action: dict, facts: dict) -> dict:
    heard: dict = {"layer": layer, "allow": [], "steer": [], "approve": [], "deny": [], "errors": [], "otherwise": []}
    ends = [False, False]
    for rule in layer["rules"]:
        named = {**rule, "name": f"{layer['name']}/{rule['id']}"}
        source, destination, doubt = touched(rule, action)
        if not source and not destination:
            continue
        paired = action["verb"] in ("file.rename", "file.link")
        truth = held(rule.get("when"), facts, (source, destination), paired=paired)
        if rule.get("unless_allowed") and not layer.get("closed"):
            if doubt or isinstance(truth, str):
                heard["otherwise"] += [(named, why) for why in (doubt, truth) if isinstance(why, str)]
            elif any(truth):
                heard["otherwise"].append((named, None))
            continue
        if doubt or isinstance(truth, str):
            heard["errors"] += [(named, why) for why in (doubt, truth) if isinstance(why, str)]
        elif any(truth):
            heard[rule["decision"]].append(named)
            if rule["decision"] == "allow":
                ends = [ends[0] or truth[0], ends[1] or truth[1]]
    if not all(ends):
        heard["allow"] = []
    if ("rego" in layer or "flows" in layer) and action["verb"] in GATEWAY - {"tool.list"}:
        consult(layer, heard, facts)
    return heard


def consult(layer: dict, heard: dict, facts: dict) -> None:
    """What the layer's Rego found, as if rules had said it; only that it opens nothing."""
    findings = (facts.get("findings") or {}).get(layer["name"])
    if findings is None:
        heard["unheard"] = True
    for finding in findings or []:
        named = {**finding, "name": f"{layer['name']}/{finding['id']}", "found": True}
        if finding["finds"] == "error":
            heard["errors"].append((named, finding.get("because") or "no reason"))
        else:
            heard[finding["finds"]].append(named)


def reading(heard: dict, granted: bool) -> str | None:
    if heard["errors"] or heard["deny"] or heard.get("unheard"):
        return "deny"
    if heard["layer"].get("closed") and not base(heard):
        return "deny"
    if len({canonical(rule["steer"]) for rule in heard["steer"]}) > 1:
        return "deny"
    if heard["approve"] and not granted:
        return "approve"
    if heard["steer"]:
        return "steer"
    if heard["allow"] or heard["approve"]:
        return "allow"
    return None


def base(heard: dict) -> bool:
    """Whether something lets the act through that needs neither a score nor labels."""
    loosening = chain(heard["allow"], heard["approve"], heard["steer"])
    scored = {"risk_at_least", "labels_any"}
    return any(not rule.get("found") and not scored & set(rule.get("when") or {}) for rule in loosening)


def lifts(heard: dict) -> bool:
    return heard["layer"]["origin"] != "workspace" and base(heard)


def refused(action: dict, voices: list[dict], said: list) -> dict:
    rules, layers, errors, denies, closed = [], [], [], [], []
    for heard, answer in zip(voices, said, strict=True):
        if answer != "deny":
            continue
        layers.append(heard["layer"]["name"])
        denies += heard["deny"]
        rules += heard["deny"] + [rule for rule, _ in heard["errors"]]
        errors += [f"{rule['name']}: {why}" for rule, why in heard["errors"]]
        if heard.get("unheard"):
            errors.append(f"{heard['layer']['name']}: what it finds beside its rules was not heard")
        elif not heard["deny"] and not heard["errors"]:
            if heard["layer"].get("closed") and not base(heard):
                closed.append(heard["layer"]["name"])
            else:
                rules += heard["steer"]
    if denies:
        because = reason(denies)
    elif errors:
        because = f"a rule could not be evaluated: {min(errors)}"
    elif rules:
        because = "two rules steer it differently"
    else:
        because = f"`{min(closed)}` is closed and allows nothing like it"
    return decision("deny", rules, layers, because, action, errors=errors)


def denial(action: dict, voices: list[dict], kind: str, *, because: str, spoke: bool = True) -> dict:
    speaking = [heard for heard in voices if heard[kind]]
    rules = [rule for heard in speaking for rule in heard[kind]]
    return decision("deny", rules, [heard["layer"]["name"] for heard in speaking], because, action, spoke=spoke)


def permitted(action: dict, voices: list[dict], outcome: str, granted: bool) -> dict:
    bearing = [rule for heard in voices for kind in ("allow", "approve", "steer") for rule in heard[kind]]
    credentials = {rule["obligations"]["inject"] for rule in bearing if rule.get("obligations", {}).get("inject")}
    if len(credentials) > 1:
        marked = [{**heard, "inject": injecting(heard)} for heard in voices]
        return denial(action, marked, "inject", because="two rules inject different credentials")
    kinds = {"allow": ("allow", "approve"), "steer": ("steer",), "approve": ("approve",)}[outcome]
    speaking = [heard for heard in voices if any(heard[kind] for kind in kinds)]
    rules = [rule for heard in speaking for kind in kinds for rule in heard[kind]]
    result = decision(outcome, rules, [heard["layer"]["name"] for heard in speaking], reason(rules), action)
    approved = granted and any(heard["approve"] for heard in voices)
    result["obligations"] = joined(bearing, record_class(action["verb"], outcome, approved))
    if outcome == "approve":
        result["timeout_ms"] = min(rule.get("timeout_ms") or 120_000 for rule in rules)
    if outcome == "steer":
        result["steer"] = rules[0]["steer"]
    return result


def injecting(heard: dict) -> list[dict]:
    rules = heard["allow"] + heard["approve"] + heard["steer"]
    return [rule for rule in rules if rule.get("obligations", {}).get("inject")]


def joined(rules: list[dict], least: str) -> dict:
    obligations: dict = {"record": least}
    limits: dict = {}
    masks: set = set()
    for rule in rules:
        own = rule.get("obligations", {})
        obligations["record"] = max(obligations["record"], own.get("record", "routine"), key=CLASSES.index)
        for name, bound in own.get("limit", {}).items():
            limits[name] = min(bound, limits.get(name, bound))
        masks |= set(own.get("mask", []))
        if own.get("inject"):
            obligations["inject"] = own["inject"]
    if limits:
        obligations["limit"] = limits
    if masks:
        obligations["mask"] = sorted(masks)
    return obligations


def record_class(verb: str, outcome: str, approved: bool) -> str:
    if verb == "tool.call" or outcome in ("steer", "approve") or approved or (verb, outcome) == ("key.use", "allow"):
        return "durable"
    return "routine" if outcome == "allow" and verb == "file.read" else "ordered"


def reason(rules: list[dict]) -> str:
    ordered = sorted(rules, key=lambda rule: rule["name"])
    given = [rule["because"] for rule in ordered if rule.get("because")]
    return given[0] if given else f"rule `{ordered[0]['name']}` says so"


def decision(
    outcome: str,
    rules: list[dict],
    layers: list[str],
    because: str,
    action: dict,
    *,
    spoke: bool = True,
    errors: list[str] | None = None,
) -> dict:
    return {
        "decision": outcome,
        "rules": sorted({rule["name"] for rule in rules}),
        "layers": sorted(set(layers)),
        "because": because,
        "timeout_ms": None,
        "steer": None,
        "obligations": {"record": record_class(action["verb"], "deny", False)},
        "spoke": spoke,
        "errors": sorted(set(errors or [])),
    }


# --- grants ---------------------------------------------------------------------------------------------------------


def answers(grant: dict, action: dict, facts: dict) -> bool:
    agent = action.get("subject", {}).get("agent")
    own = agent is not None and grant["approver"] in (agent, f"agent:{agent}")
    return (
        (grant["digest"] == digest(action) or reaches(grant.get("reach"), action))
        and grant["uses"] > 0
        and grant["expires_ms"] > facts.get("now_ms", 0)
        and grant["approver"] not in ("", "agent:")
        and not own
    )


def reaches(reach: dict | None, action: dict) -> bool:
    """Whether a yes for the session is about this act."""
    target, verb = action["target"], action["verb"]
    if reach is None or verb not in ("net.connect", "net.send") or target["protocol"] not in ("tcp", "udp"):
        return False
    session, host = action.get("subject", {}).get("session"), target.get("host")
    here = (session, verb, target["protocol"], host, target["port"], target["to"])
    there = (reach["session"], reach["verb"], reach["protocol"], reach.get("host"), reach["port"], "outside")
    public = host is not None and not led_astray({"host": []}, target)
    return session is not None and here == there and (target["address"] == reach["address"] or public)


def digest(action: dict) -> str:
    """Good for actions whose keys and strings are ASCII and whose numbers are short."""
    bare = {key: value for key, value in action.items() if key != "id" and value is not None}
    bare["subject"] = {key: value for key, value in bare.get("subject", {}).items() if value is not None}
    bare["target"] = without_defaults(bare["target"], action["verb"])
    return hashlib.sha256(canonical(bare).encode()).hexdigest()


def without_defaults(target: dict, verb: str) -> dict:
    if verb in GATEWAY:
        return {key: value for key, value in target.items() if value is not None}
    kept = {key: value for key, value in target.items() if not (key in ("aliases", "connected", "inode", "exchange") and not value)}
    if isinstance(kept.get("to"), dict):
        kept["to"] = without_defaults(kept["to"], verb)
    return kept


def canonical(value: object) -> str:
    return json.dumps(whole(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def whole(value: object) -> object:
    """RFC 8785 writes 1.0 as 1."""
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
