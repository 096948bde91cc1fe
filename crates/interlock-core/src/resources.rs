//! What a policy says of a session as a whole, not of a single act: which environment variables are kept from it, and how much of the machine it
//! may take.
//!
//! Left out: holding to it. An enforcement point that cannot must refuse a policy that asks for it ([`Resources::asked`]).

use serde::Deserialize;
use std::collections::BTreeSet;

/// Environment variables that do not pass, by patterns in which `*` stands for any run of characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Environment {
    pub deny: BTreeSet<String>,
}

/// Upper bounds for a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)]
pub struct Limits {
    pub memory_bytes: Option<u64>,
    pub processes: Option<u64>,
}

/// What all layers together say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Resources {
    pub environment: Environment,
    pub limits: Limits,
}

impl Resources {
    /// Joins another layer's: every denied variable, the lower limit. So order never matters.
    pub(crate) fn join(&mut self, environment: Option<Environment>, limits: Option<Limits>) {
        self.environment.deny.extend(environment.unwrap_or_default().deny);
        let limits = limits.unwrap_or_default();
        self.limits.memory_bytes = lower(self.limits.memory_bytes, limits.memory_bytes);
        self.limits.processes = lower(self.limits.processes, limits.processes);
    }

    /// The key of the language that asks for something here, if any does.
    #[must_use]
    pub fn asked(&self) -> Option<&'static str> {
        match () {
            () if !self.environment.deny.is_empty() => Some("environment"),
            () if self.limits != Limits::default() => Some("limits"),
            () => None,
        }
    }
}

fn lower(left: Option<u64>, right: Option<u64>) -> Option<u64> {
    match (left, right) {
        (Some(left), Some(right)) => Some(left.min(right)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_only_tighten_what_a_session_may_take() {
        let layers = [(Some(4), None), (Some(2), Some(9)), (None, None)];
        let joined = |order: &[usize]| {
            let mut found = Resources::default();
            for (memory_bytes, processes) in order.iter().filter_map(|index| layers.get(*index)).copied() {
                let deny = BTreeSet::from(["A_*".to_owned()]);
                found.join(Some(Environment { deny }), Some(Limits { memory_bytes, processes }));
            }
            found
        };
        assert_eq!(joined(&[0, 1, 2]), joined(&[2, 1, 0]));
        assert_eq!(joined(&[0, 1, 2]).limits, Limits { memory_bytes: Some(2), processes: Some(9) });
        assert_eq!(joined(&[2]).asked(), Some("environment"));
        assert_eq!(Resources::default().asked(), None);
    }
}
