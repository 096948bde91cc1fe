//! What may be said to a notification, and the proofs without which the kernel is not told to go on by itself.
//!
//! INVARIANT: a notification is answered once; a `Notification` dropped unanswered is answered EACCES.

use crate::sysv::MadeHere;
use std::os::fd::OwnedFd;

/// One trapped system call: registers only. What its pointers point to is a snapshot somebody else may change.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Call {
    /// Cookie of the notification.
    pub id: u64,
    /// Thread id of the caller in the supervisor's pid namespace.
    pub thread: i32,
    pub number: i32,
    pub arguments: [u64; 6],
}

/// The answer to a call.
#[derive(Debug)]
pub enum Answer {
    /// The call returns this value.
    Value(i64),
    /// The call fails with this errno (positive).
    Errno(i32),
    /// The call returns a new descriptor for this file.
    Inject {
        /// What to install in the caller.
        file: OwnedFd,
        /// Whether it closes on exec.
        close_on_exec: bool,
    },
    /// The kernel goes on with the caller's own arguments: only with a proof.
    Continue(Proof),
    /// Already answered (an exec verified under trace), or the caller is gone.
    Settled,
}

/// Why `continue` cannot admit more than was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Arguments are registers, and the wall alone permits no more than was decided.
    WallCovers,
    /// The exec is checked again at its stop, before the first instruction.
    ExecVerified,
    /// The descriptor can carry no data.
    OPathOnly,
    /// The object is named by a register, and this session's door made it: the id cannot come to name another before the kernel looks (`sysv`).
    MadeHere(MadeHere),
}
