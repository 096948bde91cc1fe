//! Policy is put in the place of the self-test's script, or a tree is called rehearsed, where no self-test has passed.

use crate::line::Line;
use crate::tree::passed::Passed;

#[cfg(misuse)]
mod made_up {
    use super::{Line, Passed};
    use crate::door::session::Session;
    use crate::start::Rehearsed;
    use std::sync::Arc;

    fn policy(line: &Line) {
        line.begin(&Passed { _earned: () }); //~ E0451 Passed
    }

    fn another_session(from: Rehearsed, session: Arc<Session>) -> Rehearsed {
        Rehearsed { session, ..from } //~ E0451 Rehearsed
    }
}

#[cfg(not(misuse))]
fn earned(line: &Line, passed: &Passed) {
    line.begin(passed);
}
