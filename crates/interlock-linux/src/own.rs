//! Calls by which a process changes its own standing: ids, capabilities and umask (noted, then left to the kernel); limits and priorities
//! (its own only: Landlock does not keep those of an outside process of the same user from it); its process group (never the supervisor's).

use crate::answer::{Answer, Call, Proof};
use crate::session::Session;
use crate::sys::process;
use std::sync::atomic::Ordering;

const PRIO_PROCESS: u64 = 0;
const IOPRIO_WHO_PROCESS: u64 = 1;

/// From now on the door asks each caller's ids (its umask) before it acts, unless the call changes nothing. The kernel decides the call itself: its
/// arguments matter to the caller alone.
pub fn credentials(call: &Call, session: &Session) -> Answer {
    let [mask, ..] = call.arguments;
    if i64::from(call.number) == libc::SYS_umask {
        // Only permission bits count (umask(2)).
        if mask as u32 & 0o777 != session.ground.umask {
            session.umask_may_differ.store(true, Ordering::Release);
        }
    } else if !changes_nothing(call, session.ground.ids) {
        session.credentials_may_differ.store(true, Ordering::Release);
    }
    Answer::Continue(Proof::WallCovers)
}

/// Whether a call sets ids to what everybody in the session has as long as nobody's may differ: programs like make do so before each child.
///
/// INVARIANT: while `credentials_may_differ` is false, all ids of every caller are those the session began with.
fn changes_nothing(call: &Call, (user, group): (u32, u32)) -> bool {
    const KEPT: u32 = u32::MAX;
    let (own, count) = match i64::from(call.number) {
        libc::SYS_setuid | libc::SYS_setfsuid => (user, 1),
        libc::SYS_setreuid => (user, 2),
        libc::SYS_setresuid => (user, 3),
        libc::SYS_setgid | libc::SYS_setfsgid => (group, 1),
        libc::SYS_setregid => (group, 2),
        libc::SYS_setresgid => (group, 3),
        // setgroups, capset and the rest say what they want in memory, which may change.
        _ => return false,
    };
    call.arguments.iter().take(count).all(|id| matches!(*id as u32, KEPT) || *id as u32 == own)
}

/// A limit, priority or placement of another process: only a thread of the caller's own process is let through.
pub fn process(call: &Call, session: &Session) -> Answer {
    if i64::from(call.number) == libc::SYS_setpgid {
        return group(call, session);
    }
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

/// The command may share the supervisor's session, but no group is shared: what reaches a group (a priority, a descriptor's signal, a terminal)
/// would reach the supervisor. The kernel keeps groups within a session, and of that only the supervisor is outside the tree.
fn group(call: &Call, session: &Session) -> Answer {
    let [_, group, ..] = call.arguments;
    if (group & 0xffff_ffff) as i32 == session.ground.group { Answer::Errno(libc::EPERM) } else { Answer::Continue(Proof::WallCovers) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(number: i64, arguments: [u64; 6]) -> Call {
        Call { id: 0, thread: 1, number: i32::try_from(number).unwrap_or(-1), arguments }
    }

    #[test]
    fn ids_that_everybody_has_change_nothing() {
        const KEPT: u64 = u32::MAX as u64;
        let nothing = |number, arguments| changes_nothing(&call(number, arguments), (7, 9));
        assert!(nothing(libc::SYS_setresuid, [KEPT, 7, KEPT, 5, 5, 5]));
        assert!(nothing(libc::SYS_setresuid, [u64::MAX, 7 | 1 << 32, 7, 0, 0, 0])); // an id has 32 bits
        assert!(nothing(libc::SYS_setregid, [9, KEPT, 0, 0, 0, 0]));
        assert!(nothing(libc::SYS_setuid, [7, 0, 0, 0, 0, 0]));
        for other in [[8, 7, 7, 0, 0, 0], [7, 8, 7, 0, 0, 0], [7, 7, 9, 0, 0, 0]] {
            assert!(!nothing(libc::SYS_setresuid, other), "{other:?}");
        }
        assert!(!nothing(libc::SYS_setgid, [7, 0, 0, 0, 0, 0]));
        assert!(!nothing(libc::SYS_setgroups, [0, 0, 0, 0, 0, 0]));
        assert!(!nothing(libc::SYS_capset, [0, 0, 0, 0, 0, 0]));
    }
}
