//! How long deciding takes: nanoseconds for each `decide` and each `Plan::answer`, on a policy of the size of a coding agent's.
//!
//! `cargo run --release -p interlock-core --example speed [POLICY.json]`
#![allow(clippy::unwrap_used, clippy::expect_used)]

use interlock_core::action::{Action, Bytes, FileEnd, Plane, Subject, Target, Verb};
use interlock_core::decide::decide;
use interlock_core::facts::Facts;
use interlock_core::plan::Plan;
use interlock_core::policy::Policy;
use serde_json::{Value, json};
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: u32 = 200_000;

fn main() {
    let text = std::env::args().nth(1).map_or_else(preset_sized, |file| std::fs::read_to_string(file).expect("a compiled policy"));
    let policy = Policy::from_json(&text).expect("a compiled policy");
    let plan = Plan::compile(&policy);
    let paths = [
        "/usr/lib/x86_64-linux-gnu/libc.so.6",
        "/home/u/work/project/src/deep/module/file.py",
        "/home/u/work/project/.env",
        "/home/u/.ssh/id_ed25519",
        "/nowhere/at/all",
    ];
    println!("{} bytes of policy", text.len());
    for verb in [Verb::FileRead, Verb::FileWrite] {
        for path in paths {
            let action = action(verb, path);
            let decided = time(|| drop(black_box(decide(&policy, black_box(&action), &Facts::default()))));
            let answered = time(|| drop(black_box(plan.answer(black_box(&action)))));
            println!("{verb:11} {path:46} decide {decided:6.0} ns  answer {answered:6.0} ns");
        }
    }
}

fn time(mut once: impl FnMut()) -> f64 {
    (0..ROUNDS / 10).for_each(|_| once());
    let start = Instant::now();
    (0..ROUNDS).for_each(|_| once());
    start.elapsed().as_secs_f64() * 1e9 / f64::from(ROUNDS)
}

fn action(verb: Verb, path: &str) -> Action {
    let target = Target::File(FileEnd { path: Bytes::from(path), aliases: Vec::new(), inode: None, content: None });
    Action { id: "s/1".into(), plane: Plane::Host, verb, target, subject: Subject::default(), nonce: None }
}

/// 40 rules in three layers with about 240 patterns, as the presets have them: trees, names anywhere, names by suffix.
fn preset_sized() -> String {
    let system: Vec<String> = (0..60).map(|number| format!("/etc/conf{number}")).chain(["/usr/**".into(), "/lib/**".into()]).collect();
    let secrets: Vec<String> =
        (0..30).map(|n| format!("/home/u/.secret{n}/**")).chain(["/home/u/.ssh/**".into(), "**/.env".into()]).collect();
    let suffixes = ["**/*.pem", "**/id_*", "**/*.key"];
    let later: Vec<String> = (0..40).map(|number| format!("**/.tool{number}/config")).chain(["**/.git/hooks/**".into()]).collect();
    let mut rules = vec![
        rule("system", "allow", &["file.read", "process.exec"], json!({"path": system})),
        rule("workspace", "allow", &["file.read", "file.write", "file.create"], json!({"path": ["/home/u/work/**"]})),
        rule("secrets", "deny", &["file.read", "file.write"], json!({"path": secrets})),
        rule("keys", "deny", &["file.read", "file.write"], json!({"path": suffixes})),
        rule("later", "deny", &["file.write", "file.create"], json!({"path": later})),
    ];
    rules.extend((0..30).map(|number| {
        let path = [format!("/home/u/state{number}/**"), format!("/var/lib/thing{number}/*.db")];
        rule(&format!("more-{number}"), "deny", &["file.read", "file.write"], json!({"path": path}))
    }));
    let guard = rule("guard", "deny", &["file.read", "file.write"], json!({"path": ["/home/u/.local/state/interlock/**"]}));
    let layer = |name: &str, rules: Vec<Value>| json!({"name": name, "origin": "builtin", "closed": false, "rules": rules});
    let project = rule("no-dumps", "deny", &["file.read"], json!({"path": ["/home/u/work/dumps/**"]}));
    json!({"interlock": 1, "layers": [layer("guard", vec![guard]), layer("agent", rules), layer("project", vec![project])]}).to_string()
}

fn rule(id: &str, decision: &str, verbs: &[&str], selectors: Value) -> Value {
    json!({"id": id, "decision": decision, "verbs": verbs, "match": selectors})
}
