//! shutdown for reading: it takes a listener away from its port, where connections of the session may still be on their way.
//!
//! Shutting for writing alone, which is what most programs do, is not asked about. Left out: what is kept at a port (`kept`). Source: shutdown(2).

use super::socket::{self, Socket};
use super::unix;
use crate::door::answer::{Answered, Pending};
use crate::door::errand::Errand;
use crate::door::seen::caller::Stop;
use crate::sys::errno::Errno;
use crate::sys::sockets as sys;
use std::os::fd::AsFd as _;

/// Answers shutdown(2).
pub fn answer(errand: &Errand<'_>, pending: Pending) -> Answered {
    let result = attempt(errand);
    socket::end(errand, pending, result, unix::reaching)
}

fn attempt(errand: &Errand<'_>) -> Result<i64, Stop> {
    let socket = Socket::take(errand, errand.caller.int(0))?;
    let shut = || sys::shutdown(socket.as_fd(), errand.caller.int(1)).map_err(Errno::from);
    errand.session.sockets.kept.leaving(socket.cookie, &errand.session.members, shut)?;
    Ok(0)
}
