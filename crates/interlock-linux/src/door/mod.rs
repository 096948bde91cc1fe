//! The door: each mediated call is observed, settled by the line, and enacted on behalf of its caller.
//!
//! One module a family of calls.

pub mod attest;
pub mod attributes;
pub mod below;
pub mod bind;
pub mod caller;
pub mod connect;
pub mod control;
pub mod descriptors;
pub mod errand;
pub mod exec;
pub mod ground;
pub mod inside;
pub mod links;
mod listeners;
pub mod loss;
pub mod metadata;
pub mod names;
pub mod netlink;
pub mod open;
pub mod place;
pub mod procfs;
pub mod refusal;
pub mod rename;
pub mod request;
pub mod resolve;
pub mod restart;
pub mod script;
pub mod send;
pub mod signal;
pub mod socket;
pub mod sockets;
pub mod sysv;
pub mod terminal;
pub mod times;
pub mod trace;
pub mod unix;
pub mod walk;

use crate::answer::{Answer, Call};
use crate::need::Need;
use crate::session::Session;
use crate::table::{Handler, Row, Verdict};

/// Answers one call. Whatever cannot be observed or decided is an errno, never `continue`.
#[must_use]
pub fn answer(call: &Call, session: &Session) -> Answer {
    let Some(row) = Row::of(call.number) else {
        return Answer::Errno(libc::ENOSYS);
    };
    if let Verdict::Refuse(errno) = row.verdict(&call.arguments, Need::ALL) {
        session.line.refuse_call(call, row.name, row.why, errno);
        return Answer::Errno(errno);
    }
    let Some(handler) = row.handler() else {
        return Answer::Errno(libc::ENOSYS);
    };
    let errand = errand::Errand::new(call, session);
    match handler {
        Handler::Credentials => crate::own::credentials(call, session),
        Handler::Own => crate::own::process(call, session),
        Handler::Exec => exec::exec(&errand),
        Handler::Open => open::answer(&errand),
        Handler::Names => names::answer(&errand),
        Handler::Metadata => metadata::answer(&errand),
        Handler::Ioctl => descriptors::request(&errand),
        Handler::Signal => signal::signal(&errand),
        Handler::Connect => connect::connect(&errand),
        Handler::Bind => bind::bind(&errand),
        Handler::Listen => bind::listen(&errand),
        Handler::Send => send::send(&errand),
        Handler::Sysv => sysv::answer(&errand),
    }
}
