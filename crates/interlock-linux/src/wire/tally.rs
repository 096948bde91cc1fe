//! Denials that are told as a number: by verb, place and cause, in groups of which there are only so many.

use interlock_core::action::{Action, Bytes};
use interlock_core::decide::NO_RULE;
use interlock_core::decision::Decision;
use interlock_core::target::Target;
use interlock_core::verb::Verb;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Groups told at a time; denials of further groups are counted without one.
const GROUPS_MAX: usize = 64;

/// What was counted since it was last told.
#[derive(Debug, Default)]
pub struct Tally {
    count: u64,
    /// By verb, cause and place: how many, and the first one's target.
    groups: BTreeMap<(&'static str, &'static str, String), (u64, Value)>,
}

impl Tally {
    /// Whether this is what programs try by the hundred and take a no for: reading, a local socket, or Python's compiled modules beside their
    /// sources, of which no rule speaks.
    #[must_use]
    pub fn is_probe(action: &Action, decision: &Decision) -> bool {
        let tried = || matches!(action.verb, Verb::FileRead | Verb::UnixConnect) || bytecode(action).is_some();
        is_unruled(decision) && tried()
    }

    /// Counts a denial.
    pub fn add(&mut self, action: &Action, decision: &Decision, natively: bool) {
        self.count += 1;
        let cause = if natively {
            "permissions"
        } else if is_unruled(decision) {
            "no-rule"
        } else {
            "rule"
        };
        let place = bytecode(action).map_or_else(|| place(&action.target), |folder| json!({"folder": folder}));
        let key = (action.verb.name(), cause, place.to_string());
        if let Some((count, _)) = self.groups.get_mut(&key) {
            *count += 1;
        } else if self.groups.len() < GROUPS_MAX {
            self.groups.insert(key, (1, json!(action.target)));
        }
    }

    /// `suppressed` of `spec/supervisor.md`; `None` when nothing was counted.
    #[must_use]
    pub fn message(&self) -> Option<Value> {
        let group = |((verb, cause, place), (count, first)): (&(&str, &str, String), &(u64, Value))| {
            let place: Value = serde_json::from_str(place).unwrap_or_default();
            json!({"verb": verb, "cause": cause, "place": place, "count": count, "first": first})
        };
        let groups: Vec<Value> = self.groups.iter().map(group).collect();
        (self.count > 0).then(|| json!({"type": "suppressed", "count": self.count, "groups": groups}))
    }
}

fn is_unruled(decision: &Decision) -> bool {
    decision.rules.is_empty() && decision.because == NO_RULE
}

/// The folder in which Python keeps the compiled modules of another (PEP 3147), where this makes it or something in it. It is a place by itself, so
/// that nothing else is counted with it.
fn bytecode(action: &Action) -> Option<Bytes> {
    let Target::File(end) = &action.target else { return None };
    let is_it = |path: &Bytes| path.0.ends_with(b"/__pycache__");
    let folder = if is_it(&end.path) { end.path.clone() } else { folder(&end.path) };
    (action.verb == Verb::FileCreate && is_it(&folder)).then_some(folder)
}

/// Where it was: the folder of a file, the peer of a connection; null for the rest.
fn place(target: &Target) -> Value {
    match target {
        Target::File(end) => json!({"folder": folder(&end.path)}),
        Target::Pair { path, .. } | Target::Exec { path, .. } | Target::UnixPath { path, .. } => json!({"folder": folder(path)}),
        Target::Net { protocol, address, port, .. } => json!({"address": address, "port": port, "protocol": protocol}),
        _ => Value::Null,
    }
}

fn folder(path: &Bytes) -> Bytes {
    let end = path.0.iter().rposition(|byte| *byte == b'/').unwrap_or(0).max(1);
    Bytes(path.0.get(..end).unwrap_or(&path.0).to_vec())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use interlock_core::action::{FileEnd, Plane, Subject};

    fn read(path: String) -> Action {
        let end = FileEnd { path: Bytes(path.into_bytes()), aliases: Vec::new(), inode: None, content: None };
        let (verb, target) = (Verb::FileRead, Target::File(end));
        Action { id: String::new(), plane: Plane::Host, verb, target, subject: Subject::default(), nonce: None }
    }

    fn unruled() -> Decision {
        let policy = interlock_core::policy::Policy::from_value(json!({"interlock": 1, "layers": []})).unwrap();
        interlock_core::decide::decide(&policy, &read("/x/y".into()), &Default::default())
    }

    #[test]
    fn denials_of_one_folder_are_one_group_and_all_are_counted() {
        let mut tally = Tally::default();
        assert!(tally.message().is_none());
        for number in 0..5 {
            tally.add(&read(format!("/cache/{number}")), &unruled(), false);
        }
        tally.add(&read("/top".into()), &unruled(), true);
        let groups = json!([
            {"verb": "file.read", "cause": "no-rule", "place": {"folder": "/cache"}, "count": 5, "first": {"path": "/cache/0"}},
            {"verb": "file.read", "cause": "permissions", "place": {"folder": "/"}, "count": 1, "first": {"path": "/top"}},
        ]);
        assert_eq!(tally.message().unwrap(), json!({"type": "suppressed", "count": 6, "groups": groups}));
        for number in 0..1000 {
            tally.add(&read(format!("/{number}/x")), &unruled(), false);
        }
        let told = tally.message().unwrap();
        assert_eq!(told.pointer("/count").and_then(Value::as_u64), Some(1006));
        assert_eq!(told.pointer("/groups").and_then(Value::as_array).unwrap().len(), GROUPS_MAX);
    }

    #[test]
    fn compiled_modules_are_probes_and_a_place_by_themselves() {
        let make = |path: &str| Action { verb: Verb::FileCreate, ..read(path.into()) };
        let mut tally = Tally::default();
        for path in ["/lib/__pycache__", "/lib/__pycache__/a.pyc.1", "/lib/x"] {
            assert_eq!(Tally::is_probe(&make(path), &unruled()), path != "/lib/x");
            tally.add(&make(path), &unruled(), false);
        }
        let told = tally.message().unwrap();
        let counts: Vec<_> =
            told.pointer("/groups").and_then(Value::as_array).unwrap().iter().map(|group| group["count"].clone()).collect();
        assert_eq!(counts, [json!(1), json!(2)]);
        assert!(!Tally::is_probe(&make("/lib/__pycache__"), &Decision { rules: vec!["a/b".into()], ..unruled() }));
    }

    #[test]
    fn only_reading_and_local_sockets_of_which_no_rule_speaks_are_probes() {
        assert!(Tally::is_probe(&read("/x".into()), &unruled()));
        assert!(!Tally::is_probe(&read("/x".into()), &Decision { rules: vec!["a/b".into()], ..unruled() }));
        assert!(!Tally::is_probe(&read("/x".into()), &Decision { because: "the ledger's disk is full".into(), ..unruled() }));
    }
}
