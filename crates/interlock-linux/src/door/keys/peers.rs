//! What a process is connected to: said to the person who is asked about a key, and where a host is looked for by the name that it was reached by.
//!
//! As it is at that moment: whoever asks may have other connections, or none. So nothing is allowed by it.

use crate::door::session::Session;
use crate::sys::errno::Errno;
use crate::sys::{files, sockets as sys};
use interlock_abi::address;
use std::net::IpAddr;
use std::os::fd::AsFd as _;

/// Descriptors that are looked at, and connections that are told.
const DESCRIPTORS_MAX: usize = 4096;
const PEERS_MAX: usize = 8;

/// `HOST:PORT` of each, with the address in the place of a name that nobody asked for.
pub fn of(session: &Session, process: i32) -> Vec<String> {
    let Ok(folder) = std::fs::read_dir(format!("/proc/{process}/fd")) else { return Vec::new() };
    let sockets = folder
        .take(DESCRIPTORS_MAX)
        .flatten()
        .filter(|entry| std::fs::read_link(entry.path()).is_ok_and(|link| link.to_str().is_some_and(|link| link.starts_with("socket:"))));
    let numbers = sockets.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut found: Vec<String> = numbers.filter_map(|number| peer(session, process, number)).take(PEERS_MAX).collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn peer(session: &Session, process: i32, number: i32) -> Option<String> {
    let socket = files::copy_descriptor(process, || Err(Errno(libc::ESRCH)), number).ok()?;
    let streams = sys::option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_TYPE).is_ok_and(|style| style == libc::SOCK_STREAM);
    let peer = address::own_endpoint(&sys::peer_name(socket.as_fd()).ok()?).filter(|_| streams)?;
    Some(told(session, peer.address.to_canonical(), peer.port))
}

fn told(session: &Session, address: IpAddr, port: u16) -> String {
    let names = session.resolver.as_ref().map(|resolver| resolver.table.names(address)).unwrap_or_default();
    match (names.first(), address) {
        (Some(name), _) => format!("{name}:{port}"),
        (None, IpAddr::V6(_)) => format!("[{address}]:{port}"),
        (None, IpAddr::V4(_)) => format!("{address}:{port}"),
    }
}
