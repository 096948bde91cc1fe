//! Calls by which a process changes its own standing: ids, capabilities and umask (noted, then left to the kernel); limits and priorities
//! (its own only: Landlock does not keep those of an outside process of the same user from it); its process group (never the supervisor's).

use crate::door::seen::ground::Ground;
use crate::sys::errno::{Errno, Sys};
use crate::sys::notify::Call;
use crate::sys::process;
use std::sync::atomic::{AtomicBool, Ordering};

const PRIO_PROCESS: u64 = 0;
const IOPRIO_WHO_PROCESS: u64 = 1;

/// That a call changes the standing of its caller alone, by registers: earned from [`Standing`].
#[derive(Debug)]
pub struct OwnStanding {
    call: u64,
}

impl OwnStanding {
    /// The call that it was earned for.
    #[must_use]
    pub fn call(&self) -> u64 {
        self.call
    }

    fn of(call: &Call) -> Self {
        Self { call: call.id }
    }
}

/// What the callers of a session began with, and whether any of them may have something else by now.
pub struct Standing {
    ids: (u32, u32),
    group: i32,
    umask: u32,
    /// Whether any caller may hold ids or capabilities other than the session began with.
    pub(crate) ids_may_differ: AtomicBool,
    /// Whether any caller may have another umask.
    pub(crate) umask_may_differ: AtomicBool,
}

impl Standing {
    /// As the session begins.
    #[must_use]
    pub fn of(ground: &Ground) -> Self {
        let (ids, group, umask) = (ground.ids, ground.group, ground.umask);
        Self { ids, group, umask, ids_may_differ: AtomicBool::new(!ground.uniform), umask_may_differ: AtomicBool::new(false) }
    }

    /// From now on the door asks each caller's ids (its umask) before it acts, unless the call changes nothing. The kernel decides the call itself:
    /// its arguments matter to the caller alone.
    pub fn credentials(&self, call: &Call) -> OwnStanding {
        let [mask, ..] = call.arguments;
        if i64::from(call.number) == libc::SYS_umask {
            // Only permission bits count (umask(2)).
            if mask as u32 & 0o777 != self.umask {
                self.umask_may_differ.store(true, Ordering::Release);
            }
        } else if !changes_nothing(call, self.ids) {
            self.ids_may_differ.store(true, Ordering::Release);
        }
        OwnStanding::of(call)
    }

    /// A limit, priority or placement of another process: only a thread of the caller's own process is let through.
    ///
    /// # Errors
    /// EPERM; ESRCH where there is no such process.
    pub fn process(&self, call: &Call) -> Sys<OwnStanding> {
        if i64::from(call.number) == libc::SYS_setpgid {
            return self.group(call);
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
            (Some(target), Some(own)) if target == own => Ok(OwnStanding::of(call)),
            (None, _) if target.is_some() => Err(Errno(libc::ESRCH)),
            _ => Err(Errno(libc::EPERM)),
        }
    }

    /// The command may share the supervisor's session, but no group is shared: what reaches a group (a priority, a descriptor's signal, a terminal)
    /// would reach the supervisor. The kernel keeps groups within a session, and of that only the supervisor is outside the tree.
    fn group(&self, call: &Call) -> Sys<OwnStanding> {
        let [_, group, ..] = call.arguments;
        if (group & 0xffff_ffff) as i32 == self.group { Err(Errno(libc::EPERM)) } else { Ok(OwnStanding::of(call)) }
    }
}

/// Whether a call sets ids to what everybody in the session has as long as nobody's may differ: programs like make do so before each child.
///
/// INVARIANT: while `ids_may_differ` is false, all ids of every caller are those the session began with.
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
