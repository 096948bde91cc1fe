//! What the line needs from around it: Facts to decide with, and a place to wait for a human. The session gives both.

use crate::answer::Call;
use crate::questions::{Question, Reply};
use interlock_core::action::Action;
use interlock_core::facts::{Facts, Needs};

/// Gathers Facts about an act: those that policy asks for, no others.
pub trait Gather {
    /// What is known. A Fact that is asked for and cannot be had stays unknown, so that the rule which needs it errs.
    fn facts(&self, action: &Action, needs: &Needs) -> Facts;
}

/// Waits for the answer to a question while other calls are served.
pub trait Waits {
    /// The answer, or why there is none.
    fn wait(&self, call: &Call, question: &Question) -> Reply;
}

/// Both, as the session gives them.
pub trait Around: Gather + Waits {}

impl<T: Gather + Waits> Around for T {}
