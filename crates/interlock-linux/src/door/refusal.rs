//! What the door says when it goes no further without asking policy: the kernel's errno, silence for the dead, or a recorded denial.
//!
//! Left out: refusals by policy, which the line records.

use super::answer::{Answered, Pending};
use super::errand::Errand;
use super::restart;
use super::seen::caller::{Reached, Stop};
use super::seen::procfs;
use super::session::Session;
use crate::line::Observed;
use interlock_core::action::Verb;

/// What refusals are counted under that every listing of processes meets by the hundred.
const LISTING: &str = "guard/processes-outside";

impl Errand<'_> {
    /// Ends the call with a value, or as it stopped; a refusal of the door's own is recorded on the way as `verb`.
    pub fn end(&self, pending: Pending, verb: Verb, result: Result<i64, Stop>) -> Answered {
        match result {
            Ok(value) => pending.value(value),
            Err(stop) => self.stop(pending, verb, stop),
        }
    }

    /// Ends a call that stopped short.
    pub fn stop(&self, pending: Pending, verb: Verb, stop: Stop) -> Answered {
        stopped(self.session, pending, stop, |path| self.act(verb, path, None))
    }
}

/// Ends a call that stopped short; `act` describes it for the record, given the path that was reached for.
pub fn stopped(session: &Session, pending: Pending, stop: Stop, act: impl FnOnce(&[u8]) -> Observed) -> Answered {
    match stop {
        Stop::Interrupted => restart::answer(session, pending),
        Stop::Errno(errno) => pending.errno(errno.0),
        // Nobody reads it where the caller is gone.
        Stop::Denied | Stop::Gone => pending.errno(libc::EACCES),
        Stop::Refused { reached: Reached::Path(path), errno, because } if because == procfs::OUTSIDE && procfs::is_listing(&path) => {
            session.line.refuse_quietly(act(&path).verb, LISTING);
            pending.errno(errno)
        }
        Stop::Refused { reached, errno, because } => {
            let act = match reached {
                Reached::Path(path) => act(&path),
                Reached::Act(act) => *act,
            };
            session.line.refuse(pending.call(), act, because);
            pending.errno(errno)
        }
    }
}
