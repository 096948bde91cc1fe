//! The sockets that are bound at one port, asked of the kernel by sock_diag(7): the listeners of TCP, every socket of UDP.
//!
//! RULE: an answer counts as a whole, or not at all. The kernel fills one message after the other, and goes on by count: while it does, one socket that
//! is closed makes it leave out the next. So what does not fit into the first message with room to spare is no answer. A list within one bucket of the
//! kernel's, which those have that share address and port, is told under its lock.
//! Left out: what follows from it (`inside`). `/proc/net` is not read: its tables are told in such parts, too. Source: `linux/inet_diag.h`, netlink(7).

use crate::sys::sockets;
use interlock_abi::sock_diag::{Message, Said, question};
use interlock_core::action::Protocol;
use std::fs::File;
use std::io::Read as _;
use std::net::IpAddr;
use std::os::fd::AsFd as _;

/// TCP_LISTEN.
const LISTENING: u32 = 0x0a;
/// The kernel fills at most so much in one message (netlink_dump, `min(max_recvmsg_len, 32 KiB)`).
const ANSWER_BYTES_MAX: usize = 32 * 1024;
/// And at least so much (NLMSG_GOODSIZE: a page without the kernel's own part), before it begins another.
const MESSAGE_BYTES_MIN: usize = 3776;
/// More than one socket takes in it: header, `struct inet_diag_msg` and its attributes.
const SOCKET_BYTES_MAX: usize = 256;

/// A bound socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bound {
    address: IpAddr,
    /// What the kernel gives to this socket and to no other as long as the machine runs (SO_COOKIE).
    pub(super) cookie: u64,
}

impl Bound {
    /// Whether what is sent to `address` could arrive here.
    pub(super) fn answers(&self, address: IpAddr) -> bool {
        takes_in(self.address, address)
    }

    /// Whether something could arrive at a socket that is bound at `address` that could arrive here as well.
    pub(super) fn overlaps(&self, address: IpAddr) -> bool {
        overlap(self.address, address)
    }
}

/// Whether something could arrive at sockets that are bound at either address.
pub(super) fn overlap(one: IpAddr, other: IpAddr) -> bool {
    takes_in(one, other) || takes_in(other, one)
}

/// Whether what is sent to `address` could arrive at a socket that is bound at `own`. `::` may take IPv4 as well: its V6ONLY flag may be changed.
pub(super) fn takes_in(own: IpAddr, address: IpAddr) -> bool {
    own == address || own.is_unspecified() && (own.is_ipv6() || address.is_ipv4())
}

/// The sockets at `port` in this process's network namespace; nothing when the kernel does not say, or not at once.
pub(super) fn at(protocol: Protocol, port: u16) -> Option<Vec<Bound>> {
    let (number, states) = match protocol {
        Protocol::Tcp => (libc::IPPROTO_TCP, 1 << LISTENING),
        Protocol::Udp => (libc::IPPROTO_UDP, u32::MAX),
        Protocol::Other => return None,
    };
    let socket = sockets::open(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_SOCK_DIAG).ok()?;
    let mut answers = File::from(socket.try_clone().ok()?);
    let mut found = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        let asked = question(u8::try_from(family).ok()?, u8::try_from(number).ok()?, states, port);
        sockets::send(socket.as_fd(), &[], &asked, &[], 0).ok()?;
        whole(&mut answers, &mut found)?;
    }
    Some(found)
}

/// Reads one answer: at most one message of sockets, then its end.
fn whole(answers: &mut File, found: &mut Vec<Bound>) -> Option<()> {
    let mut buffer = vec![0; ANSWER_BYTES_MAX];
    for _ in 0..2 {
        let count = answers.read(&mut buffer).ok()?;
        let mut rest = buffer.get(..count)?;
        while let Some(message) = Message::first(rest) {
            match message.said() {
                Said::Done => return Some(()),
                Said::Error => return None,
                Said::Socket(..) if count + SOCKET_BYTES_MAX > MESSAGE_BYTES_MIN => return None,
                Said::Socket(address, cookie) => found.push(Bound { address, cookie }),
            }
            rest = message.rest;
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
    use std::os::fd::AsFd;

    fn cookies(protocol: Protocol, port: u16) -> Vec<(IpAddr, u64)> {
        let mut found: Vec<_> = at(protocol, port).unwrap().iter().map(|bound| (bound.address, bound.cookie)).collect();
        found.sort_unstable();
        found
    }

    fn cookie(socket: impl AsFd) -> u64 {
        sockets::cookie(socket.as_fd()).unwrap()
    }

    #[test]
    fn every_listener_at_the_port_is_told_and_no_connection_is() {
        let four = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = four.local_addr().unwrap().port();
        let other = TcpListener::bind(("127.0.0.2", port)).unwrap();
        let connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let six = TcpListener::bind(("::1", port));
        let mut expected = vec![("127.0.0.1".parse().unwrap(), cookie(&four)), ("127.0.0.2".parse().unwrap(), cookie(&other))];
        expected.extend(six.as_ref().ok().map(|six| ("::1".parse().unwrap(), cookie(six))));
        expected.sort_unstable();
        assert_eq!(cookies(Protocol::Tcp, port), expected);
        drop((four, other, six, connection));
        assert_eq!(cookies(Protocol::Tcp, port), []);
    }

    #[test]
    fn every_datagram_socket_at_the_port_is_told() {
        let one = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = one.local_addr().unwrap().port();
        let connected = UdpSocket::bind(("127.0.0.2", port)).unwrap();
        connected.connect(("127.0.0.1", port)).unwrap();
        let expected = [("127.0.0.1".parse().unwrap(), cookie(&one)), ("127.0.0.2".parse().unwrap(), cookie(&connected))];
        assert_eq!(cookies(Protocol::Udp, port), expected);
        assert_eq!(cookies(Protocol::Tcp, port), []);
    }

    #[test]
    fn a_list_that_may_have_been_told_in_parts_is_no_answer() {
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        let more = |count: u8| -> Vec<TcpListener> {
            (2..count).filter_map(|last| TcpListener::bind((Ipv4Addr::new(127, 0, 0, last), port)).ok()).collect()
        };
        let few = more(12);
        assert_eq!(at(Protocol::Tcp, port).unwrap().len(), few.len() + 1);
        drop(few);
        let many = more(200);
        assert!(many.len() > 100);
        assert_eq!(at(Protocol::Tcp, port), None);
    }
}
