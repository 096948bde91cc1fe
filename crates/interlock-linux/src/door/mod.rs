//! The door: each mediated call is observed, settled by the line, and enacted on behalf of its caller.
//!
//! One module a family of calls.

mod ancillary;
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
pub mod lost;
pub mod meant;
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
pub mod sender;
pub mod signal;
pub mod socket;
pub mod sockets;
pub mod sysv;
pub mod terminal;
pub mod times;
pub mod trace;
pub mod unix;
pub mod walk;

use crate::answer::{Answered, Pending, Proof};
use crate::need::Need;
use crate::session::Session;
use crate::sys::errno::Errno;
use crate::table::{Handler, Row, Verdict};

/// Answers one call. Whatever cannot be observed or decided is an errno, never `continue`.
pub fn answer(pending: Pending, session: &Session) -> Answered {
    let call = *pending.call();
    let Some(row) = Row::of(call.number) else {
        return pending.errno(libc::ENOSYS);
    };
    if let Verdict::Refuse(errno) = row.verdict(&call.arguments, Need::ALL) {
        session.line.refuse_call(&call, row.name, row.why, errno);
        return pending.errno(errno);
    }
    let Some(handler) = row.handler() else {
        return pending.errno(libc::ENOSYS);
    };
    let errand = errand::Errand::new(&call, session);
    match handler {
        Handler::Credentials => pending.go_on(Proof::OwnStanding(session.standing.credentials(&call))),
        Handler::Own => match session.standing.process(&call) {
            Ok(own) => pending.go_on(Proof::OwnStanding(own)),
            Err(Errno(errno)) => pending.errno(errno),
        },
        Handler::Exec => exec::exec(&errand, pending),
        Handler::Open => open::answer(&errand, pending),
        Handler::Names => names::answer(&errand, pending),
        Handler::Metadata => metadata::answer(&errand, pending),
        Handler::Ioctl => descriptors::request(&errand, pending),
        Handler::Signal => signal::signal(&errand, pending),
        Handler::Connect => connect::connect(&errand, pending),
        Handler::Bind => bind::bind(&errand, pending),
        Handler::Listen => bind::listen(&errand, pending),
        Handler::Send => send::send(&errand, pending),
        Handler::Sysv => sysv::answer(&errand, pending),
    }
}
