//! Questions about bound sockets and their answers, as netlink messages (sock_diag(7), netlink(7), `linux/inet_diag.h`).

use crate::field::array;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const HEADER_BYTES: usize = 16;
/// `struct inet_diag_req_v2`.
const ASKED_BYTES: usize = 56;

/// A question about one family's sockets with this port of their own; `states` has a bit for each that is asked about.
#[must_use]
pub fn question(family: u8, protocol: u8, states: u32, port: u16) -> Vec<u8> {
    let length = u32::try_from(HEADER_BYTES + ASKED_BYTES).unwrap_or(0);
    let flags = u16::try_from(libc::NLM_F_REQUEST | libc::NLM_F_DUMP).unwrap_or(0);
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

/// One message of an answer.
pub struct Message<'a> {
    kind: u16,
    body: &'a [u8],
    /// What follows it.
    pub rest: &'a [u8],
}

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// The answer is over.
    Done,
    /// The question was not taken, or the message cannot be read.
    Error,
    /// A socket: its own address, an IPv4-mapped one as IPv4, and its cookie.
    Socket(IpAddr, u64),
}

impl<'a> Message<'a> {
    /// The first message in `bytes`, if it is whole.
    #[must_use]
    pub fn first(bytes: &'a [u8]) -> Option<Self> {
        let length = usize::try_from(u32::from_ne_bytes(array(bytes, 0)?)).ok()?;
        let rest = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Self { kind: u16::from_ne_bytes(array(bytes, 4)?), body: bytes.get(HEADER_BYTES..length)?, rest })
    }

    /// What it says.
    #[must_use]
    pub fn said(&self) -> Said {
        match i32::from(self.kind) {
            libc::NLMSG_DONE => Said::Done,
            libc::NLMSG_ERROR => Said::Error,
            _ => socket(self.body).unwrap_or(Said::Error),
        }
    }
}

/// `struct inet_diag_msg`: four bytes, then the socket's id (ports, addresses, device and cookie).
fn socket(body: &[u8]) -> Option<Said> {
    let address = match i32::from(*body.first()?) {
        libc::AF_INET => IpAddr::V4(Ipv4Addr::from(array::<4>(body, 8)?)),
        libc::AF_INET6 => {
            let address = Ipv6Addr::from(array::<16>(body, 8)?);
            address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4)
        }
        _ => return None,
    };
    Some(Said::Socket(address, u64::from_ne_bytes(array(body, 44)?)))
}
