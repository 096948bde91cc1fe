//! Where in the session a socket is held: looked for by descriptor, known by its cookie.
//!
//! Thread and number are a hint. Both are given to others once they are free, and a socket may be handed on; so what is found there counts only if
//! it has the cookie. It is looked for in the whole tree where it is not at hand. What is not found is not held, and then nothing relies on it.

use crate::sys::errno::Errno;
use crate::sys::files;
use crate::sys::sockets as sys;
use crate::tree::members::Members;
use std::os::fd::{AsFd as _, OwnedFd};

/// Descriptors of one process that are looked at.
const DESCRIPTORS_MAX: usize = 1 << 16;

/// A socket of the session, and where it was seen last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whereabouts {
    /// What tells it from every other socket.
    pub(super) cookie: u64,
    /// Its number in the listings of `/proc`, by which it is looked for.
    pub(super) inode: u64,
    /// A thread that had it.
    pub(super) thread: i32,
    /// Under this number.
    pub(super) number: i32,
}

/// A socket of the session, held: its port is nobody else's meanwhile, whoever closes it.
#[derive(Debug)]
pub(super) struct Answerer {
    pub(super) file: OwnedFd,
    pub(super) seen: Whereabouts,
}

impl Whereabouts {
    /// The socket, if it is where it was.
    pub(super) fn at_hand(&self) -> Option<OwnedFd> {
        let file = files::copy_descriptor(self.thread, || Err(Errno(libc::ESRCH)), self.number).ok()?;
        (sys::cookie(file.as_fd()).ok()? == self.cookie).then_some(file)
    }

    /// The socket, wherever in the tree it is by now.
    pub(super) fn find(&mut self, members: &Members) -> Option<OwnedFd> {
        if let Some(file) = self.at_hand() {
            return Some(file);
        }
        let link = format!("socket:[{}]", self.inode);
        members.all().into_iter().find_map(|process| self.found_in(process, &link))
    }

    fn found_in(&mut self, process: i32, link: &str) -> Option<OwnedFd> {
        let folder = std::fs::read_dir(format!("/proc/{process}/fd")).ok()?;
        folder.flatten().take(DESCRIPTORS_MAX).find_map(|entry| {
            if std::fs::read_link(entry.path()).ok()?.to_str() != Some(link) {
                return None;
            }
            let seen = Self { thread: process, number: entry.file_name().to_str()?.parse().ok()?, ..*self };
            let file = seen.at_hand()?;
            *self = seen;
            Some(file)
        })
    }
}
