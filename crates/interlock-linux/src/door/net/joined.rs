//! Whose port a socket would join, and who may join it: what shares its port with others (SO_REUSEADDR, SO_REUSEPORT) gives them part of what is sent
//! there.
//!
//! A socket of the session that comes to the port of a program outside takes connections and datagrams that were meant for that program, and one of
//! outside that comes to the session's hears what was decided as inside. So RULE: where policy does not let the session reach outside at that place, a
//! socket shares its port with sockets of the session alone, and with nobody before one of these comes. The kernel itself says whether there is room:
//! the socket shares with nobody when it takes the port.
//! Left out: somebody outside who joins a port that several of the session share (`docs/limits.md`). Source: socket(7), `inet_csk_get_port`,
//! `udp_lib_get_port` of Linux.

use super::bound;
use super::shares::{self, Shares};
use super::socket::{self, Socket};
use super::wishes::{Place, Wish};
use crate::door::errand::Errand;
use crate::door::seen::caller::Stop;
use crate::sys::errno::Errno;
use crate::sys::sockets as sys;
use interlock_abi::address;
use interlock_core::action::Protocol;
use std::net::IpAddr;
use std::os::fd::{AsFd as _, OwnedFd};

/// Who has a place already.
enum There {
    Nobody,
    /// Sockets of the session and no others; these of them share it with nobody yet.
    Ours(Vec<Fellow>),
    /// Somebody else, or it cannot be told.
    Others,
}

/// A socket of the session that has its port for itself, held, and how it is to share it.
struct Fellow {
    file: OwnedFd,
    wish: Wish,
}

/// What a socket takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Taking {
    /// A port, by bind.
    Port,
    /// Whoever connects there, by listen.
    Connections,
}

/// Does what takes a port for `socket`. To be called while nobody of the session changes what is shared (`Sockets::sharing`).
pub(super) fn apart_from_others(
    errand: &Errand<'_>,
    socket: &Socket,
    (taking, place): (Taking, Place),
    take: impl Fn() -> Result<(), Stop>,
) -> Result<(), Stop> {
    let sockets = &errand.session.sockets;
    let before = shares::of(socket.as_fd());
    let wanted = sockets.wishes.of(socket.cookie).map_or(before, |wish| wish.shares);
    let (protocol, at) = place;
    let concerned = shares::lets_in(protocol, wanted) && socket::is_told_apart(errand, protocol, at);
    let there = if concerned { there(errand, socket, place) } else { There::Others };
    let with = |shares: Shares| {
        shares::set(socket.as_fd(), shares);
        (take(), shares)
    };
    let alone = shares::alone(protocol, wanted);
    let (result, shares) = match &there {
        _ if !concerned => with(wanted),
        There::Ours(fellows) => joining(errand, fellows, || with(wanted)),
        // A stream takes nothing from others before it listens.
        There::Others if protocol == Protocol::Tcp && taking == Taking::Port => with(wanted),
        There::Others => with(alone),
        There::Nobody => match with(alone) {
            // By one that has the port and does not listen, of which the kernel does not say whose it is. Nothing arrives there. A listener would
            // share with it: only where one of the session has the port already, else somebody may have come there this very moment.
            (Err(Stop::Errno(Errno(libc::EADDRINUSE))), _)
                if protocol == Protocol::Tcp && (taking == Taking::Port || has_company(errand, socket, place)) =>
            {
                with(wanted)
            }
            result => result,
        },
    };
    if result.is_err() {
        // Without a port it must not share one that a send may give it.
        shares::set(socket.as_fd(), before);
        return result;
    }
    let place = (protocol, socket.local());
    if shares == wanted {
        sockets.wishes.forget(socket.cookie);
    } else {
        sockets.wishes.note(Wish { seen: socket.seen(), shares: wanted, place: Some(place) });
    }
    if !matches!(there, There::Others) {
        sockets.firsts.note(protocol, place.1.1, socket.cookie);
    }
    result
}

/// Whether another socket of the session came to this port when the session had it for itself, and is still there.
fn has_company(errand: &Errand<'_>, socket: &Socket, (protocol, (_, port)): Place) -> bool {
    let sockets = &errand.session.sockets;
    let others = sockets.firsts.at(protocol, port).into_iter().filter(|cookie| *cookie != socket.cookie);
    others.into_iter().any(|cookie| sockets.hold(cookie, &errand.session.members).is_some())
}

/// Does what joins sockets of the session that have their port for themselves: they share it from then on, if that is done.
fn joining(errand: &Errand<'_>, fellows: &[Fellow], act: impl FnOnce() -> (Result<(), Stop>, Shares)) -> (Result<(), Stop>, Shares) {
    let sockets = &errand.session.sockets;
    let mut opened = Vec::new();
    for fellow in fellows {
        let before = shares::of(fellow.file.as_fd());
        // One on which something relies keeps the port for itself: the kernel says so.
        if sockets.kept.unless_relied_on(fellow.wish.seen.cookie, || shares::set(fellow.file.as_fd(), fellow.wish.shares)) {
            opened.push((fellow, before));
        }
    }
    let done = act();
    for (fellow, before) in opened {
        if done.0.is_ok() {
            sockets.wishes.forget(fellow.wish.seen.cookie);
        } else {
            shares::set(fellow.file.as_fd(), before);
        }
    }
    done
}

/// The sockets of the session that have this place for themselves. Who is not found is gone, or keeps it for itself.
fn fellows(errand: &Errand<'_>, socket: &Socket, (protocol, (address, port)): Place) -> Vec<Fellow> {
    let wishes = &errand.session.sockets.wishes;
    let is_near = |wish: &Wish| wish.seen.cookie != socket.cookie && wish.place.is_some_and(|(_, (own, _))| bound::overlap(own, address));
    let found = |mut wish: Wish| {
        let file = wish.seen.find(&errand.session.members);
        if file.is_none() {
            wishes.forget(wish.seen.cookie);
        }
        file.map(|file| Fellow { file, wish })
    };
    wishes.at(protocol, port).into_iter().filter(is_near).filter_map(found).collect()
}

/// Does what may take a datagram socket's port away. Without one it must not share one that a send may give it; how it is to share waits again.
pub(super) fn without_its_port(errand: &Errand<'_>, socket: &Socket, act: impl FnOnce() -> Result<(), Stop>) -> Result<(), Stop> {
    let sockets = &errand.session.sockets;
    let _sharing = sockets.sharing();
    let before = shares::of(socket.as_fd());
    let waits = sockets.wishes.of(socket.cookie);
    let wanted = waits.map_or(before, |wish| wish.shares);
    if socket::carried(socket.kind) != Some(Protocol::Udp) || !shares::lets_in(Protocol::Udp, wanted) {
        return act();
    }
    shares::set(socket.as_fd(), shares::alone(Protocol::Udp, wanted));
    let result = act();
    if socket.local().1 == 0 {
        sockets.wishes.note(Wish { seen: socket.seen(), shares: wanted, place: None });
    } else {
        shares::set(socket.as_fd(), before);
    }
    result
}

/// Who answers there besides the socket. A port of the kernel's choice may be anybody's.
fn there(errand: &Errand<'_>, socket: &Socket, (protocol, (address, port)): Place) -> There {
    let sockets = &errand.session.sockets;
    if port == 0 {
        return There::Nobody;
    }
    let fellows = fellows(errand, socket, (protocol, (address, port)));
    match bound::at(protocol, port) {
        Some(bound) => {
            let mut others = bound.iter().filter(|bound| bound.cookie != socket.cookie && bound.overlaps(address)).peekable();
            let is_empty = others.peek().is_none() && fellows.is_empty();
            match others.all(|bound| sockets.has_noted(bound.cookie)) {
                true if is_empty => There::Nobody,
                true => There::Ours(fellows),
                false => There::Others,
            }
        }
        // More than the kernel tells at once.
        None if is_kept(errand, protocol, (address, port)) => There::Ours(fellows),
        None => There::Others,
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
