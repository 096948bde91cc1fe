//! sendto with an address, sendmsg, sendmmsg: one snapshot of message, address and control data, sent on the caller's behalf.
//!
//! A sendmsg without an address is done the same way: between look and act another thread could exchange descriptor or address.
//! Leaves out control data (`control`) and unix addresses (`unix`). Source: send(2), sendmmsg(2), tcp(7), udp(7), unix(7).

use super::abstracts;
use super::control::{self, Control};
use super::exchange;
use super::inside::{Answering, Sockets};
use super::kept::Hold;
use super::late;
use super::sender::Sender;
use super::socket::{self, Socket};
use super::unix::{self, Held};
use super::whereabouts::Answerer;
use crate::door::answer::{Answered, Pending};
use crate::door::errand::Errand;
use crate::door::seen::caller::Stop;
use crate::line::Enactor;
use crate::sys::errno::{Errno, Sys};
use crate::sys::{ptrace, sockets as sys};
use interlock_abi::address::{self, Endpoint, Name, Purpose};
use interlock_abi::message::{self, HEADER_BYTES, PARTS_MAX};
use interlock_abi::netlink;
use interlock_core::action::{Protocol, Verb};
use std::os::fd::AsFd as _;

/// Bytes taken from the caller at a time; a longer stream is sent piece by piece.
const PIECE_BYTES_MAX: usize = 1024 * 1024;
const ENTRY_BYTES: u64 = 64;
const SO_ZEROCOPY: i32 = 60;

/// What is allowed is done as it is, or not at all.
const ENACTOR: Enactor = Enactor::PLAIN;

/// One message as the caller described it.
#[derive(Default)]
struct Message {
    name: Option<(u64, i32)>,
    parts: Vec<(u64, usize)>,
    control: (u64, u64),
}

/// Answers sendto, sendmsg and sendmmsg.
pub fn send(errand: &Errand<'_>, pending: Pending) -> Answered {
    let result = match i64::from(errand.caller.number()) {
        libc::SYS_sendto => sendto(errand),
        libc::SYS_sendmsg => sendmsg(errand),
        libc::SYS_sendmmsg => sendmmsg(errand),
        _ => Err(Errno(libc::ENOSYS).into()),
    };
    socket::end(errand, pending, result, unix::reaching)
}

fn sendto(errand: &Errand<'_>) -> Result<i64, Stop> {
    let caller = &errand.caller;
    let socket = Socket::take(errand, caller.int(0))?;
    let length = usize::try_from(caller.argument(2)).map_err(|_| Errno(libc::EFAULT))?;
    let name = (caller.argument(4) != 0).then(|| (caller.argument(4), caller.int(5)));
    let socket = exchange::for_message(errand, socket, name)?;
    let message = Message { name, parts: vec![(caller.argument(1), length)], control: (0, 0) };
    deliver(errand, &socket, &message, caller.int(3))
}

fn sendmsg(errand: &Errand<'_>) -> Result<i64, Stop> {
    let socket = Socket::take(errand, errand.caller.int(0))?;
    let message = message_at(errand, errand.caller.argument(1))?;
    let socket = exchange::for_message(errand, socket, message.name)?;
    deliver(errand, &socket, &message, errand.caller.int(2))
}

/// Sends until one fails; that one's error is the call's only if it is the first.
fn sendmmsg(errand: &Errand<'_>) -> Result<i64, Stop> {
    let caller = &errand.caller;
    let mut socket = Socket::take(errand, caller.int(0))?;
    if errand.session.resolver.is_some() && caller.argument(2) != 0 {
        let first = message_at(errand, caller.argument(1))?;
        socket = exchange::for_message(errand, socket, first.name)?;
    }
    let mut sent = 0;
    for index in 0..(caller.argument(2) & 0xffff_ffff).min(PARTS_MAX) {
        match send_entry(errand, &socket, index) {
            Ok(()) => sent += 1,
            Err(Stop::Gone) => return Err(Stop::Gone),
            Err(stop) if sent == 0 => return Err(stop),
            Err(_) => break,
        }
    }
    Ok(sent)
}

fn send_entry(errand: &Errand<'_>, socket: &Socket, index: u64) -> Result<(), Stop> {
    let caller = &errand.caller;
    let entry = caller.argument(1).checked_add(index * ENTRY_BYTES).ok_or(Errno(libc::EFAULT))?;
    let message = message_at(errand, entry)?;
    let count = deliver(errand, socket, &message, caller.int(3))?;
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    caller.write(entry + HEADER_BYTES as u64, &count.to_ne_bytes())
}

/// Reads a `struct msghdr` and its parts.
fn message_at(errand: &Errand<'_>, address: u64) -> Sys<Message> {
    let mut header = [0_u8; HEADER_BYTES];
    errand.caller.read(address, &mut header)?;
    let header = message::Header::of(&header)?;
    let mut parts = vec![0_u8; header.parts_bytes()?];
    errand.caller.read(header.parts.0, &mut parts)?;
    Ok(Message { name: header.name, parts: message::parts(&parts)?, control: header.control })
}

/// Where a message goes: what the kernel is given as its name, and what must be held until then.
enum Destination<'a> {
    Connected,
    Wire(Vec<u8>),
    Object(Held),
    Abstract(Vec<u8>, Vec<u8>),
    Inside { wire: Vec<u8>, _hold: Hold<'a> },
}

impl Destination<'_> {
    fn wire(&self) -> &[u8] {
        match self {
            Self::Connected => &[],
            Self::Wire(wire) | Self::Inside { wire, .. } | Self::Abstract(wire, _) => wire,
            Self::Object(held) => &held.bytes,
        }
    }
}

fn deliver(errand: &Errand<'_>, socket: &Socket, message: &Message, flags: i32) -> Result<i64, Stop> {
    if flags & libc::MSG_FASTOPEN != 0 {
        return Err(Errno(libc::EOPNOTSUPP).into());
    }
    if flags & libc::MSG_ZEROCOPY != 0 && sys::option(socket.as_fd(), libc::SOL_SOCKET, SO_ZEROCOPY).is_ok_and(|set| set != 0) {
        // The kernel's word for "copy it yourself": memory of the supervisor cannot be lent.
        return Err(Errno(libc::ENOBUFS).into());
    }
    let name = named(errand, socket, message)?;
    let control = control::read(errand, message.control.0, message.control.1, socket.kind.domain)?;
    errand.caller.confirm()?;
    let destination = judged(errand, socket, name, flags)?;
    let transmit = |errand: &Errand<'_>| transmit(errand, socket, message, destination.wire(), &control, flags & !libc::MSG_ZEROCOPY);
    let sent = match &destination {
        Destination::Abstract(_, name) => abstracts::towards(errand, socket, name, Purpose::Send, transmit),
        _ => transmit(errand),
    };
    if socket::carried(socket.kind).is_some() && !matches!(destination, Destination::Connected) {
        // It has a port of its own now, at which others of this session may answer.
        socket.note(errand);
    }
    complain(errand, socket, flags, &sent);
    sent.map(|count| i64::try_from(count).unwrap_or(i64::MAX))
}

fn named(errand: &Errand<'_>, socket: &Socket, message: &Message) -> Sys<Option<Name>> {
    let Some((address, length)) = message.name else { return Ok(None) };
    let connected = matches!(socket.kind.style, libc::SOCK_STREAM | libc::SOCK_SEQPACKET);
    if connected && socket.kind.domain != libc::AF_UNIX {
        return Ok(None); // ignored, as the kernel does
    }
    if connected {
        // A stream says EISCONN or EOPNOTSUPP to any name, a sequence of packets ignores it: neither looks at it.
        let ignored = socket.kind.style == libc::SOCK_SEQPACKET || length == 0;
        return Ok((!ignored).then_some(Name::Autobind));
    }
    socket::name_at(errand, address, length, socket.kind, Purpose::Send).map(Some)
}

fn judged<'a>(errand: &Errand<'a>, socket: &Socket, name: Option<Name>, flags: i32) -> Result<Destination<'a>, Stop> {
    match name {
        None | Some(Name::Absent) => Ok(Destination::Connected),
        Some(Name::Autobind) => Ok(Destination::Wire(address::autobind_wire())),
        Some(Name::Inet(endpoint)) if exchange::is_led(errand, socket) => Ok(Destination::Wire(endpoint.wire())),
        Some(Name::Inet(endpoint)) => {
            let endpoint = endpoint.towards(socket.own().map(|own| own.address));
            let protocol = socket::transport(socket.kind, Verb::NetSend, (endpoint.address, endpoint.port))?;
            let place = (endpoint.address, endpoint.port);
            let answering =
                errand.session.sockets.answering(socket.as_fd(), &errand.session.members, protocol, endpoint.address, endpoint.port);
            if exchange::is_question(errand, endpoint.port, &answering) {
                // It was another name a moment ago.
                return Err(Errno(libc::EACCES).into());
            }
            let act = socket::towards(errand, Verb::NetSend, protocol, place, answering.side());
            if late::is_unsendable(errand, &act, endpoint.address) {
                return Err(Errno(libc::ENETUNREACH).into());
            }
            errand.settle(&ENACTOR, vec![act])?.done(0);
            match answering {
                Answering::Inside(held) if protocol == Protocol::Udp && socket::is_told_apart(errand, protocol, place) => {
                    inwards(errand, socket, &endpoint, &held, flags)
                }
                _ => Ok(Destination::Wire(endpoint.wire())),
            }
        }
        Some(Name::Path(path)) => unix::path(errand, &path, Purpose::Send).map(Destination::Object),
        Some(Name::Abstract(name)) => Ok(Destination::Abstract(unix::abstract_wire(&name)?, name)),
        Some(Name::Netlink { port: 0, groups: 0 }) => Ok(Destination::Wire(address::netlink_wire(0, 0))),
        Some(Name::Netlink { .. }) => Err(Errno(libc::EPERM).into()),
        Some(Name::Dissolve) => Err(Errno(libc::EINVAL).into()),
    }
}

/// A datagram for sockets of this session alone: they are held until it has left, so that nobody else can come to their place.
fn inwards<'a>(errand: &Errand<'a>, socket: &Socket, endpoint: &Endpoint, held: &[Answerer], flags: i32) -> Result<Destination<'a>, Stop> {
    if flags & libc::MSG_MORE != 0 {
        // It would leave with a later call, by which nobody is held.
        return Err(Errno(libc::EOPNOTSUPP).into());
    }
    let taken = || socket::taken(Verb::NetSend, Protocol::Udp, (endpoint.address, endpoint.port));
    let hold =
        errand.session.sockets.kept.hold(held, socket.leading(), Protocol::Udp, (endpoint.address, endpoint.port)).ok_or_else(taken)?;
    if hold.was_shared() && !Sockets::still(held, Protocol::Udp, endpoint.address, endpoint.port) {
        return Err(taken());
    }
    Ok(Destination::Inside { wire: endpoint.wire(), _hold: hold })
}

/// Sends all of a message, waiting where the caller would have waited. A stream that stops half way returns what went.
fn transmit(errand: &Errand<'_>, socket: &Socket, message: &Message, name: &[u8], control: &Control, flags: i32) -> Result<usize, Stop> {
    let stream = socket.kind.style == libc::SOCK_STREAM;
    let total = message.parts.iter().try_fold(0_usize, |sum, (_, length)| sum.checked_add(*length)).ok_or(Errno(libc::EINVAL))?;
    if !stream && total > PIECE_BYTES_MAX {
        return Err(Errno(libc::EMSGSIZE).into());
    }
    let mut sent = 0;
    loop {
        let piece = gather(errand, &message.parts, sent)?;
        errand.caller.confirm()?;
        if socket.kind.domain == libc::AF_NETLINK {
            netlink::check(&piece)?;
        }
        let ancillary = if sent == 0 { control.first() } else { control.further() };
        let part = Part { name, data: &piece, control: &ancillary, sender: &control.sender };
        match push(errand, socket, &part, flags) {
            Ok(count) => sent += count,
            Err(_) if sent > 0 => return Ok(sent),
            Err(stop) => return Err(stop),
        }
        if !stream || sent >= total || piece.is_empty() {
            return Ok(sent);
        }
    }
}

/// Up to a piece of the message, from its byte `from` on.
fn gather(errand: &Errand<'_>, parts: &[(u64, usize)], from: usize) -> Sys<Vec<u8>> {
    let mut piece = Vec::new();
    let mut skip = from;
    for (address, length) in parts {
        let past = skip.min(*length);
        skip -= past;
        let wanted = (length - past).min(PIECE_BYTES_MAX - piece.len());
        if wanted == 0 {
            continue;
        }
        let start = piece.len();
        piece.resize(start + wanted, 0);
        let address = address.checked_add(past as u64).ok_or(Errno(libc::EFAULT))?;
        let into = piece.get_mut(start..).ok_or(Errno(libc::EFAULT))?;
        errand.caller.read(address, into)?;
    }
    Ok(piece)
}

/// What one system call sends.
struct Part<'a> {
    name: &'a [u8],
    data: &'a [u8],
    control: &'a [u8],
    sender: &'a Sender,
}

/// One send: at once if it can be, else waiting in a thread that others take the place of.
fn push(errand: &Errand<'_>, socket: &Socket, part: &Part<'_>, flags: i32) -> Result<usize, Stop> {
    let flags = flags | libc::MSG_NOSIGNAL;
    let once = |flags: i32| part.sender.send(|| Ok(sys::send(socket.as_fd(), part.name, part.data, part.control, flags)?));
    let as_caller = |flags: i32| errand.as_caller(|| Ok(once(flags)?));
    match as_caller(flags | libc::MSG_DONTWAIT) {
        // As the caller then, too: there may have been no room before the kernel looked at the permissions.
        Err(Stop::Errno(Errno(libc::EAGAIN))) if socket.waits && flags & libc::MSG_DONTWAIT == 0 => {
            errand.blocking(|| as_caller(flags).map_err(Stop::into_errno))
        }
        result => result,
    }
}

/// SIGPIPE to the calling thread, where the kernel would have sent it.
fn complain(errand: &Errand<'_>, socket: &Socket, flags: i32, sent: &Result<usize, Stop>) {
    let broken = matches!(sent, Err(Stop::Errno(Errno(libc::EPIPE))));
    if !broken || flags & libc::MSG_NOSIGNAL != 0 || socket.kind.style != libc::SOCK_STREAM {
        return;
    }
    let Ok(process) = errand.caller.process() else { return };
    if errand.caller.waits() {
        // ESRCH: it died meanwhile.
        let _dead = ptrace::signal_thread(process, errand.caller.thread(), libc::SIGPIPE);
    }
}
