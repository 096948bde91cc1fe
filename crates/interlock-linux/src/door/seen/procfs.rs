//! `/proc`: which of it a caller may reach through the door at all, whatever policy says.
//!
//! The supervisor stands outside the wall, so that without this it would open for a caller what the kernel hides from it.
//! RULE: what belongs to a process outside the session is refused; so is memory of any process opened for writing (`open`).
//! Left out: the rest of `/proc`, which policy decides by name like any other file.

use super::caller::{Caller, Reached, Stop};
use crate::sys::errno::{Errno, Sys};
use crate::sys::files::{self, PROC_MAGIC, Stat};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Why what belongs to a process outside is refused.
pub const OUTSIDE: &str = "it belongs to a process outside the session";
/// Why another procfs is refused.
const FOREIGN: &str = "it lies on a proc file system whose process numbers are not this session's";

/// Whether an object lies on procfs. Only file systems without a device of their own can be it.
pub fn on_procfs(file: BorrowedFd<'_>, stat: &Stat) -> Sys<bool> {
    Ok(libc::major(stat.device) == 0 && files::file_system(file)? == PROC_MAGIC)
}

/// Where an object that a path has led to stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not on procfs.
    Elsewhere,
    /// On procfs, and of no process or of one inside.
    Admitted,
    /// On procfs, of the supervisor itself: the path may have meant the caller (`self`).
    Ours,
}

/// Where `file` stands.
///
/// # Errors
/// A refusal when it belongs to a process outside. The object is held, so a process id used again meanwhile leads nowhere (ESRCH).
pub fn standing(caller: &Caller<'_>, file: &OwnedFd, stat: &Stat) -> Result<Standing, Stop> {
    if !on_procfs(file.as_fd(), stat)? {
        return Ok(Standing::Elsewhere);
    }
    let name = caller.ground.name_of(file.as_fd())?;
    match owner(&name) {
        Some(process) if process == caller.ground.process && stat.device == caller.ground.proc_device => Ok(Standing::Ours),
        _ => admit(caller, file, stat).map(|()| Standing::Admitted),
    }
}

/// Refuses what belongs to a process outside the session.
pub fn admit(caller: &Caller<'_>, file: &OwnedFd, stat: &Stat) -> Result<(), Stop> {
    let name = caller.ground.name_of(file.as_fd())?;
    if stat.device != caller.ground.proc_device || !(name == b"/proc" || name.starts_with(b"/proc/")) {
        return Err(Stop::Refused { reached: Reached::Path(name), because: FOREIGN, errno: libc::EACCES });
    }
    match owner(&name) {
        Some(process) if process != caller.thread() && !caller.members.is_inside(process) => {
            if gone(&name) {
                return Err(Errno(libc::ENOENT).into());
            }
            Err(Stop::Refused { reached: Reached::Path(name), because: OUTSIDE, errno: libc::EACCES })
        }
        _ => Ok(()),
    }
}

/// The kernel marks the directory of a process that has ended.
fn gone(name: &[u8]) -> bool {
    name.ends_with(b" (deleted)")
}

/// The process (or thread) whose `/proc/PID` a name lies in or is.
pub fn owner(name: &[u8]) -> Option<i32> {
    let first = name.strip_prefix(b"/proc/")?.split(|byte| *byte == b'/').next()?;
    number(first)
}

/// A component that names a process: digits alone.
pub fn number(component: &[u8]) -> Option<i32> {
    let component = component.strip_suffix(b" (deleted)").unwrap_or(component);
    if component.is_empty() || !component.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(component).ok()?.parse().ok()
}

/// Files of a process that programs read to list processes (`ps`, `top`, `pgrep`, `pstree`): of processes outside they stay shut, as on a
/// machine whose `/proc` hides other users' processes (`hidepid`, proc(5)), and are met by the hundred.
pub fn is_listing(name: &[u8]) -> bool {
    const READ: &[&[u8]] = &[
        b"stat",
        b"statm",
        b"status",
        b"cmdline",
        b"comm",
        b"cgroup",
        b"wchan",
        b"io",
        b"schedstat",
        b"loginuid",
        b"sessionid",
        b"task",
        b"ns",
        b"oom_score",
        b"oom_score_adj",
        b"autogroup",
        b"smaps_rollup",
        b"attr",
        b"current",
    ];
    let mut parts = name.strip_prefix(b"/proc/").unwrap_or_default().split(|byte| *byte == b'/');
    let of_process = parts.next().is_some_and(|first| number(first).is_some());
    of_process && parts.all(|part| number(part).is_some() || READ.contains(&part))
}

/// Why nobody writes what is called so, if that is so: memory of a process (`/proc/PID/mem`, `/proc/PID/task/TID/mem`), and the share of
/// processor time of a session, which may be the supervisor's too (`tree::command`).
pub fn unwritten(name: &[u8]) -> Option<&'static str> {
    owner(name)?;
    if name.ends_with(b"/mem") {
        return Some("memory of a process is not written");
    }
    name.ends_with(b"/autogroup").then_some("the supervisor shares this session's processor time")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_below_proc_tells_its_process() {
        assert_eq!(owner(b"/proc/12/environ"), Some(12));
        assert_eq!(owner(b"/proc/12"), Some(12));
        assert_eq!(owner(b"/proc/12 (deleted)"), Some(12));
        assert_eq!(owner(b"/proc/meminfo"), None);
        assert_eq!(owner(b"/process/12"), None);
        assert_eq!(owner(b"/proc/12x/y"), None);
    }

    #[test]
    fn a_listing_is_known_by_what_it_reads() {
        assert!(is_listing(b"/proc/12") && is_listing(b"/proc/12/stat") && is_listing(b"/proc/12/task/13/status"));
        assert!(
            !is_listing(b"/proc/12/environ") && !is_listing(b"/proc/12/fd/3") && !is_listing(b"/proc/meminfo") && !is_listing(b"/w/stat")
        );
    }

    #[test]
    fn what_is_not_written_is_known_by_its_name() {
        for name in ["/proc/12/mem", "/proc/12/task/13/mem", "/proc/12/autogroup"] {
            assert!(unwritten(name.as_bytes()).is_some(), "{name}");
        }
        for name in ["/proc/12/smem", "/w/mem", "/w/autogroup", "/proc/autogroup"] {
            assert_eq!(unwritten(name.as_bytes()), None, "{name}");
        }
    }
}
