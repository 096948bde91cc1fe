//! What of the table a session needs at the door: a call that no rule and no bookkeeping of the session's cares for is not trapped
//! (`docs/adr/0025`). It then costs nothing, is the caller's own to its peer, and cannot end in EINTR before it is received.
//!
//! INVARIANT: in doubt it is needed.

use crate::sys::{credentials, process};
use interlock_core::plain;
use interlock_core::policy::Policy;

/// What a call may be needed for at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum For {
    Sends,
    Ids,
}

/// What is needed, or there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Whom a message is sent to matters: sendmsg and sendmmsg are trapped.
    pub sends: bool,
    /// Ids and capabilities may come to differ from those the session began with: the calls that change them are trapped.
    pub ids: bool,
    /// The session has no IPC namespace of its own: the door keeps it to its own memory, semaphores and queues.
    pub shared_ipc: bool,
}

impl Need {
    /// Everything is needed.
    pub const ALL: Self = Self { sends: true, ids: true, shared_ipc: true };

    /// Whether calls that may be needed for this are.
    #[must_use]
    pub fn of_this(self, what: For) -> bool {
        match what {
            For::Sends => self.sends,
            For::Ids => self.ids,
        }
    }

    /// What a session under this policy needs, started by this process. `held`: the capabilities the process may use.
    #[must_use]
    pub fn of(policy: &Policy, held: u64, own_ipc: bool) -> Self {
        Self { sends: !plain::sends_are_plain(policy), ids: !ids_are_settled(held), shared_ipc: !own_ipc }
    }
}

/// Whether nobody in the session can have other ids or capabilities than it began with: an ordinary user without any capability, whose real,
/// effective and saved ids are one. Programs give none either, under no_new_privs.
fn ids_are_settled(held: u64) -> bool {
    let user = process::user();
    let uniform = credentials::own().and_then(|own| credentials::are_all((own.user, own.group)));
    held == 0 && user != 0 && uniform.unwrap_or(false)
}
