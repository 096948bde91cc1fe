//! Whom a signal means, and whether it stays within the session.
//!
//! Target and number are registers. Left out: what policy says of it (`signal`).
//! Source: kill(2), tgkill(2), rt_sigqueueinfo(2), pidfd_send_signal(2).

use crate::door::seen::caller::Caller;
use crate::sys::errno::{Errno, Sys};
use crate::sys::{files, process, sockets};
use std::os::fd::{AsFd, OwnedFd};

/// PIDFD_SELF_THREAD and PIDFD_SELF_THREAD_GROUP (6.14): numbers that stand for the caller.
const SELF: [i32; 2] = [-10_000, -20_000];
const TO_THREAD: u32 = 1;
const TO_PROCESS: u32 = 2;
const TO_GROUP: u32 = 4;

/// That a call sends its signal within the session, whatever the id means by the time that the kernel looks: the wall keeps every signal inside.
/// Earned from [`Meant::inside`].
#[derive(Debug)]
pub struct StaysInside {
    call: u64,
}

impl StaysInside {
    /// The call that it was earned for.
    #[must_use]
    pub fn call(&self) -> u64 {
        self.call
    }
}

/// Whom a call means.
pub enum Meant {
    /// A group, or all: the wall keeps it to the session.
    Many(i32),
    /// A process or thread by its id, and how a signal reaches it.
    One {
        /// Its id.
        id: i32,
        /// As pidfd_send_signal takes them.
        flags: u32,
    },
    /// A process the caller holds a descriptor of.
    Held {
        /// Its id.
        id: i32,
        /// Taken from the caller.
        descriptor: OwnedFd,
        /// As the caller gave them.
        flags: u32,
    },
}

impl Meant {
    /// Whom the call means, and the signal.
    ///
    /// # Errors
    /// The kernel's errno for what means nobody.
    pub fn read(caller: &Caller<'_>) -> Sys<(Self, i32)> {
        let thread = |id: i32| if id > 0 { Ok(Meant::One { id, flags: TO_THREAD }) } else { Err(Errno(libc::EINVAL)) };
        Ok(match i64::from(caller.number()) {
            libc::SYS_kill if caller.int(0) <= 0 => (Meant::Many(caller.int(0)), caller.int(1)),
            libc::SYS_kill | libc::SYS_rt_sigqueueinfo => (Meant::One { id: caller.int(0), flags: TO_PROCESS }, caller.int(1)),
            libc::SYS_tkill => (thread(caller.int(0))?, caller.int(1)),
            libc::SYS_tgkill | libc::SYS_rt_tgsigqueueinfo => (thread_of(caller.int(0), caller.int(1))?, caller.int(2)),
            libc::SYS_pidfd_send_signal => (held(caller)?, caller.int(1)),
            _ => return Err(Errno(libc::ENOSYS)),
        })
    }

    /// The id as an act names it.
    #[must_use]
    pub fn id(&self) -> i32 {
        match self {
            Meant::Many(id) | Meant::One { id, .. } | Meant::Held { id, .. } => *id,
        }
    }

    /// The proof, where nobody outside is meant.
    #[must_use]
    pub fn inside(&self, caller: &Caller<'_>) -> Option<StaysInside> {
        let inside = matches!(self, Meant::Many(_)) || caller.members.is_inside(self.id());
        inside.then_some(StaysInside { call: caller.call().id })
    }

    /// A descriptor of the one process that is judged, so that its id cannot become another's; and how a signal reaches it.
    ///
    /// # Errors
    /// EPERM for many; ESRCH.
    pub fn hold(self) -> Sys<(OwnedFd, u32)> {
        match self {
            Meant::Many(_) => Err(Errno(libc::EPERM)),
            Meant::Held { descriptor, flags, .. } => Ok((descriptor, flags)),
            Meant::One { id, flags } => Ok((sockets::process(id, flags == TO_THREAD)?, flags)),
        }
    }
}

fn thread_of(group: i32, id: i32) -> Sys<Meant> {
    if group <= 0 || id <= 0 {
        return Err(Errno(libc::EINVAL));
    }
    if process::of_thread(id) != Some(group) {
        return Err(Errno(libc::ESRCH));
    }
    Ok(Meant::One { id, flags: TO_THREAD })
}

fn held(caller: &Caller<'_>) -> Sys<Meant> {
    let (number, flags) = (caller.int(0), caller.argument(3));
    let flags = u32::try_from(flags & 0xffff_ffff).unwrap_or(0);
    if flags & !(TO_THREAD | TO_PROCESS | TO_GROUP) != 0 || flags.count_ones() > 1 {
        return Err(Errno(libc::EINVAL));
    }
    if SELF.contains(&number) {
        return Ok(Meant::Many(0));
    }
    let descriptor = caller.open_file(number)?;
    let id = process_of(caller, &descriptor)?;
    if flags & TO_GROUP != 0 && !caller.members.is_inside(id) {
        return Err(Errno(libc::EPERM));
    }
    Ok(Meant::Held { id, descriptor, flags })
}

/// The process a pidfd stands for (`fdinfo`, pidfd_open(2)); a directory of `/proc` does as well.
fn process_of(caller: &Caller<'_>, descriptor: &OwnedFd) -> Sys<i32> {
    let number = files::magic(descriptor.as_fd());
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", number.as_c_str().to_string_lossy()))?;
    if let Some(id) = info.lines().find_map(|line| line.strip_prefix("Pid:")) {
        let id = id.trim().parse::<i32>().map_err(|_| Errno(libc::EBADF))?;
        return if id > 0 { Ok(id) } else { Err(Errno(libc::ESRCH)) };
    }
    let name = caller.ground.name_of(descriptor.as_fd())?;
    let id = name.strip_prefix(b"/proc/").and_then(|id| std::str::from_utf8(id).ok()).and_then(|id| id.parse().ok());
    id.ok_or(Errno(libc::EBADF))
}
