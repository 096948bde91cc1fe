//! What supervisor and jail may keep of root's powers, and what the machine must have before anything is started.

use super::{container, foreign};
use crate::filter::table;
use crate::sys::files::PROC_MAGIC;
use crate::sys::{capabilities, files, notify, process};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;

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

/// The kernel's release.
#[must_use]
pub fn kernel() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}

/// The jail: its own files, ids, ports, priorities. Nothing that reaches the kernel, devices, other processes, mounts or raw packets:
/// CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, IPC_LOCK, IPC_OWNER, SYS_NICE, SYS_RESOURCE, LEASE, SETFCAP.
pub const JAIL: u64 = bits(&[0, 1, 3, 4, 5, 6, 7, 8, 10, 14, 15, 23, 24, 28, 31]);

const SYS_ADMIN: u32 = 21;

/// Whether this process may make a namespace other than a user's.
#[must_use]
pub fn may_make_namespaces() -> bool {
    capabilities::permitted().is_ok_and(|held| held & 1 << SYS_ADMIN != 0)
}

const KILL: u32 = 5;
pub(crate) const SETGID: u32 = 6;
pub(crate) const SETUID: u32 = 7;

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

/// What the supervisor may take up for the moment of one send and for nothing else: naming another process at a unix socket's other end takes
/// CAP_SYS_ADMIN (`door::net::sender`). It is permitted and not effective, and no other process of Interlock's has it.
pub const ASIDE: u64 = 1 << SYS_ADMIN;

/// What of that it keeps: root alone has it to keep.
#[must_use]
pub fn aside() -> u64 {
    if supervisor() == 0 || simulated("unix-senders") { 0 } else { ASIDE }
}

/// Names a mechanism to be treated as missing, for tests: it can only refuse more. Comma-separated.
const SIMULATE: &str = "INTERLOCK_SIMULATE_MISSING";

/// Whether a mechanism is simulated missing.
#[must_use]
pub fn simulated(mechanism: &str) -> bool {
    std::env::var(SIMULATE).is_ok_and(|list| list.split(',').any(|name| name == mechanism))
}

/// What this machine lacks so that nothing may start, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Lacking {
    pub what: String,
    pub hint: String,
}

impl Lacking {
    pub(crate) fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: what.into(), hint: hint.into() }
    }

    fn by_version(what: impl Into<String>) -> Self {
        Self::new(what, "`interlock doctor` says what is missing and what to do")
    }
}

/// What this machine lacks; nothing when it lacks nothing. The process must have one thread.
#[must_use]
pub fn lacking() -> Option<Lacking> {
    if !cfg!(target_arch = "x86_64") {
        return Some(Lacking::by_version("this processor has no system-call table here yet: only x86_64 has"));
    }
    if foreign::is_a_sessions() {
        let hint = "a nested `interlock run` without options goes on under it; a session with a policy of its own starts outside";
        return Some(Lacking::new("a session of Interlock holds this process already", hint));
    }
    // First what all else is read from, then what others refuse: a refused mechanism looks like a missing one.
    surroundings().or_else(mechanism)
}

/// What lies around this process and keeps everything from working: while it does, what a single mechanism says is not to be believed.
pub(crate) fn surroundings() -> Option<Lacking> {
    proc().or_else(refused)
}

const MOUNT_PROC: &str = "mount it: `mount -t proc proc /proc`";

/// `/proc` of this very process namespace: everything that is known of a caller comes from there.
fn proc() -> Option<Lacking> {
    let mut options = std::fs::OpenOptions::new();
    let held = match options.read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open("/proc") {
        Ok(held) => held,
        Err(error) => return Some(Lacking::new(format!("`/proc` cannot be opened: {error}"), MOUNT_PROC)),
    };
    if files::file_system(held.as_fd()) != Ok(PROC_MAGIC) {
        return Some(Lacking::new("`/proc` is not a proc file system", MOUNT_PROC));
    }
    let said = std::fs::read_link("/proc/self").map(|link| link.display().to_string()).unwrap_or_else(|_| "nothing".to_owned());
    let own = process::id().to_string();
    (said != own).then(|| {
        let what = format!("`/proc` is another process namespace's: it calls this process {said}, which is {own} here");
        Lacking::new(what, "mount this namespace's own over it: `mount -t proc proc /proc`, or `unshare --mount-proc`")
    })
}

fn refused() -> Option<Lacking> {
    let calls = foreign::refused();
    let named: Vec<String> = calls.iter().map(|call| format!("`{call}`")).collect();
    let what = || format!("the seccomp filter that this runs in (a container's profile, a unit's) refuses {}", named.join(", "));
    (!calls.is_empty()).then(|| Lacking::new(what(), container::advice(&calls)))
}

fn mechanism() -> Option<Lacking> {
    if simulated("notify") || !notify::known() {
        let what = "seccomp user notification is missing; Linux 5.19 or later with CONFIG_SECCOMP_FILTER has all of it";
        return Some(Lacking::by_version(what));
    }
    for (name, version) in [("killable", "5.19"), ("addfd", "5.14"), ("pidfd_getfd", "5.6"), ("close_range", "5.9")] {
        if simulated(name) {
            return Some(Lacking::by_version(format!("`{name}` is missing; Linux {version} has it")));
        }
    }
    table::ROWS.is_empty().then(|| Lacking::by_version("the system-call table is empty"))
}
