//! The last denials of a session, kept for `why`: what, which rule, which rule would allow it.

use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Denials kept.
const KEPT: usize = 256;

/// A denial as `why` tells it.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Told {
    pub time_us: u64,
    pub verb: &'static str,
    pub target: Value,
    pub rules: Vec<String>,
    pub because: String,
    pub allowed_by: Vec<String>,
    /// Its number, unless the disk was too full to record it.
    pub record: Option<u64>,
}

/// The ring of the last denials.
#[derive(Default)]
pub struct Denials(Mutex<VecDeque<Told>>);

impl Denials {
    pub(crate) fn tell(&self, told: Told) {
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ring.len() >= KEPT {
            ring.pop_front();
        }
        ring.push_back(told);
    }

    /// The last `count`, oldest first, as JSON of `spec/supervisor.md`.
    #[must_use]
    pub fn last(&self, count: usize) -> Vec<Value> {
        let ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ring.iter().skip(ring.len().saturating_sub(count)).map(Told::json).collect()
    }
}

impl Told {
    fn json(&self) -> Value {
        json!({
            "time": crate::clock::rfc3339(self.time_us), "verb": self.verb, "target": self.target, "rules": self.rules,
            "because": self.because, "allowed_by": self.allowed_by, "record": self.record,
        })
    }
}
