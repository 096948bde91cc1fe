//! What the door says when it goes no further without asking policy: the kernel's errno, silence for the dead, or a recorded denial.
//!
//! Left out: refusals by policy, which the line records.

use super::caller::Stop;
use crate::answer::{Answer, Call};
use crate::line::Observed;
use crate::session::Session;

/// The answer to a call that stopped short; `act` describes it for the record, given the path that was reached for.
pub fn stopped(session: &Session, call: &Call, stop: Stop, act: impl FnOnce(&[u8]) -> Observed) -> Answer {
    match stop {
        Stop::Errno(errno) => Answer::Errno(errno.0),
        Stop::Denied => Answer::Errno(libc::EACCES),
        Stop::Gone => Answer::Settled,
        Stop::Refused { path, errno, because } => {
            record(session, call, act(&path), because);
            Answer::Errno(errno)
        }
    }
}

/// Records and tells a denial that no rule spoke.
pub fn record(session: &Session, call: &Call, act: Observed, because: &'static str) {
    session.line.refuse(call, act, because);
}
