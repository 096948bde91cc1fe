//! Calls that make or remove one name: mkdir, mknod, symlink, link, unlink, rmdir. Performed below held directories, one component each.
//!
//! Left out: rename, which has two places and may carry a tree (`rename`).

use super::guarded::{self, Held};
use super::masked::Masked;
use super::moved::{MOVED, afresh, in_place, place_of};
use super::trash;
use super::{before, index, links, loss, rename};
use crate::door::act::{forbidden, inode};
use crate::door::answer::{Answered, Pending};
use crate::door::errand::Errand;
use crate::door::seen::caller::Stop;
use crate::door::seen::lost;
use crate::door::seen::place::{self, Found, Place};
use crate::door::seen::resolve::{self, Last, Name, Object, Path};
use crate::journal::Taken;
use crate::line::{Enactor, Observed};
use crate::sys::errno::{Errno, Sys};
use crate::sys::files::{self, Stat};
use crate::sys::memory::PATH_BYTES_MAX;
use crate::sys::witness::Witness;
use interlock_core::action::{Inode, Target, Verb};
use interlock_core::content::Content;
use interlock_core::facts::{History, Origin};
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};

const MODE_BITS: u32 = 0o7777;
/// What is allowed is done as it is, or not at all.
const ENACTOR: Enactor = Enactor::PLAIN;

/// Answers one call of the family.
pub fn answer(errand: &Errand<'_>, pending: Pending) -> Answered {
    let (verb, result) = afresh(|| serve(errand), |(_, result)| *result == Err(MOVED));
    errand.end(pending, verb, result.map(|()| 0))
}

fn serve(errand: &Errand<'_>) -> (Verb, Result<(), Stop>) {
    let caller = &errand.caller;
    let (int, mode) = (|index| caller.int(index), |index| caller.argument(index) as u32);
    let here = libc::AT_FDCWD;
    match i64::from(caller.number()) {
        libc::SYS_mkdir => (Verb::FileCreate, make_directory(errand, here, 0, mode(1))),
        libc::SYS_mkdirat => (Verb::FileCreate, make_directory(errand, int(0), 1, mode(2))),
        libc::SYS_mknod => (Verb::FileMknod, make_node(errand, here, 0, mode(1))),
        libc::SYS_mknodat => (Verb::FileMknod, make_node(errand, int(0), 1, mode(2))),
        libc::SYS_symlink => (Verb::FileCreate, make_symlink(errand, here, 1)),
        libc::SYS_symlinkat => (Verb::FileCreate, make_symlink(errand, int(1), 2)),
        libc::SYS_link => (Verb::FileLink, link(errand, (here, 0), (here, 1), 0)),
        libc::SYS_linkat => (Verb::FileLink, link(errand, (int(0), 1), (int(2), 3), int(4))),
        libc::SYS_unlink => (Verb::FileDelete, remove(errand, here, 0, 0)),
        libc::SYS_rmdir => (Verb::FileDelete, remove(errand, here, 0, libc::AT_REMOVEDIR)),
        libc::SYS_unlinkat => (Verb::FileDelete, remove(errand, int(0), 1, int(2))),
        libc::SYS_rename => (Verb::FileRename, rename::rename(errand, (here, 0), (here, 1), 0)),
        libc::SYS_renameat => (Verb::FileRename, rename::rename(errand, (int(0), 1), (int(2), 3), 0)),
        libc::SYS_renameat2 => (Verb::FileRename, rename::rename(errand, (int(0), 1), (int(2), 3), mode(4))),
        _ => (Verb::FileCreate, Err(Errno(libc::ENOSYS).into())),
    }
}

fn make_directory(errand: &Errand<'_>, directory: i32, index: usize, mode: u32) -> Result<(), Stop> {
    let place = place_of(errand, directory, index)?;
    let had = || errand.session.histories.had_folder(&place.name());
    let content = guarded::of_folder(errand, &place.name());
    make(errand, &place, (Verb::FileCreate, content), mode & MODE_BITS, had, files::make_directory)
}

fn make_node(errand: &Errand<'_>, directory: i32, index: usize, mode: u32) -> Result<(), Stop> {
    let verb = match mode & libc::S_IFMT {
        0 | libc::S_IFREG => Verb::FileCreate,
        libc::S_IFIFO | libc::S_IFSOCK => Verb::FileMknod,
        libc::S_IFCHR | libc::S_IFBLK => {
            let place = place_of(errand, directory, index)?;
            return Err(forbidden(&place.name(), "no device is made"));
        }
        libc::S_IFDIR => return Err(Errno(libc::EPERM).into()),
        _ => return Err(Errno(libc::EINVAL).into()),
    };
    let place = place_of(errand, directory, index)?;
    errand.forbid_privilege(mode, &place.name())?;
    make(errand, &place, (verb, None), mode, || false, files::make_node)
}

fn make_symlink(errand: &Errand<'_>, directory: i32, index: usize) -> Result<(), Stop> {
    let content = errand.caller.path(index - if index == 2 { 2 } else { 1 })?;
    if content.is_empty() {
        return Err(Errno(libc::ENOENT).into());
    }
    let place = place_of(errand, directory, index)?;
    let below = links::made(errand, &place.name(), &content);
    let had = || errand.session.histories.had_link(&place.name(), &content);
    let text = files::text(&content)?;
    let act = |entry: &CStr| files::make_symlink(&text, place.parent.as_fd(), entry).map(|()| None);
    let made = make_with(errand, &place, (Verb::FileCreate, None), below, had, act);
    index::noted(errand, &place.name(), made)
}

/// Settles and makes a new name at `place`, with a mode from which the umask is taken.
fn make(
    errand: &Errand<'_>,
    place: &Place,
    act_of: (Verb, Option<Content>),
    mode: u32,
    had: impl FnOnce() -> bool,
    act: fn(BorrowedFd<'_>, &CStr, u32) -> Sys<()>,
) -> Result<(), Stop> {
    let (umask, parent) = (errand.umask()?, place.parent.as_fd());
    let act = |entry: &CStr| {
        let masked = Masked::of(mode, umask, parent)?;
        act(parent, entry, masked.given()).map(|()| Some(masked))
    };
    make_with(errand, place, act_of, Vec::new(), had, act)
}

/// Settles and makes a new name that brings others into being (`below`). What is there already is the kernel's to say, and so is what can be no name.
/// `had` says whether the repository had just this there, `act` what is to be looked at after.
fn make_with(
    errand: &Errand<'_>,
    place: &Place,
    (verb, content): (Verb, Option<Content>),
    below: Vec<Observed>,
    had: impl FnOnce() -> bool,
    act: impl FnOnce(&CStr) -> Sys<Option<Masked>>,
) -> Result<(), Stop> {
    let (entry, parent) = (place.entry()?, place.parent.as_fd());
    if !place.is_name() {
        return errand.as_caller(|| Ok(act(&entry).map(drop)?));
    }
    if let Found::Object(..) = errand.as_caller(|| Ok(place.look()?))? {
        return Err(Errno(libc::EEXIST).into());
    }
    let mut making = errand.making(verb, &place.name(), place.parent.as_fd()).with_content(content);
    if errand.session.line.judge.plan.needs(&making.alone()).history && had() {
        making.history = Some(History::Tracked);
    }
    let acts = std::iter::once(making).chain(below).collect();
    let made = errand.enact_as_caller(&ENACTOR, acts, |_| {
        in_place(errand, place, None, || {
            let (line, witness) = (before::making(errand, place), Witness::of(parent));
            let done = act(&entry);
            // What is there now may be somebody else's, who put it there.
            let found = match place.look() {
                Ok(Found::Object(file, stat)) if done.is_ok() && witness.is_some_and(|witness| witness.saw_only_made(&entry)) => {
                    Some((file, stat))
                }
                _ => None,
            };
            before::made(errand, line, found.as_ref().map(|(_, stat)| stat));
            if let (Some(masked), Some((file, _))) = (done?, &found) {
                masked.settle(file.as_fd())?;
            }
            Ok(found)
        })
    })?;
    if let Some((file, stat)) = made.filter(|(_, stat)| stat.kind() == libc::S_IFDIR || stat.links == 1) {
        errand.session.made.note(inode(&stat), file.as_fd());
    }
    Ok(())
}

fn remove(errand: &Errand<'_>, directory: i32, index: usize, flags: i32) -> Result<(), Stop> {
    if flags & !libc::AT_REMOVEDIR != 0 {
        return Err(Errno(libc::EINVAL).into());
    }
    let place = place_of(errand, directory, index)?;
    let entry = place.entry()?;
    let act = || files::unlink(place.parent.as_fd(), &entry, flags);
    if !place.is_name() {
        return errand.as_caller(|| Ok(act()?));
    }
    let name = place.name();
    errand.settled_in(if flags == 0 { place.directory() } else { &name });
    let object = errand.as_caller(|| Ok(place::object_at(&place)?))?;
    natively_refused(errand, &object.stat, &place, flags)?;
    let mut acts = removal(errand, &object)?;
    if object.stat.kind() == libc::S_IFLNK {
        acts.extend(links::gone(errand, &place.name(), errand.origin((object.file.as_fd(), &object.stat))));
    }
    let trashed = trash::instead(errand);
    let gone = errand.enact(&trash::enactor(&trashed), acts, |permits| {
        errand.session.histories.leaving(&place.name(), &object.stat, errand.origin((object.file.as_fd(), &object.stat)));
        match before::take(errand, &place, &object, trash::keeping(permits))? {
            Taken::Gone => Ok(()),
            _ => errand.as_caller(|| in_place(errand, &place, Some(&object.stat), act)),
        }
    });
    // A folder that stays where it was is nothing that git relies on.
    if flags == 0 { index::noted(errand, &place.name(), gone) } else { gone }?;
    if object.stat.links <= 1 || flags != 0 {
        errand.session.made.unnamed(inode(&object.stat));
        errand.session.journal.iter().for_each(|journal| journal.forget(&object.stat));
    }
    Ok(())
}

/// The removal of an object by its name, with the keys that go with it where policy guards any.
fn removal(errand: &Errand<'_>, object: &Object) -> Result<Vec<Observed>, Stop> {
    let acts = errand.acts_on(&[Verb::FileDelete], object)?;
    if !errand.session.line.judge.plan.guards_keys() {
        return Ok(acts);
    }
    let keys = guarded::keys_at(errand, &errand.end_at(object.name.bytes(), Some(&object.stat)));
    if keys.is_empty() {
        return Ok(acts);
    }
    let held = Held::of(errand, Some((object.file.as_fd(), &object.stat)))?;
    let content = guarded::content(object.name.bytes(), &keys, &held, &Held::Nothing);
    Ok(acts.into_iter().map(|act| act.with_content(Some(content.clone()))).collect())
}

/// What the kernel says of the object's type, after whether its name may be taken away at all; a slash behind a file's name it sees first.
fn natively_refused(errand: &Errand<'_>, stat: &Stat, place: &Place, flags: i32) -> Result<(), Stop> {
    let errno = match (stat.kind() == libc::S_IFDIR, flags != 0) {
        (true, false) => libc::EISDIR,
        (false, true) => libc::ENOTDIR,
        (false, false) if place.slash() => libc::ENOTDIR,
        _ => return Ok(()),
    };
    if flags != 0 || !place.slash() {
        errand.as_caller(|| Ok(place.may_lose(stat)?))?;
    }
    Err(Errno(errno).into())
}

fn link(errand: &Errand<'_>, from: (i32, usize), to: (i32, usize), flags: i32) -> Result<(), Stop> {
    if flags & !(libc::AT_SYMLINK_FOLLOW | libc::AT_EMPTY_PATH) != 0 {
        return Err(Errno(libc::EINVAL).into());
    }
    let object = linked(errand, from, flags)?;
    let place = place_of(errand, to.0, to.1)?;
    let entry = place.entry()?;
    let magic = files::magic(object.file.as_fd());
    // The object itself is linked, whatever its name is by now.
    let act = || files::link(errand.session.ground.own.as_fd(), magic.as_c_str(), place.parent.as_fd(), &entry);
    if !place.is_name() {
        return errand.as_caller(|| Ok(act()?));
    }
    if let Found::Object(..) = errand.as_caller(|| Ok(place.look()?))? {
        return Err(Errno(libc::EEXIST).into());
    }
    if place.slash() {
        return Err(Errno(libc::ENOENT).into());
    }
    if object.stat.kind() == libc::S_IFDIR {
        // A directory gets no second name, whoever asks: the kernel has the word for why.
        return errand.as_caller(|| Ok(act()?));
    }
    let acts = match &object.name {
        // Memory files and pipes lie on file systems that hold no names: EXDEV.
        Name::Held(_) => return errand.as_caller(|| Ok(act()?)),
        // A file made without a name gets its first one.
        Name::Lost(path) => {
            errand.session.copies.untouched(inode(&object.stat), &[Verb::FileLink], path)?;
            lost::admitted(&errand.caller, &errand.session.made, &object, &[Verb::FileLink])?;
            vec![first_name(errand, &object, &place)]
        }
        Name::Path(path) => {
            let end = errand.end_at(path, Some(&object.stat));
            let to = errand.end_at(&place.name(), None);
            let target = Target::Pair { path: end.path, aliases: end.aliases, inode: end.inode, content: None, to, exchange: false };
            let (origin, origin_to) =
                (Some(errand.origin((object.file.as_fd(), &object.stat))), Some(errand.origin_in(place.parent.as_fd())));
            let mut acts = vec![Observed { origin, origin_to, ..Observed::new(Verb::FileLink, target) }];
            acts.extend(linked_out(errand, path, (Some(inode(&object.stat)), origin), &place.name())?);
            if object.stat.kind() == libc::S_IFLNK {
                let content = files::read_link(object.file.as_fd(), c"")?;
                acts.extend(links::made(errand, &place.name(), &content));
            }
            acts
        }
    };
    errand.enact_as_caller(&ENACTOR, acts, |_| {
        if !resolve::still_named(&errand.session.ground, &object) {
            return Err(MOVED);
        }
        before::leaves(errand, Some((object.file.as_fd(), &object.stat)), (object.name.bytes(), &place.name()))?;
        in_place(errand, &place, None, || {
            let (line, done) = (before::linking(errand, &place, &object), act());
            before::made(errand, line, done.is_ok().then_some(&object.stat));
            done
        })
    })?;
    errand.session.made.named(inode(&object.stat));
    Ok(())
}

/// The first name of a file that was made without one. It is the session's only where both are, the file and the folder.
fn first_name(errand: &Errand<'_>, object: &Object, place: &Place) -> Observed {
    let act = errand.act(Verb::FileCreate, &place.name(), Some((object.file.as_fd(), &object.stat)));
    match errand.origin_in(place.parent.as_fd()) {
        Origin::Session => act,
        Origin::Before => Observed { origin: Some(Origin::Before), ..act },
    }
}

/// A second name beyond what keeps the first: by it the file could be overwritten.
fn linked_out(errand: &Errand<'_>, from: &[u8], object: (Option<Inode>, Option<Origin>), to: &[u8]) -> Sys<Option<Observed>> {
    let names = || (loss::of_name(errand.end_at(from, None), object), loss::of_name(errand.end_at(to, None), object));
    loss::cares(&errand.session.line.judge, Verb::FileLink)
        .then(names)
        .and_then(|(from, to)| loss::moved_out(&errand.session.line.judge, from, &to))
        .map(|lost| trash::stays(&errand.session.line.judge, lost))
        .transpose()
}

/// What is to be linked: by path, or with AT_EMPTY_PATH the descriptor's own object.
fn linked(errand: &Errand<'_>, (directory, index): (i32, usize), flags: i32) -> Result<Object, Stop> {
    let text = errand.caller.text(errand.caller.argument(index), PATH_BYTES_MAX, libc::ENAMETOOLONG)?;
    if text.is_empty() && flags & libc::AT_EMPTY_PATH != 0 {
        let file = errand.caller.directory(directory)?;
        errand.caller.confirm()?;
        let stat = files::stat(file.as_fd())?;
        return resolve::named(&errand.session.ground, file, stat);
    }
    let last = if flags & libc::AT_SYMLINK_FOLLOW != 0 { Last::Follow } else { Last::Keep };
    let path = Path { directory, text: &text, last, resolve: 0 };
    let start = resolve::held_start(&errand.caller, directory, &text)?;
    errand.as_caller(|| resolve::object_from(&errand.caller, start.as_fd(), &path))
}
