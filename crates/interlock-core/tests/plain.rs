//! What is allowed plainly, and every small thing that makes it otherwise. Random policies are `tests/laws`'.
#![allow(clippy::unwrap_used, missing_docs)]

use interlock_core::plain::{is_plain, sends_are_plain};
use interlock_core::policy::Policy;
use interlock_core::verb::Verb;
use serde_json::{Value, json};

fn policy(layers: Value) -> Policy {
    Policy::from_json(&json!({"interlock": 1, "layers": layers}).to_string()).unwrap()
}

fn free() -> Value {
    json!({"id": "free", "decision": "allow", "verbs": ["net.connect", "net.send", "net.bind", "unix.connect"]})
}

fn guard() -> Value {
    json!({"name": "guard", "origin": "builtin", "rules": [
        {"id": "own", "decision": "deny", "verbs": ["unix.connect"], "match": {"path": ["/run/i/**"]}},
        {"id": "why", "decision": "allow", "verbs": ["unix.connect"], "match": {"path": ["/run/i/why"]}},
    ]})
}

fn with(rule: Value) -> Policy {
    policy(json!([guard(), {"name": "a", "origin": "user", "rules": [free(), rule]}]))
}

#[test]
fn all_allowed_and_nothing_wanted_is_plain() {
    let all = policy(json!([guard(), {"name": "a", "origin": "user", "rules": [free()]}]));
    assert!(is_plain(&all, Verb::NetSend));
    assert!(sends_are_plain(&all));
    assert!(!is_plain(&all, Verb::UnixConnect), "guard denies its own");
    assert!(!is_plain(&all, Verb::NetListen), "no rule allows it");
    let inwards = json!([{"id": "s", "decision": "allow", "verbs": ["net.send", "unix.connect"]},
                         {"id": "c", "decision": "allow", "verbs": ["net.connect"], "match": {"to": "inside"}}]);
    let inwards = policy(json!([{"name": "a", "origin": "user", "rules": inwards}]));
    assert!(is_plain(&inwards, Verb::NetSend) && !sends_are_plain(&inwards), "a connected socket's messages may name a device");
    assert!(sends_are_plain(&with(json!({"id": "more", "decision": "allow", "verbs": ["net.send"], "match": {"port": [[1, 2]]}}))));
    assert!(sends_are_plain(&with(json!({"id": "files", "decision": "deny", "verbs": ["file.read"]}))));
}

#[test]
fn each_rule_that_says_more_needs_a_look() {
    let rules = [
        json!({"id": "r", "decision": "deny", "verbs": ["net.send"], "match": {"port": [[53, 53]]}}),
        json!({"id": "r", "decision": "deny", "verbs": ["net.connect"], "match": {"to": "outside"}}),
        json!({"id": "r", "decision": "approve", "verbs": ["unix.connect"], "match": {"path": ["/k"]}}),
        json!({"id": "r", "decision": "deny", "verbs": ["unix.connect"], "match": {"to": "outside"}}),
        json!({"id": "r", "decision": "allow", "verbs": ["net.send"], "obligations": {"record": "durable"}}),
        json!({"id": "r", "decision": "allow", "verbs": ["net.send"], "when": {"origin": "before"}}),
        json!({"id": "r", "decision": "steer", "verbs": ["net.connect"], "steer": {"address": {"address": "10.1.2.3"}}}),
    ];
    for rule in rules {
        assert!(!sends_are_plain(&with(rule.clone())), "{rule}");
    }
}

#[test]
fn layers_must_agree() {
    let layer = |origin: &str, closed: bool, rules: Value| json!({"name": "b", "origin": origin, "closed": closed, "rules": rules});
    let allowing = |other: Value| sends_are_plain(&policy(json!([{"name": "a", "origin": "user", "rules": [free()]}, other])));
    assert!(allowing(layer("team", false, json!([]))));
    assert!(allowing(layer("team", true, json!([free()]))));
    assert!(!allowing(layer("task", true, json!([]))), "a closed layer's silence denies");
    let only = |verb: &str| json!([{"id": "r", "decision": "deny", "verbs": [verb], "match": {"port": [[1, 1]]}}]);
    assert!(!allowing(layer("workspace", false, only("net.send"))));
}

#[test]
fn the_name_of_guard_is_not_enough() {
    let rules = json!([free(), {"id": "own", "decision": "deny", "verbs": ["unix.connect"], "match": {"path": ["/run/i/**"]}}]);
    assert!(!sends_are_plain(&policy(json!([{"name": "guard", "origin": "user", "rules": rules}]))));
    let everywhere = json!([free(), {"id": "own", "decision": "deny", "verbs": ["unix.connect"], "match": {"to": "outside"}}]);
    assert!(!sends_are_plain(&policy(json!([{"name": "guard", "origin": "builtin", "rules": everywhere}]))));
}
