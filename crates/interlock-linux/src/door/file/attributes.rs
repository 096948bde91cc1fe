//! Extended attributes set and removed, by path, by descriptor and by the newer *at calls; file_setattr is refused.
//!
//! RULE: `security.*` and `trusted.*` are the kernel's and the administrator's. An access control list is a change of mode as well.

use super::object::{object_at, object_of, open_file};
use crate::door::act::forbidden;
use crate::door::errand::Errand;
use crate::door::seen::caller::Stop;
use crate::door::seen::resolve::Object;
use crate::line::Enactor;
use crate::sys::errno::{Errno, Sys};
use crate::sys::files;
use crate::sys::memory::PATH_BYTES_MAX;
use interlock_core::action::Verb;
use std::ffi::CString;
use std::os::fd::AsFd;

/// Longest name and value (limits.h: XATTR_NAME_MAX, XATTR_SIZE_MAX), in bytes.
const NAME_BYTES_MAX: usize = 255;
const VALUE_BYTES_MAX: u64 = 65_536;
const SYS_SETXATTRAT: i64 = 463;
const SYS_REMOVEXATTRAT: i64 = 466;
const SYS_FILE_SETATTR: i64 = 469;
/// `struct xattr_args`: a pointer, a size and flags.
const ARGUMENTS_BYTES: u64 = 16;
const PAGE_BYTES: u64 = 4096;

/// What is allowed is done as it is, or not at all.
const ENACTOR: Enactor = Enactor::PLAIN;

/// What is to become of one attribute.
enum Change {
    Set { name: CString, value: Vec<u8>, flags: i32 },
    Remove { name: CString },
}

/// Answers one call of the family.
pub fn change(errand: &Errand<'_>) -> Result<(), Stop> {
    let caller = &errand.caller;
    let follow = |number: i64| matches!(number, libc::SYS_setxattr | libc::SYS_removexattr);
    let at_flags = |number: i64| if follow(number) { 0 } else { libc::AT_SYMLINK_NOFOLLOW };
    const KNOWN: i32 = libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH;
    match i64::from(caller.number()) {
        number @ (libc::SYS_setxattr | libc::SYS_lsetxattr) => {
            let change = set(errand, 1, caller.argument(2), caller.argument(3), caller.int(4))?;
            let object = object_of(errand, (libc::AT_FDCWD, 0), at_flags(number), KNOWN)?;
            by_path(errand, &object, &change)
        }
        number @ (libc::SYS_removexattr | libc::SYS_lremovexattr) => {
            let change = Change::Remove { name: name(errand, 1)? };
            let object = object_of(errand, (libc::AT_FDCWD, 0), at_flags(number), KNOWN)?;
            by_path(errand, &object, &change)
        }
        libc::SYS_fsetxattr => {
            let object = open_file(errand, caller.int(0))?;
            let change = set(errand, 1, caller.argument(2), caller.argument(3), caller.int(4))?;
            by_descriptor(errand, &object, &change)
        }
        libc::SYS_fremovexattr => {
            let object = open_file(errand, caller.int(0))?;
            let change = Change::Remove { name: name(errand, 1)? };
            by_descriptor(errand, &object, &change)
        }
        SYS_SETXATTRAT => {
            let change = set_at(errand)?;
            newer(errand, &change)
        }
        SYS_REMOVEXATTRAT => {
            let change = Change::Remove { name: name(errand, 3)? };
            newer(errand, &change)
        }
        SYS_FILE_SETATTR => {
            let text = newer_text(errand, caller.int(4))?;
            let object = object_at(errand, caller.int(0), &text, caller.int(4))?;
            Err(forbidden(object.name.bytes(), "inode flags are not changed"))
        }
        _ => Err(Errno(libc::ENOSYS).into()),
    }
}

fn newer(errand: &Errand<'_>, change: &Change) -> Result<(), Stop> {
    match newer_text(errand, errand.caller.int(2))? {
        // An empty path is the descriptor itself, which must carry data here as for the older call.
        text if text.is_empty() && errand.caller.int(0) != libc::AT_FDCWD => {
            by_descriptor(errand, &open_file(errand, errand.caller.int(0))?, change)
        }
        text => by_path(errand, &object_at(errand, errand.caller.int(0), &text, errand.caller.int(2))?, change),
    }
}

/// The newer calls take a null path with AT_EMPTY_PATH for an empty one.
fn newer_text(errand: &Errand<'_>, flags: i32) -> Result<Vec<u8>, Stop> {
    if flags & !(libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH) != 0 {
        return Err(Errno(libc::EINVAL).into());
    }
    let address = errand.caller.argument(1);
    let text = match address {
        0 if flags & libc::AT_EMPTY_PATH != 0 => Vec::new(),
        _ => errand.caller.text(address, PATH_BYTES_MAX, libc::ENAMETOOLONG)?,
    };
    if text.is_empty() && flags & libc::AT_EMPTY_PATH == 0 { Err(Errno(libc::ENOENT).into()) } else { Ok(text) }
}

fn name(errand: &Errand<'_>, index: usize) -> Sys<CString> {
    let name = errand.caller.text(errand.caller.argument(index), NAME_BYTES_MAX + 1, libc::ERANGE)?;
    if name.is_empty() { Err(Errno(libc::ERANGE)) } else { files::text(&name) }
}

fn set(errand: &Errand<'_>, index: usize, address: u64, size: u64, flags: i32) -> Sys<Change> {
    if flags & !(libc::XATTR_CREATE | libc::XATTR_REPLACE) != 0 {
        return Err(Errno(libc::EINVAL));
    }
    let name = name(errand, index)?;
    if size > VALUE_BYTES_MAX {
        return Err(Errno(libc::E2BIG));
    }
    let mut value = vec![0_u8; size as usize];
    errand.caller.read(address, &mut value)?;
    Ok(Change::Set { name, value, flags })
}

fn set_at(errand: &Errand<'_>) -> Sys<Change> {
    let size = errand.caller.argument(5);
    if size < ARGUMENTS_BYTES {
        return Err(Errno(libc::EINVAL));
    }
    if size > PAGE_BYTES {
        return Err(Errno(libc::E2BIG));
    }
    let mut rest = vec![0_u8; (size - ARGUMENTS_BYTES) as usize];
    let address = errand.caller.argument(4);
    errand.caller.read(address.checked_add(ARGUMENTS_BYTES).ok_or(Errno(libc::EFAULT))?, &mut rest)?;
    if rest.iter().any(|byte| *byte != 0) {
        return Err(Errno(libc::E2BIG));
    }
    let [value, sizes] = errand.caller.words::<2>(address)?;
    set(errand, 3, value, sizes & 0xffff_ffff, (sizes >> 32) as i32)
}

/// What an attribute is worth: a refusal, or the verbs it stands for.
fn verbs(object: &Object, change: &Change) -> Result<Vec<Verb>, Stop> {
    let name = match change {
        Change::Set { name, .. } | Change::Remove { name } => name.to_bytes(),
    };
    if name.starts_with(b"security.") || name.starts_with(b"trusted.") {
        return Err(forbidden(object.name.bytes(), "attributes of the kernel's own stay as they are"));
    }
    Ok(if name.starts_with(b"system.") { vec![Verb::FileXattr, Verb::FileChmod] } else { vec![Verb::FileXattr] })
}

fn by_path(errand: &Errand<'_>, object: &Object, change: &Change) -> Result<(), Stop> {
    let verbs = verbs(object, change)?;
    let magic = files::magic(object.file.as_fd()).absolute();
    errand.enact_on(&ENACTOR, &verbs, object, |_| {
        match change {
            Change::Set { name, value, flags } => files::set_attribute(&magic, name, value, *flags),
            Change::Remove { name } => files::remove_attribute(&magic, name),
        }
        .map_err(Stop::from)
    })
}

fn by_descriptor(errand: &Errand<'_>, object: &Object, change: &Change) -> Result<(), Stop> {
    let verbs = verbs(object, change)?;
    let file = object.file.as_fd();
    errand.enact_on(&ENACTOR, &verbs, object, |_| {
        match change {
            Change::Set { name, value, flags } => files::set_attribute_of(file, name, value, *flags),
            Change::Remove { name } => files::remove_attribute_of(file, name),
        }
        .map_err(Stop::from)
    })
}
