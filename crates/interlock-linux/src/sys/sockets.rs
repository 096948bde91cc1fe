//! Socket calls on raw addresses: the door passes on the bytes it decided on, not a library's rendering of them.
//!
//! Leaves out what an address means (`door::net::sockets`). Every call acts on the supervisor's own copy of a descriptor.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

fn checked(result: libc::c_int) -> io::Result<()> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn length(bytes: &[u8]) -> libc::socklen_t {
    libc::socklen_t::try_from(bytes.len()).unwrap_or(libc::socklen_t::MAX)
}

/// connect(2) with the address as given.
///
/// # Errors
/// As connect(2).
pub fn connect(socket: BorrowedFd<'_>, address: &[u8]) -> io::Result<()> {
    // SAFETY: pointer and length describe `address`, which the kernel only reads.
    checked(unsafe { libc::connect(socket.as_raw_fd(), address.as_ptr().cast(), length(address)) })
}

/// bind(2) with the address as given.
///
/// # Errors
/// As bind(2).
pub fn bind(socket: BorrowedFd<'_>, address: &[u8]) -> io::Result<()> {
    // SAFETY: as in `connect`.
    checked(unsafe { libc::bind(socket.as_raw_fd(), address.as_ptr().cast(), length(address)) })
}

/// listen(2).
///
/// # Errors
/// As listen(2).
pub fn listen(socket: BorrowedFd<'_>, backlog: i32) -> io::Result<()> {
    // SAFETY: two integers.
    checked(unsafe { libc::listen(socket.as_raw_fd(), backlog) })
}

/// Takes away for good that anything is sent through the socket, whoever holds it: shutdown(2) with SHUT_WR, which no call undoes. A datagram
/// socket that has no peer yet says ENOTCONN to it, and is shut all the same.
///
/// # Errors
/// As shutdown(2).
pub fn shut_writing(socket: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: two integers.
    match checked(unsafe { libc::shutdown(socket.as_raw_fd(), libc::SHUT_WR) }) {
        Err(error) if error.raw_os_error() != Some(libc::ENOTCONN) => Err(error),
        _ => Ok(()),
    }
}

/// shutdown(2).
///
/// # Errors
/// As shutdown(2).
pub fn shutdown(socket: BorrowedFd<'_>, how: i32) -> io::Result<()> {
    // SAFETY: two integers.
    checked(unsafe { libc::shutdown(socket.as_raw_fd(), how) })
}

/// An integer option of the socket.
///
/// # Errors
/// As getsockopt(2): ENOTSOCK if it is no socket.
pub fn option(socket: BorrowedFd<'_>, level: i32, name: i32) -> io::Result<i32> {
    let mut value: libc::c_int = 0;
    let mut size = libc::socklen_t::try_from(size_of::<libc::c_int>()).unwrap_or(0);
    // SAFETY: `value` and `size` outlive the call and `size` is the size of `value`.
    checked(unsafe { libc::getsockopt(socket.as_raw_fd(), level, name, (&raw mut value).cast(), &raw mut size) })?;
    Ok(value)
}

/// An option of the socket as bytes, at most `limit` of them.
///
/// # Errors
/// As getsockopt(2).
pub fn bytes(socket: BorrowedFd<'_>, level: i32, name: i32, limit: usize) -> io::Result<Vec<u8>> {
    let mut value = vec![0_u8; limit];
    let mut size = length(&value);
    // SAFETY: pointer and length describe `value`, of which the kernel writes at most that much.
    checked(unsafe { libc::getsockopt(socket.as_raw_fd(), level, name, value.as_mut_ptr().cast(), &raw mut size) })?;
    value.truncate(usize::try_from(size).unwrap_or(0));
    Ok(value)
}

/// Sets an integer option of the socket.
///
/// # Errors
/// As setsockopt(2).
pub fn set_option(socket: BorrowedFd<'_>, level: i32, name: i32, value: i32) -> io::Result<()> {
    set_bytes(socket, level, name, &value.to_ne_bytes())
}

/// Sets an option of the socket to these bytes.
///
/// # Errors
/// As setsockopt(2).
pub fn set_bytes(socket: BorrowedFd<'_>, level: i32, name: i32, value: &[u8]) -> io::Result<()> {
    // SAFETY: pointer and length describe `value`, which the kernel only reads.
    checked(unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, value.as_ptr().cast(), length(value)) })
}

/// What the kernel gives to this socket and to no other as long as the machine runs (SO_COOKIE, socket(7)).
///
/// # Errors
/// As getsockopt(2).
pub fn cookie(socket: BorrowedFd<'_>) -> io::Result<u64> {
    const SO_COOKIE: i32 = 57;
    wide(socket, SO_COOKIE)
}

/// The same of the network namespace that it lives in (SO_NETNS_COOKIE, 5.14).
///
/// # Errors
/// As getsockopt(2).
pub fn namespace(socket: BorrowedFd<'_>) -> io::Result<u64> {
    const SO_NETNS_COOKIE: i32 = 71;
    wide(socket, SO_NETNS_COOKIE)
}

fn wide(socket: BorrowedFd<'_>, name: i32) -> io::Result<u64> {
    let mut value = 0_u64;
    let mut size = libc::socklen_t::try_from(size_of::<u64>()).unwrap_or(0);
    // SAFETY: `value` and `size` outlive the call and `size` is the size of `value`.
    checked(unsafe { libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, name, (&raw mut value).cast(), &raw mut size) })?;
    Ok(value)
}

/// The socket's own address, as bytes.
///
/// # Errors
/// As getsockname(2).
pub fn local_name(socket: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
    name(socket, libc::getsockname)
}

/// The address that the socket is connected to, as bytes.
///
/// # Errors
/// As getpeername(2).
pub fn peer_name(socket: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
    name(socket, libc::getpeername)
}

// SAFETY: getsockname(2) and getpeername(2) alone are of this type, called below.
type NameCall = unsafe extern "C" fn(libc::c_int, *mut libc::sockaddr, *mut libc::socklen_t) -> libc::c_int;

fn name(socket: BorrowedFd<'_>, ask: NameCall) -> io::Result<Vec<u8>> {
    let mut name = vec![0_u8; 128];
    let mut size = length(&name);
    // SAFETY: pointer and length describe `name`; the kernel writes at most that much, by either call.
    checked(unsafe { ask(socket.as_raw_fd(), name.as_mut_ptr().cast(), &raw mut size) })?;
    name.truncate(usize::try_from(size).unwrap_or(0));
    Ok(name)
}

/// One sendmsg(2) from memory of ours. An empty `name` or `control` is none.
///
/// # Errors
/// As sendmsg(2).
pub fn send(socket: BorrowedFd<'_>, name: &[u8], data: &[u8], control: &[u8], flags: i32) -> io::Result<usize> {
    let mut part = libc::iovec { iov_base: data.as_ptr().cast_mut().cast(), iov_len: data.len() };
    // SAFETY: msghdr is plain data for which all zeroes is a value.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    if !name.is_empty() {
        message.msg_name = name.as_ptr().cast_mut().cast();
        message.msg_namelen = length(name);
    }
    if !control.is_empty() {
        message.msg_control = control.as_ptr().cast_mut().cast();
        message.msg_controllen = control.len();
    }
    // SAFETY: every pointer in `message` points to a slice that outlives the call; sendmsg only reads them.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, flags) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// A socket of the supervisor's own.
///
/// # Errors
/// As socket(2).
pub fn open(domain: i32, kind: i32, protocol: i32) -> io::Result<OwnedFd> {
    // SAFETY: three integers.
    let number = unsafe { libc::socket(domain, kind | libc::SOCK_CLOEXEC, protocol) };
    if number == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call returned a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Two connected unix datagram sockets of the supervisor's own.
///
/// # Errors
/// As socketpair(2).
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    joined(libc::SOCK_DGRAM)
}

/// Two connected unix sockets of the supervisor's own that keep messages apart and tell when the other end is gone.
///
/// # Errors
/// As socketpair(2).
pub fn packets() -> io::Result<(OwnedFd, OwnedFd)> {
    joined(libc::SOCK_SEQPACKET)
}

fn joined(kind: i32) -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    // SAFETY: the kernel writes two descriptors into `ends`.
    checked(unsafe { libc::socketpair(libc::AF_UNIX, kind | libc::SOCK_CLOEXEC, 0, ends.as_mut_ptr()) })?;
    // SAFETY: the call returned two new descriptors that nobody else owns.
    let [one, other] = ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) });
    Ok((one, other))
}

/// Makes `directory` the working directory of this process, or of a child with one of its own (`apart`).
///
/// # Errors
/// As fchdir(2).
pub fn stand_in(directory: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: an integer.
    checked(unsafe { libc::fchdir(directory.as_raw_fd()) })
}

/// A descriptor of a process, or of one thread (6.9): pidfd_open(2).
///
/// # Errors
/// As pidfd_open(2): ESRCH if there is none.
pub fn process(id: i32, thread: bool) -> io::Result<OwnedFd> {
    let flags = if thread { libc::O_EXCL } else { 0 };
    // SAFETY: two integers.
    let number = unsafe { libc::syscall(libc::SYS_pidfd_open, id, flags) };
    let number = i32::try_from(number).unwrap_or(-1);
    if number == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call returned a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// pidfd_send_signal(2) without a siginfo of its own.
///
/// # Errors
/// As pidfd_send_signal(2).
pub fn signal(process: BorrowedFd<'_>, signal: i32, flags: u32) -> io::Result<()> {
    // SAFETY: integers and a null siginfo, which the call allows.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), signal, std::ptr::null::<u8>(), flags) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
