//! setsockopt of what is mediated: who may join a socket at its port (SO_REUSEADDR, SO_REUSEPORT), and multicast groups (`groups`).
//!
//! A held socket keeps its port, but one that shares it lets others in, and what is sent there may arrive at the newcomer. So RULE: these options are
//! not changed on a datagram socket that has a port already, and of one that has none they wait for its bind (`wishes`); on any other socket they are
//! as natively. Source: setsockopt(2), socket(7).

use super::groups;
use super::shares;
use super::socket::{self, Socket};
use super::unix;
use crate::door::answer::{Answered, Pending};
use crate::door::errand::Errand;
use crate::door::seen::caller::Stop;
use crate::sys::errno::{Errno, Sys};
use crate::sys::sockets as sys;
use interlock_core::action::{Protocol, Side, Verb};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd as _;

const VALUE_BYTES: i32 = 4;

/// Answers setsockopt(2) of these options.
pub fn answer(errand: &Errand<'_>, pending: Pending) -> Answered {
    let result = attempt(errand);
    socket::end(errand, pending, result, unix::reaching)
}

fn attempt(errand: &Errand<'_>) -> Result<i64, Stop> {
    let caller = &errand.caller;
    let socket = Socket::take(errand, caller.int(0))?;
    if caller.int(1) != libc::SOL_SOCKET {
        return groups::join(errand, &socket);
    }
    share(errand, &socket)
}

fn share(errand: &Errand<'_>, socket: &Socket) -> Result<i64, Stop> {
    let caller = &errand.caller;
    let (option, value) = (caller.int(2), value(errand)?);
    let _sharing = errand.session.sockets.sharing();
    caller.confirm()?;
    let is = sys::option(socket.as_fd(), libc::SOL_SOCKET, option).map_err(Errno::from)? != 0;
    let (address, port) = socket.local();
    if socket::carried(socket.kind) == Some(Protocol::Udp) && port != 0 && is != (value != 0) {
        return Err(Stop::Refused {
            reached: socket::act(Verb::NetBind, Protocol::Udp, (address, port), Side::Outside).into(),
            because: "whether a port is shared is said before it is taken",
            errno: libc::EPERM,
        });
    }
    if waits_for_a_bind(errand, socket, port) {
        let mut shares = errand.session.sockets.wishes.of(socket.cookie).unwrap_or_else(|| shares::of(socket.as_fd()));
        for (share, _) in shares.iter_mut().zip(shares::OPTIONS).filter(|(_, name)| *name == option) {
            *share = value != 0;
        }
        errand.session.sockets.wishes.note(socket.cookie, shares);
        return Ok(0);
    }
    sys::set_option(socket.as_fd(), libc::SOL_SOCKET, option, value).map_err(Errno::from)?;
    if socket::carried(socket.kind) == Some(Protocol::Udp) && port == 0 && socket.local().1 != 0 {
        // It was given a port at this very moment.
        sys::set_option(socket.as_fd(), libc::SOL_SOCKET, option, i32::from(is)).map_err(Errno::from)?;
    }
    Ok(0)
}

/// Whether this is put into force with a port that the program names, and not before: where what the session reaches is told apart from others.
fn waits_for_a_bind(errand: &Errand<'_>, socket: &Socket, port: u16) -> bool {
    let nowhere = (IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    port == 0 && socket::carried(socket.kind) == Some(Protocol::Udp) && socket::is_told_apart(errand, Protocol::Udp, nowhere)
}

fn value(errand: &Errand<'_>) -> Sys<i32> {
    if errand.caller.int(4) < VALUE_BYTES {
        return Err(Errno(libc::EINVAL));
    }
    let mut bytes = [0; VALUE_BYTES as usize];
    errand.caller.read(errand.caller.argument(3), &mut bytes)?;
    Ok(i32::from_ne_bytes(bytes))
}
