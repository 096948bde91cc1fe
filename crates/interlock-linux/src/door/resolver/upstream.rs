//! Asking the machine's own servers, from the supervisor, for the addresses of one name.
//!
//! INVARIANT: only names that policy may let somebody reach come here. An answer counts if it comes from the server that was asked, with the number of the question
//! and the name in it (RFC 5452); a port of the kernel's choice is asked from each time.

use super::machine::Servers;
use interlock_abi::dns::{self, Code, Family, MESSAGE_BYTES_MAX, Response};
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

/// How often each server is asked.
const ROUNDS: usize = 2;
const DATAGRAM_BYTES_MAX: usize = 4096;

/// What the machine's servers say of a name: the first that says anything but that it failed. Nothing where none does. Not asked are those that `is_none` says
/// are none of the machine's.
#[must_use]
pub fn ask(servers: &Servers, is_none: impl Fn(SocketAddr) -> bool, name: &str, family: Family) -> Option<Response> {
    let addresses = std::iter::repeat_n(&servers.addresses, ROUNDS).flatten().filter(|server| !is_none(**server));
    addresses.into_iter().find_map(|server| one(*server, servers.wait, name, family)).map(|mut answer| {
        answer.addresses.dedup();
        answer
    })
}

fn one(server: SocketAddr, wait: Duration, name: &str, family: Family) -> Option<Response> {
    let id = random();
    let question = dns::question(id, name, family)?;
    let by_datagram = by_datagram(server, wait, &question, |message| Response::read(message, id, name, family))?;
    let answer = if by_datagram.cut { Response::read(&by_stream(server, wait, &question)?, id, name, family)? } else { by_datagram };
    (answer.code != Code::ServerFailure).then_some(answer)
}

fn by_datagram(server: SocketAddr, wait: Duration, question: &[u8], read: impl Fn(&[u8]) -> Option<Response>) -> Option<Response> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(server).ok()?;
    socket.send(question).ok()?;
    let (begun, mut message) = (Instant::now(), vec![0_u8; DATAGRAM_BYTES_MAX]);
    loop {
        let left = wait.checked_sub(begun.elapsed()).filter(|left| !left.is_zero())?;
        socket.set_read_timeout(Some(left)).ok()?;
        let count = socket.recv(&mut message).ok()?;
        if let Some(answer) = message.get(..count).and_then(&read) {
            return Some(answer);
        }
    }
}

fn by_stream(server: SocketAddr, wait: Duration, question: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&server, wait).ok()?;
    stream.set_read_timeout(Some(wait)).ok()?;
    stream.set_write_timeout(Some(wait)).ok()?;
    let length = u16::try_from(question.len()).ok()?;
    stream.write_all(&[&length.to_be_bytes(), question].concat()).ok()?;
    message(&mut stream)
}

/// The next message of a stream (RFC 1035 section 4.2.2).
pub fn message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0_u8; 2];
    stream.read_exact(&mut length).ok()?;
    let mut message = vec![0_u8; usize::from(u16::from_be_bytes(length)).min(MESSAGE_BYTES_MAX)];
    stream.read_exact(&mut message).ok()?;
    Some(message)
}

fn random() -> u16 {
    use std::hash::{BuildHasher as _, RandomState};
    // Keyed from the kernel's random source; each call has another key.
    RandomState::new().hash_one(Instant::now()) as u16
}
