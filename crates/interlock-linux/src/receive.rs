//! Receiving calls and sending answers: one loop a thread, each answering what it received.
//!
//! INVARIANT: a call received is answered once. What the door's code does to a thread (a panic included) ends in EACCES, recorded.

use crate::answer::Pending;
use crate::door;
use crate::line::Unforeseen;
use crate::session::Session;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

/// Receives until no filtered task is left, or the pool has one receiver too many.
pub fn run(session: &Session) {
    loop {
        match session.calls.receive() {
            Ok(Some(pending)) => {
                session.busy.fetch_add(1, Ordering::AcqRel);
                serve(pending, session);
                session.busy.fetch_sub(1, Ordering::AcqRel);
                session.pool.finished();
            }
            Ok(None) if session.calls.deserted() => return,
            Ok(None) => {}
            Err(error) => return session.line.poison(&format!("the listener failed: {error}")),
        }
        if session.pool.leaves() {
            return;
        }
    }
}

fn serve(pending: Pending, session: &Session) {
    let call = *pending.call();
    match catch_unwind(AssertUnwindSafe(|| door::answer(pending, session))) {
        Ok(answered) => {
            // What was done for a caller that died meanwhile stays done and recorded.
            if let Some(errno) = answered.refused() {
                session.line.unforeseen(&call, Unforeseen::Unanswerable(errno));
            }
        }
        // Unanswered, it was denied on the way here.
        Err(_) => session.line.unforeseen(&call, Unforeseen::Panic),
    }
    session.handovers.end(call.id);
}
