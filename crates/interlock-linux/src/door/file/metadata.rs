//! Calls that change metadata by path: chmod, chown, utime, xattr, truncate and their kin. Done to the held object, however it is called by then.
//!
//! Calls on the caller's own descriptors are in `descriptors`; what the arguments hold is read by `attributes` and `times`.
//! RULE: no file is made to run as its owner or group (EPERM), and attributes of the kernel's own (`security.*`, `trusted.*`) stay.

use super::names::start_of;
use super::{attributes, descriptors, terminal, times};
use crate::door::answer::{Answered, Pending};
use crate::door::errand::Errand;
use crate::door::seen::caller::Stop;
use crate::door::seen::resolve::{self, Last, Object, Path};
use crate::line::Enactor;
use crate::sys::errno::{Errno, Sys};
use crate::sys::files;
use crate::sys::memory::PATH_BYTES_MAX;
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

/// The object that descriptor and path argument mean, with the AT_ flags the call takes.
///
/// # Errors
/// EINVAL for a flag outside `known`; else as [`resolve::object`].
pub fn object_of(errand: &Errand<'_>, (directory, index): (i32, usize), flags: i32, known: i32) -> Result<Object, Stop> {
    if flags & !known != 0 {
        return Err(Errno(libc::EINVAL).into());
    }
    let address = errand.caller.argument(index);
    // Since 6.11 a null path with AT_EMPTY_PATH is an empty one for some calls; the others fault, as reading it does.
    let text = errand.caller.text(address, PATH_BYTES_MAX, libc::ENAMETOOLONG)?;
    object_at(errand, directory, &text, flags)
}

/// The same for a path that is read already.
pub fn object_at(errand: &Errand<'_>, directory: i32, text: &[u8], flags: i32) -> Result<Object, Stop> {
    if text.is_empty() && flags & libc::AT_EMPTY_PATH != 0 {
        return descriptors::object(errand, directory);
    }
    let last = if flags & libc::AT_SYMLINK_NOFOLLOW != 0 { Last::Keep } else { Last::Follow };
    let path = Path { directory, text, last, resolve: 0 };
    let start = start_of(errand, directory, text)?;
    let object = errand.as_caller(|| resolve::object_from(&errand.caller, start.as_fd(), &path))?;
    terminal::admitted(errand, object)
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

/// On directories the set-group-ID bit only says who owns what is made there, and on them it stays allowed.
pub fn forbid_privilege(errand: &Errand<'_>, object: &Object, mode: u32) -> Result<(), Stop> {
    if object.stat.kind() == libc::S_IFDIR { Ok(()) } else { errand.forbid_privilege(mode, object.name.bytes()) }
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

/// The caller's own limit on file sizes, which is not the supervisor's. The signal that goes with it (SIGXFSZ) is left out.
pub fn within_limit(errand: &Errand<'_>, object: &Object, length: i64) -> Sys<()> {
    let grows = length > object.stat.size;
    if grows && length as u64 > files::size_limit(errand.caller.thread())? { Err(Errno(libc::EFBIG)) } else { Ok(()) }
}
