//! Layers and rules as the engine holds them: typed, so that a rule which could not mean what it says cannot be written down.
//!
//! Left out: reading them from JSON (`compile`), and what they say of an act (`voice`).

pub use crate::wire::{LayerOrigin, Source, When};

use crate::decision::{Obligations, Says};
use crate::selector::Selectors;
use crate::steer::Steer;
use crate::verb::Verb;

/// Most layers in a policy.
pub const LAYERS_MAX: usize = 64;
/// Most rules in all layers together.
pub const RULES_MAX: usize = 20_000;
/// Most patterns in all rules together.
pub const PATTERNS_MAX: usize = 200_000;
/// How long an approval waits when its rule does not say, in milliseconds.
pub const TIMEOUT_MS_DEFAULT: u64 = 120_000;

/// Why a compiled policy was refused, with the rule at fault where one is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    /// `layer/id` of the rule, or the layer, or nothing.
    pub place: Option<String>,
    /// What is wrong.
    pub message: String,
}

impl PolicyError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { place: None, message: message.into() }
    }

    pub(crate) fn at(place: &str, message: impl Into<String>) -> Self {
        Self { place: Some(place.to_owned()), message: message.into() }
    }
}

impl std::fmt::Display for PolicyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.place {
            Some(place) => write!(f, "`{place}`: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for PolicyError {}

/// The rules of one file.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Layer {
    pub name: String,
    pub origin: LayerOrigin,
    pub closed: bool,
    /// Whether it has Rego or flows, which are asked about every act at the gateway.
    pub consults: bool,
    pub rules: Vec<Rule>,
}

impl Layer {
    /// Whether what it finds beside its rules has to be heard about acts with this verb. A list is no act: it shows what could be asked for.
    #[must_use]
    pub fn consults_about(&self, verb: Verb) -> bool {
        self.consults && verb.is_gateway() && verb != Verb::ToolList
    }
}

/// One rule, ready to be matched.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Rule {
    /// `layer/id`
    pub name: String,
    pub says: Says,
    pub verbs: Verbs,
    pub because: Option<String>,
    pub selectors: Selectors,
    pub when: Option<When>,
    pub timeout_ms: u64,
    pub steer: Option<Steer>,
    pub obligations: Obligations,
    /// Whether it asks only about what nothing else lets through.
    pub unless_allowed: bool,
    pub best_effort: bool,
    pub source: Option<Source>,
}

impl Rule {
    /// Whether it depends on a score or on labels. Such a rule can only tighten what another rule lets through: more risk, or more of what
    /// is not trusted, never opens anything.
    pub fn is_scored(&self) -> bool {
        self.when.as_ref().is_some_and(|when| when.risk_at_least.is_some() || when.labels_any.is_some())
    }
}

/// A set of verbs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verbs(u32);

impl Verbs {
    /// Whether the verb is in the set.
    pub fn contains(self, verb: Verb) -> bool {
        self.0 >> verb.index() & 1 == 1
    }

    /// The verbs in the set, in order.
    pub fn iter(self) -> impl Iterator<Item = Verb> {
        Verb::ALL.iter().copied().filter(move |verb| self.contains(*verb))
    }
}

impl FromIterator<Verb> for Verbs {
    fn from_iter<I: IntoIterator<Item = Verb>>(verbs: I) -> Self {
        Self(verbs.into_iter().fold(0, |set, verb| set | 1 << verb.index()))
    }
}
