//! Attestation: the gateway hears from the supervisor which connection is this session's, before the caller sees its connect return.
//!
//! `spec/gateway.md`. Leaves out what the gateway does with it. A connection that cannot be attested is taken back. Where a gateway listens
//! may change during a session, and one may begin to run: so the gateway's own socket is told of every connection that leads to somebody
//! outside on this machine. Its port listens only after that socket is there.

use super::socket::{self, Socket};
use crate::door::errand::Errand;
use crate::door::seen::caller::Stop;
use crate::door::session::Gateway;
use crate::sys::sockets as sys;
use interlock_abi::address::{self, Endpoint};
use interlock_core::action::{Protocol, Side, Verb};
use serde_json::{Value, json};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How long the gateway may take to answer, for each step.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// The longest answer read.
const ANSWER_BYTES_MAX: u64 = 4096;

/// Attests a connection just made, if it may lead to the gateway.
///
/// # Errors
/// [`Stop::Refused`] with ECONNREFUSED; the socket is disconnected again.
pub fn connection(errand: &Errand<'_>, socket: &Socket, endpoint: &Endpoint, side: Side) -> Result<(), Stop> {
    let Some(gateway) = &errand.session.gateway else { return Ok(()) };
    let is_known = gateway.place == Some((endpoint.address, endpoint.port));
    let may_be = side == Side::Outside && endpoint.address.to_canonical().is_loopback();
    if socket.kind.style != libc::SOCK_STREAM || !(is_known || may_be) {
        return Ok(());
    }
    let room = errand.session.room_to_block(errand.call);
    match room.map(|_room| tell(errand, gateway, socket, endpoint)) {
        Ok(Ok(true)) => return Ok(()),
        Ok(Err(error)) if !is_known && is_nobody(&error) => return Ok(()),
        _ => {}
    }
    let _closed = sys::connect(socket.as_fd(), &address::dissolve_wire());
    Err(Stop::Refused {
        reached: socket::act(Verb::NetConnect, Protocol::Tcp, (endpoint.address, endpoint.port), Side::Outside).into(),
        because: "the gateway did not take the attestation of this connection",
        errno: libc::ECONNREFUSED,
    })
}

/// No gateway runs: its socket is not there, or was left by one that has ended.
fn is_nobody(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

fn tell(errand: &Errand<'_>, gateway: &Gateway, socket: &Socket, endpoint: &Endpoint) -> io::Result<bool> {
    let (address, port) = socket.local();
    let process = errand.caller.process().map_err(|error| io::Error::from_raw_os_error(error.0))?;
    let message = json!({
        "type": "attest", "session": errand.session.name, "address": address, "port": port, "cookie": socket.cookie, "process": process,
        "to": endpoint.port,
    });
    let mut stream = UnixStream::connect(&gateway.socket)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    stream.set_write_timeout(Some(ANSWER_WITHIN))?;
    stream.write_all(format!("{message}\n").as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream.take(ANSWER_BYTES_MAX)).read_line(&mut answer)?;
    let answer: Value = serde_json::from_str(&answer)?;
    Ok(answer.get("ok") == Some(&Value::Bool(true)))
}
