//! The object that a call on metadata means, held: by path, or by a descriptor of the caller's; and what is asked of each of them.

use super::terminal;
use crate::door::errand::Errand;
use crate::door::seen::caller::Stop;
use crate::door::seen::resolve::{self, Last, Object, Path};
use crate::sys::errno::{Errno, Sys};
use crate::sys::files;
use crate::sys::memory::PATH_BYTES_MAX;
use std::os::fd::{AsFd, OwnedFd};

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
        return of_descriptor(errand, directory);
    }
    let last = if flags & libc::AT_SYMLINK_NOFOLLOW != 0 { Last::Keep } else { Last::Follow };
    let path = Path { directory, text, last, resolve: 0 };
    let start = resolve::held_start(&errand.caller, directory, text)?;
    let look = || errand.as_caller(|| resolve::object_from(&errand.caller, start.as_fd(), &path));
    let object = look()?;
    let object = if errand.settled(object.name.bytes()) { look()? } else { object };
    terminal::admitted(errand, object)
}

/// What descriptor `number` of the caller refers to, O_PATH; AT_FDCWD for its directory.
pub fn of_descriptor(errand: &Errand<'_>, number: i32) -> Result<Object, Stop> {
    let file = errand.caller.directory(number)?;
    errand.caller.confirm()?;
    held(errand, file)
}

/// The caller's open file, with its name.
pub fn open_file(errand: &Errand<'_>, number: i32) -> Result<Object, Stop> {
    let file = errand.caller.open_file(number)?;
    errand.caller.confirm()?;
    held(errand, file)
}

fn held(errand: &Errand<'_>, file: OwnedFd) -> Result<Object, Stop> {
    let stat = files::stat(file.as_fd())?;
    terminal::admitted(errand, resolve::named(&errand.session.ground, file, stat)?)
}

/// On directories the set-group-ID bit only says who owns what is made there, and on them it stays allowed.
pub fn forbid_privilege(errand: &Errand<'_>, object: &Object, mode: u32) -> Result<(), Stop> {
    if object.stat.kind() == libc::S_IFDIR { Ok(()) } else { errand.forbid_privilege(mode, object.name.bytes()) }
}

/// The caller's own limit on file sizes, which is not the supervisor's. The signal that goes with it (SIGXFSZ) is left out.
pub fn within_limit(errand: &Errand<'_>, object: &Object, length: i64) -> Sys<()> {
    let grows = length > object.stat.size;
    if grows && length as u64 > files::size_limit(errand.caller.thread())? { Err(Errno(libc::EFBIG)) } else { Ok(()) }
}
