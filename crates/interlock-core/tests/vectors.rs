//! The vectors of `spec/vectors`, and with them law 8: a plan that answers says what `decide` says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use interlock_core::action::{Action, Bytes};
use interlock_core::decide::decide;
use interlock_core::digest::action_digest;
use interlock_core::facts::Facts;
use interlock_core::pattern::Pattern;
use interlock_core::plan::{Plan, PlanAnswer};
use interlock_core::policy::Policy;
use serde_json::Value;

fn lines(name: &str) -> Vec<Value> {
    let path = format!("{}/../../spec/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The decision's JSON, or which part was refused.
fn run(vector: &Value) -> Result<Value, &'static str> {
    let policy = Policy::from_json(&vector["policy"].to_string()).map_err(|_| "policy")?;
    let action = Action::from_json(&vector["action"].to_string()).map_err(|_| "action")?;
    let facts = vector.get("facts").map_or("{}".to_owned(), |facts| facts.to_string().replace("@digest", &action_digest(&action)));
    let facts = Facts::from_json(&facts).map_err(|_| "facts")?;
    let decision = decide(&policy, &action, &facts);
    let plan = Plan::compile(&policy);
    assert_eq!(plan.decide(&action, &facts), decision, "{vector}");
    match plan.answer(&action) {
        PlanAnswer::Answer(answer) => assert_eq!(answer, decision, "{vector}"),
        PlanAnswer::Ask => {}
    }
    Ok(serde_json::to_value(decision).unwrap())
}

#[test]
fn decisions() {
    let vectors = lines("decide.jsonl");
    assert!(vectors.len() > 100);
    for vector in vectors {
        let expect = &vector["expect"];
        match run(&vector) {
            Ok(decision) => expect.as_object().unwrap().iter().for_each(|(key, wanted)| assert_eq!(&decision[key], wanted, "{vector}")),
            Err(part) => assert_eq!(expect["error"], part, "{vector}"),
        }
    }
}

#[test]
fn patterns() {
    let vectors = lines("patterns.jsonl");
    assert!(vectors.len() > 100);
    for vector in vectors {
        let pattern = Pattern::compile(&Bytes::from(vector["pattern"].as_str().unwrap()));
        let got = pattern.map_or(Value::from("error"), |pattern| pattern.matches(vector["path"].as_str().unwrap().as_bytes()).into());
        assert_eq!(got, vector["expect"], "{vector}");
    }
}
