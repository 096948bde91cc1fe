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
/// The kernel fills at most so much in one answer (netlink_dump, `min(max_recvmsg_len, 32 KiB)`).
const ANSWER_BYTES_MAX: usize = 32 * 1024;
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
        sockets::send(socket.as_fd(), &[], &question(u8::try_from(family).ok()?, port), &[], 0).ok()?;
        answers(&mut File::from(socket.try_clone().ok()?), &mut found)?;
    }
    Some(found)
}

/// A dump of one family's listeners with this port of their own.
fn question(family: u8, port: u16) -> Vec<u8> {
    let length = u32::try_from(HEADER_BYTES + ASKED_BYTES).unwrap_or(0);
    let flags = u16::try_from(libc::NLM_F_REQUEST | libc::NLM_F_DUMP).unwrap_or(0);
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
    fn a_thread_that_is_not_there_is_left_to_the_table() {
        assert!(at(80, i32::MAX).is_none());
    }
}
