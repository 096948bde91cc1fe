//! What the door says when it goes no further without asking policy: the kernel's errno, silence for the dead, or a recorded denial.
//!
//! Left out: refusals by policy, which the line records.

use super::caller::Stop;
use super::procfs;
use super::restart;
use crate::answer::{Answer, Call};
use crate::line::Observed;
use crate::session::Session;

/// What refusals are counted under that every listing of processes meets by the hundred.
const LISTING: &str = "guard/processes-outside";

/// The answer to a call that stopped short; `act` describes it for the record, given the path that was reached for.
pub fn stopped(session: &Session, call: &Call, stop: Stop, act: impl FnOnce(&[u8]) -> Observed) -> Answer {
    match stop {
        Stop::Interrupted => restart::answer(session, call),
        Stop::Errno(errno) => Answer::Errno(errno.0),
        Stop::Denied => Answer::Errno(libc::EACCES),
        Stop::Gone => Answer::Settled,
        Stop::Refused { path, errno, because } if because == procfs::OUTSIDE && procfs::is_listing(&path) => {
            session.line.refuse_quietly(act(&path).verb, LISTING);
            Answer::Errno(errno)
        }
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
