//! The port to the ledger: what the line needs of a log, and the totals of a session.
//!
//! Framing, batching, signing and syncing are the ledger's.

use interlock_core::decision::RecordClass;
use interlock_ledger::{Class, Ended, Error, Log};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Why a record was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The disk is full; denials are still taken.
    Full,
    /// Nothing will be taken any more.
    Broken(String),
}

/// A log of one session. A record is acknowledged when `append` returns: in the file for `Ordered`, synced for `Durable`.
pub trait Recorder: Send + Sync {
    /// Appends one record and returns its number.
    ///
    /// # Errors
    /// [`Failure`]; the act must be denied.
    fn append(&self, class: RecordClass, record: Value) -> Result<u64, Failure>;
    /// Counts a routine decision.
    fn count(&self, verb: &str, decision: &str, rule: &str);
    /// Notes what came of a recorded act.
    fn effect(&self, record: u64, ended: Ended);
    /// Whether the log still takes records.
    fn sound(&self) -> bool;
    /// Writes the closing record, signs and closes; returns the last checkpoint.
    ///
    /// # Errors
    /// What went wrong.
    fn close(&self, closing: Value) -> Result<Value, String>;
}

impl Recorder for Log {
    fn append(&self, class: RecordClass, record: Value) -> Result<u64, Failure> {
        let class = match class {
            RecordClass::Routine => Class::Routine,
            RecordClass::Ordered => Class::Ordered,
            RecordClass::Durable => Class::Durable,
        };
        match Log::append(self, record, class) {
            Ok(written) => Ok(written.record),
            Err(Error::Full) => Err(Failure::Full),
            Err(error) => Err(Failure::Broken(error.to_string())),
        }
    }

    fn count(&self, verb: &str, decision: &str, rule: &str) {
        Log::count(self, verb, decision, rule);
    }

    fn effect(&self, record: u64, ended: Ended) {
        Log::effect(self, record, ended);
    }

    fn sound(&self) -> bool {
        self.failure().is_none()
    }

    fn close(&self, closing: Value) -> Result<Value, String> {
        Log::close(self, Some(closing)).map(|checkpoint| Value::String(checkpoint.text())).map_err(|error| error.to_string())
    }
}

/// All decisions of the session so far, by verb and decision.
#[derive(Default)]
pub struct Totals(Mutex<BTreeMap<&'static str, BTreeMap<&'static str, u64>>>);

impl Totals {
    fn all(&self) -> MutexGuard<'_, BTreeMap<&'static str, BTreeMap<&'static str, u64>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one.
    pub fn count(&self, verb: &'static str, decision: &'static str) {
        *self.all().entry(verb).or_default().entry(decision).or_default() += 1;
    }

    /// As JSON: verb → decision → count.
    #[must_use]
    pub fn json(&self) -> Value {
        json!(*self.all())
    }
}
