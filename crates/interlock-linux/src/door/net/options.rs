//! setsockopt and getsockopt of what is mediated: who may join a socket at its port (SO_REUSEADDR, SO_REUSEPORT), and multicast groups (`groups`).
//!
//! A held socket keeps its port, but one that shares it lets others in, and what is sent there may arrive at the newcomer. So RULE: these options are
//! not changed on a datagram socket that has a port already, of one that has none they wait for its bind, and of one that has its port alone they wait
//! until another of the session comes (`wishes`, `joined`); on any other socket they are as natively. A program reads what it said.
//! Source: setsockopt(2), getsockopt(2), socket(7).

use super::groups;
use super::shares::{self, Shares};
use super::socket::{self, Socket};
use super::unix;
use super::wishes::Wish;
use crate::door::answer::{Answered, Pending};
use crate::door::errand::Errand;
use crate::door::seen::caller::Stop;
use crate::sys::errno::{Errno, Sys};
use crate::sys::sockets as sys;
use interlock_core::action::{Protocol, Side, Verb};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd as _;

const VALUE_BYTES: i32 = 4;

/// Answers setsockopt(2) and getsockopt(2) of these options.
pub fn answer(errand: &Errand<'_>, pending: Pending) -> Answered {
    let result = if i64::from(errand.caller.number()) == libc::SYS_getsockopt { read(errand) } else { attempt(errand) };
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
    let sockets = &errand.session.sockets;
    let _sharing = sockets.sharing();
    caller.confirm()?;
    let is = sys::option(socket.as_fd(), libc::SOL_SOCKET, option).map_err(Errno::from)? != 0;
    let said = sockets.wishes.of(socket.cookie);
    let reads = said.map_or(is, |wish| of(wish.shares, option));
    let (address, port) = socket.local();
    let protocol = socket::carried(socket.kind);
    if protocol == Some(Protocol::Udp) && port != 0 && reads != (value != 0) {
        return Err(Stop::Refused {
            reached: socket::act(Verb::NetBind, Protocol::Udp, (address, port), Side::Outside).into(),
            because: "whether a port is shared is said before it is taken",
            errno: libc::EPERM,
        });
    }
    if said.is_some() || waits(errand, socket, port) {
        let before = said.map_or_else(|| shares::of(socket.as_fd()), |wish| wish.shares);
        wait(errand, socket, with(before, option, value != 0));
        return Ok(0);
    }
    sys::set_option(socket.as_fd(), libc::SOL_SOCKET, option, value).map_err(Errno::from)?;
    if protocol == Some(Protocol::Udp) && port == 0 && socket.local().1 != 0 {
        // It was given a port at this very moment.
        sys::set_option(socket.as_fd(), libc::SOL_SOCKET, option, i32::from(is)).map_err(Errno::from)?;
    }
    Ok(0)
}

/// Remembers how the socket is to share. One that has a port shares it with nobody meanwhile.
fn wait(errand: &Errand<'_>, socket: &Socket, shares: Shares) {
    let sockets = &errand.session.sockets;
    let place = socket::carried(socket.kind).map(|protocol| (protocol, socket.local())).filter(|(_, (_, port))| *port != 0);
    let lets_in = place.is_some_and(|(protocol, _)| shares::lets_in(protocol, shares));
    match place {
        Some((Protocol::Tcp, _)) if lets_in => shares::set(socket.as_fd(), shares::alone(Protocol::Tcp, shares)),
        Some((Protocol::Tcp, _)) => {
            // It shares as it says.
            shares::set(socket.as_fd(), shares);
            return sockets.wishes.forget(socket.cookie);
        }
        _ => {}
    }
    sockets.wishes.note(Wish { seen: socket.seen(), shares, place });
}

/// Whether this is put into force later: where what the session reaches is told apart from others. Of datagrams with a port that the program names, of
/// a listener when another of the session comes to its port.
fn waits(errand: &Errand<'_>, socket: &Socket, port: u16) -> bool {
    let nowhere = (IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    match socket::carried(socket.kind) {
        Some(Protocol::Udp) => port == 0 && socket::is_told_apart(errand, Protocol::Udp, nowhere),
        Some(Protocol::Tcp) => {
            let has_it_alone = || port != 0 && !shares::lets_in(Protocol::Tcp, shares::of(socket.as_fd()));
            has_it_alone() && socket::is_told_apart(errand, Protocol::Tcp, socket.local())
        }
        _ => false,
    }
}

fn of(shares: Shares, option: i32) -> bool {
    shares.into_iter().zip(shares::OPTIONS).any(|(share, name)| name == option && share)
}

fn with(mut shares: Shares, option: i32, value: bool) -> Shares {
    for (share, _) in shares.iter_mut().zip(shares::OPTIONS).filter(|(_, name)| *name == option) {
        *share = value;
    }
    shares
}

fn value(errand: &Errand<'_>) -> Sys<i32> {
    if errand.caller.int(4) < VALUE_BYTES {
        return Err(Errno(libc::EINVAL));
    }
    let mut bytes = [0; VALUE_BYTES as usize];
    errand.caller.read(errand.caller.argument(3), &mut bytes)?;
    Ok(i32::from_ne_bytes(bytes))
}

/// What the program said last, in as much room as it has.
fn read(errand: &Errand<'_>) -> Result<i64, Stop> {
    let caller = &errand.caller;
    let socket = Socket::take(errand, caller.int(0))?;
    let (option, at, room_at) = (caller.int(2), caller.argument(3), caller.argument(4));
    let said = {
        let _sharing = errand.session.sockets.sharing();
        errand.session.sockets.wishes.of(socket.cookie)
    };
    let is = sys::option(socket.as_fd(), libc::SOL_SOCKET, option).map_err(Errno::from)?;
    let value = said.map_or(is, |wish| i32::from(of(wish.shares, option)));
    let mut room = [0; VALUE_BYTES as usize];
    caller.read(room_at, &mut room)?;
    let room = usize::try_from(i32::from_ne_bytes(room)).map_err(|_| Errno(libc::EINVAL))?.min(VALUE_BYTES as usize);
    caller.write(at, value.to_ne_bytes().get(..room).unwrap_or_default())?;
    caller.write(room_at, &u32::try_from(room).unwrap_or(0).to_ne_bytes())?;
    Ok(0)
}
