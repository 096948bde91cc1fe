//! Metadata of what the caller holds open: fchmod, fchown, ftruncate, futimens, fsetxattr, and requests that set inode flags.
//!
//! Done to the caller's own open file, so that what the kernel says of it (EBADF, EINVAL, EROFS) stays true; decided by its name.

use super::object::{forbid_privilege, open_file, within_limit};
use crate::door::act::forbidden;
use crate::door::answer::{Answered, Pending};
use crate::door::errand::Errand;
use crate::door::seen::caller::Stop;
use crate::line::Enactor;
use crate::sys::errno::Errno;
use crate::sys::files;
use interlock_core::action::Verb;
use std::os::fd::AsFd;

/// What is allowed is done as it is, or not at all.
const ENACTOR: Enactor = Enactor::PLAIN;

/// fchmod.
pub fn change_mode(errand: &Errand<'_>, number: i32, mode: u32) -> Result<(), Stop> {
    let object = open_file(errand, number)?;
    forbid_privilege(errand, &object, mode & 0o7777)?;
    errand.enact_on(&ENACTOR, &[Verb::FileChmod], &object, |_| Ok(files::change_mode_of(object.file.as_fd(), mode & 0o7777)?))
}

/// fchown.
pub fn change_owner(errand: &Errand<'_>, number: i32, user: u32, group: u32) -> Result<(), Stop> {
    let object = open_file(errand, number)?;
    errand.enact_on(&ENACTOR, &[Verb::FileChown], &object, |_| Ok(files::change_owner_of(object.file.as_fd(), user, group)?))
}

/// ftruncate.
pub fn truncate(errand: &Errand<'_>, number: i32, length: i64) -> Result<(), Stop> {
    if length < 0 {
        return Err(Errno(libc::EINVAL).into());
    }
    let object = open_file(errand, number)?;
    within_limit(errand, &object, length)?;
    errand.enact_on(&ENACTOR, &[Verb::FileTruncate], &object, |_| Ok(files::truncate_of(object.file.as_fd(), length)?))
}

/// Requests that set inode flags, versions or project ids: their argument lies in memory and some of them outlive the session
/// (immutable, append-only). Refused on named files; on files that are held without a name they do nothing either.
pub fn request(errand: &Errand<'_>, pending: Pending) -> Answered {
    let result =
        open_file(errand, errand.caller.int(0)).and_then(|object| Err(forbidden(object.name.bytes(), "inode flags are not changed")));
    errand.end(pending, Verb::FileXattr, result)
}
