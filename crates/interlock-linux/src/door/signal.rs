//! Signals: who is meant, whether it belongs to the session, and what policy says of it.
//!
//! Signal and target are registers, and the wall's signal scope keeps every signal within the session: what is allowed inside goes on in
//! the kernel. What policy allows outside is sent on the caller's behalf, by a descriptor of the process that was judged, without the
//! siginfo the caller composed. Source: kill(2), tgkill(2), rt_sigqueueinfo(2), pidfd_send_signal(2).

use super::caller::Stop;
use super::errand::Errand;
use super::ground::Ground;
use crate::answer::{Answer, Proof};
use crate::line::Observed;
use crate::sys::errno::{Errno, Sys};
use crate::sys::{process, sockets};
use interlock_core::action::{Side, Target, Verb};
use std::os::fd::{AsFd, OwnedFd};

const SIGNAL_MAX: i32 = 64;
/// PIDFD_SELF_THREAD and PIDFD_SELF_THREAD_GROUP (6.14): numbers that stand for the caller.
const SELF: [i32; 2] = [-10_000, -20_000];
const TO_THREAD: u32 = 1;
const TO_PROCESS: u32 = 2;
const TO_GROUP: u32 = 4;

/// Whom a call means.
enum Meant {
    /// A group, or all: the wall keeps it to the session.
    Many(i32),
    /// A process or thread by its id, and how a signal reaches it.
    One { id: i32, flags: u32 },
    /// A process the caller holds a descriptor of.
    Held { id: i32, descriptor: OwnedFd, flags: u32 },
}

/// Answers kill, tkill, tgkill, rt_sigqueueinfo, rt_tgsigqueueinfo and pidfd_send_signal.
pub fn signal(errand: &Errand<'_>) -> Answer {
    match attempt(errand) {
        Ok(answer) => answer,
        Err(Stop::Denied) => Answer::Errno(libc::EPERM),
        Err(Stop::Errno(Errno(errno)) | Stop::Refused { errno, .. }) => Answer::Errno(errno),
        // Nothing of it waits.
        Err(Stop::Interrupted) => Answer::Errno(libc::EINTR),
        Err(Stop::Gone) => Answer::Settled,
    }
}

fn attempt(errand: &Errand<'_>) -> Result<Answer, Stop> {
    let (meant, signal) = read(errand)?;
    if !(0..=SIGNAL_MAX).contains(&signal) {
        return Err(Errno(libc::EINVAL).into());
    }
    let (id, inside) = match &meant {
        Meant::Many(id) => (*id, true),
        Meant::One { id, .. } | Meant::Held { id, .. } => (*id, errand.session.is_inside(*id)),
    };
    if inside {
        let permit = errand.settle(vec![act(Side::Inside, signal, id)])?;
        // What came of it is the kernel's and unknown here.
        drop(permit);
        return Ok(Answer::Continue(Proof::WallCovers));
    }
    let (target, flags) = hold(meant)?;
    if errand.session.keepers.keeps(id) {
        errand.session.line.refuse(
            errand.call,
            act(Side::Outside, signal, id),
            "Interlock's own processes are out of reach of what they hold",
        );
        return Err(Errno(libc::EPERM).into());
    }
    let permit = errand.settle(vec![act(Side::Outside, signal, id)])?;
    let sent = errand.as_caller(|| sockets::signal(target.as_fd(), signal, flags).map_err(|error| Errno::from(error).into()));
    permit.done(match &sent {
        Err(Stop::Errno(Errno(errno))) => *errno,
        _ => 0,
    });
    sent.map(|()| Answer::Value(0))
}

fn act(to: Side, signal: i32, process: i32) -> Observed {
    Observed { verb: Verb::ProcessSignal, target: Target::Signal { to, signal, process } }
}

fn read(errand: &Errand<'_>) -> Sys<(Meant, i32)> {
    let caller = &errand.caller;
    let thread = |id: i32| if id > 0 { Ok(Meant::One { id, flags: TO_THREAD }) } else { Err(Errno(libc::EINVAL)) };
    Ok(match i64::from(caller.number()) {
        libc::SYS_kill if caller.int(0) <= 0 => (Meant::Many(caller.int(0)), caller.int(1)),
        libc::SYS_kill | libc::SYS_rt_sigqueueinfo => (Meant::One { id: caller.int(0), flags: TO_PROCESS }, caller.int(1)),
        libc::SYS_tkill => (thread(caller.int(0))?, caller.int(1)),
        libc::SYS_tgkill | libc::SYS_rt_tgsigqueueinfo => (thread_of(caller.int(0), caller.int(1))?, caller.int(2)),
        libc::SYS_pidfd_send_signal => (held(errand)?, caller.int(1)),
        _ => return Err(Errno(libc::ENOSYS)),
    })
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

fn held(errand: &Errand<'_>) -> Sys<Meant> {
    let (number, flags) = (errand.caller.int(0), errand.caller.argument(3));
    let flags = u32::try_from(flags & 0xffff_ffff).unwrap_or(0);
    if flags & !(TO_THREAD | TO_PROCESS | TO_GROUP) != 0 || flags.count_ones() > 1 {
        return Err(Errno(libc::EINVAL));
    }
    if SELF.contains(&number) {
        return Ok(Meant::Many(0));
    }
    let descriptor = errand.caller.open_file(number)?;
    let id = process_of(errand, &descriptor)?;
    if flags & TO_GROUP != 0 && !errand.session.is_inside(id) {
        return Err(Errno(libc::EPERM));
    }
    Ok(Meant::Held { id, descriptor, flags })
}

/// The process a pidfd stands for (`fdinfo`, pidfd_open(2)); a directory of `/proc` does as well.
fn process_of(errand: &Errand<'_>, descriptor: &OwnedFd) -> Sys<i32> {
    let number = Ground::magic(descriptor.as_fd());
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", number.as_c_str().to_string_lossy()))?;
    if let Some(id) = info.lines().find_map(|line| line.strip_prefix("Pid:")) {
        let id = id.trim().parse::<i32>().map_err(|_| Errno(libc::EBADF))?;
        return if id > 0 { Ok(id) } else { Err(Errno(libc::ESRCH)) };
    }
    let name = errand.session.ground.name_of(descriptor.as_fd())?;
    let id = name.strip_prefix(b"/proc/").and_then(|id| std::str::from_utf8(id).ok()).and_then(|id| id.parse().ok());
    id.ok_or(Errno(libc::EBADF))
}

/// A descriptor of the one process that is judged, so that its id cannot become another's.
fn hold(meant: Meant) -> Sys<(OwnedFd, u32)> {
    match meant {
        Meant::Many(_) => Err(Errno(libc::EPERM)),
        Meant::Held { descriptor, flags, .. } => Ok((descriptor, flags)),
        Meant::One { id, flags } => Ok((sockets::process(id, flags == TO_THREAD)?, flags)),
    }
}
