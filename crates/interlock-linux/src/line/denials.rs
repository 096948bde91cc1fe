//! The last denials of a session, kept for `why`: what was denied, by which rule, and why. What would allow it is worked out by `why`.

use interlock_core::decision::Decision;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Denials kept.
const KEPT: usize = 256;

/// A denial as `why` tells it.
#[derive(Clone, Debug)]
pub struct Denial {
    time_us: u64,
    verb: &'static str,
    target: Value,
    decision: Decision,
    asked: bool,
    record: Option<u64>,
}

/// The ring of the last denials.
#[derive(Default)]
pub struct Denials(Mutex<VecDeque<Denial>>);

impl Denials {
    pub(crate) fn tell(&self, denial: Denial) {
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ring.len() >= KEPT {
            ring.pop_front();
        }
        ring.push_back(denial);
    }

    /// The last `count`, oldest first, as JSON of `spec/supervisor.md`.
    #[must_use]
    pub fn last(&self, count: usize) -> Vec<Value> {
        let ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ring.iter().skip(ring.len().saturating_sub(count)).map(Denial::json).collect()
    }
}

impl Denial {
    /// A denial at `time_us`. `asked`: it was a question that found no yes; `record`: its number, unless the disk was too full to record it.
    pub(crate) fn new(time_us: u64, (verb, target): (&'static str, Value), decision: Decision, asked: bool, record: Option<u64>) -> Self {
        Self { time_us, verb, target, decision, asked, record }
    }

    fn json(&self) -> Value {
        let Decision { rules, layers, because, spoke, .. } = &self.decision;
        json!({
            "time": super::clock::rfc3339(self.time_us), "verb": self.verb, "target": self.target, "asked": self.asked, "rules": rules,
            "layers": layers, "because": because, "record": self.record, "spoke": spoke,
        })
    }
}
