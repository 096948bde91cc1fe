//! What the line needs from around it: Facts to decide with, a place to wait for a human, and what the kernel would have said by itself. The session
//! gives all three.

use super::questions::{Question, Reply};
use crate::sys::notify::Call;
use interlock_core::action::Action;
use interlock_core::facts::{Facts, Needs};

/// Gathers Facts about an act: those that policy asks for, no others. Where objects come from is observed with the act (`Observed`).
pub trait Gather {
    /// What is known. A Fact that is asked for and cannot be had stays unknown, so that the rule which needs it errs.
    fn facts(&self, action: &Action, needs: &Needs) -> Facts;
}

/// Waits for the answer to a question while other calls are served.
pub trait Waits {
    /// The answer, or why there is none.
    fn wait(&self, call: &Call, question: &Question) -> Reply;
}

/// Knows what a caller may do by itself.
pub trait Permissions {
    /// Whether the caller's own permissions refuse a denied act as well: then nothing of it is policy's doing.
    fn refuse(&self, call: &Call, action: &Action) -> bool;
}

/// All of them, as the session gives them.
pub trait Around: Gather + Waits + Permissions {}

impl<T: Gather + Waits + Permissions> Around for T {}
