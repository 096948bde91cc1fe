//! Connecting a socket to what was judged, as its caller.
//!
//! Left out: what may be connected to (`connect`, `unix`).

use super::socket::Socket;
use crate::door::errand::Errand;
use crate::door::seen::caller::Stop;
use crate::sys::errno::Errno;
use crate::sys::sockets as sys;
use std::os::fd::AsFd as _;

/// Connects as the caller, whom the permissions of a unix socket may keep out, waiting where it would have waited.
pub fn reach(errand: &Errand<'_>, socket: &Socket, wire: &[u8]) -> Result<(), Stop> {
    let once = || errand.as_caller(|| Ok(sys::connect(socket.as_fd(), wire).map_err(Errno::from)?));
    if socket.waits && socket.kind.style != libc::SOCK_DGRAM { errand.blocking(|| once().map_err(Stop::into_errno)) } else { once() }
}
