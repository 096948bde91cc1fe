//! The policy as the supervisor asks it: the Plan first, `decide` with Facts where it says so.

use interlock_core::action::Action;
use interlock_core::decide::decide;
use interlock_core::decision::Decision;
use interlock_core::facts::{Facts, Needs};
use interlock_core::plan::{Plan, PlanAnswer};
use interlock_core::policy::{Policy, PolicyError};
use serde_json::Value;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// A policy and its Plan.
#[derive(Clone, Debug)]
pub struct Judge {
    policy: Policy,
    /// What it compiles to for this enforcement point.
    pub plan: Plan,
}

/// A decision, and the Facts it was made with.
#[derive(Clone, Debug)]
pub struct Judged {
    /// What policy says.
    pub decision: Decision,
    /// What was gathered for it: nothing where no rule asks for anything.
    pub facts: Facts,
    /// Whether it holds whatever the Facts.
    pub whatever: bool,
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
        Ok(Self { plan: Plan::compile(&policy), policy })
    }

    /// The Plan's answer, or `decide`'s with the Facts that policy asks for about this act.
    pub fn first(&self, action: &Action, gather: impl FnOnce(&Needs) -> Facts) -> Judged {
        match self.plan.answer(action) {
            PlanAnswer::Answer(decision) => Judged { decision, facts: Facts::default(), whatever: true },
            PlanAnswer::Ask => {
                let facts = gather(&self.plan.needs(action));
                Judged { decision: self.decide(action, &facts), facts, whatever: false }
            }
        }
    }

    /// `decide` itself.
    #[must_use]
    pub fn decide(&self, action: &Action, facts: &Facts) -> Decision {
        decide(&self.policy, action, facts)
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
