//! A file of Interlock's own put at a guarded name: the content that was decided, which nobody of the session can have open for writing.
//!
//! It is made beside the name, under one that nobody of the session may touch ([`is_being_installed`]), and renamed over it. So whoever reads the
//! name finds the old content or the new. Left out: one that was made when the supervisor was killed stays behind, under its telling name.

use crate::door::seen::place::Place;
use crate::sys::copies;
use crate::sys::errno::{Errno, Sys};
use crate::sys::files;
use crate::sys::process;
use std::ffi::CString;
use std::io::Write as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How the names of files begin that are not yet where they belong.
pub(super) const PREFIX: &[u8] = b".interlock-installing-";
/// Until it has taken over the mode that it is to have.
const MODE_AT_FIRST: u32 = 0o600;

/// A file that is whole, and is not yet where it belongs. Dropped without [`Ready::install`], it is removed.
pub struct Ready<'a> {
    place: &'a Place,
    name: CString,
    file: OwnedFd,
    installed: bool,
}

impl<'a> Ready<'a> {
    /// Makes it in the folder of `place`. All but its content it takes over from `of`.
    ///
    /// # Errors
    /// The kernel's, as for whom this thread acts.
    pub fn new(place: &'a Place, content: &[u8], of: BorrowedFd<'_>) -> Sys<Self> {
        let name = files::text(&[PREFIX, process::random_hex().as_bytes()].concat())?;
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW | libc::O_NOCTTY;
        let file = files::open_at(place.parent.as_fd(), &name, flags, MODE_AT_FIRST)?;
        let ready = Self { place, name, file, installed: false };
        std::fs::File::from(files::duplicate(ready.file.as_fd())?).write_all(content)?;
        copies::take_after(ready.file.as_fd(), of)?;
        Ok(ready)
    }

    /// It is on the disk before it replaces something: what is there after a loss of power is the old content or the new.
    ///
    /// # Errors
    /// The kernel's.
    pub fn kept(self) -> Sys<Self> {
        copies::sync(self.file.as_fd())?;
        Ok(self)
    }

    /// Gives it the owner of another file.
    ///
    /// # Errors
    /// The kernel's.
    pub fn owned_as(&self, of: BorrowedFd<'_>) -> Sys<()> {
        copies::take_owner(self.file.as_fd(), of)
    }

    /// Gives it the mode of another file.
    ///
    /// # Errors
    /// The kernel's.
    pub fn with_mode_of(&self, of: BorrowedFd<'_>) -> Sys<()> {
        copies::take_mode(self.file.as_fd(), of)
    }

    /// Puts it where it belongs. `flags` are renameat2's.
    ///
    /// # Errors
    /// The kernel's.
    pub fn install(mut self, flags: u32) -> Sys<OwnedFd> {
        let goal = self.place.component()?;
        files::rename(self.place.parent.as_fd(), &self.name, self.place.parent.as_fd(), &goal, flags)?;
        self.installed = true;
        files::duplicate(self.file.as_fd())
    }
}

impl Drop for Ready<'_> {
    fn drop(&mut self) {
        if !self.installed {
            let _gone: Result<(), Errno> = files::unlink(self.place.parent.as_fd(), &self.name, 0);
        }
    }
}

/// Whether a path is that of a file which is not yet where it belongs.
pub fn is_being_installed(path: &[u8]) -> bool {
    path.rsplit(|byte| *byte == b'/').next().is_some_and(|name| name.starts_with(PREFIX))
}
