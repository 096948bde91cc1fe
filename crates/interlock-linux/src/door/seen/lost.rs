//! Objects whose name is gone: the path by which they were reached says nothing, for its folders have been free to move since.
//!
//! RULE: without a name an object is open to the session that made it, by the path it had, and to a caller that holds it with the same rights
//! already; to nobody else. So a descriptor that carries no data (O_PATH) is not turned into one that does by taking the name away.
//! Left out: directories, which are empty once their name is gone.

use super::caller::{Caller, Reached, Stop};
use super::made::Made;
use super::resolve::Object;
use crate::sys::errno::{Errno, Sys};
use crate::sys::files;
use interlock_core::action::{Inode, Verb};
use interlock_core::facts::Origin;
use std::os::fd::{AsFd, OwnedFd};

/// Descriptors of a caller that are looked at; what it holds beyond them it does not hold here.
const DESCRIPTORS_MAX: usize = 4096;
const BECAUSE: &str = "it has lost its name, the session did not make it, and the caller does not hold it with these rights";

/// Whose an object without a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The session made it: decided by the path it had.
    Ours,
    /// The caller holds it as it asks for it: there is nothing to decide.
    Held,
}

/// Whether `verbs` on an object without a name are for this caller.
///
/// # Errors
/// A refusal.
pub fn admitted(caller: &Caller<'_>, made: &Made, object: &Object, verbs: &[Verb]) -> Result<Lost, Stop> {
    let inode = Inode { device: object.stat.device, number: object.stat.inode };
    if made.origin(inode, object.file.as_fd()) == Origin::Session {
        return Ok(Lost::Ours);
    }
    let held = holds(caller, object, verbs)?;
    caller.confirm()?;
    if held {
        return Ok(Lost::Held);
    }
    Err(Stop::Refused { reached: Reached::Path(object.name.bytes().to_vec()), because: BECAUSE, errno: libc::EACCES })
}

/// Whether one descriptor of the caller gives all of these rights, or its own program does. While `object` is held no other has its number.
fn holds(caller: &Caller<'_>, object: &Object, verbs: &[Verb]) -> Result<bool, Stop> {
    let is_it = |file: OwnedFd| files::stat(file.as_fd()).is_ok_and(|stat| stat.same(&object.stat));
    if verbs.iter().all(|verb| matches!(verb, Verb::FileRead | Verb::ProcessExec)) && caller.program().is_ok_and(is_it) {
        return Ok(true);
    }
    let folder = std::fs::read_dir(format!("/proc/{}/fd", caller.thread())).map_err(Errno::from)?;
    let numbers = folder.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    Ok(numbers
        .take(DESCRIPTORS_MAX)
        .any(|number| caller.descriptor(number).is_ok_and(is_it) && caller.open_file(number).is_ok_and(|file| gives(&file, object, verbs))))
}

fn gives(file: &OwnedFd, object: &Object, verbs: &[Verb]) -> bool {
    let rights = || -> Sys<(bool, bool)> {
        let flags = files::open_flags(file.as_fd())?;
        let mode = flags & libc::O_ACCMODE;
        if flags & libc::O_PATH != 0 || !files::stat(file.as_fd())?.same(&object.stat) {
            return Err(Errno(libc::EBADF));
        }
        Ok((mode == libc::O_RDONLY || mode == libc::O_RDWR, mode == libc::O_WRONLY || mode == libc::O_RDWR))
    };
    rights().is_ok_and(|(reads, writes)| {
        verbs.iter().all(|verb| match verb {
            Verb::FileRead | Verb::ProcessExec | Verb::FileLink => reads,
            Verb::FileWrite | Verb::FileTruncate => writes,
            _ => true,
        })
    })
}
