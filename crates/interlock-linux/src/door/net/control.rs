//! Control messages of a send: read from the caller, translated into what the supervisor may send for it.
//!
//! Descriptors are taken out of the caller and passed on; credentials must be the caller's own (`sender`); options of internet sockets pass where
//! they choose nothing but the packet's own fields. Source: cmsg(3), unix(7), ip(7), ipv6(7), udp(7).

use super::sender::{SCM_CREDENTIALS, Sender};
use crate::door::errand::Errand;
use crate::door::seen::caller::Stop;
use crate::sys::errno::{Errno, Sys};
use crate::sys::sockets as sys;
use interlock_abi::ancillary::{Item, items, message};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::sync::atomic::Ordering;

/// The kernel's limit on ancillary data (`net.core.optmem_max`), at most.
pub const CONTROL_BYTES_MAX: u64 = 128 * 1024;
/// Descriptors of one message (SCM_MAX_FD).
const DESCRIPTORS_MAX: usize = 253;

/// What is sent besides data, and the descriptors that must stay open until it is.
#[derive(Default)]
pub struct Control {
    bytes: Vec<u8>,
    /// Whose message it is: said with each piece of a stream, as the kernel would attach it.
    pub sender: Sender,
    passed: Vec<OwnedFd>,
}

/// Translates the `length` bytes at `address`.
///
/// # Errors
/// EINVAL for a malformed message, EBADF for a descriptor the caller does not have, EPERM for credentials of somebody else and for
/// options that choose a route, ENOBUFS for too many bytes.
pub fn read(errand: &Errand<'_>, address: u64, length: u64, domain: i32) -> Result<Control, Stop> {
    let mut control = Control::default();
    let given = if address == 0 || length == 0 { Vec::new() } else { taken(errand, address, length)? };
    if domain == libc::AF_UNIX {
        control.sender = Sender::of(errand)?;
    }
    for item in items(&given)? {
        if domain == libc::AF_UNIX { control.unix(errand, item)? } else { control.internet(item)? }
    }
    control.may_be_in_flight(errand)?;
    Ok(control)
}

fn taken(errand: &Errand<'_>, address: u64, length: u64) -> Sys<Vec<u8>> {
    if length > CONTROL_BYTES_MAX {
        return Err(Errno(libc::ENOBUFS));
    }
    let mut bytes = vec![0_u8; usize::try_from(length).map_err(|_| Errno(libc::ENOBUFS))?];
    errand.caller.read(address, &mut bytes)?;
    Ok(bytes)
}

impl Control {
    /// What goes with the first piece of a message, as the kernel reads it.
    pub fn first(&self) -> Vec<u8> {
        [self.bytes.clone(), self.further()].concat()
    }

    /// What goes with each further piece of a stream.
    pub fn further(&self) -> Vec<u8> {
        self.sender.data().map_or_else(Vec::new, |data| message(libc::SOL_SOCKET, SCM_CREDENTIALS, &data))
    }

    fn unix(&mut self, errand: &Errand<'_>, item: Item<'_>) -> Result<(), Stop> {
        match (item.level, item.kind) {
            (libc::SOL_SOCKET, libc::SCM_RIGHTS) => self.rights(errand, item.data)?,
            // The last one holds, as in the kernel, and each must be true.
            (libc::SOL_SOCKET, SCM_CREDENTIALS) => self.sender = Sender::claimed(errand, item.data)?,
            (libc::SOL_SOCKET, _) => return Err(Errno(libc::EINVAL).into()),
            // Other levels mean nothing to a unix socket; the kernel skips them.
            _ => {}
        }
        Ok(())
    }

    /// What the sender takes up to say who it is lifts the limit of descriptors in flight (RLIMIT_NOFILE, unix(7)): so that is asked of a pair of
    /// sockets of the supervisor's own first, with the caller's capabilities and no others.
    fn may_be_in_flight(&self, errand: &Errand<'_>) -> Result<(), Stop> {
        if self.passed.is_empty() || !errand.session.standing.ids_may_differ.load(Ordering::Acquire) {
            return Ok(());
        }
        let (from, _to) = sys::pair().map_err(Errno::from)?;
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        errand.as_caller(|| Ok(sys::send(from.as_fd(), &[], b"?", &self.bytes, flags).map(drop).map_err(Errno::from)?))
    }

    fn rights(&mut self, errand: &Errand<'_>, data: &[u8]) -> Sys<()> {
        let numbers = data.chunks_exact(4).map(|bytes| bytes.try_into().map_or(-1, i32::from_ne_bytes));
        if numbers.len() > DESCRIPTORS_MAX {
            return Err(Errno(libc::EINVAL));
        }
        let mut own = Vec::new();
        for number in numbers {
            let file = errand.caller.open_file(number)?;
            own.extend(file.as_raw_fd().to_ne_bytes());
            self.passed.push(file);
        }
        self.push(libc::SOL_SOCKET, libc::SCM_RIGHTS, &own);
        Ok(())
    }

    fn internet(&mut self, item: Item<'_>) -> Sys<()> {
        const ALLOWED: &[(i32, i32)] = &[
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPING),
            (libc::SOL_SOCKET, libc::SCM_TXTIME),
            (libc::IPPROTO_IP, libc::IP_TOS),
            (libc::IPPROTO_IP, libc::IP_TTL),
            (libc::IPPROTO_IP, libc::IP_PKTINFO),
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO),
            (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT),
            (libc::IPPROTO_IPV6, libc::IPV6_TCLASS),
            (libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG),
            (libc::IPPROTO_UDP, libc::UDP_SEGMENT),
        ];
        match (item.level, item.kind) {
            // Descriptors and credentials mean nothing to an internet socket; the kernel skips them.
            (libc::SOL_SOCKET, libc::SCM_RIGHTS | SCM_CREDENTIALS) => Ok(()),
            allowed if ALLOWED.contains(&allowed) && !names_a_device(item) => {
                self.push(item.level, item.kind, item.data);
                Ok(())
            }
            // Source routes, headers and devices would lead the packet elsewhere than it was judged to go.
            _ => Err(Errno(libc::EPERM)),
        }
    }

    fn push(&mut self, level: i32, kind: i32, data: &[u8]) {
        self.bytes.extend(message(level, kind, data));
    }
}

/// Whether a message is to leave by a device of the caller's choice: then even one to a loopback address goes to the wire. The index stands first
/// in `in_pktinfo`, and behind the address in `in6_pktinfo`.
fn names_a_device(item: Item<'_>) -> bool {
    let at = match (item.level, item.kind) {
        (libc::IPPROTO_IP, libc::IP_PKTINFO) => 0,
        (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => 16,
        _ => return false,
    };
    item.data.get(at..at + 4) != Some(&[0; 4])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_seen_where_the_kernel_reads_it() {
        let named = |level, kind, data: &[u8]| names_a_device(Item { level, kind, data });
        assert!(!named(libc::IPPROTO_IP, libc::IP_PKTINFO, &[0; 12]));
        assert!(named(libc::IPPROTO_IP, libc::IP_PKTINFO, &[2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
        let mut six = [0; 20];
        assert!(!named(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &six));
        six[16] = 2;
        assert!(named(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &six));
        assert!(named(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &six[..8]));
        assert!(!named(libc::IPPROTO_IP, libc::IP_TTL, &[1, 0, 0, 0]));
    }

    #[test]
    fn routes_are_refused_and_plain_fields_pass() {
        let mut control = Control::default();
        let item = |level, kind| Item { level, kind, data: &[0; 4] };
        assert_eq!(control.internet(item(libc::IPPROTO_IP, libc::IP_RETOPTS)), Err(Errno(libc::EPERM)));
        assert_eq!(control.internet(item(libc::IPPROTO_IPV6, libc::IPV6_RTHDR)), Err(Errno(libc::EPERM)));
        assert_eq!(control.internet(item(libc::SOL_SOCKET, libc::SCM_RIGHTS)), Ok(()));
        assert!(control.bytes.is_empty());
        assert_eq!(control.internet(item(libc::IPPROTO_IP, libc::IP_TTL)), Ok(()));
        assert_eq!(control.bytes.len(), 24);
    }
}
