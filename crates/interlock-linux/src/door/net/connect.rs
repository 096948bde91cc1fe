//! connect: the caller's socket, connected on its behalf to the address that was judged.
//!
//! Nobody asks about what is sent through a connected datagram socket (`write`, `sendfile`): where policy lets a caller connect and not send, the
//! socket is shut for sending before it is connected, so that it tells the source address and nothing leaves by it.
//! Leaves out unix addresses (`unix`) and what a session socket is (`inside`). Source: connect(2), ip(7), tcp(7), udp(7), shutdown(2).

use super::abstracts;
use super::attest;
use super::exchange;
use super::inside::{Answering, Sockets, source_towards};
use super::joined;
use super::kept;
use super::late;
use super::reach::reach;
use super::socket::{self, Socket};
use super::unix;
use super::whereabouts::Answerer;
use crate::door::answer::{Answered, Pending};
use crate::door::errand::Errand;
use crate::door::resolver::Resolver;
use crate::door::seen::caller::Stop;
use crate::line::{Enactor, Observed};
use crate::sys::errno::{Errno, Sys};
use crate::sys::sockets as sys;
use interlock_abi::address::{self, Endpoint, Name, Purpose};
use interlock_core::action::{Protocol, Side, Verb};
use interlock_core::decision::Says;
use std::net::IpAddr;
use std::os::fd::AsFd as _;

/// What is allowed is done as it is, or not at all.
const ENACTOR: Enactor = Enactor::PLAIN;

/// Answers connect(2).
pub fn connect(errand: &Errand<'_>, pending: Pending) -> Answered {
    let result = attempt(errand);
    socket::end(errand, pending, result, unix::reaching)
}

fn attempt(errand: &Errand<'_>) -> Result<i64, Stop> {
    let caller = &errand.caller;
    let socket = Socket::take(errand, caller.int(0))?;
    let name = socket::name_at(errand, caller.argument(1), caller.int(2), socket.kind, Purpose::Connect)?;
    caller.confirm()?;
    match name {
        // Ending an association reaches nobody.
        Name::Dissolve => dissolve(errand, &socket),
        Name::Inet(endpoint) => internet(errand, &socket, endpoint),
        Name::Path(path) => unix::connect(errand, &socket, &path),
        Name::Abstract(name) => abstracts::connect(errand, &socket, &name),
        // The kernel itself; other processes' netlink ports and groups have no rule.
        Name::Netlink { port: 0, groups: 0 } => finish(sys::connect(socket.as_fd(), &address::netlink_wire(0, 0)).map_err(Errno::from)),
        Name::Netlink { .. } => Err(Errno(libc::EPERM).into()),
        Name::Absent | Name::Autobind => Err(Errno(libc::EINVAL).into()),
    }
}

fn internet(errand: &Errand<'_>, socket: &Socket, endpoint: Endpoint) -> Result<i64, Stop> {
    let endpoint = endpoint.towards(socket.own().map(|own| own.address));
    let protocol = socket::transport(socket.kind, Verb::NetConnect, (endpoint.address, endpoint.port))?;
    let answering = errand.session.sockets.answering(socket.as_fd(), &errand.session.members, protocol, endpoint.address, endpoint.port);
    if exchange::is_question(errand, endpoint.port, &answering) {
        return exchange::connect(errand, socket, &endpoint);
    }
    if is_probe(errand, protocol, (endpoint.address, endpoint.port), answering.side()) {
        sys::shut_writing(socket.as_fd()).map_err(Errno::from)?;
        return reach(errand, socket, &endpoint.wire()).map(|()| 0);
    }
    let alone = matches!(answering, Answering::Nobody) && protocol == Protocol::Tcp;
    // By its name it may be let through as well, wherever that leads.
    let is_inside = || errand.session.resolver.is_none() || socket::is_told_apart(errand, protocol, (endpoint.address, endpoint.port));
    let side = if alone && is_inside() { Side::Inside } else { answering.side() };
    let (acts, sends) = needed(errand, protocol, (endpoint.address, endpoint.port), side);
    let said = if errand.session.resolver.is_some() { acts.first().map(|act| socket::says(errand, act)) } else { None };
    let leave = errand.settle(&ENACTOR, acts)?;
    let endpoint = match said {
        Some(said) => late::led(errand, socket, endpoint, said)?,
        None => endpoint,
    };
    let result = errand.carry_out(leave, |_| {
        if alone {
            // A loopback port where nobody listens is nobody else's: a program that waits for its own server hears the kernel's word. It is given
            // without asking the kernel, for somebody outside may begin to listen between question and act.
            return Err(Errno(libc::ECONNREFUSED).into());
        }
        if !sends {
            // Before it is connected: another thread may be sending through it already.
            sys::shut_writing(socket.as_fd()).map_err(Errno::from)?;
        }
        match answering {
            Answering::Inside(held) if sends && socket::is_told_apart(errand, protocol, (endpoint.address, endpoint.port)) => {
                inwards(errand, socket, &endpoint, &held)
            }
            _ => lead(errand, socket, &endpoint).inspect(|()| errand.session.sockets.kept.led_elsewhere(socket.leading())),
        }
    });
    if alone {
        return result.map(|()| 0);
    }
    if protocol == Protocol::Udp {
        // It has a port of its own now, at which others of this session may answer.
        socket.note(errand);
    }
    if matches!(result, Ok(()) | Err(Stop::Errno(Errno(libc::EINPROGRESS)))) {
        attest::connection(errand, socket, &endpoint, side)?;
    }
    result.map(|()| 0)
}

/// Whether a datagram socket is connected to an address that was answered, and would not be allowed: a C library asks the machine so which of several addresses
/// it reaches from where (RFC 6724), and nothing is sent. It may: shut for sending, as what may connect and not send. Nobody is asked about that.
fn is_probe(errand: &Errand<'_>, protocol: Protocol, place: (IpAddr, u16), side: Side) -> bool {
    let answered = |resolver: &Resolver| !resolver.table.names(place.0).is_empty();
    protocol == Protocol::Udp
        && errand.session.resolver.as_ref().is_some_and(answered)
        && socket::says(errand, &socket::towards(errand, Verb::NetConnect, protocol, place, side)) != Says::Allow
}

/// Connects to sockets of this session alone, which are held so that nobody else can come to their place: until the connection stands, and for a
/// datagram socket as long as it is connected.
fn inwards(errand: &Errand<'_>, socket: &Socket, endpoint: &Endpoint, held: &[Answerer]) -> Result<(), Stop> {
    let (sockets, members, place) = (&errand.session.sockets, errand.session.members, (endpoint.address, endpoint.port));
    let protocol = socket::carried(socket.kind).unwrap_or(Protocol::Other);
    let taken = || socket::taken(Verb::NetConnect, protocol, place);
    let still = || Sockets::still(held, protocol, endpoint.address, endpoint.port);
    let _sharing = (protocol == Protocol::Udp).then(|| sockets.sharing());
    let hold = sockets.kept.hold(held, socket.leading(), protocol, place).ok_or_else(taken)?;
    if protocol == Protocol::Udp {
        if hold.was_shared() && !still() {
            return Err(taken());
        }
        return lead(errand, socket, endpoint).inspect(|()| hold.stay(socket.leading(), members));
    }
    let result = reach(errand, socket, &endpoint.wire());
    let (pending, shared) = (kept::is_pending(socket.as_fd()), hold.was_shared_by_several());
    if pending && !shared {
        hold.stay(socket.leading(), members);
    } else if shared && (pending || result.is_ok() && !still()) {
        // A listener that lets others of the same user listen beside it: they cannot be kept away, so it is looked whether one came.
        let _closed = sys::connect(socket.as_fd(), &address::dissolve_wire());
        return Err(if pending { Errno(libc::ECONNREFUSED).into() } else { taken() });
    }
    result
}

/// Connects the socket. A datagram socket may be an end itself, at which others of this session were decided to be inside: connected, it gives up
/// every address but the one that it sends from, and somebody outside could come to the others.
fn lead(errand: &Errand<'_>, socket: &Socket, endpoint: &Endpoint) -> Result<(), Stop> {
    let connect = || reach(errand, socket, &endpoint.wire());
    let own = socket.local().0;
    if socket::carried(socket.kind) != Some(Protocol::Udp) {
        return connect();
    }
    let stays = if own.is_unspecified() { source_towards(endpoint.address) } else { Some(own) };
    errand.session.sockets.kept.leaving_all_but(socket.cookie, &errand.session.members, stays, connect)
}

fn dissolve(errand: &Errand<'_>, socket: &Socket) -> Result<i64, Stop> {
    let sockets = &errand.session.sockets;
    let end = || Ok(sys::connect(socket.as_fd(), &address::dissolve_wire())?);
    joined::without_its_port(errand, socket, || Ok(sockets.kept.leaving(socket.cookie, &errand.session.members, end)?))?;
    sockets.kept.led_elsewhere(socket.leading());
    Ok(0)
}

/// What a connection needs, and whether it may carry anything then. A datagram socket's may where sending to that place is allowed as well; whoever
/// is asked about connecting is asked about sending in the same breath.
fn needed(errand: &Errand<'_>, protocol: Protocol, place: (IpAddr, u16), side: Side) -> (Vec<Observed>, bool) {
    let act = |verb| socket::towards(errand, verb, protocol, place, side);
    let said = |verb| socket::says(errand, &act(verb));
    let connecting = vec![act(Verb::NetConnect)];
    if protocol != Protocol::Udp {
        return (connecting, true);
    }
    match said(Verb::NetSend) {
        Says::Allow => (connecting, true),
        Says::Approve if said(Verb::NetConnect) == Says::Approve => (vec![act(Verb::NetConnect), act(Verb::NetSend)], true),
        _ => (connecting, false),
    }
}

fn finish(result: Sys<()>) -> Result<i64, Stop> {
    result.map(|()| 0).map_err(Stop::from)
}
