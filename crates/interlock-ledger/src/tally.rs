//! Counting what is routine: allowed reads are not recorded one by one but as counts, at most 50 ms late.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

/// Different (verb, decision, rule) in one routine record; more of them are counted together as `other`.
const KINDS_MAX: usize = 256;
/// Effects in one routine record.
pub(crate) const EFFECTS_MAX: usize = 1024;

/// How a recorded action ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was enacted, and this is what the kernel said: 0, or an errno.
    Errno(i32),
    /// It was not enacted after all.
    Refused,
    /// Nobody knows how far it came.
    Unknown,
}

impl Ended {
    fn json(self) -> Value {
        match self {
            Self::Errno(errno) => json!(errno),
            Self::Refused => json!("refused"),
            Self::Unknown => json!("unknown"),
        }
    }
}

struct Count {
    verb: String,
    decision: String,
    rule: String,
    count: u64,
}

/// What was counted since the last record.
#[derive(Default)]
struct Counts {
    by_hash: HashMap<u64, Count, Identity>,
    effects: Vec<(u64, Ended)>,
    from: Option<String>,
}

/// Counts, to be taken by the flusher.
pub(crate) struct Tally {
    counts: Mutex<Counts>,
    waiting: AtomicBool,
    hash: RandomState,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self { counts: Mutex::new(Counts::default()), waiting: AtomicBool::new(false), hash: RandomState::new() }
    }

    /// Counts one. True if nothing was waiting before: the flusher must be woken.
    pub(crate) fn count(&self, verb: &str, decision: &str, rule: &str, now: impl Fn() -> String) -> bool {
        let mut hasher = self.hash.build_hasher();
        hasher.write(verb.as_bytes());
        hasher.write_u8(0);
        hasher.write(decision.as_bytes());
        hasher.write_u8(0);
        hasher.write(rule.as_bytes());
        let hash = hasher.finish();
        let Ok(mut counts) = self.counts.lock() else { return false };
        if let Some(known) = counts.by_hash.get_mut(&hash) {
            known.count += 1;
        } else if counts.by_hash.len() < KINDS_MAX {
            counts.from.get_or_insert_with(now);
            counts.by_hash.insert(hash, Count { verb: verb.into(), decision: decision.into(), rule: rule.into(), count: 1 });
        } else {
            let other = || Count { verb: "other".into(), decision: decision.into(), rule: "other".into(), count: 0 };
            counts.by_hash.entry(self.hash.hash_one(("other", decision))).or_insert_with(other).count += 1;
        }
        drop(counts);
        !self.waiting.load(Ordering::Relaxed) && !self.waiting.swap(true, Ordering::AcqRel)
    }

    /// Notes how a recorded action ended. Returns (nothing waited before, the list is full and should be flushed).
    pub(crate) fn effect(&self, record: u64, ended: Ended, now: impl Fn() -> String) -> (bool, bool) {
        let Ok(mut counts) = self.counts.lock() else { return (false, false) };
        counts.from.get_or_insert_with(now);
        counts.effects.push((record, ended));
        let full = counts.effects.len() >= EFFECTS_MAX;
        drop(counts);
        (!self.waiting.swap(true, Ordering::AcqRel), full)
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Acquire)
    }

    /// The `routine` record for all that was counted, if anything was.
    pub(crate) fn take(&self, now: String) -> Option<Value> {
        if !self.waiting.swap(false, Ordering::AcqRel) {
            return None;
        }
        let mut guard = self.counts.lock().ok()?;
        let taken = std::mem::take(&mut *guard);
        drop(guard);
        let mut counts: Vec<Count> = taken.by_hash.into_values().collect();
        counts.sort_by(|a, b| (&a.verb, &a.decision, &a.rule).cmp(&(&b.verb, &b.decision, &b.rule)));
        let rows: Vec<Value> =
            counts.into_iter().map(|c| json!({"verb": c.verb, "decision": c.decision, "rule": c.rule, "count": c.count})).collect();
        if rows.is_empty() && taken.effects.is_empty() {
            return None;
        }
        let effects: Vec<Value> = taken.effects.into_iter().map(|(record, ended)| json!([record, ended.json()])).collect();
        Some(json!({"type": "routine", "counts": rows, "effects": effects, "from": taken.from, "to": now}))
    }
}

/// The key is a keyed hash already.
#[derive(Default, Clone)]
struct Identity;

struct Same(u64);

impl BuildHasher for Identity {
    type Hasher = Same;
    fn build_hasher(&self) -> Same {
        Same(0)
    }
}

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {}
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}
