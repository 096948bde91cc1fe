//! The port to the ledger: what the line needs of a log, and the counts it batches.
//!
//! Records are built here and in `line`; framing, signing and syncing are the ledger's.

use interlock_core::decision::Record;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// A log of one session. A record is acknowledged when `append` returns: in the file for `Ordered`, synced for `Durable`.
pub trait Recorder: Send + Sync {
    /// Appends one record and returns its number.
    ///
    /// # Errors
    /// What went wrong; from then on every append fails.
    fn append(&self, class: Record, record: Value) -> Result<u64, String>;

    /// Signs and closes; returns the last checkpoint.
    ///
    /// # Errors
    /// What went wrong.
    fn close(&self) -> Result<String, String>;
}

/// Pairs of one batch; a batch longer than this becomes several records.
const EFFECTS_MAX: usize = 3000;
/// Different (verb, decision, rule) counted between two batches; past it the batch is written early.
const COUNTS_MAX: usize = 400;

/// (verb, decision, rule)
type Key = (String, &'static str, String);

#[derive(Default)]
struct Pending {
    counts: BTreeMap<Key, u64>,
    effects: Vec<(u64, i32)>,
    totals: BTreeMap<(String, &'static str), u64>,
}

/// What is counted between two batches: routine decisions, and the effects of recorded ones.
#[derive(Default)]
pub struct Batch(Mutex<Pending>);

impl Batch {
    fn pending(&self) -> std::sync::MutexGuard<'_, Pending> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a routine decision. `true`: the batch is due.
    #[must_use]
    pub fn count(&self, verb: &str, decision: &'static str, rule: &str) -> bool {
        let mut pending = self.pending();
        *pending.counts.entry((verb.to_owned(), decision, rule.to_owned())).or_default() += 1;
        *pending.totals.entry((verb.to_owned(), decision)).or_default() += 1;
        pending.counts.len() >= COUNTS_MAX
    }

    /// Counts a recorded decision towards the session's totals only.
    pub fn total(&self, verb: &str, decision: &'static str) {
        *self.pending().totals.entry((verb.to_owned(), decision)).or_default() += 1;
    }

    /// Notes what became of a recorded act. `true`: the batch is due.
    #[must_use]
    pub fn effect(&self, record: u64, errno: i32) -> bool {
        let mut pending = self.pending();
        pending.effects.push((record, errno));
        pending.effects.len() >= EFFECTS_MAX
    }

    /// Takes what was counted, as `routine` records without their common keys.
    #[must_use]
    pub fn take(&self) -> Vec<Value> {
        let (counts, effects) = {
            let mut pending = self.pending();
            (std::mem::take(&mut pending.counts), std::mem::take(&mut pending.effects))
        };
        let counts: Vec<Value> = counts
            .into_iter()
            .map(|((verb, decision, rule), count)| json!({"verb": verb, "decision": decision, "rule": rule, "count": count}))
            .collect();
        let mut out: Vec<Value> = effects.chunks(EFFECTS_MAX).map(|part| json!({"counts": [], "effects": part})).collect();
        match (counts.is_empty(), out.first_mut()) {
            (true, _) => {}
            (false, Some(first)) => first["counts"] = Value::Array(counts),
            (false, None) => out.push(json!({"counts": counts})),
        }
        out
    }

    /// All decisions of the session so far: verb → decision → count.
    #[must_use]
    pub fn totals(&self) -> Value {
        let mut out = serde_json::Map::new();
        for ((verb, decision), count) in &self.pending().totals {
            let of_verb = out.entry(verb.clone()).or_insert_with(|| json!({}));
            if let Some(map) = of_verb.as_object_mut() {
                map.insert((*decision).to_owned(), json!(count));
            }
        }
        Value::Object(out)
    }
}
