//! Which terminals are this session's: those its command was given, and those whose master side its own door opened.
//!
//! The human's other shells have terminals of the same user: read from, they lose what is typed; written to, they show what the jail
//! likes. No policy speaks of them by name, since the names are given anew all the time.
//! INVARIANT: a terminal is known by its inode, held: when its master is closed the kernel takes the name away from that inode, and another
//! terminal of the same number is another inode, whose number of links is not zero.

use crate::sys::descriptors;
use crate::sys::errno::{Errno, Sys};
use crate::sys::files::{self, OpenHow, Stat};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

/// Terminals held at one time; those gone are let go first. Past it a new one cannot be opened by name.
const HELD_MAX: usize = 4096;
/// The master side's device (devices.txt).
const MULTIPLEXER: (u32, u32) = (5, 2);
/// `/dev/tty`, which is the caller's own.
const OWN: (u32, u32) = (5, 0);
/// devpts (linux/magic.h).
const DEVPTS: i64 = 0x1cd1;

/// The session's terminals.
#[derive(Debug, Default)]
pub struct Terminals(Mutex<Vec<(Stat, OwnedFd)>>);

impl Terminals {
    /// Learns what `process` has at 0, 1 and 2, before it runs anything.
    pub fn given(&self, root: BorrowedFd<'_>, process: i32) {
        for number in 0..3 {
            let Ok(path) = files::text(format!("/proc/{process}/fd/{number}").as_bytes()) else { continue };
            if let Ok(file) = files::open_at(root, &path, libc::O_PATH, 0) {
                self.hold(file);
            }
        }
    }

    /// Learns the other side of a master that the door has just opened. `master` is still open, so its number is its own.
    ///
    /// # Errors
    /// The other side cannot be found: it will not be opened by name either.
    pub fn made(&self, root: BorrowedFd<'_>, master: BorrowedFd<'_>, name: &[u8]) -> Sys<()> {
        let number = descriptors::terminal_number(master).map_err(Errno::from)?;
        let above = name.iter().rposition(|byte| *byte == b'/').and_then(|slash| name.get(..slash)).unwrap_or_default();
        // The multiplexer lies among the terminals, or beside their directory (pts(4)).
        let among: &[u8] = if files::file_system(master)? == DEVPTS { b"" } else { b"/pts" };
        let path = [above, among, b"/", number.to_string().as_bytes()].concat();
        let how = OpenHow { flags: libc::O_PATH as u64, mode: 0, resolve: libc::RESOLVE_NO_MAGICLINKS | libc::RESOLVE_NO_SYMLINKS };
        self.hold(files::open_how(root, &files::text(&path)?, how)?);
        Ok(())
    }

    /// Whether an object may be opened: it is no terminal, or one of this session's.
    #[must_use]
    pub fn admit(&self, object: &Stat) -> bool {
        object.kind() != libc::S_IFCHR || !is_terminal(object.special) || self.is_held(object)
    }

    fn is_held(&self, object: &Stat) -> bool {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.iter().any(|(stat, file)| stat.same(object) && stands(file))
    }

    fn hold(&self, file: OwnedFd) {
        let Ok(stat) = files::stat(file.as_fd()) else { return };
        if stat.kind() != libc::S_IFCHR || !is_terminal(stat.special) {
            return;
        }
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|(known, file)| !known.same(&stat) && stands(file));
        if held.len() < HELD_MAX {
            held.push((stat, file));
        }
    }
}

/// Whether a terminal has not been taken away meanwhile.
fn stands(file: &OwnedFd) -> bool {
    files::stat(file.as_fd()).is_ok_and(|now| now.links > 0)
}

/// Whether a device is the one that makes terminals.
#[must_use]
pub fn is_multiplexer(device: u64) -> bool {
    (libc::major(device), libc::minor(device)) == MULTIPLEXER
}

/// Terminals that somebody may sit at, and memories of screens: consoles and serial lines (4), `/dev/console` (5), pseudo-terminals of old
/// (2, 3), screens (7), pseudo-terminals (136 to 143).
fn is_terminal(device: u64) -> bool {
    let (major, minor) = (libc::major(device), libc::minor(device));
    matches!(major, 2..=5 | 7 | 136..=143) && ![OWN, MULTIPLEXER].contains(&(major, minor))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn root() -> OwnedFd {
        std::fs::File::open("/").unwrap().into()
    }

    fn master() -> std::fs::File {
        std::fs::File::options().read(true).write(true).open("/dev/ptmx").unwrap()
    }

    fn slave(master: &std::fs::File) -> Stat {
        let path = format!("/dev/pts/{}", descriptors::terminal_number(master.as_fd()).unwrap());
        files::stat_at(root().as_fd(), &files::text(path.as_bytes()).unwrap()).unwrap()
    }

    fn name() -> Vec<u8> {
        std::fs::canonicalize("/dev/ptmx").unwrap().into_os_string().into_encoded_bytes()
    }

    #[test]
    fn what_the_door_made_is_admitted_and_no_other() {
        let (terminals, ours, others) = (Terminals::default(), master(), master());
        terminals.made(root().as_fd(), ours.as_fd(), &name()).unwrap();
        assert!(terminals.admit(&slave(&ours)));
        assert!(!terminals.admit(&slave(&others)));
    }

    #[test]
    fn a_number_used_again_is_another_terminal() {
        let terminals = Terminals::default();
        let ours = master();
        terminals.made(root().as_fd(), ours.as_fd(), &name()).unwrap();
        let before = slave(&ours);
        drop(ours);
        // The lowest free number is given: ours, unless somebody else was quicker.
        let theirs = master();
        assert!(!terminals.admit(&slave(&theirs)));
        assert!(!terminals.admit(&before));
    }

    #[test]
    fn what_is_no_terminal_is_not_asked_about() {
        let stat = |path: &std::ffi::CStr| files::stat_at(root().as_fd(), path).unwrap();
        let terminals = Terminals::default();
        assert!([c"/dev/null", c"/dev/tty", c"/etc/passwd"].into_iter().all(|path| terminals.admit(&stat(path))));
        assert!(is_terminal(libc::makedev(4, 1)) && is_terminal(libc::makedev(7, 0)) && is_terminal(libc::makedev(137, 3)));
    }
}
