//! The listening TCP sockets at one port, asked of the kernel by sock_diag(7).
//!
//! `/proc/net/tcp` tells the same, but walks the whole table of connections for it, whose size goes by the machine's memory: milliseconds for
//! each connect to loopback. Left out: another network namespace than the supervisor's, and kernels without it; both are `inside`'s to read
//! from `/proc`. Source: `linux/inet_diag.h`, netlink(7).

use super::inside::{LISTENING, Row};
use crate::sys::sockets;
use std::fs::File;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const HEADER_BYTES: usize = 16;
/// `struct inet_diag_req_v2`, and of it `struct inet_diag_sockid`, which begins with the port.
const ASKED_BYTES: usize = 56;
/// In the whole question: behind header, family and states lie port and peer's port, then the source; the cookie is last.
const SOURCE_AT: usize = HEADER_BYTES + 12;
const COOKIE_AT: usize = HEADER_BYTES + ASKED_BYTES - NO_COOKIE.len();
/// The kernel fills at most so much in one answer (netlink_dump, `min(max_recvmsg_len, 32 KiB)`).
const ANSWER_BYTES_MAX: usize = 32 * 1024;
/// So many fit into the first answer, which is told at one moment. While more are told, one that is closed makes the next be left out.
const AT_ONCE: usize = 8;
const NO_COOKIE: [u8; 8] = [0xff; 8];
/// Answers read for one question: a port has few listeners, and a kernel that never ends is not listened to.
const ANSWERS_MAX: usize = 64;

/// The listeners at `port` in the network namespace of `thread`; nothing when the kernel cannot be asked so.
pub(super) fn at(port: u16, thread: i32) -> Option<Vec<Row>> {
    let namespace = |of: &str| std::fs::metadata(format!("/proc/{of}/ns/net")).map(|found| (found.dev(), found.ino()));
    if namespace(&thread.to_string()).ok()? != namespace("self").ok()? {
        return None;
    }
    let socket = sockets::open(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_SOCK_DIAG).ok()?;
    let mut found = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        sockets::send(socket.as_fd(), &[], &question(u8::try_from(family).ok()?, port, libc::NLM_F_REQUEST | libc::NLM_F_DUMP), &[], 0)
            .ok()?;
        answers(&mut File::from(socket.try_clone().ok()?), &mut found)?;
    }
    Some(found)
}

/// Whether so many listeners may have been told at several moments, and [`who`] must be asked as well.
pub(super) fn is_long(told: usize) -> bool {
    told > AT_ONCE
}

/// The listener that the kernel itself would take for a connection to this address, by its inode: the question of the connection, not a list.
/// Nothing when there is none, or it cannot be told.
pub(super) fn who(address: IpAddr, port: u16) -> Option<u64> {
    let socket = sockets::open(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_SOCK_DIAG).ok()?;
    let (family, address) = match address.to_canonical() {
        IpAddr::V4(address) => (libc::AF_INET, address.octets().to_vec()),
        IpAddr::V6(address) => (libc::AF_INET6, address.octets().to_vec()),
    };
    let mut message = question(u8::try_from(family).ok()?, port, libc::NLM_F_REQUEST);
    message.get_mut(SOURCE_AT..SOURCE_AT + address.len())?.copy_from_slice(&address);
    message.get_mut(COOKIE_AT..)?.copy_from_slice(&NO_COOKIE);
    sockets::send(socket.as_fd(), &[], &message, &[], 0).ok()?;
    let mut buffer = vec![0; ANSWER_BYTES_MAX];
    let count = File::from(socket).read(&mut buffer).ok()?;
    let answer = Message::first(buffer.get(..count)?)?;
    let found = (answer.kind == SOCK_DIAG_BY_FAMILY).then(|| row(answer.body)).flatten()?;
    (found.state == LISTENING).then_some(found.inode)
}

/// A question about one family's listeners with this port of their own.
fn question(family: u8, port: u16, flags: i32) -> Vec<u8> {
    let length = u32::try_from(HEADER_BYTES + ASKED_BYTES).unwrap_or(0);
    let flags = u16::try_from(flags).unwrap_or(0);
    let protocol = u8::try_from(libc::IPPROTO_TCP).unwrap_or(0);
    let states = 1_u32 << LISTENING;
    let mut message = Vec::with_capacity(HEADER_BYTES + ASKED_BYTES);
    message.extend(length.to_ne_bytes());
    message.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend([0; 8]); // sequence and port: the kernel's answer is the only one this socket gets
    message.extend([family, protocol, 0, 0]);
    message.extend(states.to_ne_bytes());
    message.extend(port.to_be_bytes());
    message.resize(HEADER_BYTES + ASKED_BYTES, 0);
    message
}

/// Reads up to the end of one dump. Nothing when it ends in an error.
fn answers(socket: &mut File, found: &mut Vec<Row>) -> Option<()> {
    let mut buffer = vec![0; ANSWER_BYTES_MAX];
    for _ in 0..ANSWERS_MAX {
        let count = socket.read(&mut buffer).ok()?;
        let mut rest = buffer.get(..count)?;
        while let Some(message) = Message::first(rest) {
            match i32::from(message.kind) {
                libc::NLMSG_DONE => return Some(()),
                libc::NLMSG_ERROR => return None,
                _ => found.push(row(message.body)?),
            }
            rest = message.rest;
        }
    }
    None
}

struct Message<'a> {
    kind: u16,
    body: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Message<'a> {
    fn first(bytes: &'a [u8]) -> Option<Self> {
        let length = usize::try_from(u32::from_ne_bytes(field(bytes, 0)?)).ok()?;
        let rest = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Self { kind: u16::from_ne_bytes(field(bytes, 4)?), body: bytes.get(HEADER_BYTES..length)?, rest })
    }
}

/// `struct inet_diag_msg`: four bytes, the socket's id (port and address first), and the inode last.
fn row(body: &[u8]) -> Option<Row> {
    let address = match i32::from(*body.first()?) {
        libc::AF_INET => IpAddr::V4(Ipv4Addr::from(field::<4>(body, 8)?)),
        libc::AF_INET6 => {
            let address = Ipv6Addr::from(field::<16>(body, 8)?);
            address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4)
        }
        _ => return None,
    };
    let inode = u64::from(u32::from_ne_bytes(field(body, 68)?));
    Some(Row { address, port: u16::from_be_bytes(field(body, 4)?), state: *body.get(1)?, inode })
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    fn own() -> i32 {
        i32::try_from(std::process::id()).unwrap()
    }

    fn inodes(port: u16) -> Vec<(IpAddr, u64)> {
        at(port, own()).unwrap().iter().map(|row| (row.address, row.inode)).collect()
    }

    fn inode(socket: &TcpListener) -> u64 {
        crate::sys::files::stat(socket.as_fd()).unwrap().inode
    }

    #[test]
    fn every_listener_at_the_port_is_told_and_no_connection_is() {
        let four = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = four.local_addr().unwrap().port();
        let other = TcpListener::bind(("127.0.0.2", port)).unwrap();
        let connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let six = TcpListener::bind(("::1", port));
        let mut expected = vec![("127.0.0.1".parse().unwrap(), inode(&four)), ("127.0.0.2".parse().unwrap(), inode(&other))];
        expected.extend(six.as_ref().ok().map(|six| ("::1".parse().unwrap(), inode(six))));
        let mut found = inodes(port);
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
        drop((four, other, six, connection));
        assert_eq!(inodes(port), []);
    }

    #[test]
    fn the_one_that_would_answer_is_told() {
        let any = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = any.local_addr().unwrap().port();
        assert_eq!(who("127.0.0.1".parse().unwrap(), port), Some(inode(&any)));
        assert_eq!(who("::ffff:127.0.0.1".parse().unwrap(), port), Some(inode(&any)));
        drop(any);
        assert_eq!(who("127.0.0.1".parse().unwrap(), port), None);
        if let Ok(six) = TcpListener::bind("[::]:0") {
            let port = six.local_addr().unwrap().port();
            assert_eq!(who("::1".parse().unwrap(), port), Some(inode(&six)));
            assert_eq!(who("127.0.0.1".parse().unwrap(), port), Some(inode(&six)));
        }
    }

    #[test]
    fn a_long_list_is_not_taken_at_its_word() {
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        let more: Vec<TcpListener> = (2..200).filter_map(|last| TcpListener::bind((Ipv4Addr::new(127, 0, 0, last), port)).ok()).collect();
        assert!(is_long(at(port, own()).unwrap().len()));
        assert_eq!(who("127.0.0.1".parse().unwrap(), port), Some(inode(&first)));
        assert_eq!(who("127.0.0.9".parse().unwrap(), port).is_some(), !more.is_empty());
    }

    #[test]
    fn a_thread_that_is_not_there_is_left_to_the_table() {
        assert!(at(80, i32::MAX).is_none());
    }
}
