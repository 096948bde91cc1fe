//! Files that get their name when what they hold is known: a call makes one at a name where only content of before may stand (`History`), and the
//! caller is handed a file without a name instead.
//!
//! When nobody can write it any more (its one open description is closed, and no mapping is left), its content is compared, and it gets
//! the name, or none. Before and after that it is opened for writing and linked by nobody who comes to it without a name.
//! INVARIANT: every call of the session settles what was closed before it, so a program that made a file and goes on finds it there.
//! Left out: files that are written where they are (their open is a denial), and what another session or a person makes at the name meanwhile,
//! which stays.

use crate::door::act::inode;
use crate::door::errand::Errand;
use crate::door::seen::caller::Stop;
use crate::door::seen::drafts::Draft;
use crate::door::seen::place::Place;
use crate::door::session::Session;
use crate::line::{Enactor, Observed, Settled};
use crate::sys::errno::{Errno, Sys};
use crate::sys::files;
use interlock_core::facts::History;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::PoisonError;

/// Bytes of a draft that are read.
const BYTES_MAX: u64 = 4 << 20;

/// File systems on which a mapping keeps the file open that it was made of, so that a closed file is written by nobody. On overlayfs it keeps the
/// file of the layer below.
const HELD_BY_MAPPINGS: [i64; 5] =
    [libc::EXT4_SUPER_MAGIC, libc::XFS_SUPER_MAGIC, libc::BTRFS_SUPER_MAGIC, libc::TMPFS_MAGIC, libc::F2FS_SUPER_MAGIC];

/// Begins a draft for `place` with these flags and mode, as the caller: the file to hand over.
///
/// # Errors
/// EACCES where there are too many, or where the file system has no files without a name, or none that a mapping keeps open.
pub fn begin(errand: &Errand<'_>, place: Place, act: Observed, flags: i32, mode: u32) -> Result<OwnedFd, Stop> {
    let flags = (flags & !(libc::O_CREAT | libc::O_EXCL | libc::O_TRUNC | libc::O_NOFOLLOW)) | libc::O_TMPFILE | libc::O_NOCTTY;
    let handed = files::open_at(place.parent.as_fd(), c".", flags, mode).map_err(|_| Errno(libc::EACCES))?;
    if !HELD_BY_MAPPINGS.contains(&files::file_system(handed.as_fd())?) {
        return Err(Errno(libc::EACCES).into());
    }
    let ground = &errand.session.ground;
    let file = files::open_at(ground.own.as_fd(), files::magic(handed.as_fd()).as_c_str(), libc::O_RDONLY, 0)?;
    let draft = Draft { inode: inode(&files::stat(file.as_fd())?), file, place, act, call: *errand.call };
    errand.session.drafts.watch(draft).map_err(|_| Errno(libc::EACCES))?;
    Ok(handed)
}

/// Gives the drafts that are complete their names, if they hold what they may.
pub fn settle(session: &Session) {
    if session.drafts.is_empty() {
        return;
    }
    let _settling = session.drafts.settling.lock().unwrap_or_else(PoisonError::into_inner);
    for (number, draft) in session.drafts.closed() {
        finish(session, &draft);
        session.drafts.finished(number);
    }
}

/// What cannot be read is decided as something that the repository did not have, so that whoever denies it says so.
fn finish(session: &Session, draft: &Draft) {
    let content = content(draft);
    if content.as_ref().is_ok_and(|content| session.histories.had_content(&draft.place.name(), content)) {
        // What cannot be linked (a name that is there by now, a folder that moved) is as if it had been removed again.
        let _as_if_removed = content.and_then(|content| install(session, draft, &content));
        return;
    }
    let Draft { act, call, .. } = draft;
    let told = Observed { history: Some(History::None), ..act.clone() };
    if let Settled::Allowed(leave) = session.line.settle(session, call, &Enactor::PLAIN, vec![told]) {
        leave.done(content.and_then(|content| install(session, draft, &content)).err().map_or(0, |Errno(errno)| errno));
    }
}

fn content(draft: &Draft) -> Sys<Vec<u8>> {
    let mut content = Vec::new();
    let file = File::from(files::duplicate(draft.file.as_fd())?);
    file.take(BYTES_MAX + 1).read_to_end(&mut content)?;
    Ok(content)
}

/// The file gets the name: git has noted which file it wrote. A descriptor that is kept of it leads to it by no name, and so to nothing that
/// could change it (`Drafts::untouched`).
fn install(session: &Session, draft: &Draft, content: &[u8]) -> Sys<()> {
    let (place, file) = (&draft.place, draft.file.as_fd());
    let _names = session.names.read().unwrap_or_else(PoisonError::into_inner);
    if content.len() as u64 > BYTES_MAX || files::stat(file)?.links != 0 || !place.stands(&session.ground) {
        return Err(Errno(libc::ESTALE));
    }
    files::link(session.ground.own.as_fd(), files::magic(file).as_c_str(), place.parent.as_fd(), &place.component()?)
}
