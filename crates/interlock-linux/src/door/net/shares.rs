//! Ports that several sockets may have (SO_REUSEADDR, SO_REUSEPORT): whether others may join a socket at its port.
//!
//! Left out: who may change that (`options`), and when the door takes it away (`kept`). Source: socket(7), `udp_lib_lport_inuse` of Linux.

use crate::sys::sockets as sys;
use interlock_core::action::Protocol;
use std::os::fd::BorrowedFd;

/// In the order of [`Shares`].
pub(super) const OPTIONS: [i32; 2] = [libc::SO_REUSEADDR, libc::SO_REUSEPORT];

/// Both options of one socket, as [`OPTIONS`] names them.
pub(super) type Shares = [bool; 2];

/// Whether others may come to the port of a socket that receives already: SO_REUSEADDR lets them in for datagrams alone.
pub(super) fn lets_in(protocol: Protocol, [address, port]: Shares) -> bool {
    port || (address && protocol == Protocol::Udp)
}

/// The same without letting anybody in. For a stream SO_REUSEADDR only passes over connections that have ended, as SO_REUSEPORT does besides.
pub(super) fn alone(protocol: Protocol, [address, port]: Shares) -> Shares {
    [protocol == Protocol::Tcp && (address || port), false]
}

/// How a socket shares its port; what cannot be read may be shared.
pub(super) fn of(socket: BorrowedFd<'_>) -> Shares {
    OPTIONS.map(|option| sys::option(socket, libc::SOL_SOCKET, option).map_or(true, |set| set != 0))
}

/// Sets both.
pub(super) fn set(socket: BorrowedFd<'_>, shares: Shares) {
    for (option, share) in OPTIONS.into_iter().zip(shares) {
        // It cannot fail on a socket that has answered before.
        let _as_asked = sys::set_option(socket, libc::SOL_SOCKET, option, i32::from(share));
    }
}
