//! A seccomp filter that stood before ours (a container's profile, a service's unit): which of the calls that Interlock itself needs it refuses.
//!
//! Asked of the kernel by calls that cannot succeed and to which an unfiltered kernel has a known answer; in a child, since a filter may kill instead
//! of refusing. Left out: calls that every program makes, without which nothing would have come this far, and calls that there is another way for.

use crate::filter::table;
use crate::sys::descriptors::{pipe, write_all};
use crate::sys::process::{self, Forked};
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};

/// What an unfiltered kernel says to none of the probes.
const REFUSALS: [i32; 3] = [libc::EPERM, libc::EACCES, libc::ENOSYS];
const NOBODY: u64 = u64::MAX;
const LANDLOCK_VERSION: u64 = 1;
const SECCOMP_GET_ACTION_AVAIL: u64 = 2;

/// A call, and arguments with which it does nothing.
struct Probe(&'static str, i64, [u64; 6]);

const PROBES: [Probe; 14] = [
    Probe("seccomp", libc::SYS_seccomp, [SECCOMP_GET_ACTION_AVAIL, 0, 0, 0, 0, 0]),
    Probe("landlock_create_ruleset", libc::SYS_landlock_create_ruleset, [0, 0, LANDLOCK_VERSION, 0, 0, 0]),
    Probe("landlock_add_rule", libc::SYS_landlock_add_rule, [NOBODY, 0, 0, 0, 0, 0]),
    Probe("landlock_restrict_self", libc::SYS_landlock_restrict_self, [NOBODY, 0, 0, 0, 0, 0]),
    Probe("pidfd_open", libc::SYS_pidfd_open, [NOBODY, 0, 0, 0, 0, 0]),
    Probe("pidfd_getfd", libc::SYS_pidfd_getfd, [NOBODY, 0, 0, 0, 0, 0]),
    Probe("pidfd_send_signal", libc::SYS_pidfd_send_signal, [NOBODY, 0, 0, 0, 0, 0]),
    Probe("ptrace", libc::SYS_ptrace, [libc::PTRACE_DETACH as u64, NOBODY, 0, 0, 0, 0]),
    Probe("openat2", libc::SYS_openat2, [NOBODY, 0, 0, 0, 0, 0]),
    Probe("close_range", libc::SYS_close_range, [1, 0, 0, 0, 0, 0]),
    Probe("faccessat2", libc::SYS_faccessat2, [NOBODY, 0, 0, NOBODY, 0, 0]),
    Probe("memfd_create", libc::SYS_memfd_create, [0, NOBODY, 0, 0, 0, 0]),
    Probe("capset", libc::SYS_capset, [0, 0, 0, 0, 0, 0]),
    Probe("signalfd4", libc::SYS_signalfd4, [NOBODY, 0, 0, 0, 0, 0]),
];

/// Whether this process stands under a filter already: before a session's own is put on, it is another's.
#[must_use]
pub fn stands() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| is_filtered(&status))
}

/// Whether the filter of a session stands on this process: the kernel's word, not the environment's.
#[must_use]
pub fn is_a_sessions() -> bool {
    process::probe(libc::SYS_fcntl, [0, u64::from(table::MARK), 0, 0, 0, 0]) == table::MARK_ERRNO
}

fn is_filtered(status: &str) -> bool {
    status.lines().any(|line| line.strip_prefix("Seccomp:").is_some_and(|mode| mode.trim() == "2"))
}

/// The needed calls that the filter refuses, by name; none where no filter stands. The process must have one thread.
#[must_use]
pub fn refused() -> Vec<&'static str> {
    let (mut refused, mut rest) = (Vec::new(), PROBES.as_slice());
    while stands() && !rest.is_empty() {
        let Ok(answers) = asked(rest) else { break };
        let named = rest.iter().zip(&answers).filter(|(_, answer)| **answer == REFUSED).map(|(probe, _)| probe.0);
        refused.extend(named);
        rest = rest.get(answers.len()..).unwrap_or_default();
        // A child that said nothing to a probe was killed for it.
        if let [probe, others @ ..] = rest {
            refused.push(probe.0);
            rest = others;
        }
    }
    refused
}

const LET: u8 = 0;
const REFUSED: u8 = 1;

/// One answer a probe, as far as a child came.
fn asked(probes: &[Probe]) -> std::io::Result<Vec<u8>> {
    let (answers, end) = pipe()?;
    match process::fork()? {
        Forked::Child => ask(probes, &end),
        Forked::Parent(child) => {
            drop(end);
            let mut said = Vec::new();
            let read = std::fs::File::from(answers).read_to_end(&mut said);
            let _reaped = process::wait_for(child);
            read.map(|_| said)
        }
    }
}

fn ask(probes: &[Probe], end: &OwnedFd) -> ! {
    process::limit(libc::RLIMIT_CORE, 0);
    // Landlock asks for it before it looks at anything else.
    let prepared = process::control(libc::PR_SET_NO_NEW_PRIVS, 1);
    for Probe(_, number, arguments) in probes {
        let answer = if REFUSALS.contains(&process::probe(*number, *arguments)) { REFUSED } else { LET };
        if prepared.is_err() || write_all(end.as_fd(), &[answer]).is_err() {
            break;
        }
    }
    process::leave(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_seen_in_the_status() {
        assert!(is_filtered("Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t1\n"));
        assert!(!is_filtered("Name:\tx\nSeccomp:\t0\nSeccomp_filters:\t0\n"));
        assert!(!is_filtered("Seccomp_filters:\t2\n"));
    }

    #[test]
    fn an_unfiltered_kernel_refuses_no_probe() {
        if stands() {
            return; // only an unfiltered process can show it
        }
        assert!(asked(&PROBES).is_ok_and(|answers| answers == [LET; PROBES.len()]));
    }
}
