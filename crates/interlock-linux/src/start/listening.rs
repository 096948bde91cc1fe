//! Listening: the command's process stands behind wall and filter, and the door answers its calls by the self-test's script.

use super::enforced::Enforced;
use super::rehearsed::Rehearsed;
use super::tree::Tree;
use crate::door::session::Session;
use crate::tree::ending::Ending;
use crate::tree::failed::Failed;
use crate::tree::passed::Passed;
use crate::tree::steps::Steps;
use crate::wire::messages::Launch;
use std::sync::Arc;

/// A tree with its session, whose mechanisms nobody has tried yet.
#[must_use = "dropped, the tree ends"]
pub struct Listening {
    pub(super) launch: Launch,
    pub(super) command: i32,
    pub(super) enforced: Enforced,
    pub(super) tree: Tree,
    pub(super) steps: Steps,
    pub(super) session: Arc<Session>,
    pub(super) ending: Arc<Ending>,
}

impl Listening {
    /// Lets the self-test's door part run, and waits for its end.
    ///
    /// # Errors
    /// [`Failed`] with the test that did not end as it must.
    pub fn rehearse(mut self) -> Result<Rehearsed, Failed> {
        let passed = Passed::by(&mut self.steps, |words| self.enforced.note(words))?;
        let Self { launch, command, enforced, tree, steps, session, ending } = self;
        Ok(Rehearsed { launch, command, enforced, tree, steps, session, ending, passed })
    }
}
