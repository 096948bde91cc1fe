//! The door: each mediated call is observed, settled by the line, and enacted on behalf of its caller.
//!
//! One module a family. A family whose module is not here yet is denied.

pub mod caller;
pub mod exec;
pub mod ground;
pub mod inside;
pub mod procfs;
pub mod refusal;
pub mod resolve;
pub mod script;
pub mod sockets;
pub mod trace;
pub mod walk;

use crate::answer::{Answer, Call};
use crate::session::Session;
use crate::table::{Handler, Row};
use std::os::fd::AsFd;

/// Answers one call. Whatever cannot be observed or decided is an errno, never `continue`.
#[must_use]
pub fn answer(call: &Call, session: &Session) -> Answer {
    let Some(handler) = Row::of(call.number).and_then(Row::handler) else {
        return Answer::Errno(libc::ENOSYS);
    };
    let caller = caller::Caller::new(call, session.listener.as_fd(), &session.ground, session.members);
    match handler {
        Handler::Credentials => crate::own::credentials(call, session),
        Handler::Own => crate::own::process(call, session),
        Handler::Exec => exec::exec(&caller, call, session),
        Handler::Open
        | Handler::Names
        | Handler::Metadata
        | Handler::Ioctl
        | Handler::Signal
        | Handler::Connect
        | Handler::Bind
        | Handler::Listen
        | Handler::Send => Answer::Errno(libc::EACCES),
    }
}
