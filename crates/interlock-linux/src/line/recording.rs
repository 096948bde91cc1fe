//! What the line writes: decisions, its own faults, what the session works on; and its end where a record cannot be written.
//!
//! INVARIANT: a line that has failed to write takes nothing more: everything is denied from then on.

use super::record::Failure;
use super::{Line, Refused};
use crate::sys::notify::Call;
use interlock_core::action::{Action, Bytes};
use interlock_core::decision::{Decision, RecordClass};
use interlock_core::facts::Facts;
use serde_json::{Value, json};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

/// Something that should not have happened, and ended in a denial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unforeseen {
    /// The door's code panicked.
    Panic,
    /// The kernel took no answer (errno).
    Unanswerable(i32),
    /// Nobody answered it.
    Unanswered,
}

/// What the session works on, as the other plane told it.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct Context {
    pub parent: Option<String>,
    pub trace: Option<Value>,
}

impl Line {
    /// Records what was decided of an act.
    pub(super) fn decided(&self, action: &Action, decision: &Decision, facts: &Facts, class: RecordClass) -> Result<u64, Refused> {
        let mut action = action.clone();
        if let Some(process) = &mut action.subject.process {
            process.program = process.program.take().or_else(|| program_of(process.id));
        }
        let context = self.context();
        let record = json!({
            "type": "action.decided", "phase": "decided", "action": action, "decision": decision, "facts": facts,
            "policy": self.judge.digest(), "agent": self.agent, "parent": context.parent, "trace": context.trace,
        });
        self.record(class, record)
    }

    /// Appends a record of this session.
    ///
    /// # Errors
    /// The line is poisoned.
    pub(crate) fn record(&self, class: RecordClass, record: Value) -> Result<u64, Refused> {
        if self.poisoned.load(Ordering::Acquire) {
            return Err(Refused::Poisoned);
        }
        self.recorder.append(class, record).map_err(|failure| match failure {
            Failure::Full => Refused::Full,
            Failure::Broken(why) => {
                self.poison(&format!("the ledger refused a record: {why}"));
                Refused::Poisoned
            }
        })
    }

    /// Denies everything from now on and ends the tree with code 123.
    pub(crate) fn poison(&self, reason: &str) {
        self.poisoned.store(true, Ordering::Release);
        self.questions.close("interlock failed");
        self.ending.failed(reason);
    }

    /// A log that failed by itself (a sync between two records) poisons the line as a refused record does.
    pub(crate) fn check_log(&self) {
        if !self.poisoned.load(Ordering::Acquire) && !self.recorder.sound() {
            self.poison("the ledger failed");
        }
    }

    /// Records a fault of our own that ended in a denial.
    pub(crate) fn unforeseen(&self, call: &Call, what: Unforeseen) {
        let reason = format!("call {} of thread {}: {what:?}", call.number, call.thread);
        let _poisoned = self.record(RecordClass::Ordered, json!({"type": "gap", "lost": 1, "reason": reason}));
    }

    pub(crate) fn context(&self) -> Context {
        self.context.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_context(&self, context: Context) {
        let _poisoned =
            self.record(RecordClass::Ordered, json!({"type": "context.changed", "parent": context.parent, "trace": context.trace}));
        *self.context.lock().unwrap_or_else(PoisonError::into_inner) = context;
    }

    /// Closes the log with this record; its last checkpoint, or why there is none.
    pub(crate) fn close(&self, closing: Value) -> Result<Value, String> {
        self.recorder.close(closing)
    }
}

/// The program that a process runs.
pub(super) fn program_of(process: i32) -> Option<Bytes> {
    use std::os::unix::ffi::OsStringExt;
    let path = std::fs::read_link(format!("/proc/{process}/exe")).ok()?;
    Some(Bytes(path.into_os_string().into_vec()))
}
