//! A Decision: what a policy says of an Action, with the rules that said it.

use crate::steer::Steer;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What a policy may say, from the mildest to the strictest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Says {
    Allow,
    Steer,
    Approve,
    Deny,
}

/// How surely the record must stand before the effect, from the least to the most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum RecordClass {
    #[default]
    Routine,
    Ordered,
    Durable,
}

/// What must be kept to when the act is let through.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Obligations {
    /// Class of the record.
    pub record: RecordClass,
    /// Upper bounds by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub limit: BTreeMap<String, u64>,
    /// Fields to hide from results.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub mask: BTreeSet<String>,
    /// Name of the credential to inject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inject: Option<String>,
}

impl Obligations {
    /// Joins another's: the higher record, the lower limit, every mask. `false` when they name different credentials: such a pair
    /// cannot both be honoured.
    #[must_use = "obligations that cannot be honoured are a denial"]
    pub fn join(&mut self, other: &Self) -> bool {
        self.record = self.record.max(other.record);
        for (name, limit) in &other.limit {
            let bound = self.limit.entry(name.clone()).or_insert(*limit);
            *bound = (*bound).min(*limit);
        }
        self.mask.extend(other.mask.iter().cloned());
        match (&self.inject, &other.inject) {
            (Some(own), Some(theirs)) => own == theirs,
            (None, Some(theirs)) => {
                self.inject = Some(theirs.clone());
                true
            }
            (_, None) => true,
        }
    }
}

/// What a policy says of an Action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// The answer.
    pub decision: Says,
    /// `layer/id` of every rule that said it, sorted.
    pub rules: Vec<String>,
    /// Layers that said it, sorted.
    pub layers: Vec<String>,
    /// Why, for the person and the agent.
    pub because: String,
    /// How long to wait for a human: with [`Says::Approve`] only.
    pub timeout_ms: Option<u64>,
    /// What to do instead: with [`Says::Steer`] only.
    pub steer: Option<Steer>,
    /// What must be kept to.
    pub obligations: Obligations,
    /// Whether any layer had something to say.
    pub spoke: bool,
    /// Rules that could not be evaluated, and why, sorted.
    pub errors: Vec<String>,
}

impl Decision {
    /// A denial that no rule spoke, for this reason.
    #[must_use]
    pub fn denial(because: &str) -> Self {
        Self {
            decision: Says::Deny,
            rules: Vec::new(),
            layers: Vec::new(),
            because: because.to_owned(),
            timeout_ms: None,
            steer: None,
            obligations: Obligations::default(),
            spoke: false,
            errors: Vec::new(),
        }
    }
}
