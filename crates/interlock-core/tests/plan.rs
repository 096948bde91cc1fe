//! The plan: where programs may lie, what a directory's move touches, and that it agrees with `decide` on thousands of patterns.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use interlock_core::action::{Action, Bytes, FileEnd, Inode, Plane, Side, Subject, Target, Verb};
use interlock_core::decide::decide;
use interlock_core::decision::Says;
use interlock_core::facts::Facts;
use interlock_core::plan::{Plan, PlanAnswer};
use interlock_core::policy::Policy;
use serde_json::{Value, json};

fn policy(layers: Value) -> Policy {
    Policy::from_json(&json!({"interlock": 1, "layers": layers}).to_string()).unwrap()
}

fn layer(rules: Value) -> Policy {
    policy(json!([{"name": "a", "origin": "user", "rules": rules}]))
}

fn act(verb: Verb, target: Target) -> Action {
    Action { id: "s/1".into(), plane: verb.plane(), verb, target, subject: Subject::default(), nonce: None }
}

fn file(verb: Verb, path: &str) -> Action {
    act(verb, Target::File(FileEnd { path: path.into(), aliases: Vec::new(), inode: None, content: None }))
}

fn roots(rules: Value) -> Vec<String> {
    Plan::compile(&layer(rules)).exec_roots().iter().map(Bytes::lossy).collect()
}

#[test]
fn exec_roots_hold_every_program_that_might_run() {
    let allow = |path: Value| json!([{"id": "r", "decision": "allow", "verbs": ["process.exec"], "match": {"path": path}}]);
    assert_eq!(
        roots(allow(json!(["/usr/**", "/usr/bin/git", "/bin/sh", "/opt/*/bin/x", "/usrlocal"]))),
        ["/bin/sh", "/opt", "/usr", "/usrlocal"]
    );
    assert_eq!(roots(allow(json!(["/usr/**", "**/bin/*"]))), ["/"]);
    assert_eq!(roots(json!([{"id": "r", "decision": "approve", "verbs": ["process.exec"]}])), ["/"]);
    assert_eq!(roots(json!([{"id": "r", "decision": "deny", "verbs": ["process.exec"]}])), Vec::<String>::new());
}

#[test]
fn a_rule_below_a_directory_is_found() {
    let plan = Plan::compile(&layer(json!([
        {"id": "work", "decision": "allow", "verbs": ["file.rename"], "match": {"path": ["/w/**"]}},
        {"id": "secret", "decision": "deny", "verbs": ["file.read"], "match": {"path": ["/w/s/*.key"]}},
        {"id": "hooks", "decision": "deny", "verbs": ["file.rename"], "match": {"path": ["**/.git/hooks/**"]}},
    ])));
    let below = |verbs: &[Verb], directory: &str| plan.could_match_below(verbs, directory.as_bytes());
    assert!(below(&[Verb::FileRename], "/w/s"));
    assert!(below(&[Verb::FileRename], "/w/x/.git"));
    assert!(below(&[Verb::FileLink], "/w/s"));
    assert!(!below(&[Verb::FileWrite], "/w/s"));
    assert!(!below(&[Verb::FileLink], "/w/x"));
    assert!(plan.allows_below(Verb::FileRename, b"/w/x"));
    assert!(!plan.allows_below(Verb::FileRename, b"/x"));
    assert!(!plan.allows_below(Verb::FileLink, b"/w/x"));
}

#[test]
fn an_object_listed_without_a_name_may_lie_below_any_directory() {
    let below = |matching: serde_json::Value| {
        let rules = json!([{"id": "r", "decision": "deny", "verbs": ["file.rename"], "match": matching}]);
        Plan::compile(&layer(rules)).could_match_below(&[Verb::FileRename], b"/w")
    };
    assert!(below(json!({"inodes": [{"device": 1, "number": 2}]})));
    assert!(!below(json!({"path": ["/k"], "inodes": [{"device": 1, "number": 2}]})));
}

/// Ten thousand patterns of every kind, and paths that hit and miss them: the index misses nothing.
#[test]
fn ten_thousand_patterns_and_the_plan_still_agrees() {
    let text = |number: usize| match number % 8 {
        0 => format!("/d{number}/**"),
        1 => format!("/d{}/f{number}", number - 1),
        2 => format!("**/n{number}"),
        3 => format!("**/n{}/**/m{number}", number - 1),
        4 => format!("/w/*/g{number}/*"),
        5 => format!("**/*.s{number}"),
        6 => format!("/*/h{number}"),
        _ => format!("/w/[ab]{number}/**"),
    };
    let rules: Vec<Value> = (0..1000)
        .map(|rule| {
            let path: Vec<String> = (0..10).map(|offset| text(rule * 10 + offset)).collect();
            let decision = if rule % 3 == 0 { "deny" } else { "allow" };
            json!({"id": format!("r{rule}"), "decision": decision, "verbs": ["file.read", "file.rename"], "match": {"path": path}})
        })
        .collect();
    let policy = layer(json!(rules));
    let plan = Plan::compile(&policy);
    let mut outcomes = std::collections::BTreeMap::<Says, usize>::new();
    for number in (0..10_000).step_by(1009) {
        for path in [
            format!("/d{number}/x"),
            format!("/d{}/f{number}", number.max(1) - 1),
            format!("/w/q/n{number}"),
            format!("/n{}/o/m{number}", number.max(1) - 1),
            format!("/w/q/g{number}/z"),
            format!("/q/z.s{number}"),
            format!("/q/h{number}"),
            format!("/w/a{number}"),
            "/".to_owned(),
        ] {
            let action = file(Verb::FileRead, &path);
            let decision = decide(&policy, &action, &Facts::default());
            *outcomes.entry(decision.decision).or_default() += 1;
            assert_eq!(plan.answer(&action), PlanAnswer::Answer(decision), "{path}");
            let to = FileEnd { path: "/w/a7/x".into(), aliases: vec![path.as_str().into()], inode: None, content: None };
            let pair = act(
                Verb::FileRename,
                Target::Pair { path: path.as_str().into(), aliases: Vec::new(), inode: None, content: None, to, exchange: false },
            );
            assert_eq!(plan.answer(&pair), PlanAnswer::Answer(decide(&policy, &pair, &Facts::default())), "{path}");
        }
    }
    assert!(outcomes.len() == 2, "{outcomes:?}");
}

#[test]
fn an_action_that_no_edge_should_build_is_denied() {
    let verbs: Vec<&str> = Verb::ALL.iter().filter(|verb| **verb != Verb::KeyUse).map(|verb| verb.name()).collect();
    let key = json!({"id": "key", "decision": "allow", "verbs": ["key.use"], "match": {"host": ["a.example"]}});
    let policy = layer(json!([{"id": "all", "decision": "allow", "verbs": verbs}, key]));
    let (key, purpose, host, port) = ("k".to_owned(), "login".to_owned(), Some("a.example".to_owned()), Some(22));
    let plan = Plan::compile(&policy);
    let targets = [
        Target::Process { to: Side::Inside, process: 1 },
        Target::Signal { to: Side::Inside, signal: 1, process: 1 },
        Target::File(FileEnd { path: "/a".into(), aliases: Vec::new(), inode: Some(Inode { device: 1, number: 1 }), content: None }),
        Target::UnixAbstract { r#abstract: "a".into(), to: Side::Inside },
        Target::Key { key, purpose, user: None, host, port, connected: Vec::new() },
    ];
    for verb in Verb::ALL {
        for target in &targets {
            let action = Action { plane: Plane::Host, ..act(*verb, target.clone()) };
            let decision = decide(&policy, &action, &Facts::default());
            assert_eq!(decision.decision == Says::Allow, target.fits(*verb), "{verb} {target:?}");
            assert_eq!(plan.answer(&action), PlanAnswer::Answer(decision));
        }
    }
}

#[test]
fn an_action_survives_its_own_json() {
    let aliases = vec![Bytes(b"/w/\xff".to_vec()), Bytes::from("/ü")];
    let to =
        FileEnd { path: "/b".into(), aliases: aliases.clone(), inode: Some(Inode { device: u64::MAX, number: 1 << 60 }), content: None };
    let action = act(Verb::FileRename, Target::Pair { path: "/a".into(), aliases, inode: None, content: None, to, exchange: true });
    let text = serde_json::to_string(&action).unwrap();
    assert_eq!(Action::from_json(&text).unwrap(), action);
    assert_eq!(serde_json::from_str::<Action>(&text).unwrap(), action);
}
