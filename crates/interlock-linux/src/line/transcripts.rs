//! The sequences of records in `spec/vectors/record.jsonl`, walked by this line: the other plane's line walks the same file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::judge::Judge;
use super::ports::{Gather, Permissions, Waits};
use super::questions::{Question, Reply};
use super::record::{Failure, Recorder};
use super::{Enactor, Line, Observed, Settled, Verdict};
use crate::later::{Later, Passing};
use crate::sys::notify::Call;
use crate::tree::ending::Ending;
use crate::wire::messages::RunsLater;
use crate::wire::uplink::Uplink;
use interlock_core::action::{Action, Bytes, FileEnd, Target};
use interlock_core::decision::RecordClass;
use interlock_core::facts::{Facts, Needs};
use interlock_core::grant::Grant;
use interlock_core::steer::Steer;
use interlock_core::verb::Verb;
use interlock_ledger::Ended;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

/// What was recorded, in order; an effect is a step of its own.
#[derive(Clone, Default)]
struct Book {
    steps: Arc<Mutex<Vec<Value>>>,
    full: bool,
}

impl Recorder for Book {
    fn append(&self, class: RecordClass, mut record: Value) -> Result<u64, Failure> {
        let denies = record["decision"]["decision"] == "deny";
        if self.full && !denies {
            return Err(Failure::Full);
        }
        record["class"] = json!(class);
        let mut steps = self.steps.lock().unwrap();
        steps.push(record);
        Ok(steps.len() as u64)
    }

    fn count(&self, _: &str, _: &str, _: &str) {}

    fn effect(&self, _: u64, ended: Ended) {
        let effect = match ended {
            Ended::Errno(0) => "done",
            Ended::Errno(_) => "failed",
            Ended::Refused => "refused",
            Ended::Unknown => "unknown",
        };
        self.steps.lock().unwrap().push(json!({"effect": effect}));
    }

    fn sound(&self) -> bool {
        true
    }

    fn close(&self, _: Value) -> Result<Value, String> {
        Ok(Value::Null)
    }
}

/// Gives the answer that the vector names.
struct World {
    answer: String,
    book: Book,
}

impl Gather for World {
    fn facts(&self, _: &Action, _: &Needs) -> Facts {
        Facts { now_ms: 1, ..Facts::default() }
    }
}

impl Permissions for World {
    fn refuse(&self, _: &Call, _: &Action) -> bool {
        false
    }
}

impl Waits for World {
    fn wait(&self, _: &Call, question: &Question) -> Reply {
        let asked = self.book.steps.lock().unwrap().last().cloned().unwrap();
        assert_eq!(asked["question"], json!(question.id), "the record names the question that is put");
        let yes = |digest: &Value| Grant {
            id: "g-1".into(),
            digest: digest.as_str().unwrap().into(),
            approver: "uid:0".into(),
            expires_ms: 9,
            uses: 1,
            reach: None,
        };
        match self.answer.as_str() {
            "yes" => Reply::Yes(yes(&asked["digest"])),
            "yes for another act" => Reply::Yes(yes(&json!("0".repeat(64)))),
            "no" => Reply::No("refused".into()),
            "timeout" => Reply::Timeout("nobody answered in time"),
            "nobody" => Reply::Nobody("nobody is there"),
            "withdrawn" => Reply::Withdrawn("the caller is gone"),
            other => panic!("an answer `{other}`"),
        }
    }
}

fn line(rules: &Value, book: &Book) -> Line {
    let policy = json!({"interlock": 1, "layers": [{"name": "t", "origin": "user", "rules": rules}]});
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let line = Line::new(
        "s-1".into(),
        None,
        Judge::new(policy).unwrap(),
        Later::new(&RunsLater::default(), &Bytes::default(), &Bytes::default(), Passing::default()).unwrap(),
        Box::new(book.clone()),
        Arc::new(Uplink::start(ours).unwrap()),
        Arc::new(Ending::new().unwrap()),
    );
    line.rehearsing.store(false, Ordering::Release);
    line
}

fn write_to(path: &str) -> Observed {
    let target = Target::File(FileEnd { path: path.into(), aliases: Vec::new(), inode: None, content: None });
    Observed::new(Verb::FileWrite, target)
}

const CALL: Call = Call { id: 1, thread: 1, number: 0, arguments: [0; 6] };

fn walked(vector: &Value) -> Vec<Value> {
    let book = Book { full: vector["disk"] == "full", ..Book::default() };
    let line = line(&vector["rules"], &book);
    let world = World { answer: vector["answer"].as_str().unwrap_or("none").into(), book: book.clone() };
    if let Settled::Allowed(leave) = line.settle(&world, &CALL, &Enactor::PLAIN, vec![write_to("/w/a")]) {
        match vector["enact"].as_str().unwrap_or("done") {
            "done" => leave.done(0),
            "failed" => leave.done(5),
            _ => drop(leave),
        }
    }
    book.steps.lock().unwrap().clone()
}

/// A step as the vectors write it: only what they name.
fn told(step: &Value, wanted: &Value) -> Value {
    let rank = |class: &Value| ["routine", "ordered", "durable"].iter().position(|name| class == name);
    let mut told = serde_json::Map::new();
    for (key, expected) in wanted.as_object().unwrap() {
        let found = match key.as_str() {
            "decision" => step["decision"]["decision"].clone(),
            "rules" => step["decision"]["rules"].clone(),
            "grants" => json!(step["facts"]["grants"].as_array().map_or(0, Vec::len)),
            "class" if rank(&step["class"]) >= rank(expected) => expected.clone(),
            key => step[key].clone(),
        };
        told.insert(key.clone(), found);
    }
    Value::Object(told)
}

#[test]
fn every_sequence_is_recorded_as_the_specification_has_it() {
    let vectors = include_str!("../../../../spec/vectors/record.jsonl");
    let mut count = 0;
    for vector in vectors.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let (steps, wanted) = (walked(&vector), vector["expect"].as_array().unwrap().clone());
        assert_eq!(steps.len(), wanted.len(), "{}: {steps:#?}", vector["name"]);
        let told: Vec<Value> = steps.iter().zip(&wanted).map(|(step, wanted)| told(step, wanted)).collect();
        assert_eq!(told, wanted, "{}", vector["name"]);
        count += 1;
    }
    assert!(count >= 16, "only {count} sequences");
}

/// Writes elsewhere where it is told to, and keeps to a limit of bytes.
const ABLE: Enactor<'_> = Enactor {
    honours: |obligations| {
        obligations.limit.keys().all(|name| name == "bytes") && obligations.mask.is_empty() && obligations.inject.is_none()
    },
    follows: |steer| matches!(steer, Steer::Path(_)),
    steered: &elsewhere,
};

fn elsewhere(action: &Action, steer: &Steer) -> Option<Observed> {
    let Steer::Path(path) = steer else { return None };
    Some(Observed::new(action.verb, write_to(&path.lossy()).target))
}

/// What is recorded, and what is permitted, where rules `rules` meet a write to `/w/a` by this enactor: each as a word.
fn settled(rules: &Value, enactor: &Enactor<'_>) -> (Vec<String>, Vec<String>) {
    let book = Book::default();
    let line = line(rules, &book);
    let world = World { answer: "yes".into(), book: book.clone() };
    let mut permits = Vec::new();
    if let Settled::Allowed(leave) = line.settle(&world, &CALL, enactor, vec![write_to("/w/a")]) {
        for permit in leave.permits() {
            let steered = permit.verdict != Verdict::Allow;
            permits.push(format!("{} steered {steered} limits {}", json!(permit.action.target)["path"], permit.obligations.limit.len()));
        }
        leave.done(0);
    }
    let word = |step: &Value| match step.get("effect") {
        Some(effect) => format!("effect {effect}"),
        None => format!("{} {}", step["decision"]["decision"], step["action"]["target"]["path"]),
    };
    let steps = book.steps.lock().unwrap().iter().map(word).collect();
    (steps, permits)
}

fn rule(id: &str, decision: &str, path: &str, more: &Value) -> Value {
    let mut rule = json!({"id": id, "decision": decision, "verbs": ["file.write"], "match": {"path": [path]}});
    rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    rule
}

#[test]
fn a_steer_is_decided_again_on_what_it_leads_to_and_done_where_that_is_allowed() {
    let (steer, limit) = (json!({"steer": {"path": "/e/b"}}), json!({"obligations": {"limit": {"bytes": 9}}}));
    let rules = json!([rule("to", "steer", "/w/a", &steer), rule("at", "allow", "/e/b", &limit), rule("is", "allow", "/w/a", &json!({}))]);
    let (steps, permits) = settled(&rules, &ABLE);
    assert_eq!(steps, ["\"steer\" \"/w/a\"", "\"allow\" \"/e/b\"", "effect \"done\""]);
    assert_eq!(permits, ["\"/e/b\" steered true limits 1"]);
}

#[test]
fn what_a_steer_leads_to_is_held_where_the_call_is_in_hand_and_looked_for_once() {
    let held = RefCell::new(Vec::new());
    let follow = |action: &Action, steer: &Steer| {
        let led_to = elsewhere(action, steer)?;
        held.borrow_mut().push(led_to.clone());
        Some(led_to)
    };
    let rules = json!([rule("to", "steer", "/w/a", &json!({"steer": {"path": "/e/b"}})), rule("at", "allow", "/e/b", &json!({}))]);
    let (book, answer) = (Book::default(), String::new());
    let (line, world) = (line(&rules, &book), World { answer, book: book.clone() });
    let Settled::Allowed(leave) = line.settle(&world, &CALL, &Enactor { steered: &follow, ..ABLE }, vec![write_to("/w/a")]) else {
        panic!("what it leads to is allowed")
    };
    assert_eq!(*held.borrow(), [write_to("/e/b")]);
    assert_eq!(leave.permits()[0].action.target, held.borrow()[0].target);
    leave.done(0);
}

#[test]
fn a_steer_that_leads_nowhere_after_all_is_denied() {
    let rules = json!([rule("to", "steer", "/w/a", &json!({"steer": {"path": "/e/b"}})), rule("at", "allow", "/**", &json!({}))]);
    let (steps, permits) = settled(&rules, &Enactor { steered: &|_, _| None, ..ABLE });
    assert_eq!(steps, ["\"deny\" \"/w/a\""]);
    assert!(permits.is_empty());
}

#[test]
fn a_steer_that_leads_to_anything_but_an_allow_is_denied() {
    let steer = |path: &str| rule("to", "steer", "/w/a", &json!({"steer": {"path": path}}));
    let again = rule("on", "steer", "/e/b", &json!({"steer": {"path": "/e/c"}}));
    let (allowed, masked) =
        (rule("at", "allow", "/e/*", &json!({})), rule("at", "allow", "/e/b", &json!({"obligations": {"mask": ["x"]}})));
    let cases = [
        json!([steer("/e/b")]),
        json!([steer("/e/b"), rule("ask", "approve", "/e/b", &json!({}))]),
        json!([steer("/e/b"), again, allowed]),
        json!([steer("/e/b"), masked]),
    ];
    for rules in cases {
        let (steps, permits) = settled(&rules, &ABLE);
        assert_eq!(steps, ["\"steer\" \"/w/a\"", "\"deny\" \"/e/b\""], "{rules}");
        assert!(permits.is_empty());
    }
}

#[test]
fn what_an_enactor_cannot_keep_to_is_denied_and_what_it_can_is_handed_on() {
    let limited = json!([rule("at", "allow", "/w/a", &json!({"obligations": {"limit": {"bytes": 9}}}))]);
    let steered = json!([rule("to", "steer", "/w/a", &json!({"steer": {"path": "/e/b"}})), rule("at", "allow", "/e/b", &json!({}))]);
    for rules in [&limited, &steered] {
        assert_eq!(settled(rules, &Enactor::PLAIN), (vec!["\"deny\" \"/w/a\"".to_owned()], Vec::new()), "{rules}");
    }
    assert_eq!(settled(&limited, &ABLE).1, ["\"/w/a\" steered false limits 1"]);
}

/// Counts what is gathered.
struct Counting<'a> {
    world: &'a World,
    gathered: RefCell<Vec<String>>,
}

impl Gather for Counting<'_> {
    fn facts(&self, action: &Action, needs: &Needs) -> Facts {
        self.gathered.borrow_mut().push(json!(action.target)["path"].to_string());
        self.world.facts(action, needs)
    }
}

impl Permissions for Counting<'_> {
    fn refuse(&self, call: &Call, action: &Action) -> bool {
        self.world.refuse(call, action)
    }
}

impl Waits for Counting<'_> {
    fn wait(&self, call: &Call, question: &Question) -> Reply {
        self.world.wait(call, question)
    }
}

#[test]
fn of_the_acts_of_a_call_the_first_that_may_not_pass_is_told_and_nothing_is_found_out_for_the_others() {
    let asks = |path: &str| rule("asks", "approve", path, &json!({}));
    let rules = json!([asks("/w/*"), rule("no", "deny", "/w/n*", &json!({})), rule("is", "allow", "/w/**", &json!({}))]);
    let book = Book::default();
    let line = line(&rules, &book);
    let world = World { answer: "yes".into(), book: book.clone() };
    let around = Counting { world: &world, gathered: RefCell::default() };
    let acts = ["/w/a", "/w/n1", "/w/b", "/w/n2"].map(write_to).to_vec();
    assert!(matches!(line.settle(&around, &CALL, &Enactor::PLAIN, acts), Settled::Denied));
    let steps = book.steps.lock().unwrap();
    let told: Vec<_> = steps.iter().map(|step| (&step["decision"]["decision"], &step["action"]["target"]["path"])).collect();
    assert_eq!(told, [(&json!("deny"), &json!("/w/n1"))], "nobody was asked about the first");
    assert_eq!(*around.gathered.borrow(), ["\"/w/a\"", "\"/w/n1\""]);
}
