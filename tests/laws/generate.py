"""Random policies, actions and facts that collide: few names, few verbs, so that several rules speak about most acts.

Everything comes from the one `random.Random` given, so a seed is a test.
"""

from __future__ import annotations

from random import Random

from tests.laws import reference

NAMES = ["a", "b", "c", ".e"]
GLOBS = ["a", "b", "c", ".e", "*", "?", "[ab]", "[!a]", "a*", ".*"]
FILE_VERBS = ["file.read", "file.write", "file.delete", "file.rename", "file.link"]
PATH_VERBS = [*FILE_VERBS, "process.exec", "unix.connect"]
TOOL_VERBS = ["tool.call", "resource.read"]
ORIGINS = ["builtin", "user", "organisation", "team", "project", "task"]
HOSTS = ["example", "b.example", "a.b.example", "c.a.b.example", "xb.example", "b.example.other"]
ODD_ADDRESSES = ["169.254.169.254", "127.0.0.1", "64:ff9b::808:808", "64:ff9b::a01:203", "fe80::1", "198.18.0.9"]
THEMES = ["file", "file", "file", "exec", "unix", "net", "signal", "ptrace", "key", "tool"]
WORDS = ["push", "-f", "-xf", "--force", "--force=now", "x", "-", "--"]
AGENT = "coder"


def case(random: Random, *, acts: int) -> tuple[dict, list[tuple[dict, dict]]]:
    """A policy and some acts with facts, all about one theme."""
    theme = random.choice(THEMES)
    return policy(random, theme), [act_with_facts(random, theme) for _ in range(acts)]


def act_with_facts(random: Random, theme: str) -> tuple[dict, dict]:
    act = action(random, theme)
    return act, facts(random, act)


def policy(random: Random, theme: str) -> dict:
    count = random.choice([1, 1, 2, 2, 3])
    return {"interlock": 1, "layers": [layer(random, theme, f"l{number}") for number in range(count)]}


def layer(random: Random, theme: str, name: str) -> dict:
    origin = "workspace" if random.random() < 0.15 else random.choice(ORIGINS)
    count = random.choice([0, 1, 2, 3, 4, 6])
    rules = [rule(random, theme, f"r{number}", origin) for number in range(count)]
    return {"name": name, "origin": origin, "closed": random.random() < 0.15, "rules": rules}


def rule(random: Random, theme: str, name: str, origin: str) -> dict:
    loose = origin != "workspace"
    kinds = ["allow"] * 6 * loose + ["steer"] * 2 * loose + ["approve", "approve", "deny"]
    decision = random.choice(kinds)
    named = verbs(random, theme)
    if decision == "steer" and not steers(named):
        decision = "approve"
    made: dict = {"id": name, "decision": decision, "verbs": named}
    made["match"] = match(random, theme, made["verbs"], decision)
    if random.random() < 0.3:
        made["because"] = random.choice(["one reason", "another reason"])
    if random.random() < 0.25:
        made["when"] = when(random, decision)
    if decision == "steer":
        made["steer"] = random.choice(steers(named))
    if decision == "approve" and random.random() < 0.5:
        made["timeout_ms"] = random.choice([1000, 2000])
    if decision == "approve" and all(verb.startswith(("net.", "key.")) for verb in named) and random.random() < 0.5:
        made["unless_allowed"] = True
    if decision != "deny" and random.random() < 0.3:
        made["obligations"] = obligations(random)
    return made


#: Of arguments that conditions name as well.
CHANGES = [
    {"at": "/n", "change": "set", "value": 1},
    {"at": "/o/k", "change": "default", "value": "x"},
    {"at": "/n", "change": "at_most", "value": 3},
    {"at": "/s", "change": "at_least", "value": 2},
]


def steers(named: list[str]) -> list:
    """What may be done instead of acts with all of these verbs; the first several times, so that equal steers meet."""
    if all(verb.startswith("file.") and verb not in ("file.rename", "file.link") for verb in named):
        return [{"path": "/b"}] * 3 + [{"path": "/c"}] + ["masked"] * (named == ["file.read"])
    found = {
        "process.exec": [
            {"program": "/b"},
            {"add_flag": {"flag": "-f"}},
            {"add_flag": {"flag": "-f", "behind": "push"}},
            {"replace_flag": {"flags": ["-f"], "with": "--force"}},
        ],
        "process.signal": [{"signal": 15}] * 3 + [{"signal": 1}],
        "net.connect": [{"address": {"address": "10.1.2.3"}}] * 2 + [{"address": {"address": "::1", "port": 80}}],
        "net.bind": ["this_machine"],
        "tool.call": [{"tool": "z"}] * 2 + [{"tool": "x"}] + [{"arguments": [change]} for change in CHANGES],
    }
    return found.get(named[0], []) if len(named) == 1 else []


def verbs(random: Random, theme: str) -> list[str]:
    pool = {
        "file": PATH_VERBS if random.random() < 0.2 else FILE_VERBS,
        "exec": ["process.exec"],
        "unix": ["unix.connect"],
        "net": ["net.connect", "net.bind"],
        "signal": ["process.signal"],
        "ptrace": ["process.ptrace"],
        "key": ["key.use"],
        "tool": TOOL_VERBS,
    }[theme]
    return random.sample(pool, random.randint(1, len(pool)))


def match(random: Random, theme: str, named: list[str], decision: str) -> dict:
    made: dict = {}
    if theme in ("file", "exec", "unix"):
        made |= path_match(random, named, decision)
    if theme == "exec" and random.random() < 0.6:
        made["command"] = command(random)
    has_peer = theme in ("unix", "signal", "ptrace") or named == ["net.connect"]
    if has_peer and random.random() < 0.5:
        made["to"] = random.choice(["inside", "outside"])
    if theme == "signal" and random.random() < 0.5:
        made["signal"] = random.sample([0, 9, 15], random.randint(1, 2))
    if theme == "net":
        made |= net_match(random, named, decision)
    if theme == "key":
        made |= key_match(random, decision)
    if theme == "tool":
        made |= tool_match(random, named)
    return made


def key_match(random: Random, decision: str) -> dict:
    made: dict = {}
    if decision == "allow" or random.random() < 0.6:
        made["host"] = random.sample(["b.example", "a.b.example", "*.b.example", "**.example"], 2)
    if random.random() < 0.4:
        made["port"] = [random.choice([[22, 22], [1, 1023]])]
    if random.random() < 0.5:
        made["user"] = random.sample(["git", "g*", "root", "?"], random.randint(1, 2))
    return made


def path_match(random: Random, named: list[str], decision: str) -> dict:
    made: dict = {}
    if random.random() < 0.9:
        made["path"] = [pattern(random) for _ in range(random.choice([1, 2, 3, 3, 10]))]
    if random.random() < 0.3:
        made["except"] = [pattern(random) for _ in range(random.choice([1, 1, 1, 7]))]
    if decision != "allow" and "path" in made and random.random() < 0.3:
        made["except_within"] = [pattern(random) for _ in range(random.choice([1, 1, 2]))]
    if decision != "allow" and "unix.connect" not in named and random.random() < 0.2:
        made["inodes"] = [{"device": 1, "number": random.randint(1, 3)}]
    return made


def pattern(random: Random) -> str:
    parts = random.choices(GLOBS, k=random.choice([0, 1, 1, 2, 2, 3]))
    for _ in range(random.choice([0, 0, 1, 1, 2])):
        parts.insert(random.randint(0, len(parts)), "**")
    if not parts:
        return "/"
    leading = "" if parts[0] == "**" and len(parts) > 1 and random.random() < 0.5 else "/"
    return leading + "/".join(parts)


def path(random: Random) -> str:
    return "/" + "/".join(random.choices(NAMES, k=random.choice([0, 1, 1, 2, 2, 2, 3, 4])))


def end(random: Random) -> dict:
    made: dict = {"path": path(random)}
    if random.random() < 0.3:
        made["aliases"] = [path(random) for _ in range(random.randint(0, 2))]
    if random.random() < 0.4:
        made["inode"] = random.choice([None, {"device": 1, "number": random.randint(1, 4)}])
    return made


def command(random: Random) -> dict:
    made: dict = {}
    if random.random() < 0.6:
        made["program"] = [random.choice(["a", "?", "**/a", "/a/*", "[!b]"])]
    if random.random() < 0.6:
        made["words"] = random.sample(["push", "x"], random.randint(1, 2))
    if random.random() < 0.5 or not made:
        made["any_flag"] = [random.choice(["-f", "--force"])]
    return made


def net_match(random: Random, named: list[str], decision: str) -> dict:
    made: dict = {}
    if random.random() < 0.6:
        made["address"] = [
            random.choice(["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "::1", "fc00::/7", "0.0.0.0/0", "::/0"])
        ]
    if random.random() < 0.5:
        made["port"] = [random.choice([[80, 80], [1, 1023], [443, 65535]])]
    if random.random() < 0.3:
        made["protocol"] = [random.choice(["tcp", "udp"])]
    if named == ["net.connect"] and random.random() < 0.6:
        made["host"] = random.sample(["b.example", "a.b.example", "*.b.example", "**.example", "**.b.example"], 2)
        if decision != "deny" and random.random() < 0.4:
            made["private"] = random.choice([True, True, False])
    return made


def tool_match(random: Random, named: list[str]) -> dict:
    made: dict = {}
    calls = named == ["tool.call"]
    for key, values in {"connector": ["crm", "c*"], "tool": ["x/y", "x*", "?"], "operation": ["read", "*"]}.items():
        if random.random() < 0.4 and (calls or key != "operation"):
            made[key] = [random.choice(values)]
    if calls and random.random() < 0.6:
        made["arguments"] = [condition(random) for _ in range(random.randint(1, 2))]
    if set(named) <= {"tool.call", "resource.read", "prompt.get"} and random.random() < 0.4:
        made["answers"] = [condition(random) for _ in range(random.randint(1, 2))]
    if calls and random.random() < 0.3:
        made["sql"] = statements(random)
    return made


def statements(random: Random) -> dict:
    """What a rule wants of a statement; an allow may leave no table open."""
    made: dict = {"tables": random.choice([["a"], ["a", "b"], ["*"]])}
    wanted = {"changed": ["a"], "columns": ["a.*", "b.x"], "functions": ["sum"], "verb": ["select", "de*"]}
    for key, globs in wanted.items():
        if random.random() < 0.3:
            made[key] = random.sample(globs, 1)
    if random.random() < 0.3:
        made["where"] = random.choice([True, False])
    return made


def condition(random: Random) -> dict:
    test, value = random.choice(
        [
            ("equals", 1), ("equals", "x"), ("equals", 1.0), ("equals", True), ("in", [1, "x"]), ("in", [{"k": 1}, None]),
            ("matches", "x*"), ("matches", "[xy]/*"), ("at_most", 5), ("at_most", 2.5), ("at_least", 2), ("at_least", -1.5),
            ("present", True), ("present", False),
        ]
    )  # fmt: skip
    return {"at": random.choice(["/n", "/n", "/s", "/o/k", "/l/0", ""]), "test": test, "value": value}


def when(random: Random, decision: str) -> dict:
    made: dict = {}
    if decision != "allow" and random.random() < 0.5:
        made["risk_at_least"] = random.choice([0, 30, 60])
    if decision != "allow" and random.random() < 0.4:
        made["labels_any"] = {
            random.choice(["context", "object"]): random.sample(["untrusted", "private"], random.randint(1, 2))
        }
    if random.random() < 0.3 or not made:
        made["origin"] = random.choice(["before", "session"])
    if random.random() < 0.2:
        made["history"] = random.sample(["tracked", "session", "none"], random.randint(1, 2))
    return made


def obligations(random: Random) -> dict:
    made: dict = {}
    if random.random() < 0.5:
        made["record"] = random.choice(["routine", "ordered", "durable"])
    if random.random() < 0.4:
        made["limit"] = {random.choice(["rows", "bytes"]): random.choice([1, 10])}
    if random.random() < 0.3:
        made["mask"] = random.sample(["email", "phone"], random.randint(1, 2))
    if random.random() < 0.3:
        made["inject"] = random.choice(["key-1", "key-1", "key-1", "key-2"])
    return made


def action(random: Random, theme: str) -> dict:
    verb = random.choice(verbs(random, theme))
    plane = "gateway" if theme == "tool" else "host"
    made: dict = {"id": f"s-1/{random.randint(0, 99)}", "plane": plane, "verb": verb, "target": target(random, verb)}
    made["subject"] = random.choice(
        [{}, {"agent": AGENT}, {"agent": None, "session": "s-1"}, {"agent": AGENT, "session": "s-1"}]
    )
    if random.random() < 0.2:
        made["nonce"] = random.choice(["n1", None])
    return made


def target(random: Random, verb: str) -> dict:
    to = random.choice(["inside", "outside"])
    if verb in ("file.rename", "file.link"):
        exchange = {"exchange": random.choice([True, False])} if verb == "file.rename" and random.random() < 0.4 else {}
        return end(random) | {"to": end(random)} | exchange
    if verb == "process.exec":
        return end(random) | {
            "arguments": ["a", *random.choices(WORDS, k=random.randint(0, 3))][random.random() < 0.1 :],
            "directory": "/",
        }
    if verb == "process.signal":
        return {"to": to, "signal": random.choice([0, 9, 15]), "process": 7}
    if verb == "process.ptrace":
        return {"to": to, "process": 7}
    if verb.startswith("net."):
        address = random.choice(["10.1.2.3", "10.9.9.9", "192.0.2.1", "::1", "fd00::1", "2001:db8::1", *ODD_ADDRESSES])
        asked = {"host": random.choice(HOSTS)} if verb == "net.connect" and random.random() < 0.7 else {}
        return asked | {
            "protocol": random.choice(["tcp", "udp"]),
            "address": address,
            "port": random.choice([80, 443, 8080]),
            "to": to,
        }
    if verb == "key.use":
        bound = {"host": random.choice(HOSTS), "port": random.choice([22, 2222])} if random.random() < 0.7 else {}
        user = {"user": random.choice(["git", "root", "g", "*"])} if random.random() < 0.8 else {}
        return bound | user | {"key": "SHA256:k", "purpose": "login", "connected": random.sample(["b.example:22"], random.randint(0, 1))}
    if verb == "unix.connect":
        if random.random() < 0.3:
            return {"abstract": random.choice(["a", "/a"]), "to": to}
        return {key: value for key, value in end(random).items() if key != "inode"} | {"to": to}
    if verb in TOOL_VERBS:
        return tool(random)
    return end(random)


def tool(random: Random) -> dict:
    made = {
        "connector": random.choice(["crm", "c2"]),
        "tool": random.choice(["x/y", "x", "z"]),
        "operation": random.choice(["read", "write"]),
    }
    if random.random() < 0.5:
        answers = {key: values(random) for key in random.sample(["one", "two", "three"], random.randint(0, 3))}
        made["beside"] = random.choice([{"inputResponses": answers}] * 8 + [{"_meta": {}}, {"inputResponses": [1]}])
    if random.random() < 0.4:
        made["sql"] = {
            "verb": random.choice(["select", "delete"]), "tables": some(random, "a", "b", "c"), "changed": some(random, "a", "b"),
            "columns": some(random, "a.x", "b.x"), "functions": some(random, "sum", "abs"), "where": random.choice([None, True, False]),
        }  # fmt: skip
    return made | {"arguments": values(random)} | random.choice([{}, {"definition": None}, {"definition": "d1"}])


def some(random: Random, *names: str) -> list:
    return random.sample(names, random.randint(0, len(names)))


def values(random: Random) -> dict:
    """What conditions are held against."""
    arguments: dict = {}
    if random.random() < 0.7:
        arguments["n"] = random.choice([1, 1.0, 2, 2.5, 3, 7, "7", "x", True, None])
    if random.random() < 0.6:
        arguments["s"] = random.choice(["x", "x/y", "y/z", 5, ["x"], "x/../y", "x//y", "%2e%2e/x", "x/%252E.", "x\0"])
    if random.random() < 0.3:
        arguments["o"] = {"k": random.choice([1, "x", 9])}
    if random.random() < 0.3:
        arguments["l"] = [random.choice([1, 9])]
    if random.random() < 0.15:
        arguments[random.choice(["N", "S", "_s", "O"])] = random.choice([1, "x"])
    return arguments


def facts(random: Random, act: dict) -> dict:
    made: dict = {"now_ms": 1000}
    if random.random() < 0.7:
        made["risk"] = random.choice([None, 0, 10, 30, 59, 60, 100])
    if random.random() < 0.7:
        made["labels"] = random.choice(
            [None, {}, {"context": []}, {"context": ["untrusted"]}, {"context": ["x"], "object": ["private", "x"]}]
        )
    if random.random() < 0.7:
        made["origin"] = random.choice([None, "before", "session"])
    if random.random() < 0.7:
        made["origin_to"] = random.choice([None, "before", "session"])
    for end in ("history", "history_to"):
        if random.random() < 0.7:
            made[end] = random.choice([None, "tracked", "session", "none"])
    if random.random() < 0.4:
        made["grants"] = [grant(random, act) for _ in range(random.randint(1, 2))]
    return made


def grant(random: Random, act: dict) -> dict:
    made = {"id": "g-1", "digest": reference.digest(act), "approver": "uid:1000", "expires_ms": 2000, "uses": 1}
    if random.random() < 0.4:
        key, value = random.choice(
            [
                ("digest", "0" * 64),
                ("approver", ""),
                ("approver", f"agent:{AGENT}"),
                ("approver", AGENT),
                ("expires_ms", 1000),
                ("uses", 0),
            ]
        )
        made[key] = value
    if act["verb"].startswith("net.") and random.random() < 0.7:
        made["digest"] = random.choice([made["digest"], "0" * 64])
        made["reach"] = reach(random, act)
    return made


def reach(random: Random, act: dict) -> dict:
    """A place for the session: the act's own, or one that differs from it in something."""
    place = {key: act["target"][key] for key in ("protocol", "host", "address", "port") if key in act["target"]}
    made = {"session": act["subject"].get("session") or "s-1", "verb": act["verb"], **place}
    others: dict[str, list] = {
        "session": ["s-2"],
        "verb": ["net.send", "net.connect"],
        "protocol": ["udp"],
        "host": [None, *HOSTS],
        "address": ["10.1.2.3", "192.0.2.1", *ODD_ADDRESSES],
        "port": [80, 443],
    }
    if random.random() < 0.6:
        key = random.choice(list(others))
        made[key] = random.choice(others[key])
    return {key: value for key, value in made.items() if value is not None}
