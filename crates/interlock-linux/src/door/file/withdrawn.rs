//! The empty file that an open made at a name where policy guards keys: taken away again when what was written to it is not put in place (`copy`).
//! So a denied write leaves nothing where nothing was.
//!
//! INVARIANT: only that very object goes, and only while it is empty and nobody has it open for writing. It is held, so that its number is nobody
//! else's. It is moved aside before it is removed: what came to its name between the look and the move is put back.
//! Left out: whether it is to go, which is the decision's.

use super::installed::PREFIX;
use crate::door::act::inode;
use crate::door::copies::Begun;
use crate::door::seen::place::{Found, Place};
use crate::door::seen::resolve::Object;
use crate::door::session::Session;
use crate::sys::errno::Sys;
use crate::sys::files;
use crate::sys::{copies, process};
use std::os::fd::AsFd as _;

/// What an open has just made.
///
/// # Errors
/// No descriptor is left.
pub fn begun(object: &Object) -> Sys<Begun> {
    Ok(Begun { file: files::duplicate(object.file.as_fd())?, stat: object.stat })
}

/// Takes it away, if it stands at `place` as it was made. What cannot be taken away stays, as an empty file.
pub fn withdraw(begun: &Begun, session: &Session, place: &Place) {
    if place.stands(&session.ground) && removed(begun, session, place).is_ok_and(|gone| gone) {
        session.made.unnamed(inode(&begun.stat));
    }
}

fn removed(begun: &Begun, session: &Session, place: &Place) -> Sys<bool> {
    let is_at_place = matches!(place.look()?, Found::Object(_, stat) if stat.same(&begun.stat));
    if !is_at_place || !is_untouched(begun, session)? {
        return Ok(false);
    }
    let (parent, name) = (place.parent.as_fd(), place.component()?);
    let aside = files::text(&[PREFIX, process::random_hex().as_bytes()].concat())?;
    files::rename(parent, &name, parent, &aside, libc::RENAME_NOREPLACE)?;
    let is_aside = files::stat_at(parent, &aside).is_ok_and(|there| there.same(&begun.stat));
    if is_aside && is_untouched(begun, session).unwrap_or(false) {
        files::unlink(parent, &aside, 0)?;
        return Ok(true);
    }
    files::rename(parent, &aside, parent, &name, libc::RENAME_NOREPLACE)?;
    Ok(false)
}

/// Whether it is empty, has this name alone, and is open for writing nowhere.
fn is_untouched(begun: &Begun, session: &Session) -> Sys<bool> {
    let now = files::stat(begun.file.as_fd())?;
    let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_CLOEXEC;
    let readable = || files::reopen(session.ground.own.as_fd(), begun.file.as_fd(), flags, 0);
    Ok(now.size == 0 && now.links == 1 && copies::nobody_writes(readable()?.as_fd())?)
}
