//! The policy as the supervisor asks it: by its Plan, with Facts where that says so; and reads that were found routine, remembered.
//!
//! Routine is what the Plan allows to be read without Facts and what is only counted. An agent's work reads the same files over and over, and what
//! the Plan said of one it says again.
//! INVARIANT: an entry is what the Plan answers to (read, name, object): other names follow from the name, since mounts are read once.

use interlock_core::action::{Action, FileEnd, Inode, Target, Verb};
use interlock_core::decision::{Decision, Obligations, Says};
use interlock_core::facts::{Facts, Needs};
use interlock_core::plan::{Plan, PlanAnswer};
use interlock_core::policy::{Policy, PolicyError};
use serde_json::Value;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// A policy and its Plan.
pub struct Judge {
    policy: Policy,
    routine: Routine,
    /// What it compiles to for this enforcement point.
    pub plan: Plan,
    /// Whether any rule asks where an object comes from: otherwise nobody looks.
    pub asks_origin: bool,
    /// Whether any rule has another command started in the place of one.
    pub steers_programs: bool,
}

/// A decision, and the Facts it was made with.
#[derive(Clone, Debug)]
pub struct Judged {
    /// What policy says.
    pub decision: Decision,
    /// What was gathered for it: nothing where no rule asks for anything.
    pub facts: Facts,
}

impl Judge {
    /// Reads a compiled policy.
    ///
    /// # Errors
    /// What the engine does not know in it, or this supervisor does not enforce.
    pub fn new(compiled: Value) -> Result<Self, PolicyError> {
        let policy = Policy::from_value(compiled)?;
        if let Some(key) = policy.resources().asked() {
            return Err(PolicyError { place: None, message: format!("`{key}` is not enforced here") });
        }
        let plan = Plan::compile(&policy);
        let steers_programs = policy.steers(Verb::ProcessExec);
        Ok(Self { asks_origin: plan.asks_origin(), steers_programs, plan, policy, routine: Routine::default() })
    }

    /// Whether any rule has something else done in the place of an act of this kind.
    pub fn steers(&self, verb: Verb) -> bool {
        self.policy.steers(verb)
    }

    /// The Plan's answer, or what it decides with the Facts that policy asks for about this act.
    pub fn first(&self, action: &Action, gather: impl FnOnce(&Needs) -> Facts) -> Judged {
        let hearing = self.plan.hear(action);
        match hearing.answer() {
            PlanAnswer::Answer(decision) => {
                self.note(action, &decision);
                Judged { decision, facts: Facts::default() }
            }
            PlanAnswer::Ask => {
                let facts = gather(&hearing.needs());
                Judged { decision: hearing.decide(&facts), facts }
            }
        }
    }

    /// The rule by which this may be read, if it was found routine before.
    pub fn routine(&self, name: &[u8], object: Inode) -> Option<Arc<str>> {
        self.routine.rule(name, object)
    }

    fn note(&self, action: &Action, decision: &Decision) {
        let routine = decision.decision == Says::Allow && decision.obligations == Obligations::default();
        if let (true, Verb::FileRead, Target::File(FileEnd { path, inode: Some(object), .. })) = (routine, action.verb, &action.target) {
            self.routine.note(&path.0, *object, decision.rules.first().map_or("", String::as_str));
        }
    }

    /// Exactly what `decide` says of the policy, found by the Plan's index: a policy has thousands of patterns, and a link stands for dozens of names.
    #[must_use]
    pub fn decide(&self, action: &Action, facts: &Facts) -> Decision {
        self.plan.decide(action, facts)
    }

    /// The policy itself, for what is not about one act.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Digest of the policy.
    #[must_use]
    pub fn digest(&self) -> &str {
        self.policy.digest()
    }

    /// Names of the layers.
    #[must_use]
    pub fn layers(&self) -> Vec<String> {
        self.policy.layers().iter().map(|layer| layer.name.clone()).collect()
    }

    /// Beneath what the wall must let programs run.
    #[must_use]
    pub fn exec_roots(&self) -> Vec<PathBuf> {
        self.plan.exec_roots().into_iter().map(|root| PathBuf::from(std::ffi::OsString::from_vec(root.0))).collect()
    }
}

/// Parts, so that receivers seldom wait for one another, and names kept in each; a full part is forgotten whole.
const PARTS: usize = 8;
const NAMES_MAX: usize = 4096;
/// Longer names are decided each time.
const NAME_BYTES_MAX: usize = 1024;

type Part = Mutex<HashMap<Box<[u8]>, Entry>>;

/// What is remembered.
#[derive(Default)]
struct Routine {
    hash: RandomState,
    parts: [Part; PARTS],
}

#[derive(Clone)]
struct Entry {
    object: Inode,
    rule: Arc<str>,
}

impl Routine {
    fn part(&self, name: &[u8]) -> Option<&Part> {
        self.parts.get(self.hash.hash_one(name) as usize % PARTS)
    }

    /// The rule by which this may be read, if it was noted.
    fn rule(&self, name: &[u8], object: Inode) -> Option<Arc<str>> {
        let part = self.part(name)?.lock().unwrap_or_else(PoisonError::into_inner);
        part.get(name).filter(|entry| entry.object == object).map(|entry| Arc::clone(&entry.rule))
    }

    /// Notes the rule by which this may be read.
    fn note(&self, name: &[u8], object: Inode, rule: &str) {
        let Some(part) = self.part(name).filter(|_| name.len() <= NAME_BYTES_MAX) else { return };
        let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
        if part.len() >= NAMES_MAX {
            part.clear();
        }
        part.insert(name.into(), Entry { object, rule: rule.into() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Inode = Inode { device: 1, number: 1 };
    const OTHER: Inode = Inode { device: 1, number: 2 };

    #[test]
    fn only_the_same_name_of_the_same_object_is_known() {
        let routine = Routine::default();
        routine.note(b"/w/a", ONE, "p/rule");
        assert_eq!(routine.rule(b"/w/a", ONE).as_deref(), Some("p/rule"));
        assert_eq!(routine.rule(b"/w/a", OTHER), None);
        assert_eq!(routine.rule(b"/w/b", ONE), None);
    }

    #[test]
    fn memory_is_bounded() {
        let routine = Routine::default();
        for number in 0..PARTS * NAMES_MAX * 2 {
            routine.note(format!("/w/{number}").as_bytes(), ONE, "p/rule");
        }
        let kept: usize = routine.parts.iter().map(|part| part.lock().map_or(0, |part| part.len())).sum();
        assert!(kept <= PARTS * NAMES_MAX && kept > 0);
        routine.note(&[b'x'; NAME_BYTES_MAX + 1], ONE, "p/rule");
        assert_eq!(routine.rule(&[b'x'; NAME_BYTES_MAX + 1], ONE), None);
    }
}
