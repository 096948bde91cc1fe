"""Rego that means harm, or is merely wrong: each denies, within the bound. `LOADS` says which are refused before a call."""

from __future__ import annotations

HEAD = "package interlock\n"
_WIDE = "; ".join(f"x{n} := input.arguments.list[_]" for n in range(7))
_DOUBLED = "; ".join(f's{n} := concat("", [s{n - 1}, s{n - 1}])' for n in range(1, 40))

#: Refused as the gateway starts, and by `interlock policy check`.
REFUSED: dict[str, str] = {
    "no package": "findings := []\n",
    "not Rego": "package interlock\nfindings contains { if\n",
    "empty": "",
    "a zero byte": 'package interlock\nfindings := "\x00"\n',
    "unknown builtin": HEAD + 'findings contains "x" if nobody.knows(input)\n',
    "unknown builtin that OPA has": HEAD + 'findings contains "x" if io.jwt.decode(input.arguments.token)\n',
    "asks the network": HEAD
    + 'findings contains "x" if http.send({"method": "get", "url": "http://127.0.0.1/"}).status_code == 200\n',
    "asks for names": HEAD + 'findings contains "x" if net.lookup_ip_addr("example.com")\n',
    "reads the environment": HEAD + 'findings contains "x" if opa.runtime().env.HOME\n',
    "asks the clock": HEAD + 'findings contains "x" if time.now_ns() > 0\n',
    "plays dice": HEAD + 'findings contains "x" if rand.intn("a", 2) == 1\n',
    "a new id": HEAD + 'findings contains "x" if uuid.rfc4122("a") == "a"\n',
    "a huge range": HEAD + 'findings contains "x" if count(numbers.range(1, 10000000000)) > 1\n',
    "a huge network": HEAD + 'findings contains "x" if count(net.cidr_expand("10.0.0.0/8")) > 1\n',
    "a huge shift": HEAD + 'findings contains "x" if bits.lsh(1, 10000000000) > 1\n',
    "sleeps": HEAD + 'findings contains "x" if test.sleep("10s")\n',
    "nested braces": HEAD + 'findings contains "x" if {' * 40 + "1" + "}" * 40 + "\n",
    "nested brackets": HEAD + 'findings contains "x" if ' + "[" * 5_000 + "]" * 5_000 + "\n",
    "nested parentheses": HEAD + 'findings contains "x" if ' + "(" * 5_000 + "1" + ")" * 5_000 + "\n",
}
#: Only found out about a call.
DENIES: dict[str, str] = {
    "rules that need each other": HEAD + 'a if b\nb if a\nfindings contains "x" if a\n',
    "a function that calls itself": HEAD + 'f(n) := f(n + 1)\nfindings contains "x" if f(1) == 1\n',
    "functions that call each other": HEAD + 'f(n) := g(n + 1)\ng(n) := f(n)\nfindings contains "x" if f(1) == 1\n',
    "endless comprehension": HEAD + f'findings contains "x" if count([1 | {_WIDE}]) > 1\n',
    "a wide format": HEAD + 'findings contains "x" if count(sprintf("%2000000000d", [1])) > 1\n',
    "a text that doubles": HEAD
    + f'findings contains "x" if {{ s0 := "xxxxxxxxxxxxxxxx"; {_DOUBLED}; count(s39) > 1 }}\n',
    "a builtin that errs": HEAD + 'findings contains "x" if to_number("none") == 1\n',
    "division by zero": HEAD + 'findings contains "x" if 1 / (input.interlock - 1) > 0\n',
    "two values of one rule": HEAD + "findings := [] if true\nfindings := [1] if true\n",
    "undefined": HEAD + "findings := [] if false\n",
    "another rule": HEAD + "others := []\n",
    "a number": HEAD + "findings := 1\n",
    "a text": HEAD + 'findings := "allow"\n',
    "null": HEAD + "findings := null\n",
    "an object": HEAD + 'findings := {"allowed": true}\n',
    "an object with a text": HEAD + 'findings := {"allow": "true"}\n',
    "a set of numbers": HEAD + "findings := {1, 2}\n",
    "a list of lists": HEAD + "findings := [[]]\n",
    "a finding that allows": HEAD + 'findings := [{"decision": "allow"}]\n',
    "a finding of another form": HEAD + 'findings := [{"decision": "approve", "allow": true}]\n',
    "a finding with an odd id": HEAD + 'findings := [{"decision": "approve", "id": "a/b"}]\n',
    "an endless wait": HEAD + 'findings := [{"decision": "approve", "timeout_ms": 100000000000000000000}]\n',
    "false": HEAD + "findings := false\n",
    "a large answer": HEAD
    + "findings := [s | s := input.arguments.list[_]; input.arguments.list[_]; input.arguments.list[_]]\n",
    "laughs in YAML": HEAD
    + 'findings contains "x" if yaml.unmarshal("a: &a [x,x,x,x,x,x,x,x,x,x]\\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e]\\ng: [*f,*f,*f,*f,*f,*f,*f,*f]")\n',
    "a deep text": HEAD + f'findings contains "x" if json.unmarshal("{"[" * 100_000}") == 1\n',
}
