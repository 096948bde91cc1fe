//! Where this machine itself asks for names, and that nobody of the session answers there.
//!
//! What a name leads to is believed because the machine's own server says it. Where that has an address of this machine (127.0.0.53) and is not there, or
//! has yet to begin, whoever takes its port would be asked in its place. So RULE: a session whose names are answered does not bind there; and a server
//! that is one of its sockets all the same, because the file that names servers changed, is not asked.
//! Left out: other addresses at that port, where a session may have servers of names of its own.

use super::bound;
use super::inside::{Sockets, reaches_itself};
use super::socket;
use crate::door::errand::Errand;
use crate::door::seen::caller::Stop;
use interlock_core::action::{Protocol, Side, Verb};
use std::net::{IpAddr, SocketAddr};

/// Whether a socket of the session may be bound at a place.
///
/// # Errors
/// A refusal: the machine itself asks there.
pub(super) fn may_be_bound(errand: &Errand<'_>, protocol: Protocol, place: (IpAddr, u16)) -> Result<(), Stop> {
    let Some(resolver) = errand.session.resolver.as_ref().filter(|_| place.1 == socket::NAMES) else { return Ok(()) };
    let asks = |server: &SocketAddr| bound::takes_in(place.0.to_canonical(), server.ip().to_canonical()) && is_here(*server);
    if !resolver.machine.servers().addresses.iter().any(asks) {
        return Ok(());
    }
    Err(Stop::Refused {
        reached: socket::act(Verb::NetBind, protocol, place, Side::Outside).into(),
        because: "this machine asks for names there (/etc/resolv.conf), and believes what it is answered",
        errno: libc::EACCES,
    })
}

fn is_here(server: SocketAddr) -> bool {
    let address = server.ip().to_canonical();
    address.is_loopback() || reaches_itself(address)
}

impl Sockets {
    /// Whether what is asked of a server could arrive at a socket of the session; also where that cannot be told.
    pub(crate) fn could_be_asked(&self, server: SocketAddr) -> bool {
        let ours = |protocol| match bound::at(protocol, server.port()) {
            Some(bound) => bound.iter().any(|bound| bound.answers(server.ip().to_canonical()) && self.has_noted(bound.cookie)),
            None => true,
        };
        is_here(server) && [Protocol::Udp, Protocol::Tcp].into_iter().any(ours)
    }
}
