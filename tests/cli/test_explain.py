"""`policy explain`: one screen that says what is allowed, asked, denied, partial, and the ways around, with the rules'
own reasons; a line for each rule, the compiled form and JSON beside it.
"""

import json
import re

import pexpect

OWN = """\
interlock: 1
name: mine
rules:
  - id: machine
    allow: [file.read, process.exec]
    path: ["/usr/**", "/etc/ld.so.*", "/srv/one", "/srv/two", "/srv/three"]
  - id: no-curl
    deny: process.exec
    command: {program: curl}
    because: "\\e[31mnothing is fetched\\e[0m here"
  - id: ask
    approve: net.connect
    address: 192.0.2.7
    port: 443
    because: this leaves the machine
"""


def sections(text):
    """Heading → its lines."""
    found, lines = {}, []
    for line in text.splitlines():
        if heading := re.match("(WAYS AROUND|DONE INSTEAD|[A-Z]{4,})", line):
            lines = found.setdefault(heading[1], [])
        lines.append(line)
    return found


def test_the_default_policy_is_one_screen(cli):
    shown = cli("policy", "explain")
    lines = shown.stdout.splitlines()
    assert shown.returncode == 0, shown.stderr
    assert len(lines) <= 70 and max(map(len, lines)) <= 100
    found = sections(shown.stdout)
    assert list(found) == ["ALLOWED", "ASKED", "DENIED", "DONE INSTEAD", "PARTIAL", "WAYS AROUND", "COSTS"]
    for heading, row in (
        ("ALLOWED", r"read, change, run +\$\{workspace\}/\*\*"),
        ("ALLOWED", r"what every program needs: .*\(base, \d+ rules\)"),
        ("DONE INSTEAD", r"bind, listen @any-address, .*: to this_machine"),
        ("ASKED", r"run +git push; .*\(a push may leave this machine\)"),
        ("DENIED", r"read +@secrets, with exceptions.*\(credentials stay"),
        ("DENIED", r"Interlock's own state, .*\(guard, \d+ rules\)"),
        ("WAYS AROUND", r"push, .*: a copy of the program under another name runs"),
        ("COSTS", r"door \(\d+ rules\): "),
    ):
        assert re.search(row, re.sub(r"\s+", " ", " ".join(found[heading]))), (heading, row)
    assert "\x1b" not in shown.stdout
    assert sum("µs" in line for line in lines) == 1


def test_colour_is_for_a_terminal(cli):
    p = cli.terminal("policy", "explain", rows=60, columns=120)
    p.expect(pexpect.EOF)
    assert "\x1b[1mALLOWED\x1b[0m" in p.before


def test_a_policy_of_ones_own_shows_its_reasons_and_no_control_characters(cli):
    policy = cli.write("mine.yaml", OWN)
    found = sections(cli("policy", "explain", policy).stdout)
    assert re.search(r"run +curl \(\\x1b\[31mnothing is fetched\\x1b\[0m here\)", "\n".join(found["DENIED"]))
    assert re.search(r"connect +192.0.2.7, port 443 \(this leaves the machine\)", "\n".join(found["ASKED"]))
    assert re.search(r"read, run +/usr/\*\*, /etc/ld.so.\*, /srv/one and 2 more", "\n".join(found["ALLOWED"]))


def test_rules_and_machines_have_theirs(cli):
    lines = cli("policy", "explain", "--rules").stdout.splitlines()
    document = json.loads(cli("policy", "explain", "--compiled").stdout)
    names = [f"{layer['name']}/{rule['id']}" for layer in document["layers"] for rule in layer["rules"]]
    assert [line.partition(":")[0] for line in lines if not line.startswith(" ")] == names
    assert "coding-agent/secrets: deny file.read; by door, fully" in lines
    told = json.loads(cli("policy", "explain", "--json").stdout)
    assert [row["rule"] for row in told["coverage"]] == names
    assert {row["enforcement"]["state"] for row in told["coverage"]} == {"fully"}
    assert told["summary"][0]["decision"] == "allow" and told["digest"] == document["digest"]


def test_no_rule_is_said_to_be_left_to_the_wall(cli):
    policy = cli.write("mine.yaml", "interlock: 1\nname: mine\nrules:\n  - {id: r, allow: file.read, path: /usr/**}\n")
    told = json.loads(cli("policy", "explain", "--json", policy).stdout)
    assert {way for row in told["coverage"] for way in row["enforced_by"]} == {"door"}
