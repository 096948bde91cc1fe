//! What this machine enforces of a rule where that is not all of it: why, and the way around.
//!
//! Found while placing, since it depends on the machine's names. Whether the policy loads all the same is the loader's to say, by `best_effort`.

use crate::layers::Rule;
use serde_json::{Value, json};

/// How much of the rule holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    /// Part of it: what is left goes `around` it, and `instead` is what a person can do.
    Partially { reason: String, around: &'static str, instead: &'static str },
    /// Nothing of it.
    Nothing { reason: &'static str, instead: &'static str },
}

/// One rule that does not hold whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Short {
    rule: String,
    best_effort: bool,
    source: Value,
    holds: Holds,
}

impl Short {
    pub fn of(rule: &Rule<'_>, holds: Holds) -> Self {
        Self { rule: rule.name.clone(), best_effort: rule.best_effort, source: rule.source.clone(), holds }
    }

    /// The rule and its state (`spec/policy.md`), where the rule stands, whether it says `best_effort`, and what a person can do.
    pub fn json(&self) -> Value {
        let (state, instead) = match &self.holds {
            Holds::Partially { reason, around, instead } => (json!({"state": "partially", "reason": reason, "around": around}), instead),
            Holds::Nothing { reason, instead } => (json!({"state": "not enforced", "reason": reason}), instead),
        };
        json!({"rule": self.rule, "enforcement": state, "best_effort": self.best_effort, "source": self.source, "instead": instead})
    }
}

/// A rule that lets a process trace another: no call is ever decided by it, since tracing is refused whatever a policy says.
pub(crate) fn tracing(rule: &Rule<'_>) -> Option<Short> {
    let only_tracing = !rule.denies && !rule.verbs.is_empty() && rule.verbs.iter().all(|verb| *verb == "process.ptrace");
    let reason = "a session's processes cannot trace, whatever a policy says";
    only_tracing.then(|| Short::of(rule, Holds::Nothing { reason, instead: "leave the rule out" }))
}
