//! Whose a unix message says it is (SCM_CREDENTIALS): its caller's, though the supervisor sends it.
//!
//! The kernel attaches the process, real user and real group of whoever sends, and a receiver that asked for it (SO_PASSCRED, SO_PASSPIDFD) is told;
//! another learns nothing. So the supervisor says explicitly what the kernel would have attached to the caller's own send. To name another process
//! takes CAP_SYS_ADMIN over the namespace of process ids, to name other ids CAP_SETUID and CAP_SETGID: they are taken up for the one send. Where the
//! supervisor may not (a container without them, an ordinary user), what it lacks stays its own: the process id, or all of it.
//!
//! The process id is read in the supervisor's own namespace, where the kernel looks it up; the receiver is told the number of the same process in
//! its own. No caller is in another namespace than the supervisor's: the table refuses making or entering one. Source: unix(7), `net/core/scm.c`.

use crate::door::errand::Errand;
use crate::door::seen::caller::Stop;
use crate::machine::capability::{ASIDE, SETGID, SETUID};
use crate::machine::enforcement::Enforcement;
use crate::sys::errno::{Errno, Sys};
use crate::sys::{credentials, process, raised, sockets};
use interlock_abi::ancillary::message;
use interlock_abi::status::Status;
use std::os::fd::AsFd as _;
use std::sync::atomic::Ordering;

/// The control message (unix(7)).
pub(super) const SCM_CREDENTIALS: i32 = 2;
/// What naming other ids takes.
const IDS: u64 = 1 << SETUID | 1 << SETGID;

/// What the supervisor may say of a caller.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Voice {
    /// Process, user and group.
    Whole,
    /// User and group; the process is the supervisor's.
    Ids,
    /// What the kernel attaches to the supervisor's own send.
    None,
}

impl Voice {
    fn here() -> Self {
        match (raised::may(IDS), raised::may(IDS | ASIDE)) {
            (_, true) => Self::Whole,
            (true, false) => Self::Ids,
            (false, false) => Self::None,
        }
    }
}

/// How it holds here, for `started` and the record that opens the session: a message is judged in any case, and what its peer is told of the
/// sender depends on capabilities.
#[must_use]
pub fn standing() -> Enforcement {
    said_of(Voice::here())
}

/// How it holds where the kernel lets nobody name another process.
#[must_use]
pub fn standing_without() -> Enforcement {
    said_of(if Voice::here() == Voice::None { Voice::None } else { Voice::Ids })
}

fn said_of(voice: Voice) -> Enforcement {
    let how = match voice {
        Voice::Whole => None,
        Voice::Ids => {
            Some("by the door: a unix message that is sent on behalf carries the supervisor's process id, and the caller's user and group")
        }
        Voice::None => Some("by the door: a unix message that is sent on behalf carries the supervisor's process id, user and group"),
    };
    Enforcement::Fully { how: how.map(str::to_owned) }
}

/// Names `another` process in a message to itself: whether the kernel lets this one do so, which its capabilities do not tell (they may be those of
/// a user namespace that does not own the processes).
///
/// # Errors
/// The kernel's.
pub fn names(another: i32) -> Sys<()> {
    let (from, _to) = sockets::pair()?;
    let own = credentials::own()?;
    let claim = [another as u32, own.user, own.group].map(u32::to_ne_bytes).concat();
    let control = message(libc::SOL_SOCKET, SCM_CREDENTIALS, &claim);
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    raised::with(IDS | ASIDE, || Ok(sockets::send(from.as_fd(), &[], b"?", &control, flags).map(drop)?))
}

/// Whether the supervisor says a caller's own user and group, whatever its own are.
pub fn says_ids() -> bool {
    Voice::here() != Voice::None
}

/// Process, user and group that a message is sent with; nothing where the kernel attaches the supervisor's.
#[derive(Default)]
pub struct Sender {
    said: Option<[u32; 3]>,
    takes: u64,
}

impl Sender {
    /// Who the caller is to the kernel.
    ///
    /// # Errors
    /// [`Stop::Gone`], and what `/proc` says.
    pub fn of(errand: &Errand<'_>) -> Result<Self, Stop> {
        let voice = Voice::here();
        if voice == Voice::None {
            return Ok(Self::default());
        }
        Ok(Self::saying(errand, voice, who(errand)?))
    }

    /// Who the caller says it is, in the data of its own SCM_CREDENTIALS.
    ///
    /// # Errors
    /// EINVAL and EPERM as the kernel's own to the caller.
    pub fn claimed(errand: &Errand<'_>, data: &[u8]) -> Result<Self, Stop> {
        let words: Vec<u32> = data.chunks(4).filter_map(|bytes| bytes.try_into().ok()).map(u32::from_ne_bytes).collect();
        let claim = <[u32; 3]>::try_from(words).ok().filter(|_| data.len() == 12).ok_or(Errno(libc::EINVAL))?;
        permitted(errand.status()?, claim)?;
        Ok(Self::saying(errand, Voice::here(), claim))
    }

    fn saying(errand: &Errand<'_>, voice: Voice, [process, user, group]: [u32; 3]) -> Self {
        let own = errand.session.ground.process as u32;
        match voice {
            Voice::Whole => Self { said: Some([process, user, group]), takes: IDS | ASIDE },
            Voice::Ids => Self { said: Some([own, user, group]), takes: IDS },
            Voice::None => Self { said: Some([own, user, group]), takes: 0 },
        }
    }

    /// The data of the message that says so.
    pub fn data(&self) -> Option<Vec<u8>> {
        self.said.map(|words| words.map(u32::to_ne_bytes).concat())
    }

    /// Does the send, which is nothing but the one system call, with what it takes to say so.
    ///
    /// # Errors
    /// The send's own.
    pub fn send<T>(&self, send: impl FnOnce() -> Sys<T>) -> Sys<T> {
        raised::with(self.takes, send)
    }
}

/// Process, real user and real group of the caller. As long as nobody has changed ids, a look at `/proc` is spared for a process's first thread: its
/// own id opens a descriptor of a process, which no other thread's does (pidfd_open(2)).
fn who(errand: &Errand<'_>) -> Result<[u32; 3], Stop> {
    let thread = errand.caller.thread();
    if !errand.session.standing.ids_may_differ.load(Ordering::Acquire) && process::descriptor(thread).is_ok() {
        errand.caller.confirm()?;
        let (user, group) = errand.session.ground.ids;
        return Ok([thread as u32, user, group]);
    }
    let status = errand.status()?;
    let ([user, ..], [group, ..]) = (status.users, status.groups);
    Ok([status.process as u32, user, group])
}

/// The kernel's rule for credentials that a sender gives (`scm_check_creds`): its own process, and ids that it has or may take. Nobody in a session
/// may say another process: that takes CAP_SYS_ADMIN.
fn permitted(status: &Status, [process, user, group]: [u32; 3]) -> Sys<()> {
    const NOBODY: u32 = u32::MAX;
    if user == NOBODY || group == NOBODY {
        return Err(Errno(libc::EINVAL));
    }
    let may = |capability: u32| status.identity.capabilities & 1 << capability != 0;
    let has = |[real, effective, saved, _]: [u32; 4], wanted: u32| [real, effective, saved].contains(&wanted);
    let own = process == status.process as u32 && (may(SETUID) || has(status.users, user)) && (may(SETGID) || has(status.groups, group));
    if own { Ok(()) } else { Err(Errno(libc::EPERM)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::credentials::Identity;

    fn status(capabilities: u64) -> Status {
        let identity = Identity { user: 4, group: 8, groups: Vec::new(), capabilities };
        Status { process: 42, umask: 0, users: [1, 2, 3, 4], groups: [5, 6, 7, 8], identity }
    }

    #[test]
    fn a_claim_is_judged_as_the_kernel_would() {
        let plain = status(0);
        for (user, group) in [(1, 5), (2, 6), (3, 7), (1, 7)] {
            assert_eq!(permitted(&plain, [42, user, group]), Ok(()));
        }
        for claim in [[43, 1, 5], [42, 4, 5], [42, 1, 8], [42, 0, 5], [0, 1, 5]] {
            assert_eq!(permitted(&plain, claim), Err(Errno(libc::EPERM)), "{claim:?}");
        }
        assert_eq!(permitted(&status(1 << SETUID), [42, 99, 5]), Ok(()));
        assert_eq!(permitted(&status(1 << SETUID), [42, 99, 99]), Err(Errno(libc::EPERM)));
        assert_eq!(permitted(&status(IDS), [42, 99, 99]), Ok(()));
        assert_eq!(permitted(&status(u64::MAX), [43, 1, 5]), Err(Errno(libc::EPERM)));
        assert_eq!(permitted(&status(IDS), [42, u32::MAX, 5]), Err(Errno(libc::EINVAL)));
    }
}
