//! Which sockets are this session's, and whose would answer at an address: the `to` of a network act.
//!
//! Keyed on the socket's inode, which the kernel gives to one socket at a time, whatever its address, and looked up among the live
//! sockets of the caller's network namespace at the moment of the act: a closed and reused port is not ours any more.
//! Leaves out what follows from it (`connect`, `send`). Source: `listeners`; `/proc/net/{tcp,tcp6,udp,udp6,unix}`, proc_pid_net(5).
//!
//! INVARIANT: inside means that *every* live socket that could answer is this session's: a neighbour on a wildcard, on the other
//! family or behind SO_REUSEPORT makes it outside. What cannot be read is outside.

use super::listeners;
use interlock_core::action::{Protocol, Side};
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Sockets remembered; past it, those that are gone are forgotten, and if none is, the oldest knowledge wins and new ones are outside.
const SOCKETS_MAX: usize = 16_384;
/// TCP_LISTEN.
pub(super) const LISTENING: u8 = 0x0a;

/// The sockets that this session has bound.
#[derive(Default)]
pub struct Sockets(Mutex<HashSet<u64>>);

/// Who would answer at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answering {
    /// No socket of this machine: a TCP connect would be refused.
    Nobody,
    /// Sockets, on the side that holds for all of them.
    Somebody(Side),
}

impl Answering {
    /// The side an Action says: nobody is not of this session.
    pub fn side(self) -> Side {
        match self {
            Answering::Nobody => Side::Outside,
            Answering::Somebody(side) => side,
        }
    }
}

impl Sockets {
    /// Remembers a socket of this session by its inode; `thread` lives in the socket's network namespace.
    pub fn note(&self, inode: u64, thread: i32) {
        let mut known = self.known();
        if known.len() >= SOCKETS_MAX {
            let live = live(thread);
            known.retain(|inode| live.contains(inode));
        }
        if known.len() < SOCKETS_MAX {
            known.insert(inode);
        }
    }

    fn known(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn side_of(&self, found: &[u64]) -> Answering {
        let known = self.known();
        match found {
            [] => Answering::Nobody,
            found if found.iter().all(|inode| known.contains(inode)) => Answering::Somebody(Side::Inside),
            _ => Answering::Somebody(Side::Outside),
        }
    }

    /// Who answers at `address` and `port`, as `thread` would reach it. Only addresses of this machine can be inside.
    pub fn answering(&self, thread: i32, protocol: Protocol, address: IpAddr, port: u16) -> Answering {
        if !address.is_loopback() && !reaches_itself(address) {
            return Answering::Somebody(Side::Outside);
        }
        let told = if protocol == Protocol::Tcp { listeners::at(port, thread) } else { None };
        let is_long = told.as_ref().is_some_and(|told| listeners::is_long(told.len()));
        let rows = told.or_else(|| match protocol {
            Protocol::Tcp => rows(thread, ["tcp", "tcp6"]),
            Protocol::Udp => rows(thread, ["udp", "udp6"]),
            Protocol::Other => None,
        });
        let Some(rows) = rows else {
            return Answering::Somebody(Side::Outside);
        };
        let could = |row: &&Row| row.port == port && (protocol == Protocol::Udp || row.state == LISTENING) && row.answers(address);
        let mut found: Vec<u64> = rows.iter().filter(could).map(|row| row.inode).collect();
        if is_long && !found.is_empty() {
            // None that is told is no socket of ours.
            found.push(listeners::who(address, port).unwrap_or(0));
        }
        self.side_of(&found)
    }

    /// Whose the abstract unix name is.
    pub fn answering_abstract(&self, thread: i32, name: &[u8]) -> Answering {
        match table(thread, "unix") {
            Some(table) => self.side_of(&holders_of_abstract(&table, name)),
            None => Answering::Somebody(Side::Outside),
        }
    }

    /// Whose the unix socket bound to the file `inode` is: the session's own binds are remembered by the file they made.
    pub fn holds(&self, inode: u64) -> bool {
        self.known().contains(&inode)
    }
}

/// Whether what is sent to `address` arrives at this machine: then, and only then, the kernel chooses the address itself as the source.
/// An unconnected datagram socket asks the routing table without a packet being sent.
pub fn reaches_itself(address: IpAddr) -> bool {
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    // The port is of no matter to a route; 9 is discard's.
    let asked = UdpSocket::bind((any, 0)).and_then(|socket| socket.connect((address, 9)).and_then(|()| socket.local_addr()));
    asked.is_ok_and(|own| own.ip() == address)
}

fn rows(thread: i32, names: [&str; 2]) -> Option<Vec<Row>> {
    let tables = names.iter().map(|name| table(thread, name)).collect::<Option<Vec<_>>>()?;
    Some(tables.iter().flat_map(|table| table.lines().skip(1)).filter_map(Row::parse).collect())
}

fn table(thread: i32, name: &str) -> Option<String> {
    // Names in the unix table may be any bytes.
    let bytes = std::fs::read(format!("/proc/{thread}/net/{name}")).or_else(|error| {
        // A kernel without IPv6 has no such table, and no such sockets.
        if error.kind() == std::io::ErrorKind::NotFound && name.ends_with('6') { Ok(Vec::new()) } else { Err(error) }
    });
    bytes.ok().map(|bytes| bytes.into_iter().map(char::from).collect())
}

fn live(thread: i32) -> HashSet<u64> {
    let internet = ["tcp", "tcp6", "udp", "udp6"].iter().filter_map(|name| table(thread, name));
    let mut found: HashSet<u64> =
        internet.flat_map(|table| table.lines().filter_map(Row::parse).map(|row| row.inode).collect::<Vec<_>>()).collect();
    if let Some(table) = table(thread, "unix") {
        found.extend(table.lines().filter_map(|line| line.split_whitespace().nth(6)?.parse::<u64>().ok()));
    }
    found
}

/// A line of an internet table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) address: IpAddr,
    pub(super) port: u16,
    pub(super) state: u8,
    pub(super) inode: u64,
}

impl Row {
    fn parse(line: &str) -> Option<Row> {
        let mut fields = line.split_whitespace();
        let (address, port) = fields.nth(1)?.split_once(':')?;
        let state = u8::from_str_radix(fields.nth(1)?, 16).ok()?;
        let inode = fields.nth(5)?.parse().ok()?;
        Some(Row { address: parse_address(address)?, port: u16::from_str_radix(port, 16).ok()?, state, inode })
    }

    /// Whether a connect to `address` could arrive here. `::` may take IPv4 as well: its V6ONLY flag is not in the table.
    fn answers(&self, address: IpAddr) -> bool {
        self.address == address
            || match self.address {
                IpAddr::V4(own) => own.is_unspecified() && address.is_ipv4(),
                IpAddr::V6(own) => own.is_unspecified(),
            }
    }
}

/// Words of the machine's byte order, in hexadecimal. An IPv4-mapped address is given as IPv4.
fn parse_address(text: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(text.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    if text.len() == 8 {
        return Some(IpAddr::V4(Ipv4Addr::from(word(0)?)));
    }
    let mut octets = [0_u8; 16];
    for (index, part) in octets.chunks_exact_mut(4).enumerate() {
        part.copy_from_slice(&word(index * 8)?);
    }
    let address = Ipv6Addr::from(octets);
    Some(address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4))
}

/// Inodes of the sockets that hold an abstract name. The table writes `@` for each zero byte, so names that differ in it only count alike.
fn holders_of_abstract(table: &str, name: &[u8]) -> Vec<u64> {
    let wanted: String = std::iter::once('@').chain(name.iter().map(|byte| if *byte == 0 { '@' } else { char::from(*byte) })).collect();
    let line = |line: &str| {
        let (inode, held) = inode_and_name(line)?;
        (held == wanted).then_some(inode)
    };
    table.lines().skip(1).filter_map(line).collect()
}

/// `Num RefCount Protocol Flags Type St Inode Path`: seven fields, padded with spaces, then one space and the name, spaces and all.
fn inode_and_name(line: &str) -> Option<(u64, &str)> {
    let mut rest = line;
    let mut field = "";
    for _ in 0..7 {
        rest = rest.trim_start_matches(' ');
        let end = rest.find(' ').unwrap_or(rest.len());
        (field, rest) = (rest.get(..end)?, rest.get(end..)?);
    }
    Some((field.parse().ok()?, rest.strip_prefix(' ')?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::os::fd::AsFd;

    fn inode(socket: impl AsFd) -> u64 {
        crate::sys::files::stat(socket.as_fd()).unwrap().inode
    }

    fn own() -> i32 {
        i32::try_from(std::process::id()).unwrap()
    }

    #[test]
    fn a_row_is_read() {
        let row =
            Row::parse("   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4242 1 0 100 0 0 10 0");
        assert_eq!(row, Some(Row { address: "127.0.0.1".parse().unwrap(), port: 8080, state: 10, inode: 4242 }));
        let row = Row::parse("   0: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 7 1");
        assert_eq!(row.unwrap().address, "::1".parse::<IpAddr>().unwrap());
        let row = Row::parse("   0: 0000000000000000FFFF00000100007F:1F90 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 7 1");
        assert_eq!(row.unwrap().address, "127.0.0.1".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn a_listener_is_inside_when_it_was_noted_and_nobody_when_closed() {
        let sockets = Sockets::default();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ask = |ip: &str| sockets.answering(own(), Protocol::Tcp, ip.parse().unwrap(), address.port());
        assert_eq!(ask("127.0.0.1"), Answering::Somebody(Side::Outside));
        sockets.note(inode(&listener), own());
        assert_eq!(ask("127.0.0.1"), Answering::Somebody(Side::Inside));
        assert_eq!(ask("127.0.0.2"), Answering::Nobody);
        assert_eq!(ask("192.0.2.1"), Answering::Somebody(Side::Outside));
        drop(listener);
        assert_eq!(ask("127.0.0.1"), Answering::Nobody);
    }

    #[test]
    fn a_neighbour_on_another_address_of_the_same_port_is_not_ours() {
        let sockets = Sockets::default();
        let outside = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = outside.local_addr().unwrap().port();
        let ours = TcpListener::bind(("127.0.0.2", port)).unwrap();
        sockets.note(inode(&ours), own());
        assert_eq!(sockets.answering(own(), Protocol::Tcp, "127.0.0.2".parse().unwrap(), port).side(), Side::Inside);
        assert_eq!(sockets.answering(own(), Protocol::Tcp, "127.0.0.1".parse().unwrap(), port).side(), Side::Outside);
    }

    #[test]
    fn a_datagram_socket_answers_without_listening() {
        let sockets = Sockets::default();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        sockets.note(inode(&socket), own());
        let port = socket.local_addr().unwrap().port();
        assert_eq!(sockets.answering(own(), Protocol::Udp, "127.0.0.1".parse().unwrap(), port).side(), Side::Inside);
        assert_eq!(sockets.answering(own(), Protocol::Tcp, "127.0.0.1".parse().unwrap(), port), Answering::Nobody);
    }

    #[test]
    fn abstract_names_with_spaces_are_found() {
        let table = "Num       RefCount Protocol Flags    Type St Inode Path\n\
                     0000000000000000: 00000002 00000000 00010000 0001 01 123 @a b\n\
                     0000000000000000: 00000002 00000000 00010000 0001 01 124 @a\n\
                     0000000000000000: 00000003 00000000 00000000 0001 03 125\n";
        assert_eq!(holders_of_abstract(table, b"a b"), [123]);
        assert_eq!(holders_of_abstract(table, b"a"), [124]);
        assert!(holders_of_abstract(table, b"c").is_empty());
    }
}
