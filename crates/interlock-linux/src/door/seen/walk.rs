//! Resolution by hand, one component at a time, for paths on which procfs would take the supervisor for the caller.
//!
//! `self` and `thread-self` are the caller's; magic links are followed to the object itself, and only out of processes inside
//! the session. Everything else is what path_resolution(7) says. Left out: openat2's scopes, which admit no magic link anyway.

use super::caller::{Caller, Stop};
use super::procfs::{self, on_procfs};
use crate::sys::errno::{Errno, Sys};
use crate::sys::files::{self, OpenHow, Stat};
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Symlinks followed on one path (the kernel's MAXSYMLINKS).
pub const LINKS_MAX: u32 = 40;
/// Components of one path with all its symlinks; 40 of them at PATH_MAX.
const COMPONENTS_MAX: usize = 40 * 2048;

/// Whether a symlink as the last component is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// Followed.
    Follow,
    /// The symlink itself is meant.
    Keep,
}

struct Walk<'a> {
    caller: &'a Caller<'a>,
    at: OwnedFd,
    rest: VecDeque<Vec<u8>>,
    links: u32,
    last: Last,
}

/// What `text` means to `caller` from `start`, O_PATH.
pub fn to_object(caller: &Caller<'_>, start: BorrowedFd<'_>, text: &[u8], last: Last) -> Result<OwnedFd, Stop> {
    let at = files::duplicate(if text.first() == Some(&b'/') { caller.ground.root.as_fd() } else { start })?;
    let mut walk = Walk { caller, at, rest: VecDeque::new(), links: 0, last };
    walk.put_in_front(text)?;
    walk.admit_here()?;
    while let Some(component) = walk.rest.pop_front() {
        walk.step(&component)?;
    }
    // Procfs entries were found by process number: they are the caller's only if it was there all the time.
    caller.confirm()?;
    Ok(walk.at)
}

impl Walk<'_> {
    /// Components in front of what is left. A trailing slash is an empty last component, which demands a directory and follows a link;
    /// unlike `.` it does not ask for the right to search it.
    fn put_in_front(&mut self, text: &[u8]) -> Sys<()> {
        let mut parts: Vec<&[u8]> = text.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).collect();
        if text.last() == Some(&b'/') && !parts.is_empty() {
            parts.push(b"");
        }
        if self.rest.len() + parts.len() > COMPONENTS_MAX {
            return Err(Errno(libc::ENAMETOOLONG));
        }
        for part in parts.into_iter().rev() {
            self.rest.push_front(part.to_vec());
        }
        Ok(())
    }

    fn step(&mut self, component: &[u8]) -> Result<(), Stop> {
        if component.is_empty() {
            return if self.stat_here()?.kind() == libc::S_IFDIR { Ok(()) } else { Err(Errno(libc::ENOTDIR).into()) };
        }
        if component == b".." && self.stat_here()?.same(&self.caller.ground.root_stat) {
            return Ok(());
        }
        let here = self.stat_here()?;
        let in_proc = on_procfs(self.at.as_fd(), &here)?;
        if in_proc && self.is_proc_root()? && self.substitute(component)? {
            return Ok(());
        }
        let next = self.look(component)?;
        let stat = files::stat(next.as_fd())?;
        if stat.kind() == libc::S_IFLNK {
            return self.link(component, next, in_proc);
        }
        self.at = next;
        if component == b".." || self.is_process_entry(in_proc, component) {
            self.admit_here()?;
        }
        Ok(())
    }

    fn stat_here(&self) -> Sys<Stat> {
        files::stat(self.at.as_fd())
    }

    fn is_proc_root(&self) -> Sys<bool> {
        Ok(self.caller.ground.name_of(self.at.as_fd())? == b"/proc")
    }

    fn is_process_entry(&self, in_proc: bool, component: &[u8]) -> bool {
        in_proc && procfs::number(component).is_some()
    }

    /// `self` and `thread-self` of the caller, not of whoever looks. A last one that is not followed stays what it is.
    fn substitute(&mut self, component: &[u8]) -> Result<bool, Stop> {
        if self.rest.is_empty() && self.last == Last::Keep {
            return Ok(false);
        }
        let thread = self.caller.thread();
        let text = match component {
            b"self" => self.caller.process()?.to_string(),
            b"thread-self" => format!("{}/task/{thread}", self.caller.process()?),
            _ => return Ok(false),
        };
        self.put_in_front(text.as_bytes())?;
        Ok(true)
    }

    fn look(&self, component: &[u8]) -> Sys<OwnedFd> {
        let how = OpenHow { flags: (libc::O_PATH | libc::O_NOFOLLOW) as u64, mode: 0, resolve: libc::RESOLVE_NO_MAGICLINKS };
        files::open_how(self.at.as_fd(), &files::text(component)?, how)
    }

    fn link(&mut self, component: &[u8], link: OwnedFd, in_proc: bool) -> Result<(), Stop> {
        if self.rest.is_empty() && self.last == Last::Keep {
            self.at = link;
            return Ok(());
        }
        self.links += 1;
        if self.links > LINKS_MAX {
            return Err(Errno(libc::ELOOP).into());
        }
        if in_proc && procfs::owner(&self.caller.ground.name_of(self.at.as_fd())?).is_some() {
            return self.magic(component);
        }
        may_follow(&self.stat_here()?, &files::stat(link.as_fd())?)?;
        let text = files::read_link(link.as_fd(), c"")?;
        if text.first() == Some(&b'/') {
            self.at = files::duplicate(self.caller.ground.root.as_fd())?;
        }
        Ok(self.put_in_front(&text)?)
    }

    /// A magic link leads to the object itself, whatever it is called. Whose it is was admitted on the way here.
    fn magic(&mut self, component: &[u8]) -> Result<(), Stop> {
        self.admit_here()?;
        self.at = files::open_at(self.at.as_fd(), &files::text(component)?, libc::O_PATH, 0)?;
        self.admit_here()
    }

    /// Refuses to stand in what belongs to a process outside.
    fn admit_here(&self) -> Result<(), Stop> {
        let stat = self.stat_here()?;
        if on_procfs(self.at.as_fd(), &stat)? { procfs::admit(self.caller, &self.at, &stat) } else { Ok(()) }
    }
}

/// fs.protected_symlinks: in a sticky directory that all may write, a link leads on only if it is one's own or the directory's owner's.
///
/// The supervisor follows links here by hand, where the kernel would have asked this for it.
pub fn may_follow(directory: &Stat, link: &Stat) -> Sys<()> {
    const SHARED: u32 = libc::S_ISVTX | libc::S_IWOTH;
    let user = crate::sys::credentials::user();
    if directory.mode & SHARED == SHARED && link.user != user && link.user != directory.user {
        return Err(Errno(libc::EACCES));
    }
    Ok(())
}
