//! Calls by which a process changes its own standing: ids and capabilities (noted, then left to the kernel), and limits and priorities
//! (its own only: Landlock does not keep those of an outside process of the same user from it).

use crate::answer::{Answer, Call, Proof};
use crate::session::Session;
use crate::sys::process;
use std::sync::atomic::Ordering;

const PRIO_PROCESS: u64 = 0;
const IOPRIO_WHO_PROCESS: u64 = 1;

/// From now on the door asks each caller's ids before it acts. The kernel decides the call itself: its arguments matter to the caller alone.
pub fn credentials(_call: &Call, session: &Session) -> Answer {
    session.credentials_may_differ.store(true, Ordering::Release);
    Answer::Continue(Proof::WallCovers)
}

/// A limit, priority or placement of another process: only a thread of the caller's own process is let through.
pub fn process(call: &Call, _session: &Session) -> Answer {
    let [first, second, ..] = call.arguments;
    let named = match i64::from(call.number) {
        libc::SYS_setpriority => (first == PRIO_PROCESS).then_some(second),
        libc::SYS_ioprio_set => (first == IOPRIO_WHO_PROCESS).then_some(second),
        _ => Some(first),
    };
    let target = named.and_then(|id| i32::try_from(id & 0xffff_ffff).ok());
    match (target.and_then(process::of_thread), process::of_thread(call.thread)) {
        // The caller waits here, so its process cannot end and its id not be used again.
        (Some(target), Some(own)) if target == own => Answer::Continue(Proof::WallCovers),
        (None, _) if target.is_some() => Answer::Errno(libc::ESRCH),
        _ => Answer::Errno(libc::EPERM),
    }
}
