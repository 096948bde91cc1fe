//! Private copies: what is written in place to a file whose keys policy guards goes to a file without a name, and to the name when it is whole. So does
//! what is written to a file that is made anew where only content of before may stand (`History`): it is a copy of nothing.
//!
//! Whoever opens such a file for writing gets the copy, and others that open it meanwhile for writing get the same one. When nobody has it open for
//! writing any more, nor mapped so (a lease tells, `sys/copies`), its content is decided as one act and put in place as Interlock's own file
//! (`installed`). Until then readers find what was there before; one that opens the file when writing has ended waits for that.
//! INVARIANT: what is decided is read once, into memory, and that is what is put in place. So whoever still holds the copy changes nothing. Only a copy
//! of nothing at a name without guarded keys is put there itself, since git looks for the file that it wrote, and then nobody can change it.
//! Left out: which copies there are (`door::copies`); locks, which each copy has to itself, and stat(2), which tells of the old content until then.

use super::before;
use super::guarded::{self, Held};
use super::installed::Ready;
use super::withdrawn::{begun, withdraw};
use crate::door::act::inode;
use crate::door::aloud;
use crate::door::copies::{Copy, Given, Of, Wanted};
use crate::door::errand::Errand;
use crate::door::missing::Makers;
use crate::door::seen::caller::{Reached, Stop};
use crate::door::seen::place::{self, Found, Place};
use crate::door::seen::resolve::Object;
use crate::door::session::Session;
use crate::journal::Keeping;
use crate::line::{Enactor, Observed, Settled};
use crate::sys::copies;
use crate::sys::credentials;
use crate::sys::errno::{Errno, Sys};
use crate::sys::files::{self, Stat};
use crate::sys::notify::{Call, NOBODYS};
use interlock_core::action::{Target, Verb};
use interlock_core::facts::{History, Origin};
use std::io::Write as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

/// File systems on which a mapping keeps the file open that it was made of, so that a closed file is written by nobody. On overlayfs it keeps the
/// file of the layer below.
const HELD_BY_MAPPINGS: [i64; 5] =
    [libc::EXT4_SUPER_MAGIC, libc::XFS_SUPER_MAGIC, libc::BTRFS_SUPER_MAGIC, libc::TMPFS_MAGIC, libc::F2FS_SUPER_MAGIC];
/// How long a program takes, on a busy machine too, to write such a file and to go on.
const SECOND_ENDS: Duration = Duration::from_millis(250);
const WAITS: &str = "what was written to it before is not in place yet";
const UNREAD: &str = "what was written cannot be read";
const FAILED: &str = "what was written could not be put in place";
const STILL_OPEN: &str = "what was written is not put in place: it was still open for writing when the session ended";
const BECAUSE: &str =
    "its keys are guarded, and here Interlock cannot hold back what is written in place; write a file beside it and rename that over it";
const NOT_ANEW: &str = "it may only hold what was there before, and here Interlock cannot hold back what is written until it is whole";

/// What is allowed is done as it is, or not at all.
const ENACTOR: Enactor = Enactor::PLAIN;

/// Opens the private copy of `object`, which is called `name`, with these flags; makes it if there is none. As the caller.
///
/// # Errors
/// The kernel's; a refusal where what is written cannot be held back.
pub fn open(errand: &Errand<'_>, flags: i32, object: &Object, name: &[u8]) -> Result<OwnedFd, Stop> {
    opened(errand, flags, (object, name), Ok)
}

/// The same where the caller's open has just made the file, empty: it is taken away again where what is written to it is not put in place.
///
/// # Errors
/// As [`open`]; then it is taken away at once.
pub fn begin(errand: &Errand<'_>, flags: i32, (place, object): (&Place, &Object), name: &[u8]) -> Result<OwnedFd, Stop> {
    let opened = opened(errand, flags, (object, name), |copy| Ok(copy.of_begun(begun(object)?)));
    if opened.is_err() {
        withdraw(&begun(object)?, errand.session, place);
    }
    opened
}

fn opened(
    errand: &Errand<'_>,
    flags: i32,
    (object, name): (&Object, &[u8]),
    as_begun: impl FnOnce(Copy) -> Sys<Copy>,
) -> Result<OwnedFd, Stop> {
    let flags = flags & !(libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW);
    let found = |copy: &Copy| Ok(files::reopen(errand.session.ground.own.as_fd(), copy.file.as_fd(), flags, 0)?);
    let made = || -> Result<_, Stop> {
        let (copy, file) = made(errand, flags, object, name)?;
        Ok((as_begun(copy)?, file))
    };
    match errand.session.copies.want((name, Some(&object.stat)), found, made)? {
        Wanted::Found(file) => Ok(file),
        Wanted::Closed => Err(Stop::Refused { reached: Reached::Path(name.to_vec()), because: WAITS, errno: libc::EAGAIN }),
        Wanted::TooMany => Err(Errno(libc::ENFILE).into()),
    }
}

/// A new copy, and the caller's own descriptor for it.
fn made(errand: &Errand<'_>, flags: i32, object: &Object, name: &[u8]) -> Result<(Copy, OwnedFd), Stop> {
    let ground = &errand.session.ground;
    let place = place::scoped(&errand.caller, ground.root.as_fd(), name, 0)?;
    if !place.holds(Some(&object.stat)) {
        return Err(Errno(libc::EAGAIN).into());
    }
    let refused = |_| Stop::Refused { reached: Reached::Path(name.to_vec()), because: BECAUSE, errno: libc::EACCES };
    let Held::File(original, bytes) = guarded::read(ground, object.file.as_fd())? else { return Err(refused(Errno(0))) };
    let own = libc::O_TMPFILE | libc::O_EXCL | libc::O_RDWR;
    let private = files::open_at(place.parent.as_fd(), c".", own, 0o600).map_err(refused)?;
    let reader = files::reopen(ground.own.as_fd(), private.as_fd(), libc::O_RDONLY, 0)?;
    // Where the kernel cannot tell whether a file is written to, it would never be whole.
    if copies::nobody_writes(reader.as_fd()).map_err(refused)? {
        return Err(refused(Errno(0)));
    }
    if flags & libc::O_TRUNC == 0 {
        std::fs::File::from(files::duplicate(private.as_fd())?).write_all(&bytes).map_err(Errno::from)?;
    }
    // Before it takes over the mode: who makes a file may write to it whatever mode it gives it.
    let file = files::reopen(ground.own.as_fd(), private.as_fd(), flags, 0)?;
    copies::take_attributes(private.as_fd(), original.as_fd())?;
    let of = Of::File(object.stat, errand.origin((object.file.as_fd(), &object.stat)));
    let call = Call { id: NOBODYS, ..*errand.call };
    Ok((Copy::new((name, place), of, reader, (call, errand.identity()?, Arc::default()))?, file))
}

/// Hands over a copy of nothing, for a name that is made anew where only content of before may stand (`History`): it gets the name when it is whole,
/// or never does. As the caller. `making` is the act that is recorded when it holds something else.
///
/// # Errors
/// EEXIST where another is being written; a refusal where what is written cannot be held back.
pub fn anew(errand: &Errand<'_>, place: Place, making: Observed, open: (i32, u32)) -> Result<OwnedFd, Stop> {
    let name = place.name();
    let found = |_: &Copy| Err(Errno(libc::EEXIST).into());
    let given = given(&place, &making)?;
    match errand.session.copies.want((&name, None), found, || made_anew(errand, (&name, place), (making, given), open))? {
        Wanted::Found(file) => Ok(file),
        Wanted::Closed => Err(Errno(libc::EEXIST).into()),
        Wanted::TooMany => Err(Errno(libc::ENFILE).into()),
    }
}

/// Git notes which file it wrote, and looks for that one when it goes on (a rebase). So the file gets its name itself, where a file that is closed is
/// written by nobody, and no keys of it are guarded.
fn given(place: &Place, making: &Observed) -> Result<Given, Stop> {
    let guards_keys = matches!(&making.target, Target::File(end) if end.content.is_some());
    let itself = !guards_keys && HELD_BY_MAPPINGS.contains(&files::file_system(place.parent.as_fd())?);
    Ok(if itself { Given::Itself } else { Given::Own })
}

fn made_anew(
    errand: &Errand<'_>,
    (name, place): (&[u8], Place),
    (making, given): (Observed, Given),
    (flags, mode): (i32, u32),
) -> Result<(Copy, OwnedFd), Stop> {
    let refused = |_| Stop::Refused { reached: Reached::Path(name.to_vec()), because: NOT_ANEW, errno: libc::EACCES };
    let unlinkable = if given == Given::Own { libc::O_EXCL } else { 0 };
    let flags = flags & !(libc::O_CREAT | libc::O_EXCL | libc::O_TRUNC | libc::O_NOFOLLOW);
    let flags = flags | libc::O_TMPFILE | libc::O_NOCTTY | unlinkable;
    if given == Given::Itself {
        within_a_second();
    }
    let file = files::open_at(place.parent.as_fd(), c".", flags, mode).map_err(refused)?;
    let reader = files::reopen(errand.session.ground.own.as_fd(), file.as_fd(), libc::O_RDONLY, 0)?;
    if copies::nobody_writes(reader.as_fd()).map_err(refused)? {
        return Err(refused(Errno(0)));
    }
    if given == Given::Itself {
        errand.session.copies.will_be_named(inode(&files::stat(reader.as_fd())?))?;
    }
    let call = Call { id: NOBODYS, ..*errand.call };
    let who = (call, errand.identity()?, Arc::new(Makers::family_of(&errand.caller)?));
    Ok((Copy::new((name, place), Of::Nothing(Box::new(making), given), reader, who)?, file))
}

/// Git notes the time of the file's last change as well, in seconds, and the name that it gets is such a change: so it is not made when a second ends.
fn within_a_second() {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let left = Duration::from_secs(1).saturating_sub(Duration::from_nanos(u64::from(now.subsec_nanos())));
    if left < SECOND_ENDS {
        std::thread::sleep(left);
    }
}

/// Decides what was written to a copy, and puts it in place.
pub fn put_in_place(session: &Session, copy: &Copy) {
    let errand = Errand::new(&copy.call, session);
    let ended = decided(&errand, copy);
    if ended.is_err() {
        withdrawn(&errand, copy);
    }
    if ended.is_err() && copy.is_anew() {
        missed(session, copy);
    }
    let because = match ended {
        Ok(()) | Err(Stop::Denied) => return,
        Err(Stop::Refused { because, .. }) => because,
        // Nobody waits for it who could be told otherwise.
        Err(Stop::Errno(_) | Stop::Gone | Stop::Interrupted) => FAILED,
    };
    let verb = if copy.is_anew() { Verb::FileCreate } else { Verb::FileWrite };
    session.line.refuse(&copy.call, errand.act(verb, &copy.name, None), because);
}

/// Says of a copy that it is not put in place, since somebody outside had it open for writing when the session ended. One that holds what is there is none.
pub fn given_up(session: &Session, copy: &Copy) {
    let errand = Errand::new(&copy.call, session);
    let there = standing(session, copy).and_then(|object| held(&errand, object.as_ref().map(|(file, stat)| (file.as_fd(), stat))));
    let now = guarded::read(&session.ground, copy.file.as_fd()).unwrap_or(Held::Unknown(UNREAD));
    if there.is_ok_and(|there| there.same(&now)) {
        return;
    }
    withdrawn(&errand, copy);
    let verb = if copy.is_anew() { Verb::FileCreate } else { Verb::FileWrite };
    session.line.refuse(&copy.call, errand.act(verb, &copy.name, None), STILL_OPEN);
}

/// What the open made for it goes, as whoever opened it.
fn withdrawn(errand: &Errand<'_>, copy: &Copy) {
    let Some(begun) = &copy.begun else { return };
    if let (Ok(_assumed), Ok(_names)) = (copy.identity.as_ref().map(credentials::assume).transpose(), errand.session.naming.moving()) {
        withdraw(begun, errand.session, &copy.place);
    }
}

/// Whoever wrote it has closed it, and no errno can tell them.
fn missed(session: &Session, copy: &Copy) {
    session.missing.note(Arc::clone(&copy.makers), &copy.name);
    let Some(file) = copy.makers.standard_error() else { return };
    if let Ok(_assumed) = copy.identity.as_ref().map(credentials::assume).transpose() {
        let line = format!("interlock: not put in place: {}; interlock why\n", aloud::printable(&copy.name));
        aloud::say(&session.ground, &file, &line);
    }
}

/// Decides what was written, and puts it in place. A denial is recorded by the line.
fn decided(errand: &Errand<'_>, copy: &Copy) -> Result<(), Stop> {
    let object = standing(errand.session, copy)?;
    let found = object.as_ref().map(|(file, stat)| (file.as_fd(), stat));
    let before = held(errand, found)?;
    // What cannot be read is decided as well, so that whoever denies it says so.
    let now = guarded::read(&errand.session.ground, copy.file.as_fd()).unwrap_or(Held::Unknown(UNREAD));
    if before.same(&now) {
        return Ok(());
    }
    let keys = guarded::keys_at(errand, &errand.end_at(&copy.name, found.map(|(_, stat)| stat)));
    let act = match &copy.of {
        Of::File(..) => errand.act(Verb::FileWrite, &copy.name, found),
        Of::Nothing(making, _) => Observed { history: history(errand.session, copy, &now), ..(**making).clone() },
    };
    if keys.is_empty() && act.history == Some(History::Tracked) {
        return installed(errand, copy, &before, &now); // as was decided when it was made
    }
    let content = (!keys.is_empty()).then(|| guarded::content(&copy.name, &keys, &before, &now));
    copy.asking.store(true, Ordering::Release);
    let settled = errand.session.line.settle(errand.session, &copy.call, &ENACTOR, vec![act.with_content(content)]);
    copy.asking.store(false, Ordering::Release);
    match settled {
        Settled::Denied => Err(Stop::Denied),
        Settled::Allowed(leave) => errand.carry_out(leave, |_| installed(errand, copy, &before, &now)),
    }
}

/// `None`: not known, since the repository could not be read in time.
fn history(session: &Session, copy: &Copy, now: &Held) -> Option<History> {
    let had = now.bytes().map_or(Some(false), |bytes| session.histories.had_content(&copy.name, bytes))?;
    Some(if had { History::Tracked } else { History::None })
}

fn held(errand: &Errand<'_>, found: Option<(BorrowedFd<'_>, &Stat)>) -> Result<Held, Stop> {
    found.map_or(Ok(Held::Nothing), |(file, _)| Ok(guarded::read(&errand.session.ground, file)?))
}

/// What it is a copy of, where that still is; nothing, where there still is nothing.
fn standing(session: &Session, copy: &Copy) -> Result<Option<(OwnedFd, Stat)>, Stop> {
    let refused = |because| Stop::Refused { reached: Reached::Path(copy.name.clone()), because, errno: libc::EACCES };
    if !copy.place.stands(&session.ground) {
        return Err(refused("what was written is not put in place: the folder has another name by now"));
    }
    match (copy.place.look()?, &copy.of) {
        (Found::Object(file, stat), Of::File(of, _)) if stat.same(of) => Ok(Some((file, stat))),
        (Found::Nothing, Of::Nothing(..)) => Ok(None),
        _ => Err(refused("what was written is not put in place: another file has taken its name")),
    }
}

fn installed(errand: &Errand<'_>, copy: &Copy, before: &Held, now: &Held) -> Result<(), Stop> {
    if let Of::Nothing(_, Given::Itself) = &copy.of {
        return named(errand, copy, now);
    }
    let ready = ready(copy, before, now)?;
    let _names = errand.session.naming.moving()?;
    let object = standing(errand.session, copy)?;
    let now_there = held(errand, object.as_ref().map(|(file, stat)| (file.as_fd(), stat)))?;
    if !now_there.same(before) {
        return Err(Errno(libc::ESTALE).into());
    }
    before::replaced(errand, &copy.name, object.as_ref().map(|(file, stat)| (file.as_fd(), stat)), Keeping::WhatFits)?;
    let line = copy.is_anew().then(|| before::making(errand, &copy.place)).flatten();
    let installed = ready.install(if copy.is_anew() { libc::RENAME_NOREPLACE } else { 0 });
    before::made(errand, line, installed.as_ref().ok().and_then(|file| files::stat(file.as_fd()).ok()).as_ref());
    let file = installed?;
    let stat = files::stat(file.as_fd())?;
    if matches!(copy.of, Of::Nothing(..) | Of::File(_, Origin::Session)) {
        errand.session.made.note(inode(&stat), file.as_fd());
    }
    if let Of::File(of, _) = &copy.of {
        errand.session.made.unnamed(inode(of));
    }
    Ok(())
}

/// The file gets the name. What was read of it is what it holds: nobody has it open for writing, and nobody gets to (`Copies::untouched`).
fn named(errand: &Errand<'_>, copy: &Copy, now: &Held) -> Result<(), Stop> {
    let (session, file) = (errand.session, copy.file.as_fd());
    let _names = session.naming.making()?;
    standing(session, copy)?;
    if now.bytes().is_none() || files::stat(file)?.links != 0 {
        return Err(Errno(libc::ESTALE).into());
    }
    let line = before::making(errand, &copy.place);
    let done = files::link(session.ground.own.as_fd(), files::magic(file).as_c_str(), copy.place.parent.as_fd(), &copy.place.component()?);
    before::made(errand, line, done.is_ok().then(|| files::stat(file).ok()).flatten().as_ref());
    done?;
    session.made.note(inode(&files::stat(file)?), file);
    Ok(())
}

/// The file that is put in place, with the bytes that were decided. Owner and mode are those that the file at the name has by now, unless the writer gave
/// them to the copy.
fn ready<'c>(copy: &'c Copy, before: &Held, now: &Held) -> Result<Ready<'c>, Stop> {
    let Held::File(_, bytes) = now else { return Err(Errno(libc::EACCES).into()) };
    let ready = Ready::new(&copy.place, bytes, copy.file.as_fd())?;
    match before {
        Held::Nothing => Ok(ready), // a power loss loses it as it does any new file
        Held::File(original, _) => {
            let (first, last) = (&copy.at_first, files::stat(copy.file.as_fd())?);
            if (first.user, first.group) == (last.user, last.group) {
                ready.owned_as(original.as_fd())?;
            }
            if first.mode == last.mode {
                ready.with_mode_of(original.as_fd())?;
            }
            Ok(ready.kept()?)
        }
        Held::Unknown(_) => Err(Errno(libc::EACCES).into()),
    }
}
