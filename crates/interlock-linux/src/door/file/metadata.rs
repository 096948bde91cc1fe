//! Calls that change metadata by path: chmod, chown, utime, xattr, truncate and their kin. Done to the held object, however it is called by then.
//!
//! Calls on the caller's own descriptors are in `descriptors`; what the arguments hold is read by `attributes` and `times`.
//! RULE: no file is made to run as its owner or group (EPERM), and attributes of the kernel's own (`security.*`, `trusted.*`) stay.

use super::object::{forbid_privilege, object_of, within_limit};
use super::{attributes, descriptors, times};
use crate::door::answer::{Answered, Pending};
use crate::door::errand::Errand;
use crate::door::seen::caller::Stop;
use crate::line::Enactor;
use crate::sys::errno::Errno;
use crate::sys::files;
use interlock_core::action::Verb;
use std::os::fd::AsFd;

const MODE_BITS: u32 = 0o7777;

/// What is allowed is done as it is, or not at all.
const ENACTOR: Enactor = Enactor::PLAIN;

/// Answers one call of the family.
pub fn answer(errand: &Errand<'_>, pending: Pending) -> Answered {
    let (verb, result) = serve(errand);
    errand.end(pending, verb, result.map(|()| 0))
}

fn serve(errand: &Errand<'_>) -> (Verb, Result<(), Stop>) {
    let caller = &errand.caller;
    let (int, word) = (|index| caller.int(index), |index| caller.argument(index) as u32);
    let here = libc::AT_FDCWD;
    match i64::from(caller.number()) {
        libc::SYS_chmod => (Verb::FileChmod, change_mode(errand, (here, 0), word(1), 0)),
        libc::SYS_fchmodat => (Verb::FileChmod, change_mode(errand, (int(0), 1), word(2), 0)),
        libc::SYS_fchmodat2 => (Verb::FileChmod, change_mode(errand, (int(0), 1), word(2), int(3))),
        libc::SYS_fchmod => (Verb::FileChmod, descriptors::change_mode(errand, int(0), word(1))),
        libc::SYS_chown => (Verb::FileChown, change_owner(errand, (here, 0), (word(1), word(2)), 0)),
        libc::SYS_lchown => (Verb::FileChown, change_owner(errand, (here, 0), (word(1), word(2)), libc::AT_SYMLINK_NOFOLLOW)),
        libc::SYS_fchownat => (Verb::FileChown, change_owner(errand, (int(0), 1), (word(2), word(3)), int(4))),
        libc::SYS_fchown => (Verb::FileChown, descriptors::change_owner(errand, int(0), word(1), word(2))),
        libc::SYS_truncate => (Verb::FileTruncate, truncate(errand, caller.argument(1) as i64)),
        libc::SYS_ftruncate => (Verb::FileTruncate, descriptors::truncate(errand, int(0), caller.argument(1) as i64)),
        libc::SYS_utime | libc::SYS_utimes | libc::SYS_futimesat | libc::SYS_utimensat => (Verb::FileUtime, times::change(errand)),
        _ => (Verb::FileXattr, attributes::change(errand)),
    }
}

fn change_mode(errand: &Errand<'_>, at: (i32, usize), mode: u32, flags: i32) -> Result<(), Stop> {
    let object = object_of(errand, at, flags, libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH)?;
    let mode = mode & MODE_BITS;
    forbid_privilege(errand, &object, mode)?;
    if object.stat.kind() == libc::S_IFLNK {
        return Err(Errno(libc::EOPNOTSUPP).into());
    }
    let ground = &errand.session.ground;
    errand.enact_on(&ENACTOR, &[Verb::FileChmod], &object, |_| {
        Ok(files::change_mode(ground.own.as_fd(), files::magic(object.file.as_fd()).as_c_str(), mode)?)
    })
}

fn change_owner(errand: &Errand<'_>, at: (i32, usize), (user, group): (u32, u32), flags: i32) -> Result<(), Stop> {
    let object = object_of(errand, at, flags, libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH)?;
    errand.enact_on(&ENACTOR, &[Verb::FileChown], &object, |_| Ok(files::change_owner(object.file.as_fd(), user, group)?))
}

fn truncate(errand: &Errand<'_>, length: i64) -> Result<(), Stop> {
    if length < 0 {
        return Err(Errno(libc::EINVAL).into());
    }
    let object = object_of(errand, (libc::AT_FDCWD, 0), 0, 0)?;
    match object.stat.kind() {
        libc::S_IFDIR => return Err(Errno(libc::EISDIR).into()),
        libc::S_IFREG => {}
        _ => return Err(Errno(libc::EINVAL).into()),
    }
    within_limit(errand, &object, length)?;
    let magic = files::magic(object.file.as_fd()).absolute();
    errand.enact_on(&ENACTOR, &[Verb::FileTruncate], &object, |_| Ok(files::truncate(&magic, length)?))
}
