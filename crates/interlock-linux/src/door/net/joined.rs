//! Whose port a socket would join: what shares its port with others (SO_REUSEADDR, SO_REUSEPORT) takes part of what is sent there.
//!
//! A socket of the session that comes to the port of a program outside takes connections and datagrams that were meant for that program. So RULE:
//! where policy does not let the session reach outside at that place, it shares a port with its own sockets alone. The kernel itself says whether
//! there is room: the socket shares with nobody for the moment in which it takes the port.
//! Left out: somebody outside who joins a port that the session has (`docs/limits.md`). Source: socket(7), `inet_csk_get_port`, `udp_lib_get_port` of Linux.

use super::bound;
use super::shares;
use super::socket::{self, Socket};
use crate::door::errand::Errand;
use crate::door::seen::caller::Stop;
use crate::sys::sockets as sys;
use interlock_abi::address;
use interlock_core::action::Protocol;
use std::net::IpAddr;
use std::os::fd::AsFd as _;

/// Does what takes a port for `socket`. To be called while nobody of the session changes what is shared (`Sockets::sharing`).
pub(super) fn apart_from_others(
    errand: &Errand<'_>,
    socket: &Socket,
    (protocol, place): (Protocol, (IpAddr, u16)),
    take: impl FnOnce() -> Result<(), Stop>,
) -> Result<(), Stop> {
    let sockets = &errand.session.sockets;
    let before = shares::of(socket.as_fd());
    let shares = sockets.wishes.of(socket.cookie).unwrap_or(before);
    let concerned = shares::lets_in(protocol, shares) && socket::is_told_apart(errand, protocol, place);
    let ours = concerned && is_the_sessions(errand, protocol, place);
    shares::set(socket.as_fd(), if concerned && !ours { shares::alone(protocol, shares) } else { shares });
    let result = take();
    // Without a port it must not share one that a send may give it.
    shares::set(socket.as_fd(), if result.is_ok() { shares } else { before });
    if result.is_ok() {
        sockets.wishes.fulfil(socket.cookie);
        if ours {
            sockets.firsts.note(protocol, place.1, socket.cookie);
        }
    }
    result
}

/// Does what may take a datagram socket's port away. Without one it must not share one that a send may give it; how it is to share waits again.
pub(super) fn without_its_port(errand: &Errand<'_>, socket: &Socket, act: impl FnOnce() -> Result<(), Stop>) -> Result<(), Stop> {
    let _sharing = errand.session.sockets.sharing();
    let shares = shares::of(socket.as_fd());
    if socket::carried(socket.kind) != Some(Protocol::Udp) || !shares::lets_in(Protocol::Udp, shares) {
        return act();
    }
    shares::set(socket.as_fd(), shares::alone(Protocol::Udp, shares));
    let result = act();
    if socket.local().1 == 0 {
        errand.session.sockets.wishes.note(socket.cookie, shares);
    } else {
        shares::set(socket.as_fd(), shares);
    }
    result
}

/// Whether no socket but this session's answers there. A port of the kernel's choice may be anybody's.
fn is_the_sessions(errand: &Errand<'_>, protocol: Protocol, (address, port): (IpAddr, u16)) -> bool {
    let sockets = &errand.session.sockets;
    match bound::at(protocol, port) {
        _ if port == 0 => false,
        Some(bound) => bound.iter().filter(|bound| bound.overlaps(address)).all(|bound| sockets.has_noted(bound.cookie)),
        // More than the kernel tells at once.
        None => is_kept(errand, protocol, (address, port)),
    }
}

/// Whether a socket that came when the session had that place for itself is still there: whoever is there besides came later. It speaks of what its
/// own address takes in and of nothing else, as somebody outside may have been at another address of the same port. (`::` may not take IPv4.)
fn is_kept(errand: &Errand<'_>, protocol: Protocol, (address, port): (IpAddr, u16)) -> bool {
    let sockets = &errand.session.sockets;
    let cookies = sockets.firsts.at(protocol, port);
    cookies.into_iter().filter_map(|cookie| sockets.hold(cookie, &errand.session.members)).any(|held| {
        let own = sys::local_name(held.file.as_fd()).ok().and_then(|name| address::own_endpoint(&name));
        own.is_some_and(|own| {
            let takes_in = own.address.is_unspecified() && own.address.is_ipv4() == address.is_ipv4();
            own.port == port && (own.address == address || takes_in)
        })
    })
}
