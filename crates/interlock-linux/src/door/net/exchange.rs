//! A question for a name: the caller's socket, exchanged for one that leads to this session's answers and nowhere else.
//!
//! It happens at the first use of port 53, whatever server is asked. The new socket has the number, flags, options and bound name of the old one, and stands in every
//! epoll in which that one stood, so a program sees no difference. Left out: what is answered (`resolver`). Source: docs/adr/0036, epoll(7), proc_pid_fdinfo(5).
//! INVARIANT: nothing has to hold after the check. A thread that gives the number to another file meanwhile loses a descriptor of its own, and gains a socket that
//! leads nowhere else.

use super::inside::Answering;
use super::reach::reach;
use super::socket::{self, NAMES, Socket};
use crate::door::errand::Errand;
use crate::door::resolver::Resolver;
use crate::door::seen::caller::Stop;
use crate::sys::errno::{Errno, Sys};
use crate::sys::{files, network, sockets as sys};
use interlock_abi::address::{Endpoint, Name, Purpose};
use interlock_core::action::{Protocol, Side, Verb};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd as _, OwnedFd};

/// Descriptors of one process that are looked at, and epolls that a socket may stand in.
const DESCRIPTORS_MAX: usize = 1 << 16;
const EPOLLS_MAX: usize = 16;
const EPOLL: &str = "anon_inode:[eventpoll]";

/// Options that say how answers come; of sockets that do not know one it is left out.
const OPTIONS: &[(i32, i32)] = &[
    (libc::IPPROTO_IPV6, libc::IPV6_V6ONLY),
    (libc::IPPROTO_IP, libc::IP_RECVERR),
    (libc::IPPROTO_IPV6, libc::IPV6_RECVERR),
    (libc::IPPROTO_IP, libc::IP_PKTINFO),
    (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
    (libc::SOL_SOCKET, libc::SO_TIMESTAMP),
    (libc::IPPROTO_TCP, libc::TCP_NODELAY),
];
const TIMES: [i32; 2] = [libc::SO_RCVTIMEO, libc::SO_SNDTIMEO];

/// Whether what goes to this port is a question, which the session answers. Its programs' own servers answer for themselves.
pub(super) fn is_question(errand: &Errand<'_>, port: u16, answering: &Answering) -> bool {
    socket::asks_for_names(errand, port) && !matches!(answering, Answering::Inside(_))
}

/// Whether a socket leads to this session's answers and nowhere else.
pub(super) fn is_led(errand: &Errand<'_>, socket: &Socket) -> bool {
    let own = |resolver: &Resolver| sys::namespace(socket.as_fd()).is_ok_and(|namespace| namespace == resolver.maker.namespace);
    errand.session.resolver.as_ref().is_some_and(own)
}

/// Connects the caller to this session's answers.
pub(super) fn connect(errand: &Errand<'_>, socket: &Socket, endpoint: &Endpoint) -> Result<i64, Stop> {
    if is_led(errand, socket) {
        return reach(errand, socket, &endpoint.wire()).map(|()| 0);
    }
    let led = made(errand, socket)?;
    let result = reach(errand, &led, &endpoint.wire());
    if matches!(result, Ok(()) | Err(Stop::Errno(Errno(libc::EINPROGRESS)))) {
        put(errand, socket, &led)?;
    }
    result.map(|()| 0)
}

/// The socket to send by: the caller's own, or the one that it has from here on if the message is a question.
pub(super) fn for_message(errand: &Errand<'_>, socket: Socket, name: Option<(u64, i32)>) -> Result<Socket, Stop> {
    let (Some(_), Some((address, length)), Some(Protocol::Udp)) = (&errand.session.resolver, name, socket::carried(socket.kind)) else {
        return Ok(socket);
    };
    let name = socket::name_at(errand, address, length, socket.kind, Purpose::Send)?;
    errand.caller.confirm()?;
    let Name::Inet(endpoint) = name else { return Ok(socket) };
    if endpoint.port != NAMES || is_led(errand, &socket) {
        return Ok(socket);
    }
    let endpoint = endpoint.towards(socket.own().map(|own| own.address));
    let (sockets, members) = (&errand.session.sockets, &errand.session.members);
    if matches!(sockets.answering(socket.as_fd(), members, Protocol::Udp, endpoint.address, NAMES), Answering::Inside(_)) {
        return Ok(socket);
    }
    let led = made(errand, &socket)?;
    put(errand, &socket, &led)?;
    Ok(led)
}

/// A socket of the helper's that is as the caller's.
fn made(errand: &Errand<'_>, socket: &Socket) -> Result<Socket, Stop> {
    let gone = |_| Stop::Refused {
        reached: socket::act(Verb::NetConnect, Protocol::Udp, (IpAddr::V4(Ipv4Addr::UNSPECIFIED), NAMES), Side::Outside).into(),
        because: "names are not answered any more: the process that does so has ended or is stopped",
        errno: libc::EACCES,
    };
    let resolver = errand.session.resolver.as_ref().ok_or(Errno(libc::EACCES))?;
    let file = resolver.maker.socket(socket.kind.domain, socket.kind.style).map_err(gone)?;
    carry_over(socket, &file)?;
    Ok(socket.succeeded_by(file)?)
}

fn carry_over(socket: &Socket, file: &OwnedFd) -> Sys<()> {
    let (old, new) = (socket.as_fd(), file.as_fd());
    for (level, option) in OPTIONS {
        if let Ok(value) = sys::option(old, *level, *option) {
            let _unknown = sys::set_option(new, *level, *option, value);
        }
    }
    for option in TIMES {
        if let Ok(value) = sys::bytes(old, libc::SOL_SOCKET, option, 16) {
            let _unknown = sys::set_bytes(new, libc::SOL_SOCKET, option, &value);
        }
    }
    if let (Some(Protocol::Udp), Some(own)) = (socket::carried(socket.kind), socket.own().filter(|own| own.port != 0)) {
        // An address of IPv6 may be none of that network's; then the kernel chooses both.
        let _other = sys::bind(new, &own.wire());
    }
    network::set_status(new, files::open_flags(old)?)
}

/// Puts it in the place of the caller's.
fn put(errand: &Errand<'_>, socket: &Socket, led: &Socket) -> Result<(), Stop> {
    let (thread, number) = (errand.call.thread, errand.caller.int(0));
    let flags = described(thread, number, "flags:").and_then(|words| i32::from_str_radix(words.first()?, 8).ok());
    let epolls = epolls(errand, socket, number);
    errand.caller.confirm()?;
    // What cannot be read is closed rather than handed on to a program that knows nothing of it.
    let close_on_exec = flags.is_none_or(|flags| flags & libc::O_CLOEXEC != 0);
    errand.session.calls.exchange(errand.call, led.as_fd(), number, close_on_exec).map_err(Errno::from)?;
    for Epoll { file, events, data } in &epolls {
        // What is not watched any more is not waited for: the program asks again.
        let _gone = network::watch(file.as_fd(), led.as_fd(), number, *events, *data);
    }
    Ok(())
}

/// An epoll in which the caller's socket stands, and as what.
struct Epoll {
    file: OwnedFd,
    events: u32,
    data: u64,
}

/// Those of the caller in which its socket stands under this number.
fn epolls(errand: &Errand<'_>, socket: &Socket, number: i32) -> Vec<Epoll> {
    let thread = errand.call.thread;
    let Ok(folder) = std::fs::read_dir(format!("/proc/{thread}/fd")) else { return Vec::new() };
    let theirs = folder.flatten().take(DESCRIPTORS_MAX).filter_map(|entry| {
        let is_epoll = std::fs::read_link(entry.path()).is_ok_and(|link| link.as_os_str() == EPOLL);
        if is_epoll { entry.file_name().to_str()?.parse::<i32>().ok() } else { None }
    });
    let standing = |epoll: i32| {
        let (events, data) = watched(thread, epoll, number, socket.inode)?;
        let process = || errand.caller.process();
        Some(Epoll { file: files::copy_descriptor(thread, process, epoll).ok()?, events, data })
    };
    theirs.filter_map(standing).take(EPOLLS_MAX).collect()
}

/// `tfd:        5 events:       19 data:                5  pos:0 ino:9c3f sdev:8`: the events and the data of this socket in an epoll.
fn watched(thread: i32, epoll: i32, number: i32, inode: u64) -> Option<(u32, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{thread}/fdinfo/{epoll}")).ok()?;
    text.lines().find_map(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let ["tfd:", found, "events:", events, "data:", data, rest @ ..] = words.as_slice() else { return None };
        let told = rest.iter().find_map(|word| word.strip_prefix("ino:")).map(|word| u64::from_str_radix(word, 16));
        let same = found.parse() == Ok(number) && told.is_none_or(|told| told == Ok(inode));
        if same { Some((u32::from_str_radix(events, 16).ok()?, u64::from_str_radix(data, 16).ok()?)) } else { None }
    })
}

/// What stands behind a word in what `/proc` says of a descriptor.
fn described(thread: i32, number: i32, word: &str) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{thread}/fdinfo/{number}")).ok()?;
    text.lines().find_map(|line| Some(line.strip_prefix(word)?.split_ascii_whitespace().map(str::to_owned).collect()))
}
