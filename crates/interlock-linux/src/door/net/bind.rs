//! bind and listen: a name for the caller's socket, given on its behalf.
//!
//! Whoever connects later may be anybody, so the `to` of both is `outside`. What is steered to this machine keeps the address it asked for, and gets
//! the loopback device alone: only from here can it be reached, and no call of the session's undoes that (the table refuses them).
//! Leaves out unix paths (`unix`). bind(2), listen(2), SO_BINDTODEVICE in socket(7) (no privilege since 5.7).

use super::abstracts;
use super::joined::{self, Taking};
use super::servers;
use super::socket::{self, Socket};
use super::unix;
use crate::door::answer::{Answered, Pending};
use crate::door::errand::Errand;
use crate::door::seen::caller::Stop;
use crate::line::{Enactor, Observed, Permit, Verdict};
use crate::sys::errno::Errno;
use crate::sys::sockets as sys;
use interlock_abi::address::{self, Endpoint, Name, Purpose};
use interlock_core::action::{Action, Protocol, Side, Verb};
use interlock_core::steer::Steer;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd as _;

/// Answers bind(2).
pub fn bind(errand: &Errand<'_>, pending: Pending) -> Answered {
    let result = attempt_bind(errand);
    // The name of a unix socket is made; nobody is reached by it.
    errand.end(pending, Verb::FileMknod, result)
}

fn attempt_bind(errand: &Errand<'_>) -> Result<i64, Stop> {
    let caller = &errand.caller;
    let socket = Socket::take(errand, caller.int(0))?;
    let name = socket::name_at(errand, caller.argument(1), caller.int(2), socket.kind, Purpose::Bind)?;
    caller.confirm()?;
    match name {
        Name::Inet(endpoint) => {
            let place = (endpoint.address, endpoint.port);
            let protocol = socket::transport(socket.kind, Verb::NetBind, place)?;
            servers::may_be_bound(errand, protocol, place)?;
            let act = socket::act(Verb::NetBind, protocol, place, Side::Outside);
            let here = |_: &Action, _: &Steer| steered(Verb::NetBind, protocol, place);
            errand.enact_as_caller(&follower(&here), vec![act], |permits| {
                take_port(errand, &socket, protocol, &endpoint)?;
                // Nobody is heard before the listen, which is decided by the device that the socket has.
                if is_for_this_machine(permits) { Ok(errand.session.sockets.keep_to_this_machine(socket.as_fd())?) } else { Ok(()) }
            })?;
        }
        Name::Path(path) => unix::bind(errand, &socket, &path)?,
        Name::Abstract(name) => abstracts::bind(errand, &socket, &name)?,
        Name::Autobind => give(&socket, &address::autobind_wire())?,
        Name::Netlink { port, groups } => give(&socket, &address::netlink_wire(port, groups))?,
        Name::Dissolve | Name::Absent => return Err(Errno(libc::EINVAL).into()),
    }
    socket.note(errand);
    note_name(errand, &socket);
    Ok(0)
}

/// Remembers whose an abstract name is.
fn note_name(errand: &Errand<'_>, socket: &Socket) {
    errand.session.sockets.owned.note(socket.as_fd(), socket.kind, socket.seen());
}

/// The same port at the loopback address.
fn on_this_machine(verb: Verb, protocol: Protocol, (address, port): (IpAddr, u16)) -> Observed {
    let loopback = if address.is_ipv4() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { IpAddr::V6(Ipv6Addr::LOCALHOST) };
    socket::act(verb, protocol, (loopback, port), Side::Outside)
}

/// What a steer to this machine comes to. Of addresses only those that stand for all have a part that is this machine's, and a datagram socket would
/// lose the device when it gives up its peer (`__udp_disconnect` of Linux).
fn steered(verb: Verb, protocol: Protocol, place: (IpAddr, u16)) -> Option<Observed> {
    (protocol == Protocol::Tcp && place.0.is_unspecified()).then(|| on_this_machine(verb, protocol, place))
}

fn follower(here: &dyn Fn(&Action, &Steer) -> Option<Observed>) -> Enactor<'_> {
    Enactor { follows: |steer| *steer == Steer::ThisMachine, steered: here, ..Enactor::PLAIN }
}

fn is_for_this_machine(permits: &[Permit]) -> bool {
    permits.iter().any(|permit| permit.verdict == Verdict::Steer(Steer::ThisMachine))
}

/// A port that only the door still holds is the session's to take again.
fn take_port(errand: &Errand<'_>, socket: &Socket, protocol: Protocol, endpoint: &Endpoint) -> Result<(), Stop> {
    let (sockets, members) = (&errand.session.sockets, &errand.session.members);
    let take = || {
        let _sharing = sockets.sharing();
        let place = (Taking::Port, (protocol, (endpoint.address, endpoint.port)));
        joined::apart_from_others(errand, socket, place, || give(socket, &endpoint.wire()))
    };
    match take() {
        Err(Stop::Errno(Errno(libc::EADDRINUSE))) if sockets.kept.give_way(members, endpoint.port) => take(),
        result => result,
    }
}

fn give(socket: &Socket, wire: &[u8]) -> Result<(), Stop> {
    sys::bind(socket.as_fd(), wire).map_err(|error| Errno::from(error).into())
}

/// Answers listen(2).
pub fn listen(errand: &Errand<'_>, pending: Pending) -> Answered {
    let result = attempt_listen(errand);
    socket::end(errand, pending, result, unix::reaching)
}

fn attempt_listen(errand: &Errand<'_>) -> Result<i64, Stop> {
    let socket = Socket::take(errand, errand.caller.int(0))?;
    let backlog = errand.caller.int(1);
    let enact = || sys::listen(socket.as_fd(), backlog).map_err(|error| Errno::from(error).into());
    match socket.kind.domain {
        // A unix socket was judged when it was bound; the kernel refuses to listen on what has no name.
        libc::AF_UNIX => enact()?,
        libc::AF_INET | libc::AF_INET6 => {
            if socket::transport(socket.kind, Verb::NetListen, socket.local())? != Protocol::Tcp {
                return Err(Errno(libc::EOPNOTSUPP).into());
            }
            let (sockets, place) = (&errand.session.sockets, socket.local());
            let here = |_: &Action, _: &Steer| steered(Verb::NetListen, Protocol::Tcp, place);
            let act = if sockets.keeps_to_this_machine(socket.as_fd()) {
                on_this_machine(Verb::NetListen, Protocol::Tcp, place)
            } else {
                socket::act(Verb::NetListen, Protocol::Tcp, place, Side::Outside)
            };
            errand.enact_as_caller(&follower(&here), vec![act], |permits| {
                if is_for_this_machine(permits) {
                    sockets.keep_to_this_machine(socket.as_fd())?;
                }
                let _sharing = sockets.sharing();
                joined::apart_from_others(errand, &socket, (Taking::Connections, (Protocol::Tcp, socket.local())), enact)
            })?;
        }
        _ => return Err(Errno(libc::EOPNOTSUPP).into()),
    }
    socket.note(errand);
    // It may have a name that the kernel gave it in passing.
    note_name(errand, &socket);
    Ok(0)
}
