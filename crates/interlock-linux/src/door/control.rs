//! Control messages of a send: read from the caller, translated into what the supervisor may send for it.
//!
//! Descriptors are taken out of the caller and passed on; credentials must be the caller's own; options of internet sockets pass where
//! they choose nothing but the packet's own fields. Source: cmsg(3), unix(7), ip(7), ipv6(7), udp(7).

use super::errand::Errand;
use crate::sys::errno::{Errno, Sys};
use std::os::fd::{AsRawFd as _, OwnedFd};

/// The kernel's limit on ancillary data (`net.core.optmem_max`), at most.
pub const CONTROL_BYTES_MAX: u64 = 128 * 1024;
/// Descriptors of one message (SCM_MAX_FD).
const DESCRIPTORS_MAX: usize = 253;
const HEADER: usize = 16;
const ALIGN: usize = 8;
const SCM_CREDENTIALS: i32 = 2;

/// What is sent besides data, and the descriptors that must stay open until it is.
#[derive(Default)]
pub struct Control {
    /// As the kernel reads it.
    pub bytes: Vec<u8>,
    passed: Vec<OwnedFd>,
}

/// One control message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Item<'b> {
    level: i32,
    kind: i32,
    data: &'b [u8],
}

/// Translates the `length` bytes at `address`.
///
/// # Errors
/// EINVAL for a malformed message, EBADF for a descriptor the caller does not have, EPERM for credentials of somebody else and for
/// options that choose a route, ENOBUFS for too many bytes.
pub fn read(errand: &Errand<'_>, address: u64, length: u64, domain: i32) -> Sys<Control> {
    if address == 0 || length == 0 {
        return Ok(Control::default());
    }
    if length > CONTROL_BYTES_MAX {
        return Err(Errno(libc::ENOBUFS));
    }
    let mut bytes = vec![0_u8; usize::try_from(length).map_err(|_| Errno(libc::ENOBUFS))?];
    errand.caller.read(address, &mut bytes)?;
    let mut control = Control::default();
    for item in items(&bytes)? {
        if domain == libc::AF_UNIX { control.unix(errand, item)? } else { control.internet(item)? }
    }
    Ok(control)
}

/// Splits control data; what does not fit is EINVAL, a tail too short for a header is ignored, as the kernel does.
fn items(bytes: &[u8]) -> Sys<Vec<Item<'_>>> {
    let mut items = Vec::new();
    let mut rest = bytes;
    while rest.len() >= HEADER {
        let word = |at: usize| rest.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, i32::from_ne_bytes);
        let length = rest.get(..8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_ne_bytes);
        let length = usize::try_from(length).ok().filter(|length| (HEADER..=rest.len()).contains(length)).ok_or(Errno(libc::EINVAL))?;
        let data = rest.get(HEADER..length).ok_or(Errno(libc::EINVAL))?;
        items.push(Item { level: word(8), kind: word(12), data });
        rest = rest.get(length.next_multiple_of(ALIGN)..).unwrap_or_default();
    }
    Ok(items)
}

impl Control {
    fn unix(&mut self, errand: &Errand<'_>, item: Item<'_>) -> Sys<()> {
        match (item.level, item.kind) {
            (libc::SOL_SOCKET, libc::SCM_RIGHTS) => self.rights(errand, item.data),
            (libc::SOL_SOCKET, SCM_CREDENTIALS) => self.credentials(errand, item.data),
            (libc::SOL_SOCKET, _) => Err(Errno(libc::EINVAL)),
            // Other levels mean nothing to a unix socket; the kernel skips them.
            _ => Ok(()),
        }
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

    /// Honest credentials pass, the supervisor's process id standing for the caller's: to say another one takes CAP_SYS_ADMIN, which it gave up.
    fn credentials(&mut self, errand: &Errand<'_>, data: &[u8]) -> Sys<()> {
        let word = |at: usize| data.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_ne_bytes);
        let (Some(process), Some(user), Some(group)) = (word(0), word(4), word(8)) else { return Err(Errno(libc::EINVAL)) };
        let status = std::fs::read_to_string(format!("/proc/{}/status", errand.call.thread))?;
        let line = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).map(str::split_whitespace);
        let says = |key: &str, wanted: u32| line(key).is_some_and(|mut words| words.any(|word| word.parse() == Ok(wanted)));
        let own_ids = |key: &str, wanted: u32| line(key).is_some_and(|words| words.take(3).any(|word| word.parse() == Ok(wanted)));
        if !says("Tgid:", process) || !own_ids("Uid:", user) || !own_ids("Gid:", group) {
            return Err(Errno(libc::EPERM));
        }
        let process = u32::try_from(errand.session.ground.process).unwrap_or(process);
        self.push(libc::SOL_SOCKET, SCM_CREDENTIALS, &[process, user, group].map(u32::to_ne_bytes).concat());
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
            allowed if ALLOWED.contains(&allowed) => {
                self.push(item.level, item.kind, item.data);
                Ok(())
            }
            // Source routes and headers would lead the packet elsewhere than it was judged to go.
            _ => Err(Errno(libc::EPERM)),
        }
    }

    fn push(&mut self, level: i32, kind: i32, data: &[u8]) {
        self.bytes.extend(((HEADER + data.len()) as u64).to_ne_bytes());
        self.bytes.extend(level.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(data);
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGN), 0);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_split_and_written_alike() {
        let mut control = Control::default();
        control.push(libc::SOL_SOCKET, libc::SCM_RIGHTS, &[1, 0, 0, 0]);
        control.push(libc::IPPROTO_IP, libc::IP_TOS, &[9, 0, 0, 0]);
        let found = items(&control.bytes).unwrap();
        assert_eq!(found.first(), Some(&Item { level: libc::SOL_SOCKET, kind: libc::SCM_RIGHTS, data: &[1, 0, 0, 0] }));
        assert_eq!(found.get(1).unwrap().data, [9, 0, 0, 0]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut control = Control::default();
        control.push(libc::SOL_SOCKET, libc::SCM_RIGHTS, &[1, 0, 0, 0]);
        let mut long = control.bytes.clone();
        if let Some(byte) = long.first_mut() {
            *byte = 200;
        }
        assert_eq!(items(&long), Err(Errno(libc::EINVAL)));
        assert_eq!(items(&[0; 16]), Err(Errno(libc::EINVAL)));
        assert_eq!(items(&[0; 15]), Ok(Vec::new()));
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
