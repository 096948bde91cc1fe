//! What was there before, kept before an act of the session changes it: which acts lose what, and of whom it is kept (`journal`).
//!
//! Left out: how it is kept. Where nothing can be kept any more the act goes on, and a person is told: policy has allowed it.

use super::moved::MOVED;
use super::trash::admits;
use crate::door::errand::Errand;
use crate::door::seen::caller::Stop;
use crate::door::seen::place::Place;
use crate::door::seen::resolve::{Name, Object};
use crate::journal::{End as Moving, Held, Journal, Keeping, Moved, Taken};
use crate::sys::errno::{Errno, Sys};
use crate::sys::files::{self, Stat};
use interlock_core::action::Verb;
use interlock_core::facts::Origin;
use std::ffi::CStr;
use std::os::fd::{AsFd as _, BorrowedFd};

/// Before acts `verbs` on an object: its content, where they may change that, else what they change besides.
///
/// # Errors
/// A refusal, where it has to be kept and cannot be.
pub fn keep(errand: &Errand<'_>, verbs: &[Verb], object: &Object, keeping: Keeping) -> Result<(), Stop> {
    let (Some(journal), Name::Path(path)) = (&errand.session.journal, &object.name) else { return Ok(()) };
    let held = Held { path, file: object.file.as_fd(), stat: &object.stat };
    if changes_content(verbs) && object.stat.kind() == libc::S_IFREG {
        if was_before(errand, &held) {
            journal.content(&held, keeping);
        }
        return admits(keeping, path, || journal.keeps(&held));
    }
    if verbs.iter().any(|verb| *verb != Verb::FileRead) && is_kept_of(object.stat.kind()) {
        note(errand, journal, &held);
    }
    Ok(())
}

fn changes_content(verbs: &[Verb]) -> bool {
    verbs.iter().any(|verb| matches!(verb, Verb::FileWrite | Verb::FileTruncate))
}

/// Devices, and what else is no matter of a file system's, are written to and stay what they are.
fn is_kept_of(kind: u32) -> bool {
    matches!(kind, libc::S_IFREG | libc::S_IFDIR | libc::S_IFLNK)
}

fn note(errand: &Errand<'_>, journal: &Journal, held: &Held<'_>) {
    if !journal.has_metadata(held.stat) && was_before(errand, held) {
        journal.metadata(held);
    }
}

fn was_before(errand: &Errand<'_>, held: &Held<'_>) -> bool {
    errand.origin((held.file, held.stat)) == Origin::Before
}

/// Before a name in a folder is made, moved or taken away: the folder's own times are those of before.
pub fn names_of(errand: &Errand<'_>, place: &Place) {
    let Some(journal) = &errand.session.journal else { return };
    if let Ok(stat) = files::stat(place.parent.as_fd()) {
        note(errand, journal, &Held { path: place.directory(), file: place.parent.as_fd(), stat: &stat });
    }
}

/// Before a name is made: the line that says so.
pub fn making(errand: &Errand<'_>, place: &Place) -> Option<u64> {
    begun(errand, place, None)
}

/// Before an object gets a second name: which it had, where it is of before.
pub fn linking(errand: &Errand<'_>, place: &Place, object: &Object) -> Option<u64> {
    let Name::Path(path) = &object.name else { return begun(errand, place, None) };
    let held = Held { path, file: object.file.as_fd(), stat: &object.stat };
    begun(errand, place, was_before(errand, &held).then_some(held.path))
}

fn begun(errand: &Errand<'_>, place: &Place, linked: Option<&[u8]>) -> Option<u64> {
    let journal = errand.session.journal.as_ref()?;
    names_of(errand, place);
    journal.making(&place.name(), linked)
}

/// What came of it.
pub fn made(errand: &Errand<'_>, line: Option<u64>, stat: Option<&Stat>) {
    let Some(journal) = &errand.session.journal else { return };
    match stat {
        Some(stat) => journal.made(line, stat),
        None => journal.failed(line),
    }
}

/// Takes away the name of something of before, which goes where it is kept. As the supervisor, for whom the caller's rights are asked first.
///
/// # Errors
/// The kernel's; [`MOVED`] where something else stands there; a refusal, where it has to be kept and cannot be.
pub fn take(errand: &Errand<'_>, place: &Place, object: &Object, keeping: Keeping) -> Result<Taken, Stop> {
    let Some(journal) = &errand.session.journal else { return Ok(Taken::Remains) };
    names_of(errand, place);
    let held = Held { path: object.name.bytes(), file: object.file.as_fd(), stat: &object.stat };
    if object.stat.kind() == libc::S_IFDIR {
        note(errand, journal, &held);
        admits(keeping, held.path, || journal.has_metadata(held.stat))?;
        return Ok(Taken::Remains);
    }
    if !journal.covers(held.path) || !was_before(errand, &held) {
        admits(keeping, held.path, || false)?;
        return Ok(Taken::Remains);
    }
    errand.as_caller(|| Ok(place.may_lose(&object.stat)?))?;
    let entry = place.component()?;
    let _names = errand.session.naming.making()?;
    if !place.stands(&errand.session.ground) || !place.holds(Some(&object.stat)) {
        return Err(MOVED);
    }
    match gone(errand, (journal, keeping), &held, (place, &entry))? {
        Taken::Other => Err(MOVED),
        Taken::Gone => Ok(Taken::Gone),
        Taken::Remains => admits(keeping, held.path, || journal.keeps(&held)).map(|()| Taken::Remains),
    }
}

/// Takes away a name of what was there before. What the session made loses its name where it is: a program that still has it open may open it again by
/// the path that it had.
fn gone(errand: &Errand<'_>, (journal, keeping): (&Journal, Keeping), held: &Held<'_>, (place, entry): (&Place, &CStr)) -> Sys<Taken> {
    if was_before(errand, held) { journal.take(held, (place.parent.as_fd(), entry), keeping) } else { Ok(Taken::Remains) }
}

/// What is called `path` at one end of a rename.
pub type End<'a> = (&'a Place, Option<(BorrowedFd<'a>, &'a Stat)>);

/// Does a rename, as it was decided, while nobody of the session moves a name: what it replaces goes where it is kept.
///
/// Another rename would lose whatever has the name at that moment. So the two are exchanged: then what is to go stands at the old name, and is looked
/// at before it goes. Where a file system cannot exchange, a copy of what was decided is kept.
///
/// # Errors
/// The kernel's; [`MOVED`] where something else stood at the goal; EXDEV where it would leave what is kept.
pub fn rename(
    errand: &Errand<'_>,
    (from, to): (End<'_>, End<'_>),
    (flags, keeping): (u32, Keeping),
    act: impl Fn(u32) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let act = |flags| errand.as_caller(|| act(flags));
    let (Some(journal), Some((file, stat))) = (&errand.session.journal, from.1) else { return act(flags) };
    [from.0, to.0].into_iter().for_each(|place| names_of(errand, place));
    let (old, new) = (from.0.name(), to.0.name());
    let exchanges = flags & libc::RENAME_EXCHANGE != 0;
    leaves(errand, from.1, (&old, &new))?;
    leaves(errand, to.1.filter(|_| exchanges), (&new, &old))?;
    let what = Moving { file, stat, was_before: was_before(errand, &Held { path: &old, file, stat }) };
    let other = to.1.map(|(file, stat)| Moving { file, stat, was_before: was_before(errand, &Held { path: &new, file, stat }) });
    let moved = Moved { path: &old, to: &new, what, other, exchanges };
    let moving = || journal.moving(&moved);
    let replaced = to.1.filter(|_| !exchanges).map(|(file, stat)| Held { path: &new, file, stat });
    match replaced {
        Some(held) if held.stat.kind() == libc::S_IFDIR => {
            note(errand, journal, &held);
            admits(keeping, held.path, || journal.has_metadata(held.stat))?;
            noted(journal, moving(), act(flags))
        }
        Some(held) if journal.covers(held.path) => replacing((errand, journal, keeping), (from.0, &held), moving, act),
        None if !exchanges && journal.covers(&new) => noted(journal, moving(), into_nothing(flags, act)),
        _ => noted(journal, moving(), act(flags)),
    }
}

/// Whether a name would lead out of what is kept: with it what was there before could be lost unseen, at the latest with the session's own temporary
/// folder. To whoever moves or links it, that lies on another device, so it is copied there and its old name is taken away.
///
/// # Errors
/// EXDEV.
pub fn leaves(errand: &Errand<'_>, found: Option<(BorrowedFd<'_>, &Stat)>, (old, new): (&[u8], &[u8])) -> Sys<()> {
    let (Some(journal), Some((file, stat))) = (&errand.session.journal, found) else { return Ok(()) };
    if !journal.covers(old) || journal.covers(new) {
        return Ok(());
    }
    // A folder of the session's own may hold what was moved into it.
    let may_hold = stat.kind() == libc::S_IFDIR && journal.has_moved();
    if may_hold || was_before(errand, &Held { path: old, file, stat }) { Err(Errno(libc::EXDEV)) } else { Ok(()) }
}

/// Moves to a name that nothing has: what came there meanwhile is not replaced.
fn into_nothing(flags: u32, act: impl Fn(u32) -> Result<(), Stop>) -> Result<(), Stop> {
    match act(flags | libc::RENAME_NOREPLACE) {
        Err(Stop::Errno(Errno(libc::EEXIST))) if flags & libc::RENAME_NOREPLACE == 0 => Err(MOVED),
        Err(Stop::Errno(Errno(libc::EINVAL))) => act(flags), // a file system that knows no such flag
        done => done,
    }
}

fn noted(journal: &Journal, line: Option<u64>, done: Result<(), Stop>) -> Result<(), Stop> {
    if done.is_err() {
        journal.failed(line);
    }
    done
}

fn replacing(
    (errand, journal, keeping): (&Errand<'_>, &Journal, Keeping),
    (from, held): (&Place, &Held<'_>),
    moving: impl Fn() -> Option<u64>,
    act: impl Fn(u32) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let keep = || {
        if was_before(errand, held) {
            journal.content(held, keeping);
        }
        admits(keeping, held.path, || journal.keeps(held))
    };
    // By its old name it could not be taken away where that folder is a sticky one and it is another's: nor could the exchange be undone.
    let could_go = errand.as_caller(|| Ok(from.may_lose(held.stat)?)).is_ok();
    if !journal.takes_in(held.stat) || !could_go {
        keep()?;
        return noted(journal, moving(), act(0));
    }
    let (entry, line) = (from.component()?, moving());
    match act(libc::RENAME_EXCHANGE) {
        Ok(()) => {}
        Err(Stop::Errno(Errno(libc::EINVAL | libc::EXDEV | libc::ENOSYS))) => {
            return noted(journal, line, keep().and_then(|()| act(0)));
        }
        Err(stop) => return noted(journal, line, Err(stop)),
    }
    let gone = || -> Result<Taken, Stop> {
        match gone(errand, (journal, keeping), held, (from, &entry))? {
            // There is no room for it, or it was copied: it goes as it would have.
            Taken::Remains => {
                admits(keeping, held.path, || journal.keeps(held))?;
                Ok(files::unlink(from.parent.as_fd(), &entry, 0).map(|()| Taken::Gone)?)
            }
            taken => Ok(taken),
        }
    };
    let taken = if from.holds(Some(held.stat)) { gone() } else { Ok(Taken::Other) };
    let stop = match taken {
        Ok(Taken::Gone) => return Ok(()),
        Ok(Taken::Other | Taken::Remains) => MOVED,
        Err(stop) => stop,
    };
    // Where that fails, the line stands: it tells where each of the two is.
    act(libc::RENAME_EXCHANGE)?;
    noted(journal, line, Err(stop))
}

/// Before a file of Interlock's own takes the name of what is held: a copy is kept, since the other is looked at and replaced in one step.
///
/// # Errors
/// A refusal, where it has to be kept and cannot be.
pub fn replaced(errand: &Errand<'_>, name: &[u8], found: Option<(BorrowedFd<'_>, &Stat)>, keeping: Keeping) -> Result<(), Stop> {
    let (Some(journal), Some((file, stat))) = (&errand.session.journal, found) else { return Ok(()) };
    let held = Held { path: name, file, stat };
    if was_before(errand, &held) {
        journal.content(&held, keeping);
    }
    admits(keeping, name, || journal.keeps(&held))
}
