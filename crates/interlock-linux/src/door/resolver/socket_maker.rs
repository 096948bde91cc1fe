//! The helper: a process in a network namespace of its own, in which every address is local, so that whatever server a program asks for a name is this session's.
//!
//! It makes sockets there for the door and does nothing else: what is answered is the supervisor's matter, which holds the two sockets at port 53. It ends with
//! the supervisor, or when its link is closed. INVARIANT: nothing leads out of that namespace, so a socket of it carries nothing anywhere but to the supervisor.

use crate::machine::capability;
use crate::sys::errno::{Errno, Sys};
use crate::sys::process::{self, Forked};
use crate::sys::{capabilities, descriptors, network, sockets};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What this machine or a test calls the mechanism.
pub const MECHANISM: &str = "host-names";

const PORT: u16 = 53;
const MADE: u8 = b'+';
const NOT_MADE: u8 = b'-';
/// As much as a start may take, in milliseconds.
const START_MS: i32 = 5000;
/// A socket is made at once, or its maker hangs.
const SOCKET_WAIT: Duration = Duration::from_secs(2);

/// The other network and who makes sockets in it.
pub struct SocketMaker {
    link: OwnedFd,
    /// One question at a time; and how many answers are still to come. They come in the order of the questions, for some of which nobody waits any more.
    owed: Mutex<usize>,
    /// Questions by UDP and by TCP arrive here.
    pub datagrams: OwnedFd,
    /// The same by TCP.
    pub streams: OwnedFd,
    /// What the kernel gives to that network and to no other.
    pub namespace: u64,
}

/// The helper while it prepares: what else a start needs can be done meanwhile.
pub struct Starting(OwnedFd);

impl Starting {
    /// Starts the helper. The process must have one thread.
    ///
    /// # Errors
    /// Why there is none here, in words.
    pub fn begin() -> Result<Self, String> {
        if capability::simulated(MECHANISM) {
            return Err("it is simulated to be missing".to_owned());
        }
        let failed = |error: std::io::Error| format!("no process for them could be started: {error}");
        let (link, theirs) = sockets::packets().map_err(failed)?;
        match process::fork_unseen().map_err(failed)? {
            Forked::Child => serve(&theirs),
            Forked::Parent(_) => drop(theirs),
        }
        Ok(Self(link))
    }

    /// Waits until it is ready.
    ///
    /// # Errors
    /// Why there is none here, in words.
    pub fn ready(self) -> Result<SocketMaker, String> {
        let Self(link) = self;
        let refused = |errno: i32| {
            let error = std::io::Error::from_raw_os_error(errno);
            format!("a network namespace of its own is refused here ({error}): it needs user namespaces, or CAP_SYS_ADMIN")
        };
        if descriptors::wait_readable(&[link.as_fd()], START_MS).is_empty() {
            return Err("the process for them did not come up".to_owned());
        }
        let made = network::handed(link.as_fd()).map_err(|Errno(errno)| refused(errno))?;
        match made {
            Some((MADE, both)) => SocketMaker::of(link, both).ok_or_else(|| refused(libc::EPROTO)),
            Some((errno, _)) => Err(refused(i32::from(errno))),
            None => Err(refused(libc::EPERM)),
        }
    }
}

impl SocketMaker {
    fn of(link: OwnedFd, both: Vec<OwnedFd>) -> Option<Self> {
        let [datagrams, streams] = <[OwnedFd; 2]>::try_from(both).ok()?;
        let namespace = sockets::namespace(datagrams.as_fd()).ok()?;
        Some(Self { link, owed: Mutex::new(0), datagrams, streams, namespace })
    }

    /// A socket in the other network.
    ///
    /// # Errors
    /// The kernel's; EPIPE when the helper is gone.
    pub fn socket(&self, domain: i32, style: i32) -> Sys<OwnedFd> {
        let mut owed = self.owed.lock().unwrap_or_else(PoisonError::into_inner);
        let link = self.link.as_fd();
        let wanted = [domain, style].map(i32::to_ne_bytes).concat();
        // A helper that is stopped takes no more than its queue holds.
        sockets::send(link, &[], &wanted, &[], libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT)?;
        *owed += 1;
        let begun = Instant::now();
        loop {
            let left = SOCKET_WAIT.saturating_sub(begun.elapsed());
            if descriptors::wait_readable(&[link], i32::try_from(left.as_millis()).unwrap_or(0)).is_empty() {
                return Err(Errno(libc::EPIPE));
            }
            let told = network::handed(link)?.ok_or(Errno(libc::EPIPE))?;
            *owed = owed.saturating_sub(1);
            if *owed == 0 {
                return match told {
                    (MADE, made) => made.into_iter().next().ok_or(Errno(libc::EPROTO)),
                    _ => Err(Errno(libc::EAFNOSUPPORT)),
                };
            }
        }
    }

    /// Ends the helper, unless it is stopped: from here on there are no more sockets of it. For when nobody is left who could use one.
    pub fn end(&self) {
        let _gone = sockets::shutdown(self.link.as_fd(), libc::SHUT_RDWR);
    }
}

/// The helper's whole life.
fn serve(link: &OwnedFd) -> ! {
    process::call_itself(c"jail-names");
    descriptors::close_all_but(&[link.as_raw_fd()]);
    process::new_session();
    match prepare() {
        Ok((datagrams, streams)) => {
            let told = network::hand_over(link.as_fd(), MADE, &[datagrams.as_fd(), streams.as_fd()]);
            drop((datagrams, streams));
            if told.is_ok() {
                make(link);
            }
        }
        Err(Errno(errno)) => {
            let _gone = network::hand_over(link.as_fd(), u8::try_from(errno).unwrap_or(0), &[]);
        }
    }
    process::leave(0)
}

fn prepare() -> Sys<(OwnedFd, OwnedFd)> {
    network::own_network()?;
    network::own_every_address()?;
    let both = (network::at_every_address(libc::SOCK_DGRAM, PORT)?, network::at_every_address(libc::SOCK_STREAM, PORT)?);
    // It has what it was to make.
    capabilities::keep(0, 0).map_err(Errno::from)?;
    // Nobody else of this user reads or leads it.
    process::control(libc::PR_SET_DUMPABLE, 0).map_err(Errno::from)?;
    process::control(libc::PR_SET_NO_NEW_PRIVS, 1).map_err(Errno::from)?;
    // Only now: a user namespace of its own takes it back (prctl(2)).
    process::control(libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64).map_err(Errno::from)?;
    Ok(both)
}

/// Makes sockets until the link is closed.
fn make(link: &OwnedFd) {
    while let Ok(wanted) = network::receive(link.as_fd(), 8) {
        let numbers: Vec<i32> = wanted.data.chunks_exact(4).filter_map(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes).collect();
        let [domain, style] = numbers.as_slice() else { return };
        let told = match sockets::open(*domain, *style, 0) {
            Ok(made) => network::hand_over(link.as_fd(), MADE, &[made.as_fd()]),
            Err(_) => network::hand_over(link.as_fd(), NOT_MADE, &[]),
        };
        if told.is_err() {
            return;
        }
    }
}
