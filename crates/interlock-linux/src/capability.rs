//! What supervisor and jail may keep of root's powers, and what the machine must have before anything is started.

use crate::sys::{capabilities, notify, process};
use crate::table;

const fn bits(numbers: &[u32]) -> u64 {
    let mut set = 0;
    let mut index = 0;
    while index < numbers.len() {
        #[allow(clippy::indexing_slicing)] // constant evaluation: out of bounds does not compile
        let number = numbers[index];
        set |= 1 << number;
        index += 1;
    }
    set
}

const SYS_PTRACE: u32 = 19;

/// The jail: its own files, ids, ports, priorities. Nothing that reaches the kernel, devices, other processes, mounts or raw packets:
/// CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, IPC_LOCK, IPC_OWNER, SYS_NICE, SYS_RESOURCE, LEASE, SETFCAP.
pub const JAIL: u64 = bits(&[0, 1, 3, 4, 5, 6, 7, 8, 10, 14, 15, 23, 24, 28, 31]);

const KILL: u32 = 5;
const SETUID: u32 = 7;

/// What the jail keeps where `held` is all there is (a container may have dropped some): who could change its user, where the sentinels may not
/// signal another user's processes, could not be ended.
#[must_use]
pub fn jail(held: u64) -> u64 {
    if held & 1 << KILL == 0 { JAIL & !(1 << SETUID) } else { JAIL }
}

/// The supervisor: the jail's, and reading a caller that runs as another user. So what it does on behalf never exceeds what the tree might.
pub const SUPERVISOR: u64 = JAIL | 1 << SYS_PTRACE;

/// What the supervisor keeps. Only root's programs have capabilities after their exec: others' are ambient or a file's, which the jail's lose
/// (`sys::capabilities`, no_new_privs), and what the command lacks the door must not have.
#[must_use]
pub fn supervisor() -> u64 {
    let given_by_exec = process::user() == 0 && !capabilities::root_is_nobody();
    if given_by_exec { SUPERVISOR } else { 0 }
}

/// Names a mechanism to be treated as missing, for tests: it can only refuse more. Comma-separated.
const SIMULATE: &str = "INTERLOCK_SIMULATE_MISSING";

/// Whether a mechanism is simulated missing.
#[must_use]
pub fn simulated(mechanism: &str) -> bool {
    std::env::var(SIMULATE).is_ok_and(|list| list.split(',').any(|name| name == mechanism))
}

/// What this machine lacks so that nothing may start, in words; nothing when it lacks nothing.
#[must_use]
pub fn lacking() -> Option<String> {
    if !cfg!(target_arch = "x86_64") {
        return Some("this processor has no system-call table here yet: only x86_64 has".into());
    }
    if simulated("notify") || !notify::known() {
        return Some("seccomp user notification is missing; Linux 5.19 or later with CONFIG_SECCOMP_FILTER has all of it".into());
    }
    for (name, version) in [("killable", "5.19"), ("addfd", "5.14"), ("pidfd_getfd", "5.6"), ("close_range", "5.9")] {
        if simulated(name) {
            return Some(format!("`{name}` is missing; Linux {version} has it"));
        }
    }
    table::ROWS.is_empty().then(|| "the system-call table is empty".into())
}
