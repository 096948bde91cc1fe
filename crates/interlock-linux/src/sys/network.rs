//! A network namespace in which every address is this machine's own, and datagrams with the address that they were sent to.
//!
//! Left out: what is answered there (`names`). Source: network_namespaces(7), rtnetlink(7), netdevice(7), ip(7), ipv6(7), unix(7).

use super::errno::{Errno, Sys, check};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

/// The kernel makes it first in every network namespace.
const LOOPBACK: u32 = 1;
const IPV6_FREEBIND: i32 = 78;
const CONTROL_BYTES_MAX: usize = 256;

/// From here on this process is in a network namespace of its own, which it may set up: without a user namespace where it may, else in one of its own.
///
/// # Errors
/// EPERM, ENOSPC, EUSERS: neither is to be had here.
pub fn own_network() -> Sys<()> {
    // SAFETY: flags only.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } == 0 {
        return Ok(());
    }
    // SAFETY: flags only; the process has one thread.
    check(i64::from(unsafe { libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNET) })).map(drop)
}

/// Brings the loopback device up and leads every address to it.
///
/// # Errors
/// The kernel's.
pub fn own_every_address() -> Sys<()> {
    raise_loopback()?;
    lead_here(libc::AF_INET as u8)?;
    // A machine may have none of it.
    match lead_here(libc::AF_INET6 as u8) {
        Err(Errno(libc::EOPNOTSUPP | libc::EAFNOSUPPORT | libc::EACCES)) => Ok(()),
        result => result,
    }
}

fn raise_loopback() -> Sys<()> {
    let socket = super::sockets::open(libc::AF_INET, libc::SOCK_DGRAM, 0)?;
    // SAFETY: ifreq is plain data for which all zeroes is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (place, byte) in request.ifr_name.iter_mut().zip(b"lo") {
        *place = *byte as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
    // SAFETY: a live ifreq that names a device and its flags.
    check(i64::from(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) }))?;
    Ok(())
}

/// `local default dev lo` of a family: RTM_NEWROUTE, acknowledged.
fn lead_here(family: u8) -> Sys<()> {
    const LOCAL: u8 = 2;
    const TABLE_LOCAL: u8 = 255;
    const BY_BOOT: u8 = 3;
    const SCOPE_HOST: u8 = 254;
    const DEVICE: u16 = 4;
    let socket = super::sockets::open(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE)?;
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
    let route = [family, 0, 0, 0, TABLE_LOCAL, BY_BOOT, SCOPE_HOST, LOCAL, 0, 0, 0, 0];
    let device = [&8_u16.to_ne_bytes()[..], &DEVICE.to_ne_bytes(), &LOOPBACK.to_ne_bytes()].concat();
    let body = [&route[..], &device].concat();
    let length = u32::try_from(16 + body.len()).unwrap_or(0);
    let head = [&length.to_ne_bytes()[..], &libc::RTM_NEWROUTE.to_ne_bytes(), &flags.to_ne_bytes(), &[0; 8]].concat();
    super::sockets::send(socket.as_fd(), &[], &[head, body].concat(), &[], 0)?;
    let mut answer = [0_u8; 512];
    // SAFETY: a live buffer and its length.
    let count = check(unsafe { libc::recv(socket.as_raw_fd(), answer.as_mut_ptr().cast(), answer.len(), 0) } as i64)?;
    let told = answer.get(16..20).filter(|_| count >= 20).and_then(|word| word.try_into().ok()).map(i32::from_ne_bytes);
    match told {
        Some(0) => Ok(()),
        Some(errno) => Err(Errno(-errno)),
        None => Err(Errno(libc::EPROTO)),
    }
}

/// A socket of both families at a port of every address, or of IPv4 alone where the machine has no other. A datagram socket is told where each
/// datagram was sent to, and may answer from there.
///
/// # Errors
/// The kernel's.
pub fn at_every_address(style: i32, port: u16) -> Sys<OwnedFd> {
    use super::sockets::{bind, listen, open, set_option};
    let six = open(libc::AF_INET6, style, 0);
    let (socket, wire) = match six {
        Ok(socket) => {
            let set = |level, option, value| set_option(socket.as_fd(), level, option, value);
            set(libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 0)?;
            set(libc::IPPROTO_IPV6, IPV6_FREEBIND, 1)?;
            if style == libc::SOCK_DGRAM {
                set(libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?;
            }
            let mut wire = vec![0_u8; 28];
            wire.splice(..2, (libc::AF_INET6 as u16).to_ne_bytes());
            wire.splice(2..4, port.to_be_bytes());
            (socket, wire)
        }
        Err(_) => {
            let mut wire = vec![0_u8; 16];
            wire.splice(..2, (libc::AF_INET as u16).to_ne_bytes());
            wire.splice(2..4, port.to_be_bytes());
            (open(libc::AF_INET, style, 0)?, wire)
        }
    };
    if style == libc::SOCK_DGRAM {
        set_option(socket.as_fd(), libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?;
    }
    bind(socket.as_fd(), &wire)?;
    if style == libc::SOCK_STREAM {
        listen(socket.as_fd(), libc::SOMAXCONN)?;
    }
    Ok(socket)
}

/// A message, who sent it, and what came with it.
#[derive(Debug)]
pub struct Received {
    /// Its bytes.
    pub data: Vec<u8>,
    /// The sender's address.
    pub from: Vec<u8>,
    /// Control data.
    pub control: Vec<u8>,
}

/// Waits for the next message of at most `limit` bytes.
///
/// # Errors
/// As recvmsg(2).
pub fn receive(socket: BorrowedFd<'_>, limit: usize) -> Sys<Received> {
    let (mut data, mut from, mut control) = (vec![0_u8; limit], vec![0_u8; 128], vec![0_u8; CONTROL_BYTES_MAX]);
    let mut part = libc::iovec { iov_base: data.as_mut_ptr().cast(), iov_len: data.len() };
    // SAFETY: msghdr is plain data for which all zeroes is a value.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    (message.msg_iov, message.msg_iovlen) = (&raw mut part, 1);
    (message.msg_name, message.msg_namelen) = (from.as_mut_ptr().cast(), 128);
    (message.msg_control, message.msg_controllen) = (control.as_mut_ptr().cast(), control.len());
    // SAFETY: every pointer in `message` is to a live buffer of the length beside it.
    let count = check(unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) } as i64)?;
    data.truncate(usize::try_from(count).unwrap_or(0));
    from.truncate(message.msg_namelen as usize);
    control.truncate(message.msg_controllen);
    Ok(Received { data, from, control })
}

/// Control data of a datagram turned round: it is sent from where it was received, by whatever device leads there.
#[must_use]
pub fn turned(control: &[u8]) -> Vec<u8> {
    let mut turned = Vec::new();
    for (level, kind, data) in parts(control) {
        let data = match (level, kind) {
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => data.get(..16).map(|address| [address, &[0; 4]].concat()),
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => data.get(8..12).map(|address| [&[0; 4], address, address].concat()),
            _ => None,
        };
        turned.extend(data.map(|data| interlock_abi::ancillary::message(level, kind, &data)).unwrap_or_default());
    }
    turned
}

/// The messages of control data: level, type, data.
fn parts(control: &[u8]) -> Vec<(i32, i32, &[u8])> {
    const HEAD: usize = 16;
    let (mut rest, mut found) = (control, Vec::new());
    while let Some(head) = rest.get(..HEAD) {
        let word = |from: usize, to: usize| head.get(from..to).unwrap_or_default();
        let length = word(0, 8).try_into().map_or(0, usize::from_ne_bytes);
        let number = |bytes: &[u8]| bytes.try_into().map_or(0, i32::from_ne_bytes);
        let Some(data) = rest.get(HEAD..length) else { break };
        found.push((number(word(8, 12)), number(word(12, 16)), data));
        rest = rest.get(length.next_multiple_of(8)..).unwrap_or_default();
    }
    found
}

/// Hands descriptors over to whoever holds the other end, with one byte.
///
/// # Errors
/// As sendmsg(2).
pub fn hand_over(link: BorrowedFd<'_>, byte: u8, descriptors: &[BorrowedFd<'_>]) -> Sys<()> {
    let numbers: Vec<u8> = descriptors.iter().flat_map(|descriptor| descriptor.as_raw_fd().to_ne_bytes()).collect();
    let control =
        if numbers.is_empty() { Vec::new() } else { interlock_abi::ancillary::message(libc::SOL_SOCKET, libc::SCM_RIGHTS, &numbers) };
    super::sockets::send(link, &[], &[byte], &control, libc::MSG_NOSIGNAL)?;
    Ok(())
}

/// What [`hand_over`] gave. Nothing when the other end is gone.
///
/// # Errors
/// As recvmsg(2).
pub fn handed(link: BorrowedFd<'_>) -> Sys<Option<(u8, Vec<OwnedFd>)>> {
    let Received { data, control, .. } = receive(link, 1)?;
    let numbers = parts(&control).into_iter().filter(|(level, kind, _)| (*level, *kind) == (libc::SOL_SOCKET, libc::SCM_RIGHTS));
    let owned = |bytes: &[u8]| {
        let number = i32::from_ne_bytes(bytes.try_into().ok()?);
        // SAFETY: the kernel has just made it for this process, and nobody else knows its number.
        Some(unsafe { OwnedFd::from_raw_fd(number) })
    };
    let descriptors = numbers.flat_map(|(_, _, data)| data.chunks_exact(4)).filter_map(owned).collect();
    Ok(data.first().map(|byte| (*byte, descriptors)))
}

/// Sets the status flags of an open file (F_SETFL); the kernel leaves aside what cannot be changed.
///
/// # Errors
/// As fcntl(2).
pub fn set_status(file: BorrowedFd<'_>, flags: i32) -> Sys<()> {
    // SAFETY: an open descriptor and a number.
    check(i64::from(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFL, flags) })).map(drop)
}

/// Puts `socket` into an epoll under the number that its caller knows it by: from a child with a descriptor table of its own, in which it has that
/// number (epoll_ctl(2): a descriptor is watched by file and number).
///
/// # Errors
/// As epoll_ctl(2).
pub fn watch(epoll: BorrowedFd<'_>, socket: BorrowedFd<'_>, number: i32, events: u32, data: u64) -> Sys<()> {
    super::apart::with_descriptors(|| {
        let above = number.saturating_add(1);
        // SAFETY: numbers; the copies are in the child's own table, which ends with it.
        let epoll = check(i64::from(unsafe { libc::fcntl(epoll.as_raw_fd(), libc::F_DUPFD, above) }))? as i32;
        // SAFETY: as above.
        check(i64::from(unsafe { libc::dup2(socket.as_raw_fd(), number) }))?;
        let mut event = libc::epoll_event { events, u64: data };
        // SAFETY: a live event.
        check(i64::from(unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, number, &raw mut event) }))?;
        Ok(())
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_handed_over_with_a_byte() {
        let (one, other) = super::super::sockets::pair().unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        hand_over(one.as_fd(), b'k', &[file.as_fd(), file.as_fd()]).unwrap();
        hand_over(one.as_fd(), b'n', &[]).unwrap();
        let (byte, descriptors) = handed(other.as_fd()).unwrap().unwrap();
        assert_eq!((byte, descriptors.len()), (b'k', 2));
        assert!(matches!(handed(other.as_fd()).unwrap(), Some((b'n', none)) if none.is_empty()));
    }

    #[test]
    fn an_epoll_tells_of_a_socket_by_the_callers_number() {
        let (one, other) = super::super::sockets::pair().unwrap();
        // SAFETY: flags only.
        let epoll = check(i64::from(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })).unwrap() as i32;
        // SAFETY: just made.
        let epoll = unsafe { OwnedFd::from_raw_fd(epoll) };
        watch(epoll.as_fd(), one.as_fd(), 900, libc::EPOLLIN as u32, 42).unwrap();
        hand_over(other.as_fd(), b'x', &[]).unwrap();
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        // SAFETY: room for one event.
        assert_eq!(unsafe { libc::epoll_wait(epoll.as_raw_fd(), &raw mut event, 1, 1000) }, 1);
        assert_eq!({ event.u64 }, 42);
    }
}
