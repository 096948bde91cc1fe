//! Ports that the door relies on: the sockets of the session at which something that was decided as inside still has to arrive, held until it has.
//!
//! What a datagram socket is connected to was decided once, and what is written to it later asks nobody; a TCP connect may wait for room at a
//! listener. If the socket at the other end is closed meanwhile, anybody may take its port. So the door holds that socket: closed by the session
//! it still has its port, and nobody may join it there. It is let go when the last that leads to it is gone, and when the session itself does
//! not hold it any more: then what led to it is dissolved first.
//!
//! RULE: an end is let go only after all that leads to it was seen to be gone or was dissolved. Who is not found is taken to be there.
//! Left out: what is decided (`inside`). Source: udp(7), tcp(7), connect(2).

use super::bound;
use super::shares::{self, Shares};
use super::whereabouts::{Answerer, Whereabouts};
use crate::sys::descriptors;
use crate::sys::errno::{Errno, Sys};
use crate::sys::sockets as sys;
use crate::tree::members::Members;
use interlock_abi::address;
use interlock_core::action::Protocol;
use std::collections::HashMap;
use std::net::IpAddr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Between two looks whether what is kept is still needed. Nobody looks while nothing is kept.
const LOOK: Duration = Duration::from_millis(500);
/// Ends kept at one time, and what leads to one of them: past it there is no answer but no.
const ENDS_MAX: usize = 4096;
const USERS_MAX: usize = 4096;
/// After so long the kernel has given up to connect (tcp(7), `tcp_syn_retries`), wherever the socket is.
const PENDING_MAX: Duration = Duration::from_secs(180);
/// How often and how long a port is waited for that is held for a moment only.
const MOMENTS: usize = 50;
const MOMENT: Duration = Duration::from_millis(1);

/// What is kept, by the end's cookie.
#[derive(Default)]
pub(super) struct Kept(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    ends: HashMap<u64, End>,
    is_watched: bool,
}

/// A socket of the session at which something arrives.
struct End {
    file: OwnedFd,
    seen: Whereabouts,
    protocol: Protocol,
    port: u16,
    /// How it shared its port before it was held.
    shares: Shares,
    users: HashMap<u64, User>,
}

/// Something that leads to an end.
struct User {
    seen: Whereabouts,
    /// The socket itself, as long as a call of it is being done.
    busy: Option<OwnedFd>,
    /// The address at which it is to arrive.
    to: IpAddr,
    port: u16,
    since: Instant,
}

/// A socket that leads to others.
#[derive(Clone, Copy)]
pub(super) struct Leading<'a> {
    pub(super) file: BorrowedFd<'a>,
    pub(super) seen: Whereabouts,
}

/// Ends held for one call. Dropped, they are let go; [`Hold::stay`] keeps them.
pub(super) struct Hold<'a> {
    kept: &'a Kept,
    id: u64,
}

impl Kept {
    /// Holds these for a call on `from`. Nothing when one of them does not stand at the place any more, or there is no room.
    pub(super) fn hold(
        &self,
        held: &[Answerer],
        from: Leading<'_>,
        protocol: Protocol,
        (address, port): (IpAddr, u16),
    ) -> Option<Hold<'_>> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let hold = Hold { kept: self, id: NEXT.fetch_add(1, Ordering::Relaxed) };
        let mut table = self.table();
        for answerer in held {
            let busy = Some(from.file.try_clone_to_owned().ok()?);
            let user = User { seen: from.seen, busy, to: address, port: 0, since: Instant::now() };
            let end = table.end(answerer, protocol, port)?;
            if end.users.len() >= USERS_MAX || !stands(end.file.as_fd(), protocol, (address, port)) {
                return None;
            }
            end.users.insert(hold.id, user);
        }
        drop(table);
        Some(hold)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `from` was connected to before is not needed for it any more, unless something is left in it that was to go there. Another thread may
    /// have connected it again meanwhile: where it leads now, it still does.
    pub(super) fn led_elsewhere(&self, from: Leading<'_>) {
        let mut table = self.table();
        if table.ends.is_empty() || is_loaded(from.file) || is_pending(from.file) {
            return;
        }
        let leads_to = peer_port_of(from.file);
        for end in table.ends.values_mut().filter(|end| Some(end.port) != leads_to) {
            end.users.retain(|_, user| user.busy.is_some() || user.seen.cookie != from.seen.cookie);
        }
        table.sweep();
    }

    /// Does what takes a socket away from its port, after all that leads to it was dissolved.
    ///
    /// # Errors
    /// EACCES where that cannot be, and nothing is done; else `act`'s.
    pub(super) fn leaving<T>(&self, cookie: u64, members: &Members, act: impl FnOnce() -> Sys<T>) -> Sys<T> {
        self.leaving_all_but(cookie, members, None, act)
    }

    /// The same where it stays at one address: a datagram socket that has its port at every address has it at one alone once it is connected.
    ///
    /// # Errors
    /// As [`Kept::leaving`].
    pub(super) fn leaving_all_but<T, E: From<Errno>>(
        &self,
        cookie: u64,
        members: &Members,
        stays: Option<IpAddr>,
        act: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        for _ in 0..MOMENTS {
            let mut table = self.table();
            let users = table.ends.get_mut(&cookie).into_iter().flat_map(|end| end.users.values_mut());
            let users = users.filter(|user| Some(user.to) != stays);
            if users.filter_map(|user| (!user.dissolve(members)).then_some(())).count() == 0 {
                return act();
            }
            drop(table);
            std::thread::sleep(MOMENT);
        }
        Err(Errno(libc::EACCES).into())
    }

    /// Lets a port go that nobody of the session holds any more; whether it was held and is free now.
    pub(super) fn give_way(&self, members: &Members, port: u16) -> bool {
        for _ in 0..MOMENTS {
            let mut table = self.table();
            let held = |table: &Table| table.ends.values().filter(|end| end.port == port).count();
            let before = held(&table);
            if before == 0 {
                return false;
            }
            table.look(members, |end| end.port == port);
            if held(&table) < before {
                return true;
            }
            let is_brief = table.ends.values().any(|end| end.port == port && end.users.values().any(|user| user.busy.is_some()));
            drop(table);
            if !is_brief {
                return false;
            }
            std::thread::sleep(MOMENT);
        }
        false
    }

    /// Does `act` while nothing relies on this socket. Whether that came: a call is waited for, and a connection is not.
    pub(super) fn unless_relied_on(&self, cookie: u64, act: impl FnOnce()) -> bool {
        for _ in 0..MOMENTS {
            let table = self.table();
            let Some(end) = table.ends.get(&cookie) else {
                act();
                return true;
            };
            let is_brief = end.users.values().all(|user| user.busy.is_some());
            drop(table);
            if !is_brief {
                return false;
            }
            std::thread::sleep(MOMENT);
        }
        false
    }

    /// Looks after what is kept, in a thread that lives as long as there is something.
    fn watch(&self, members: Members) {
        let mut table = self.table();
        if std::mem::replace(&mut table.is_watched, true) {
            return;
        }
        let kept = Self(Arc::clone(&self.0));
        let look = move || {
            loop {
                std::thread::sleep(LOOK);
                let mut table = kept.table();
                table.look(&members, |_| true);
                if table.ends.is_empty() {
                    table.is_watched = false;
                    return;
                }
            }
        };
        // Without a thread what is kept stays so until the next one looks, or the session ends.
        table.is_watched = std::thread::Builder::new().name("ports".into()).spawn(look).is_ok();
    }
}

impl Hold<'_> {
    /// Whether others may have joined before they could not any more.
    pub(super) fn was_shared(&self) -> bool {
        self.kept.table().ends.values().any(|end| end.users.contains_key(&self.id) && end.shares != [false; 2])
    }

    /// Whether others of the same user may listen beside it, now and later.
    pub(super) fn was_shared_by_several(&self) -> bool {
        self.kept.table().ends.values().any(|end| end.users.contains_key(&self.id) && shares::of(end.file.as_fd())[1])
    }

    /// The call is done, and `from` leads there from now on.
    pub(super) fn stay(self, from: Leading<'_>, members: Members) {
        // While a connect is pending, it may be another than this one, of a thread that came in between.
        let port = port_of(from.file).unwrap_or(0);
        let leads_there_still = is_loaded(from.file) || is_pending(from.file);
        for end in self.kept.table().ends.values_mut() {
            end.users.retain(|id, user| *id == self.id || leads_there_still || user.busy.is_some() || user.seen.cookie != from.seen.cookie);
            if let Some(user) = end.users.get_mut(&self.id) {
                (user.busy, user.port) = (None, port);
            }
        }
        self.kept.watch(members);
        std::mem::forget(self);
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.kept.table().let_go(|id, _| id == self.id);
    }
}

impl Table {
    fn end(&mut self, answerer: &Answerer, protocol: Protocol, port: u16) -> Option<&mut End> {
        if self.ends.len() >= ENDS_MAX && !self.ends.contains_key(&answerer.seen.cookie) {
            return None;
        }
        let file = answerer.file.try_clone().ok()?;
        Some(self.ends.entry(answerer.seen.cookie).or_insert_with(|| {
            let shares = shares::of(file.as_fd());
            if protocol == Protocol::Udp && shares != [false; 2] {
                shares::set(file.as_fd(), [false; 2]);
            }
            End { file, seen: answerer.seen, protocol, port, shares, users: HashMap::new() }
        }))
    }

    fn let_go(&mut self, is_over: impl Fn(u64, &User) -> bool) {
        for end in self.ends.values_mut() {
            end.users.retain(|id, user| !is_over(*id, user));
        }
        self.sweep();
    }

    /// Lets go the ends to which nothing leads.
    fn sweep(&mut self) {
        self.ends.retain(|_, end| !end.users.is_empty() || end.release());
    }

    /// Lets go what is gone, and dissolves what leads to an end that the session itself holds no more.
    fn look(&mut self, members: &Members, is_meant: impl Fn(&End) -> bool) {
        for end in self.ends.values_mut().filter(|end| is_meant(end)) {
            let protocol = end.protocol;
            let is_open = end.seen.find(members).is_some();
            end.users.retain(|_, user| user.busy.is_some() || !user.is_over(protocol, members));
            if !is_open {
                end.users.retain(|_, user| user.busy.is_some() || !user.dissolve(members));
            }
        }
        self.sweep();
    }
}

impl End {
    /// As it was before; false, for it is not kept.
    fn release(&self) -> bool {
        if self.protocol == Protocol::Udp && self.shares != [false; 2] {
            shares::set(self.file.as_fd(), self.shares);
        }
        false
    }
}

impl User {
    /// Whether it leads nowhere any more. Where it is not found it may be on its way between two processes: then the kernel is asked.
    fn is_over(&mut self, protocol: Protocol, members: &Members) -> bool {
        match (self.seen.find(members), protocol) {
            (Some(file), Protocol::Tcp) => !is_pending(file.as_fd()),
            (Some(_), _) => false,
            (None, Protocol::Udp) => {
                bound::at(Protocol::Udp, self.port).is_some_and(|bound| bound.iter().all(|bound| bound.cookie != self.seen.cookie))
            }
            (None, _) => self.since.elapsed() > PENDING_MAX,
        }
    }

    /// Ends its association; whether nothing of it arrives any more. A call that is being done is not disturbed, unless all it does is wait.
    fn dissolve(&mut self, members: &Members) -> bool {
        let end = |file: BorrowedFd<'_>| sys::connect(file, &address::dissolve_wire()).is_ok() && !is_loaded(file);
        match &self.busy {
            Some(file) => is_pending(file.as_fd()) && end(file.as_fd()),
            None => self.seen.find(members).is_some_and(|file| end(file.as_fd())),
        }
    }
}

/// Whether it has this port at this address, and listens there if it is for that. One that has it everywhere may have come to have it at one
/// address since it was asked.
fn stands(socket: BorrowedFd<'_>, protocol: Protocol, (address, port): (IpAddr, u16)) -> bool {
    let listens = || sys::option(socket, libc::SOL_SOCKET, libc::SO_ACCEPTCONN).is_ok_and(|listens| listens != 0);
    let own = sys::local_name(socket).ok().and_then(|name| address::own_endpoint(&name));
    let is_there = own.is_some_and(|own| own.port == port && (own.address == address || own.address.is_unspecified()));
    is_there && (protocol == Protocol::Udp || listens())
}

fn port_of(socket: BorrowedFd<'_>) -> Option<u16> {
    sys::local_name(socket).ok().and_then(|name| address::own_endpoint(&name)).map(|own| own.port)
}

fn peer_port_of(socket: BorrowedFd<'_>) -> Option<u16> {
    sys::peer_name(socket).ok().and_then(|name| address::own_endpoint(&name)).map(|peer| peer.port)
}

/// Whether a TCP socket still tries to connect (`struct tcp_info` begins with the state; TCP_SYN_SENT is 2).
pub(super) fn is_pending(socket: BorrowedFd<'_>) -> bool {
    const SYN_SENT: i32 = 2;
    sys::option(socket, libc::IPPROTO_TCP, libc::TCP_INFO).is_ok_and(|info| info & 0xff == SYN_SENT)
}

/// Whether something written is still in a datagram socket, which goes where it was led when that began (MSG_MORE, udp(7)).
fn is_loaded(socket: BorrowedFd<'_>) -> bool {
    sys::option(socket, libc::SOL_SOCKET, libc::SO_TYPE).is_ok_and(|style| style == libc::SOCK_DGRAM)
        && descriptors::unsent(socket).map_or(true, |bytes| bytes != 0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    fn seen(socket: BorrowedFd<'_>) -> Whereabouts {
        Whereabouts { cookie: sys::cookie(socket).unwrap(), inode: 0, thread: 0, number: -1 }
    }

    /// An end, and a socket that was led there.
    fn led(kept: &Kept) -> (UdpSocket, UdpSocket) {
        let (end, from) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let place = end.local_addr().unwrap();
        let answerer = Answerer { file: end.as_fd().try_clone_to_owned().unwrap(), seen: seen(end.as_fd()) };
        let leading = Leading { file: from.as_fd(), seen: seen(from.as_fd()) };
        let hold = kept.hold(&[answerer], leading, Protocol::Udp, (place.ip(), place.port())).unwrap();
        from.connect(place).unwrap();
        for end in kept.table().ends.values_mut() {
            end.users.values_mut().for_each(|user| user.busy = None);
        }
        std::mem::forget(hold);
        (end, from)
    }

    #[test]
    fn an_end_is_kept_while_it_is_led_to_whatever_a_late_thread_says() {
        let kept = Kept::default();
        let (_end, from) = led(&kept);
        let leading = || Leading { file: from.as_fd(), seen: seen(from.as_fd()) };
        // A thread that dissolved it before it was connected comes to say so now.
        kept.led_elsewhere(leading());
        assert_eq!(kept.table().ends.len(), 1);
        sys::connect(from.as_fd(), &address::dissolve_wire()).unwrap();
        kept.led_elsewhere(leading());
        assert!(kept.table().ends.is_empty());
    }

    #[test]
    fn a_socket_that_gave_up_an_address_is_not_held_for_it() {
        let kept = Kept::default();
        let (end, other) = (UdpSocket::bind("0.0.0.0:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let port = end.local_addr().unwrap().port();
        let leading = || Leading { file: other.as_fd(), seen: seen(other.as_fd()) };
        let hold = |address: &str| {
            let answerer = Answerer { file: end.as_fd().try_clone_to_owned().unwrap(), seen: seen(end.as_fd()) };
            kept.hold(&[answerer], leading(), Protocol::Udp, (address.parse().unwrap(), port)).is_some()
        };
        assert!(hold("127.0.0.1") && hold("127.0.0.2"));
        end.connect(other.local_addr().unwrap()).unwrap();
        assert!(hold("127.0.0.1") && !hold("127.0.0.2"));
    }
}
