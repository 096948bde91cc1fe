//! The mode of what is made: without its maker's umask, for the supervisor has none (`session`). Where the directory has a default ACL, that takes the
//! umask's place, as natively (acl(5)).
//!
//! The kernel looks for the ACL and makes in one step. Here somebody may take it away in between, and give it back: so the directory is watched
//! meanwhile, and if anything has happened to it the umask is taken off what was made.

use crate::sys::errno::Sys;
use crate::sys::files;
use crate::sys::witness::Witness;
use std::os::fd::BorrowedFd;

/// What the kernel is given as a mode, and what is to be looked at after.
pub struct Masked {
    given: u32,
    umask: u32,
    /// Where the umask was left off: who has watched the directory since before it was seen to have an ACL.
    left_off: Option<Option<Witness>>,
}

impl Masked {
    /// The mode of what is about to be made in `parent` with `mode` asked for.
    ///
    /// # Errors
    /// The directory cannot be asked for its access lists.
    pub fn of(mode: u32, umask: u32, parent: BorrowedFd<'_>) -> Sys<Self> {
        let has_acl = || files::has_default_acl(&files::magic(parent).absolute());
        if mode & umask == 0 || !has_acl()? {
            return Ok(Self { given: mode & !umask, umask, left_off: None });
        }
        let witness = Witness::of_attributes(parent);
        Ok(if has_acl()? {
            Self { given: mode, umask, left_off: Some(witness) }
        } else {
            Self { given: mode & !umask, umask, left_off: None }
        })
    }

    /// The mode to make it with.
    #[must_use]
    pub fn given(&self) -> u32 {
        self.given
    }

    /// Takes the umask off what was made, if the ACL may not have been there by then.
    ///
    /// # Errors
    /// As chmod(2).
    pub fn settle(&self, made: BorrowedFd<'_>) -> Sys<()> {
        let Some(witness) = &self.left_off else { return Ok(()) };
        if witness.as_ref().is_some_and(Witness::saw_nothing) {
            return Ok(());
        }
        let mode = files::stat(made)?.mode & 0o7777;
        if mode & self.umask == 0 { Ok(()) } else { files::change_mode(made, &files::magic(made).absolute(), mode & !self.umask) }
    }
}
