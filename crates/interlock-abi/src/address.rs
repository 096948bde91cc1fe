//! What a socket address says, parsed once from one copy, and written out again from what was judged.
//!
//! Left out: the socket itself, and what is decided. ip(7), ipv6(7), unix(7), netlink(7).
//! INVARIANT: what reaches the kernel is built from the parsed value, never the caller's bytes: families the kernel treats as
//! each other (AF_UNSPEC as AF_INET in UDP sends and binds) cannot be judged as one and used as the other.

use crate::errno::{Errno, Sys};
use crate::field::array;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest address the kernel copies (`struct sockaddr_storage`).
pub const ADDRESS_BYTES_MAX: usize = 128;
const UNIX_BYTES_MAX: usize = 110;
const FAMILY_BYTES: usize = 2;

/// Domain, type and protocol of a socket, as its own options say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// AF_*.
    pub domain: i32,
    /// SOCK_STREAM and the like.
    pub style: i32,
    /// IPPROTO_*.
    pub protocol: i32,
}

/// What the address is for: the kernel reads the same bytes differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Purpose {
    Connect,
    Bind,
    Send,
}

/// An address of a kind the door knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// AF_UNSPEC in a connect: the association ends.
    Dissolve,
    /// No address after all (AF_UNSPEC in a send on an IPv6 socket).
    Absent,
    /// An internet address.
    Inet(Endpoint),
    /// A unix socket in the file system.
    Path(Vec<u8>),
    /// A unix socket in the abstract name space, without its leading zero.
    Abstract(Vec<u8>),
    /// A unix bind without a name: the kernel chooses an abstract one.
    Autobind,
    /// A netlink port and its multicast groups.
    Netlink {
        /// 0 is the kernel.
        port: u32,
        /// A bit for each group.
        groups: u32,
    },
}

/// Address and port, with what only the wire form has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// IPv4-mapped IPv6 is written as IPv4.
    pub address: IpAddr,
    /// In host order.
    pub port: u16,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Four,
    Six { flow: u32, scope: u32 },
}

impl Endpoint {
    /// The bytes the kernel is given.
    pub fn wire(&self) -> Vec<u8> {
        match (self.form, self.address) {
            (Form::Four, IpAddr::V4(address)) => four(self.port, address),
            (Form::Four, IpAddr::V6(_)) => Vec::new(),
            (Form::Six { flow, scope }, IpAddr::V4(address)) => six(self.port, flow, address.to_ipv6_mapped(), scope),
            (Form::Six { flow, scope }, IpAddr::V6(address)) => six(self.port, flow, address, scope),
        }
    }

    /// The same port of another address, in the form that the caller gave.
    #[must_use]
    pub fn at(self, address: IpAddr) -> Self {
        Self { address, ..self }
    }

    /// The same, the unspecified address replaced by what the kernel would take it for: this socket's own address, else loopback.
    #[must_use]
    pub fn towards(self, own: Option<IpAddr>) -> Self {
        let own = own.filter(|address| !address.is_unspecified());
        let address = match (self.address, own) {
            (IpAddr::V4(address), Some(IpAddr::V4(own))) if address.is_unspecified() => IpAddr::V4(own),
            (IpAddr::V4(address), _) if address.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            (IpAddr::V6(address), Some(IpAddr::V4(_))) if address.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            (IpAddr::V6(address), _) if address.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            (address, _) => address,
        };
        Self { address, ..self }
    }
}

fn four(port: u16, address: Ipv4Addr) -> Vec<u8> {
    let mut wire = family(libc::AF_INET);
    wire.extend(port.to_be_bytes());
    wire.extend(address.octets());
    wire.extend([0; 8]);
    wire
}

fn six(port: u16, flow: u32, address: Ipv6Addr, scope: u32) -> Vec<u8> {
    let mut wire = family(libc::AF_INET6);
    wire.extend(port.to_be_bytes());
    wire.extend(flow.to_ne_bytes());
    wire.extend(address.octets());
    wire.extend(scope.to_ne_bytes());
    wire
}

fn family(number: i32) -> Vec<u8> {
    u16::try_from(number).unwrap_or(0).to_ne_bytes().to_vec()
}

/// A unix address for a path or, with a leading zero, an abstract name. None where it does not fit.
pub fn unix_wire(name: &[u8]) -> Option<Vec<u8>> {
    let mut wire = family(libc::AF_UNIX);
    wire.extend(name);
    // A path's terminating zero is optional; without it the kernel takes the length.
    (wire.len() <= UNIX_BYTES_MAX).then_some(wire)
}

/// The wire form of AF_UNSPEC: ends an association.
pub fn dissolve_wire() -> Vec<u8> {
    let mut wire = family(libc::AF_UNSPEC);
    wire.resize(16, 0);
    wire
}

/// A unix address without a name: the kernel chooses an abstract one.
pub fn autobind_wire() -> Vec<u8> {
    family(libc::AF_UNIX)
}

/// The wire form of a netlink address.
pub fn netlink_wire(port: u32, groups: u32) -> Vec<u8> {
    let mut wire = family(libc::AF_NETLINK);
    wire.extend([0, 0]);
    wire.extend(port.to_ne_bytes());
    wire.extend(groups.to_ne_bytes());
    wire
}

/// Reads `bytes` as the kernel would for a socket of `kind`.
///
/// # Errors
/// The errno the kernel gives for an address it does not take.
pub fn parse(bytes: &[u8], kind: Kind, purpose: Purpose) -> Sys<Name> {
    let given = i32::from(u16::from_ne_bytes(array(bytes, 0).ok_or(Errno(libc::EINVAL))?));
    if given == libc::AF_UNSPEC && purpose == Purpose::Connect {
        return Ok(Name::Dissolve);
    }
    match kind.domain {
        libc::AF_INET => parse_on_four(bytes, given, purpose).map(Name::Inet),
        libc::AF_INET6 => parse_on_six(bytes, given, kind, purpose),
        libc::AF_UNIX => parse_unix(bytes, given, purpose),
        libc::AF_NETLINK => parse_netlink(bytes, given),
        _ => Err(Errno(libc::EAFNOSUPPORT)),
    }
}

fn parse_on_four(bytes: &[u8], given: i32, purpose: Purpose) -> Sys<Endpoint> {
    let endpoint = read_four(bytes)?;
    match (given, purpose) {
        (libc::AF_INET, _) | (libc::AF_UNSPEC, Purpose::Send) => Ok(endpoint),
        (libc::AF_UNSPEC, Purpose::Bind) if endpoint.address.is_unspecified() => Ok(endpoint),
        _ => Err(Errno(libc::EAFNOSUPPORT)),
    }
}

fn parse_on_six(bytes: &[u8], given: i32, kind: Kind, purpose: Purpose) -> Sys<Name> {
    match (given, purpose) {
        (libc::AF_INET6, _) => read_six(bytes).map(Name::Inet),
        (libc::AF_INET, Purpose::Connect | Purpose::Send) if kind.style == libc::SOCK_DGRAM => read_four(bytes).map(Name::Inet),
        (libc::AF_UNSPEC, Purpose::Send) => Ok(Name::Absent),
        _ => Err(Errno(libc::EAFNOSUPPORT)),
    }
}

fn read_four(bytes: &[u8]) -> Sys<Endpoint> {
    if bytes.len() < 16 {
        return Err(Errno(libc::EINVAL));
    }
    let port = u16::from_be_bytes(array(bytes, 2).ok_or(Errno(libc::EINVAL))?);
    let octets: [u8; 4] = array(bytes, 4).ok_or(Errno(libc::EINVAL))?;
    Ok(Endpoint { address: IpAddr::V4(Ipv4Addr::from(octets)), port, form: Form::Four })
}

fn read_six(bytes: &[u8]) -> Sys<Endpoint> {
    let port = u16::from_be_bytes(array(bytes, 2).ok_or(Errno(libc::EINVAL))?);
    let flow = u32::from_ne_bytes(array(bytes, 4).ok_or(Errno(libc::EINVAL))?);
    let octets: [u8; 16] = array(bytes, 8).ok_or(Errno(libc::EINVAL))?;
    // The scope is absent in the oldest form of the structure (RFC 2133), which the kernel still takes.
    let scope = array(bytes, 24).map_or(0, u32::from_ne_bytes);
    let address = Ipv6Addr::from(octets);
    let address = address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4);
    Ok(Endpoint { address, port, form: Form::Six { flow, scope } })
}

fn parse_unix(bytes: &[u8], given: i32, purpose: Purpose) -> Sys<Name> {
    if given != libc::AF_UNIX || bytes.len() > UNIX_BYTES_MAX {
        return Err(Errno(libc::EINVAL));
    }
    match (bytes.get(FAMILY_BYTES..).unwrap_or_default(), purpose) {
        ([], Purpose::Bind) => Ok(Name::Autobind),
        ([], _) => Err(Errno(libc::EINVAL)),
        ([0, name @ ..], _) => Ok(Name::Abstract(name.to_vec())),
        (path, _) => Ok(Name::Path(path.split(|byte| *byte == 0).next().unwrap_or_default().to_vec())),
    }
}

fn parse_netlink(bytes: &[u8], given: i32) -> Sys<Name> {
    if given != libc::AF_NETLINK || bytes.len() < 12 {
        return Err(Errno(libc::EINVAL));
    }
    let port = u32::from_ne_bytes(array(bytes, 4).ok_or(Errno(libc::EINVAL))?);
    let groups = u32::from_ne_bytes(array(bytes, 8).ok_or(Errno(libc::EINVAL))?);
    Ok(Name::Netlink { port, groups })
}

/// The address in a getsockname(2) answer of an internet socket.
pub fn own_endpoint(name: &[u8]) -> Option<Endpoint> {
    match i32::from(u16::from_ne_bytes(array(name, 0)?)) {
        libc::AF_INET => read_four(name).ok(),
        libc::AF_INET6 => read_six(name).ok(),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;

    const TCP4: Kind = Kind { domain: libc::AF_INET, style: libc::SOCK_STREAM, protocol: libc::IPPROTO_TCP };
    const UDP4: Kind = Kind { domain: libc::AF_INET, style: libc::SOCK_DGRAM, protocol: libc::IPPROTO_UDP };
    const UDP6: Kind = Kind { domain: libc::AF_INET6, style: libc::SOCK_DGRAM, protocol: libc::IPPROTO_UDP };
    const TCP6: Kind = Kind { domain: libc::AF_INET6, style: libc::SOCK_STREAM, protocol: libc::IPPROTO_TCP };
    const UNIX: Kind = Kind { domain: libc::AF_UNIX, style: libc::SOCK_STREAM, protocol: 0 };

    fn inet(name: Sys<Name>) -> Endpoint {
        match name {
            Ok(Name::Inet(endpoint)) => endpoint,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_parsed_is_what_is_written() {
        let wire = four(80, Ipv4Addr::new(10, 1, 2, 3));
        assert_eq!(inet(parse(&wire, TCP4, Purpose::Connect)).wire(), wire);
        let wire = six(443, 7, "fe80::1".parse().unwrap(), 2);
        assert_eq!(inet(parse(&wire, TCP6, Purpose::Connect)).wire(), wire);
    }

    #[test]
    fn a_mapped_address_is_judged_as_four_and_sent_as_six() {
        let wire = six(80, 0, "::ffff:10.0.0.1".parse().unwrap(), 0);
        let endpoint = inet(parse(&wire, TCP6, Purpose::Connect));
        assert_eq!(endpoint.address, "10.0.0.1".parse::<IpAddr>().unwrap());
        assert_eq!(endpoint.wire(), wire);
    }

    #[test]
    fn unspecified_family_is_internet_in_a_datagram_send() {
        let mut wire = four(53, Ipv4Addr::new(8, 8, 8, 8));
        wire[0] = 0;
        let endpoint = inet(parse(&wire, UDP4, Purpose::Send));
        assert_eq!(endpoint.address, "8.8.8.8".parse::<IpAddr>().unwrap());
        assert_eq!(i32::from(endpoint.wire()[0]), libc::AF_INET);
        assert_eq!(parse(&wire, UDP4, Purpose::Connect), Ok(Name::Dissolve));
        assert_eq!(parse(&wire, UDP6, Purpose::Send), Ok(Name::Absent));
        assert_eq!(parse(&wire, UDP4, Purpose::Bind), Err(Errno(libc::EAFNOSUPPORT)));
    }

    #[test]
    fn four_on_six_for_datagrams_only() {
        let wire = four(53, Ipv4Addr::new(8, 8, 8, 8));
        assert_eq!(inet(parse(&wire, UDP6, Purpose::Send)).wire(), wire);
        assert_eq!(parse(&wire, TCP6, Purpose::Connect), Err(Errno(libc::EAFNOSUPPORT)));
        assert_eq!(parse(&wire, UDP6, Purpose::Bind), Err(Errno(libc::EAFNOSUPPORT)));
    }

    #[test]
    fn this_host_is_loopback_or_the_sockets_own() {
        let any = inet(parse(&four(80, Ipv4Addr::UNSPECIFIED), TCP4, Purpose::Connect));
        assert_eq!(any.towards(None).address, "127.0.0.1".parse::<IpAddr>().unwrap());
        assert_eq!(any.towards("10.0.0.9".parse().ok()).address, "10.0.0.9".parse::<IpAddr>().unwrap());
        assert_eq!(any.towards("0.0.0.0".parse().ok()).address, "127.0.0.1".parse::<IpAddr>().unwrap());
        let any = inet(parse(&six(80, 0, Ipv6Addr::UNSPECIFIED, 0), TCP6, Purpose::Connect));
        assert_eq!(any.towards(None).address, "::1".parse::<IpAddr>().unwrap());
        assert_eq!(any.towards("10.0.0.9".parse().ok()).address, "127.0.0.1".parse::<IpAddr>().unwrap());
        let mapped = inet(parse(&six(80, 0, "::ffff:0.0.0.0".parse().unwrap(), 0), TCP6, Purpose::Connect));
        assert_eq!(mapped.towards(None).address, "127.0.0.1".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn unix_names() {
        let wire = unix_wire(b"/tmp/s\0junk").unwrap();
        assert_eq!(parse(&wire, UNIX, Purpose::Connect), Ok(Name::Path(b"/tmp/s".to_vec())));
        assert_eq!(parse(&unix_wire(b"\0a\0b").unwrap(), UNIX, Purpose::Connect), Ok(Name::Abstract(b"a\0b".to_vec())));
        assert_eq!(parse(&family(libc::AF_UNIX), UNIX, Purpose::Bind), Ok(Name::Autobind));
        assert_eq!(parse(&family(libc::AF_UNIX), UNIX, Purpose::Connect), Err(Errno(libc::EINVAL)));
        assert_eq!(parse(&[1], UNIX, Purpose::Connect), Err(Errno(libc::EINVAL)));
        assert_eq!(unix_wire(&[b'x'; 109]), None);
    }

    #[test]
    fn what_is_too_short_is_refused_as_the_kernel_does() {
        assert_eq!(parse(&four(80, Ipv4Addr::LOCALHOST)[..15], TCP4, Purpose::Connect), Err(Errno(libc::EINVAL)));
        assert_eq!(parse(&six(80, 0, Ipv6Addr::LOCALHOST, 0)[..23], TCP6, Purpose::Connect), Err(Errno(libc::EINVAL)));
        assert!(parse(&six(80, 0, Ipv6Addr::LOCALHOST, 9)[..24], TCP6, Purpose::Connect).is_ok());
    }
}
